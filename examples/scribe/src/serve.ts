// The running scribe: binds the port, registers with the hub, stops with its programs.

import { mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import manifest from "../.parachute/module.json"
import { version } from "../package.json"
import { HubTokens, hubFromEnvironment } from "./kit/hub-token.ts"
import { keepRegistered } from "./kit/register.ts"
import { endPrograms } from "./providers.ts"
import { Routes } from "./routes.ts"
import { Settings } from "./settings.ts"

/** Bytes of one request; a little more than the audio may have. */
const REQUEST_LIMIT = 201 * 1024 * 1024
const DRAIN = 5_000

export function serve(home: string): void {
  const folder = join(home, "scribe", "tmp")
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const settings = new Settings(join(home, "scribe", "config.json"), process.env)
  const routes = new Routes({ settings, tokens: new HubTokens(hubFromEnvironment(process.env)), folder })
  const server = Bun.serve({
    hostname: process.env.SCRIBE_BIND || "127.0.0.1",
    port: Number(process.env.PORT || manifest.port),
    idleTimeout: 120,
    maxRequestBodySize: REQUEST_LIMIT,
    fetch(request, server) {
      // Transcription may be silent for minutes; each provider has a limit of its own.
      if (request.method === "POST") server.timeout(request, 0)
      return routes.answer(request)
    },
  })
  keepRegistered(home, () => ({
    name: manifest.manifestName,
    port: server.port!,
    paths: manifest.paths,
    health: manifest.health,
    version,
    installDir: join(import.meta.dir, ".."),
    displayName: manifest.displayName,
    tagline: manifest.tagline,
    stripPrefix: manifest.stripPrefix,
  }))
  console.log(`scribe: listening on ${server.url.origin}`)
  if (!process.env.SCRIBE_AUTH_TOKEN) console.log("scribe: SCRIBE_AUTH_TOKEN is not set; config.json must have it")
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, async () => {
      await Promise.race([server.stop(), Bun.sleep(DRAIN)])
      endPrograms()
      process.exit(0)
    })
  }
}
