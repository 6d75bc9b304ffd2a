// The named vaults below <home>/vault/data: one folder each, made whole or not at all.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { syncFolder, writeAtomically } from "./kit/files.ts"
import type { Clock } from "./store/core.ts"
import { Store } from "./store/store.ts"

const NAME = /^[a-z0-9][a-z0-9_-]{1,31}$/
/** Words that stand in the place of a vault's name in the hub's URLs. */
const RESERVED = new Set(["list", "new", "assets", "admin"])

export interface Created {
  name: string
  token: string
  paths: { vault_dir: string; vault_db: string; vault_config: string }
}

export class BadVaultName extends Error {}

export class Vaults {
  readonly #folder: string
  readonly #open = new Map<string, Store>()

  readonly #clock: Clock | undefined

  constructor(home: string, clock?: Clock) {
    this.#folder = join(home, "vault", "data")
    this.#clock = clock
  }

  /** Oldest first: the first one is the default. */
  list(): Array<{ name: string; createdAt: string }> {
    if (!existsSync(this.#folder)) return []
    return readdirSync(this.#folder)
      .filter((name) => NAME.test(name) && existsSync(this.#paths(name).vault_config))
      .map((name) => ({ name, createdAt: this.createdAt(name) }))
      .sort((a, b) => a.createdAt.localeCompare(b.createdAt) || a.name.localeCompare(b.name))
  }

  createdAt(name: string): string {
    return JSON.parse(readFileSync(this.#paths(name).vault_config, "utf8")).createdAt
  }

  /** The store of a vault, also of one that another process made or replaced meanwhile; undefined once one removed it. */
  get(name: string): Store | undefined {
    if (!NAME.test(name) || !existsSync(this.#paths(name).vault_config)) {
      // Streams may still read from it; the file is closed with the last of them.
      this.#open.delete(name)
      return undefined
    }
    const open = this.#open.get(name)
    if (open && !open.core.replaced) return open
    const store = new Store(this.#paths(name).vault_db, this.#clock)
    this.#open.set(name, store)
    return store
  }

  /** Makes a vault and its first key, which is also kept in its folder as `initial-key`. */
  create(name: string): Created {
    if (!NAME.test(name) || RESERVED.has(name)) {
      throw new BadVaultName(
        `"${name}" cannot be a vault's name. Use 2 to 32 of a-z 0-9 _ - and begin with a letter or digit; ` +
          `${[...RESERVED].join(", ")} are reserved.`,
      )
    }
    const paths = this.#paths(name)
    if (existsSync(paths.vault_dir)) throw new BadVaultName(`There is a vault "${name}" already.`)
    const draft = join(this.#folder, `.new-${name}-${process.pid}`)
    rmSync(draft, { recursive: true, force: true })
    mkdirSync(draft, { recursive: true })
    try {
      const token = fill(draft, name)
      renameSync(draft, paths.vault_dir)
      syncFolder(this.#folder)
      return { name, token, paths }
    } catch (error) {
      rmSync(draft, { recursive: true, force: true })
      throw error
    }
  }

  /** Deletes a vault with everything in it. False when there is none. */
  remove(name: string): boolean {
    if (!NAME.test(name)) return false
    const folder = this.#paths(name).vault_dir
    if (!existsSync(folder)) return false
    // Renamed first: half a vault must not look like a whole one.
    renameSync(folder, join(this.#folder, `.gone-${name}-${process.pid}`))
    syncFolder(this.#folder)
    this.#open.delete(name)
    this.sweep()
    return true
  }

  /** Deletes what a removal left that was cut short. */
  sweep(): void {
    if (!existsSync(this.#folder)) return
    for (const entry of readdirSync(this.#folder)) {
      if (entry.startsWith(".gone-")) rmSync(join(this.#folder, entry), { recursive: true, force: true })
    }
  }

  /** Throws when an open vault can no longer be used. */
  check(): void {
    for (const name of [...this.#open.keys()]) this.get(name)?.core.check()
  }

  close(): void {
    for (const store of this.#open.values()) store.close()
    this.#open.clear()
  }

  #paths(name: string): Created["paths"] {
    const folder = join(this.#folder, name)
    return { vault_dir: folder, vault_db: join(folder, "vault.db"), vault_config: join(folder, "vault.json") }
  }
}

function fill(folder: string, name: string): string {
  const store = new Store(join(folder, "vault.db"))
  const key = store.keys.add("initial")
  store.close()
  writeAtomically(join(folder, "initial-key"), `${key}\n`)
  writeAtomically(
    join(folder, "vault.json"),
    `${JSON.stringify({ name, createdAt: new Date().toISOString() }, null, 2)}\n`,
  )
  return key
}
