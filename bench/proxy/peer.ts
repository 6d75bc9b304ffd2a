// The ten-line bun proxy to compare with.
const upstream = `http://127.0.0.1:${process.env.MODULE_PORT}`
Bun.serve({
  port: Number(process.env.PORT),
  hostname: "127.0.0.1",
  idleTimeout: 60,
  maxRequestBodySize: 8 * 1024 ** 3,
  fetch(request) {
    const url = new URL(request.url)
    return fetch(upstream + url.pathname.replace(/^\/echo/, "") + url.search, {
      method: request.method,
      headers: request.headers,
      body: request.body,
      redirect: "manual",
      decompress: false,
    })
  },
})
