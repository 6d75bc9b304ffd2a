// Builds dist/: what the hub serves below /notes. `bun pm pack` runs it first.

import { cpSync, mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import manifest from "./.parachute/module.json"
import { version } from "./package.json"

const from = (...path: string[]) => join(import.meta.dir, ...path)
const STATIC = ["index.html", "app.css", "manifest.webmanifest"]

rmSync(from("dist"), { recursive: true, force: true })
await Bun.build({
  entrypoints: [from("src", "main.ts"), from("src", "sw.ts")],
  outdir: from("dist"),
  target: "browser",
  minify: true,
  // The service worker keeps one copy of the app per version.
  define: { APP_VERSION: JSON.stringify(`${version}-${Date.now().toString(36)}`) },
})
for (const name of STATIC) cpSync(from("src", name), from("dist", name))
mkdirSync(from("dist", ".parachute"), { recursive: true })
cpSync(from(".parachute", "icon.svg"), from("dist", ".parachute", "icon.svg"))
cpSync(from(".parachute", "icon.svg"), from("dist", "icon.svg"))
const { manifestName: name, displayName, tagline, paths } = manifest
const info = { name, displayName, tagline, version, iconUrl: `${paths[0]}/.parachute/icon.svg` }
await Bun.write(from("dist", ".parachute", "info"), JSON.stringify(info))
