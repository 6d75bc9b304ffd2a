#!/usr/bin/env bun
// The hub starts this with PORT set, waits for an answer, and forwards every request below the module's mount
// unchanged. docs/module-author.md of the hub explains each line.
import manifest from "./.parachute/module.json"
import { version } from "./package.json"

const [mount = "/"] = manifest.paths
const info = {
  name: manifest.manifestName,
  displayName: manifest.displayName,
  tagline: manifest.tagline,
  version,
  iconUrl: `${mount}/.parachute/icon.svg`,
}
const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${manifest.displayName}</title>
<h1>${manifest.displayName}</h1>
<p>${manifest.tagline}. This page is written in server.ts.</p>
</html>
`

const server = Bun.serve({
  hostname: "127.0.0.1", // Only the hub talks to a module.
  port: Number(process.env.PORT || manifest.port),
  idleTimeout: 120, // Seconds; the hub keeps connections open between requests.
  routes: {
    [mount]: new Response(page, { headers: { "content-type": "text/html; charset=utf-8" } }),
    [`${mount}/`]: Response.redirect(mount),
    [`${mount}/health`]: Response.json({ status: "ok" }),
    [`${mount}/.parachute/info`]: Response.json(info, { headers: { "access-control-allow-origin": "*" } }),
    [`${mount}/.parachute/icon.svg`]: new Response(Bun.file(`${import.meta.dir}/.parachute/icon.svg`)),
  },
  fetch: () => Response.json({ error: "Not found" }, { status: 404 }),
})
console.log(`${manifest.name}: listening on ${server.url.origin}${mount}`)

process.on("SIGTERM", async () => {
  await server.stop() // Requests in flight get their answer first.
  process.exit(0)
})
