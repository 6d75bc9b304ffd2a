// `bun run dev` serves the built app with a fake hub, under the real hub's content security policy.
// Variables: PORT (default: any free one), SCENARIO (fresh, well, trouble), HELD (1: operations do not end before
// somebody asks for /dev/let-go).
import { join } from "node:path"
import { answers } from "./answers"
import { Pretended, type Scenario } from "./state"

const ROOT = join(import.meta.dir, "..", "..", "parachute_hub")
const BUILT = join(ROOT, "static", "admin")
const HEADERS = {
  "Content-Security-Policy":
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-store",
}
const hub = new Pretended((process.env["SCENARIO"] ?? "well") as Scenario, process.env["HELD"] === "1")

async function file(path: string): Promise<Response> {
  const named = path.replace(/^\/admin\/?/, "")
  const found = Bun.file(join(BUILT, named))
  const shown = named && !named.includes("..") && (await found.exists()) ? found : Bun.file(join(BUILT, "index.html"))
  return new Response(shown, { headers: HEADERS })
}

function events(request: Request): Response {
  let end = () => {}
  const body = new ReadableStream({
    start(stream) {
      const send = (text: string) => stream.enqueue(new TextEncoder().encode(text))
      send(": hello\n\n")
      end = hub.listen(Number(request.headers.get("Last-Event-ID") ?? 0), send)
    },
    cancel: () => end(),
  })
  return new Response(body, { headers: { "Content-Type": "text/event-stream", ...HEADERS } })
}

function logs(): Response {
  let timer: ReturnType<typeof setInterval>
  let count = 0
  const body = new ReadableStream({
    start(stream) {
      const say = () => {
        const text = `GET /api/notes 200 in ${count++ % 7} ms`
        const entry = { at: new Date().toISOString(), level: "info", mark: null, text }
        stream.enqueue(new TextEncoder().encode(`${JSON.stringify(entry)}\n`))
      }
      for (let line = 0; line < 40; line++) say()
      timer = setInterval(say, 1000)
    },
    cancel: () => clearInterval(timer),
  })
  return new Response(body, { headers: { "Content-Type": "application/x-ndjson", ...HEADERS } })
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env["PORT"] ?? 0),
  idleTimeout: 0,
  async fetch(request) {
    const { pathname } = new URL(request.url)
    if (pathname === "/static/hub/hub.css") return new Response(Bun.file(join(ROOT, "accounts", "static", "hub.css")))
    if (pathname === "/dev/let-go") {
      hub.letGo()
      return new Response("ok")
    }
    if (pathname === "/api/events") return events(request)
    if (/^\/api\/(modules\/[^/]+|hub)\/logs$/.test(pathname)) return logs()
    if (pathname.startsWith("/api/") || pathname === "/vaults") {
      const body = request.method === "GET" ? {} : await request.json().catch(() => ({}))
      const proof = request.headers.get("X-Parachute-Proof")
      const [status, answer] = answers(hub, { method: request.method, path: pathname, body, proof })
      return Response.json(answer, { status, headers: HEADERS })
    }
    return file(pathname)
  },
})
console.log(`listening on ${server.url}`)
