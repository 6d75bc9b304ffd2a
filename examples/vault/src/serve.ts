// The running vault: binds the port, registers with the hub, stops without losing an answer.

import { join } from "node:path"
import manifest from "../.parachute/module.json"
import { version } from "../package.json"
import { KnownHosts } from "./hosts.ts"
import { HubTokens, hubFromEnvironment } from "./kit/hub-token.ts"
import { keepRegistered, type Row, register } from "./kit/register.ts"
import { Routes } from "./routes.ts"
import { Vaults } from "./vaults.ts"

/** Bytes of one request; audio for transcription is the largest. */
const REQUEST_LIMIT = 512 * 1024 * 1024
const DRAIN = 5_000
const IS_STREAM = /\/api\/(events|export)(\?|$)/
/** Milliseconds between two clean-ups, and until the first one. */
const TIDY_EVERY = 3_600_000
const TIDY_FIRST = 60_000

export function serve(home: string): void {
  const vaults = new Vaults(home)
  makeFirstVault(vaults)
  const hub = hubFromEnvironment(process.env)
  const hosts = new KnownHosts(hub.issuers, process.env.VAULT_BIND)
  const tokens = new HubTokens(hub)
  const routes = new Routes({ vaults, tokens, issuer: hub.origin, hosts, port: () => server.port! })
  const server = Bun.serve({
    hostname: process.env.VAULT_BIND || "127.0.0.1",
    port: Number(process.env.PORT || manifest.port),
    idleTimeout: 120,
    maxRequestBodySize: REQUEST_LIMIT,
    fetch(request, server) {
      // Transcription may be silent for minutes; it and the event streams have limits of their own.
      if (request.method !== "GET" || IS_STREAM.test(request.url)) server.timeout(request, 0)
      return routes.answer(request)
    },
  })
  keepRegistered(home, () => row(vaults, server.port!))
  setTimeout(() => tidy(vaults), TIDY_FIRST).unref()
  setInterval(() => tidy(vaults), TIDY_EVERY).unref()
  console.log(`vault: listening on ${server.url.origin}`)
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, async () => {
      routes.close()
      await Promise.race([server.stop(), Bun.sleep(DRAIN)])
      vaults.close()
      process.exit(0)
    })
  }
}

/** Called where the list of vaults changes while no server runs in this process. */
export function registerVaults(home: string, vaults: Vaults): void {
  register(home, row(vaults, Number(process.env.PORT || manifest.port)))
}

function row(vaults: Vaults, port: number): Row {
  return {
    name: manifest.manifestName,
    port,
    paths: vaults.list().map(({ name }) => `/vault/${name}`),
    health: "/health",
    version,
    installDir: join(import.meta.dir, ".."),
    displayName: manifest.displayName,
    tagline: manifest.tagline,
  }
}

function makeFirstVault(vaults: Vaults): void {
  if (vaults.list().length > 0) return
  const name = process.env.PARACHUTE_VAULT_NAME || "default"
  try {
    const { paths } = vaults.create(name)
    console.log(`vault: made "${name}" in ${paths.vault_dir}; its first key lies there in initial-key`)
  } catch (error) {
    console.error(`vault: no first vault: ${(error as Error).message}`)
  }
}

/** Removes what is past its time in every vault. A vault that cannot be tidied does not stop the others. */
export function tidy(vaults: Vaults): void {
  vaults.sweep()
  for (const { name } of vaults.list()) {
    try {
      const removed = vaults.get(name)!.tidy()
      if (Object.values(removed).some(Boolean)) console.log(`vault: tidied "${name}": ${JSON.stringify(removed)}`)
    } catch (error) {
      console.error(`vault: could not tidy "${name}": ${(error as Error).message}`)
    }
  }
}
