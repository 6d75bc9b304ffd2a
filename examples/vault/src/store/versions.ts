// Earlier states of notes: kept 30 days, and limited per note and per vault.

import type { Core } from "./core.ts"

export interface Version {
  version: number
  updatedAt: string
  savedAt: string
  bytes: number
  path?: string
  editor?: string
}

export interface WholeVersion extends Version {
  content: string
  tags: string[]
  metadata?: Record<string, unknown>
}

/** The state that a change replaces. */
interface Before {
  id: string
  content: string
  path: string | null
  metadata: string | null
  editor: string | null
  createdAt: string
  updatedAt: string
}

interface Stored {
  number: number
  content: string
  path: string | null
  metadata: string | null
  tags: string
  editor: string | null
  updatedAt: string
  savedAt: string
  bytes: number
}

export const VERSION_DAYS = 30
const MOST_PER_NOTE = 200
const MOST_BYTES = 64 * 1024 * 1024
/** Autosaves of one editor within this many milliseconds are one version. */
const SESSION = 5 * 60_000
/** The limit for the whole vault is enforced each time so many versions were added. */
const CHECK_EVERY = 64

const COLUMNS = "number, path, metadata, tags, editor, updated_at AS updatedAt, saved_at AS savedAt, bytes"

export class Versions {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  /** Saves the state before a change, unless it is one of many autosaves. Part of the change's transaction. */
  keep(before: Before, tags: string[], editor: string | undefined, after: { content: string }): void {
    if (before.content === after.content || this.#isAutosave(before, editor, after.content)) return
    const bytes = Buffer.byteLength(before.content)
    this.#core.run(
      `INSERT INTO versions (note, content, path, metadata, tags, editor, updated_at, saved_at, bytes)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      before.id,
      before.content,
      before.path,
      before.metadata,
      JSON.stringify(tags),
      before.editor,
      before.updatedAt,
      this.#core.now(),
      bytes,
    )
    this.#core.run(
      `DELETE FROM versions WHERE number IN
         (SELECT number FROM versions WHERE note = ? ORDER BY number DESC LIMIT -1 OFFSET ${MOST_PER_NOTE})`,
      before.id,
    )
    const { number } = this.#core.get<{ number: number }>("SELECT max(number) AS number FROM versions")!
    if (number % CHECK_EVERY === 0) this.#limitBytes()
  }

  /** Newest first, without their texts. */
  list(note: string, limit: number, offset: number): Version[] {
    const sql = `SELECT ${COLUMNS} FROM versions WHERE note = ? ORDER BY number DESC LIMIT ? OFFSET ?`
    return this.#core.all<Stored>(sql, note, limit, offset).map(toVersion)
  }

  find(note: string, version: number): WholeVersion | undefined {
    const sql = `SELECT ${COLUMNS}, content FROM versions WHERE note = ? AND number = ?`
    const row = this.#core.get<Stored>(sql, note, version)
    if (!row) return undefined
    return {
      ...toVersion(row),
      content: row.content,
      tags: JSON.parse(row.tags),
      ...(row.metadata !== null && { metadata: JSON.parse(row.metadata) }),
    }
  }

  removeAll(note: string): void {
    this.#core.run("DELETE FROM versions WHERE note = ?", note)
  }

  /** Forgets versions after 30 days, and the oldest ones above 64 MB. */
  prune(): number {
    return this.#core.write(() => {
      const old = this.#core.run("DELETE FROM versions WHERE saved_at < ?", this.#core.ago(VERSION_DAYS))
      return old + this.#limitBytes()
    })
  }

  #isAutosave(before: Before, editor: string | undefined, content: string): boolean {
    if (!editor || editor !== before.editor) return false
    // A large part of the text is gone: perhaps by mistake.
    if (content.length < before.content.length * 0.8) return false
    const sql = "SELECT max(saved_at) AS at FROM versions WHERE note = ?"
    const last = this.#core.get<{ at: string | null }>(sql, before.id)?.at ?? before.createdAt
    return this.#core.clock() - Date.parse(last) < SESSION
  }

  #limitBytes(): number {
    return this.#core.run(
      `DELETE FROM versions WHERE number IN (SELECT number FROM
         (SELECT number, sum(bytes + 200) OVER (ORDER BY number DESC) AS total FROM versions)
         WHERE total > ${MOST_BYTES})`,
    )
  }
}

function toVersion({ number, path, editor, updatedAt, savedAt, bytes }: Stored): Version {
  return {
    version: number,
    updatedAt,
    savedAt,
    bytes,
    ...(path !== null && { path }),
    ...(editor !== null && { editor }),
  }
}
