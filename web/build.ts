// Builds the admin app into parachute_hub/static/admin: hashed assets, index.html, and a .gz for each compressible file.
// admin/app_files.py serves this folder.

import { copyFile, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { gzipSync } from "bun"

const WEB = import.meta.dir
const OUT = join(WEB, "..", "parachute_hub", "static", "admin")
const BASE = "/admin/"
const SHRINKS = /\.(js|css|html|svg|webmanifest)$/

async function bundle(into: string): Promise<{ script: string; style: string }> {
  const built = await Bun.build({
    entrypoints: [join(WEB, "src", "main.tsx")],
    outdir: join(into, "assets"),
    target: "browser",
    minify: true,
    naming: "[name]-[hash].[ext]",
    publicPath: `${BASE}assets/`,
    define: { "process.env.NODE_ENV": '"production"' },
  })
  const named = (end: string) =>
    built.outputs
      .find((output) => output.path.endsWith(end))
      ?.path.split("/")
      .pop()
  const script = named(".js")
  const style = named(".css")
  if (!built.success || !script || !style) throw new Error(`The build failed: ${built.logs.join("\n")}`)
  return { script, style }
}

async function page(into: string, names: { script: string; style: string }): Promise<void> {
  const template = await Bun.file(join(WEB, "src", "index.html")).text()
  await writeFile(join(into, "index.html"), template.replace("{script}", names.script).replace("{style}", names.style))
}

async function compress(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !SHRINKS.test(entry.name)) continue
    const path = join(entry.parentPath, entry.name)
    const small = gzipSync(new Uint8Array(await Bun.file(path).arrayBuffer()), { level: 9 })
    await writeFile(`${path}.gz`, small)
    bytes += small.length
  }
  return bytes
}

const incoming = `${OUT}.incoming`
await rm(incoming, { recursive: true, force: true })
await mkdir(join(incoming, "assets"), { recursive: true })
for (const name of await readdir(join(WEB, "public"))) await copyFile(join(WEB, "public", name), join(incoming, name))
await page(incoming, await bundle(incoming))
const bytes = await compress(incoming)
await rm(OUT, { recursive: true, force: true })
await rename(incoming, OUT)
console.log(`admin app built: ${(bytes / 1024).toFixed(1)} KB compressed`)
