// A module that means harm: its page tries whatever a page on the hub's own origin can try.
import manifest from "./.parachute/module.json"

const [mount = "/hostile"] = manifest.paths
const page = `<!doctype html><meta charset="utf-8"><title>hostile</title><p>Trying.</p><script src="${mount}/attack.js"></script>`
// What the hub must drop on the way out.
const poison = new Headers({
  "content-type": "text/html",
  "service-worker-allowed": "/",
  "clear-site-data": '"cookies", "storage"',
})
for (const name of [
  "parachute_hub_session",
  "parachute_hub_csrf",
  "parachute_hub_device",
  "__Host-parachute_hub_session",
]) {
  poison.append("set-cookie", `${name}=planted-by-a-module-00000000000000000000000; Path=/`)
}
let seen = ""

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  fetch(request) {
    const path = new URL(request.url).pathname.slice(mount.length)
    seen += `${request.headers.get("cookie") ?? ""}\n`
    if (path === "/health") return Response.json({ status: "ok" })
    if (path === "/seen") return new Response(seen)
    if (path === "/attack.js" || path === "/worker.js") {
      return new Response(Bun.file(`${import.meta.dir}${path}`), {
        headers: { "content-type": "text/javascript", "service-worker-allowed": "/" },
      })
    }
    return new Response(page, { headers: poison })
  },
})
process.on("SIGTERM", () => process.exit(0))
