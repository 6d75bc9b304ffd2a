// The module behind every proxy: small and large answers, streams both ways, server-sent events, WebSocket echo.
const small = JSON.stringify({
  notes: Array.from({ length: 12 }, (_, n) => ({ id: n, title: `A note with a title ${n}`, tags: ["one", "two"] })),
})
const large = new Uint8Array(64 * 1024).fill(120)
const big = new Uint8Array(8 * 1024 * 1024)
const block = new Uint8Array(256 * 1024).fill(121)

const stream = (bytes: number, waits: boolean) => {
  let left = bytes
  const source: Bun.DirectUnderlyingSource<Uint8Array> = {
    type: "direct",
    async pull(controller) {
      while (left > 0) {
        const part = left >= block.length ? block : block.subarray(0, left)
        controller.write(part)
        left -= part.length
        await controller.flush(waits)
      }
      controller.close()
    },
  }
  return new ReadableStream(source)
}

const server = Bun.serve({
  port: Number(process.env.PORT),
  hostname: "127.0.0.1",
  idleTimeout: 60,
  maxRequestBodySize: 8 * 1024 ** 3,
  async fetch(request, server) {
    const url = new URL(request.url)
    const path = url.pathname.replace(/^\/echo/, "")
    if (path === "/ws") return server.upgrade(request) ? undefined : new Response("no", { status: 400 })
    if (path === "/1k") return new Response(small, { headers: { "content-type": "application/json" } })
    if (path === "/slow") {
      await Bun.sleep(Number(url.searchParams.get("ms")))
      return new Response(small)
    }
    if (path === "/64k") return new Response(large)
    if (path === "/big") return new Response(big)
    if (path === "/down") {
      const bytes = Number(url.searchParams.get("mb")) * 1024 ** 2
      return new Response(stream(bytes, url.searchParams.has("waits")), {
        headers: { "content-type": "application/octet-stream" },
      })
    }
    if (path === "/up") {
      let bytes = 0
      for await (const part of request.body ?? []) bytes += part.length
      return Response.json({ bytes })
    }
    if (path === "/headers") return Response.json([...request.headers])
    return new Response("not here", { status: 404 })
  },
  websocket: {
    message(socket, message) {
      socket.send(message)
    },
  },
})
console.log(`listening ${server.port}`)
