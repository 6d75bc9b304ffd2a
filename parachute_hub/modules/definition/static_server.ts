// Serves a module that is only files (an app's `dist` folder) below its mount, on 127.0.0.1.
// bun run static_server.ts --port N --mount /notes --folder DIR

import { join, normalize } from "node:path"

/** Smaller files are not worth compressing, and so many compressed bytes are kept in memory. */
const SMALL = 1024
const KEPT_BYTES = 4 * 1024 * 1024
const SHRINKS = /^(?:text\/|application\/(?:javascript|json|xml|wasm|manifest)|image\/svg)/
const kept = new Map<string, { etag: string; body: Uint8Array<ArrayBuffer> }>()

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
  return stored(request, file)
}

/** A file as it is, compressed where that helps; clients keep it and ask whether it has changed. */
async function stored(request: Request, path: string): Promise<Response> {
  const file = Bun.file(path)
  const etag = `W/"${file.size.toString(36)}-${file.lastModified.toString(36)}"`
  const headers = { "x-content-type-options": "nosniff", "cache-control": "no-cache", etag, vary: "accept-encoding" }
  if (request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers })
  const wanted = /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "") && !request.headers.has("range")
  if (!wanted || file.size < SMALL || !SHRINKS.test(file.type)) return new Response(file, { headers })
  const body = await compressed(path, file, etag)
  return new Response(body, { headers: { ...headers, "content-type": file.type, "content-encoding": "gzip" } })
}

/** The compressed bytes, kept for the next request; the ones kept longest make room. */
async function compressed(path: string, file: Bun.BunFile, etag: string): Promise<Uint8Array<ArrayBuffer>> {
  const known = kept.get(path)
  if (known?.etag === etag) return known.body
  const body = Bun.gzipSync(new Uint8Array(await file.arrayBuffer()))
  kept.set(path, { etag, body })
  for (const [oldest] of kept) {
    const total = [...kept.values()].reduce((sum, { body }) => sum + body.length, 0)
    if (total <= KEPT_BYTES) break
    kept.delete(oldest)
  }
  return body
}

const server = Bun.serve({ hostname: "127.0.0.1", port, idleTimeout: 255, fetch: serve })
console.log(`serving ${folder} on http://127.0.0.1:${server.port}${mount}/`)

process.on("SIGTERM", () => {
  void server.stop().then(() => process.exit(0))
})
