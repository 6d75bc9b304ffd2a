#!/usr/bin/env bun
// The command `parachute-vault`.

import { existsSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { version } from "../package.json"
import { Refused } from "./kit/http.ts"
import { registerVaults, serve, tidy } from "./serve.ts"
import { DiskFull } from "./store/core.ts"
import { BadArchive } from "./transfer/archive.ts"
import { BadVaultName, Vaults } from "./vaults.ts"

const USAGE = `parachute-vault ${version}

  parachute-vault serve                 run the vault (PORT, PARACHUTE_HOME, PARACHUTE_HUB_ORIGIN)
  parachute-vault create NAME [--json]  make another vault and print its key
  parachute-vault remove NAME --yes     delete a vault with everything in it
  parachute-vault list                  print the names of all vaults
  parachute-vault export NAME FILE [--format markdown|obsidian|json|ndjson]
                                        write all notes and files of a vault
  parachute-vault import NAME FILE [--conflict keep|replace|copy]
                                        read notes from zip, tar, JSON or NDJSON
  parachute-vault tidy [--as-of TIME]   remove now what is past its time
`

process.umask(0o077)
const home = process.env.PARACHUTE_HOME || join(homedir(), ".parachute")

/** The caller's mistake; the message says what to do. */
class Misuse extends Error {}

async function main(argv: string[]): Promise<number | undefined> {
  const { values, positionals } = parseArgs({
    args: argv,
    options: {
      json: { type: "boolean" },
      help: { type: "boolean", short: "h" },
      format: { type: "string" },
      conflict: { type: "string" },
      yes: { type: "boolean" },
      "as-of": { type: "string" },
    },
    allowPositionals: true,
  })
  const [command, name, ...more] = positionals
  if (values.help) return say(USAGE)
  if (command === "serve" && !name) return void serve(home)
  if (command === "list" && !name)
    return say(
      new Vaults(home)
        .list()
        .map((vault) => `${vault.name}\n`)
        .join(""),
    )
  if (command === "create" && name && more.length === 0) return create(name, values.json ?? false)
  if (command === "remove" && name && more.length === 0) return remove(name, values.yes ?? false)
  if (command === "export" && name && more.length === 1) return transfer(command, name, more[0]!, values.format)
  if (command === "import" && name && more.length === 1) return transfer(command, name, more[0]!, values.conflict)
  if (command === "tidy" && !name) return tidyAt(values["as-of"])
  process.stderr.write(USAGE)
  return 2
}

function create(name: string, json: boolean): number {
  const vaults = new Vaults(home)
  const created = vaults.create(name)
  try {
    registerVaults(home, vaults)
  } catch (error) {
    console.error(`The vault was made, but services.json was left alone: ${(error as Error).message}`)
  }
  return say(json ? `${JSON.stringify(created)}\n` : `Made the vault "${name}". Its key: ${created.token}\n`)
}

function remove(name: string, sure: boolean): number {
  if (!sure) throw new Misuse(`This deletes all notes and files in "${name}" for good. Add --yes to do it.`)
  const vaults = new Vaults(home)
  if (!vaults.remove(name)) throw new Misuse(`There is no vault "${name}".`)
  registerVaults(home, vaults)
  return say(`Deleted the vault "${name}".\n`)
}

function tidyAt(time: string | undefined): number {
  const at = time === undefined ? Date.now() : Date.parse(time)
  if (Number.isNaN(at)) throw new Misuse("--as-of must be a time such as 2026-12-31T00:00:00Z.")
  tidy(new Vaults(home, () => at))
  return 0
}

/** Loaded only when asked for: serving starts sooner. */
async function transfer(command: "export" | "import", name: string, file: string, option?: string): Promise<number> {
  const { exportTo, importFrom } = await import("./transfer/commands.ts")
  const store = new Vaults(home).get(name)
  if (!store) throw new Misuse(`There is no vault "${name}".`)
  if (command === "import" && !existsSync(file)) throw new Misuse(`There is no file ${file}.`)
  return say(await (command === "export" ? exportTo(store, name, file, option) : importFrom(store, file, option)))
}

function say(text: string): number {
  process.stdout.write(text)
  return 0
}

try {
  const code = await main(Bun.argv.slice(2))
  if (code !== undefined) process.exitCode = code
} catch (error) {
  // A mistake of the caller gets a sentence; ours a trace.
  const { code = "", message } = error as Error & { code?: string }
  const told = [BadVaultName, BadArchive, DiskFull, Misuse, Refused].some((kind) => error instanceof kind)
  if (!told && !code.startsWith("ERR_PARSE_ARGS")) throw error
  console.error(`parachute-vault: ${message}`)
  process.exitCode = 2
}
