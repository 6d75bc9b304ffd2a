// Serves a module that is only files (an app's `dist` folder) below its mount, on 127.0.0.1.
// bun run static_server.ts --port N --mount /notes --folder DIR

import { join, normalize } from "node:path"

function option(name: string): string {
  const at = process.argv.indexOf(`--${name}`)
  const value = at < 0 ? undefined : process.argv[at + 1]
  if (value === undefined) {
    console.error(`static server: --${name} is missing`)
    process.exit(2)
  }
  return value
}

const port = Number(option("port"))
const mount = option("mount").replace(/\/+$/, "")
const folder = option("folder")
const index = join(folder, "index.html")

if (!(await Bun.file(index).exists())) {
  console.error(`static server: ${index} is missing. The package ships no built app; install another version of it.`)
  process.exit(1)
}

/** A root-absolute path moved below the mount, unless it is there already. `//host` is another host and stays. */
function moved(path: string): string {
  const ours = !path.startsWith("/") || path.startsWith("//") || path === mount || path.startsWith(`${mount}/`)
  return ours ? path : mount + path
}

function shell(html: string): string {
  if (mount === "") return html
  const linked = html.replace(/(\s(?:src|href)=")(\/[^"]*)"/g, (_, start, path) => `${start}${moved(path)}"`)
  if (linked.includes('name="parachute-mount"')) return linked
  return linked.replace(/<head(\s[^>]*)?>/i, (head) => `${head}<meta name="parachute-mount" content="${mount}">`)
}

async function webManifest(path: string): Promise<string> {
  const manifest = await Bun.file(path).json()
  for (const key of ["start_url", "scope"]) {
    if (typeof manifest[key] === "string") manifest[key] = moved(manifest[key])
  }
  return JSON.stringify(manifest)
}

function answer(body: BodyInit, type: string, status = 200): Response {
  return new Response(body, { status, headers: { "content-type": type, "x-content-type-options": "nosniff" } })
}

async function serve(request: Request): Promise<Response> {
  if (!["GET", "HEAD"].includes(request.method)) return answer("Only reading is possible here.\n", "text/plain", 405)
  let path: string
  try {
    path = decodeURIComponent(new URL(request.url).pathname)
  } catch {
    return answer("The address cannot be decoded.\n", "text/plain", 400)
  }
  if (path === mount || path.startsWith(`${mount}/`)) path = path.slice(mount.length) || "/"
  if (path === "/health") return answer('{"status":"ok"}', "application/json")
  if (path.includes("\0") || path.includes("\\") || path.split("/").includes("..")) {
    return answer("The address leaves the app's folder.\n", "text/plain", 403)
  }
  const file = join(folder, normalize(path))
  if (path.endsWith("/") || !(await Bun.file(file).exists())) {
    const html = shell(await Bun.file(index).text())
    return new Response(html, { headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-cache" } })
  }
  if (path.endsWith(".webmanifest")) return answer(await webManifest(file), "application/manifest+json")
  if (path === "/.parachute/info") return answer(Bun.file(file), "application/json")
  return new Response(Bun.file(file), { headers: { "x-content-type-options": "nosniff" } })
}

const server = Bun.serve({ hostname: "127.0.0.1", port, idleTimeout: 255, fetch: serve })
console.log(`serving ${folder} on http://127.0.0.1:${server.port}${mount}/`)

process.on("SIGTERM", () => {
  void server.stop().then(() => process.exit(0))
})
