// Builds dist/: what the hub serves below /notes. `bun pm pack` runs it first. Dependencies are bundled, so that the
// package needs none.

import { cpSync, mkdirSync, rmSync } from "node:fs"
import { basename, join } from "node:path"
import manifest from "./.parachute/module.json"
import { version } from "./package.json"

const from = (...path: string[]) => join(import.meta.dir, ...path)

rmSync(from("dist"), { recursive: true, force: true })
const app = await Bun.build({
  entrypoints: [from("src", "main.tsx"), from("src", "app.css")],
  outdir: from("dist"),
  target: "browser",
  minify: true,
  // The editor is a file of its own, loaded with the first note.
  splitting: true,
  naming: { entry: "[name]-[hash].[ext]", chunk: "[name]-[hash].[ext]", asset: "[name]-[hash].[ext]" },
  define: { "process.env.NODE_ENV": '"production"' },
})
const built = app.outputs.map(({ path }) => basename(path))
const entries = app.outputs
  .filter(({ kind }) => kind === "entry-point" || kind === "asset")
  .map(({ path }) => basename(path))
const script = entries.find((name) => name.endsWith(".js"))
const style = entries.find((name) => name.endsWith(".css"))
if (!app.success || !script || !style) throw new Error(`The build failed: ${app.logs.join("\n")}`)
const files = [...built, "icon.svg", "manifest.webmanifest"].sort()
const page = (await Bun.file(from("src", "index.html")).text()).replace("{script}", script).replace("{style}", style)
await Bun.write(from("dist", "index.html"), page)
await Bun.build({
  entrypoints: [from("src", "sw.ts")],
  outdir: from("dist"),
  target: "browser",
  minify: true,
  // One kept copy of the app for each build.
  define: {
    APP_VERSION: JSON.stringify(`${version}-${Bun.hash(files.join() + page).toString(36)}`),
    APP_FILES: JSON.stringify(files),
  },
})
cpSync(from("src", "manifest.webmanifest"), from("dist", "manifest.webmanifest"))
mkdirSync(from("dist", ".parachute"), { recursive: true })
cpSync(from(".parachute", "icon.svg"), from("dist", ".parachute", "icon.svg"))
cpSync(from(".parachute", "icon.svg"), from("dist", "icon.svg"))
const { manifestName: name, displayName, tagline, paths } = manifest
const info = { name, displayName, tagline, version, iconUrl: `${paths[0]}/.parachute/icon.svg` }
await Bun.write(from("dist", ".parachute", "info"), JSON.stringify(info))
