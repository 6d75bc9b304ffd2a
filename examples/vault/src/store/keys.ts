// The vault's own keys. Only hashes are kept.

import { createHash, randomBytes } from "node:crypto"
import type { Core } from "./core.ts"

export class Keys {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  /** Creates a key. This is the only time that it can be seen. */
  add(label: string): string {
    const key = `pvt_${randomBytes(32).toString("base64url")}`
    const sql = "INSERT INTO keys (hash, label, created_at) VALUES (?, ?, ?)"
    this.#core.write(() => this.#core.run(sql, hash(key), label, this.#core.now()))
    return key
  }

  has(key: string): boolean {
    return this.#core.get("SELECT 1 FROM keys WHERE hash = ?", hash(key)) !== undefined
  }
}

function hash(key: string): string {
  return createHash("sha256").update(key).digest("hex")
}
