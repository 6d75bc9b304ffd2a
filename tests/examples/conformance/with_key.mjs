// Passes requests on to a vault with its key: the conformance suite cannot send a header of its own.
//     bun with_key.mjs VAULT_PORT KEY      prints its own port

import { createServer, request } from "node:http"

const [port, key] = process.argv.slice(2)
const server = createServer((asked, answer) => {
  const headers = { ...asked.headers, authorization: `Bearer ${key}` }
  const onward = request({ host: "127.0.0.1", port, method: asked.method, path: asked.url, headers }, (reply) => {
    answer.writeHead(reply.statusCode, reply.headers)
    reply.pipe(answer)
  })
  onward.on("error", () => answer.destroy())
  answer.on("close", () => onward.destroy())
  asked.pipe(onward)
})
server.listen(0, "127.0.0.1", () => console.log(server.address().port))
