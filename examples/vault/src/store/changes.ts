// The feed: one number for the latest change of each note, so that devices can catch up after days.

import type { Core } from "./core.ts"
import { columns, type Note, type StoredNote, toNote } from "./model.ts"

export type Kind = "saved" | "deleted" | "purged"

export interface Change {
  number: number
  kind: Kind
  id: string
  at: string
  note?: Note
}

export interface Page {
  changes: Change[]
  next: number
  more: boolean
  latest: number
  reset?: true
}

export const CHANGE_DAYS = 90
const PAGE_BYTES = 4 * 1024 * 1024

interface Options {
  limit: number
  content: boolean
}

export class Changes {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  /** Part of the transaction that changes the note. */
  record(id: string, kind: Kind): void {
    this.#core.run("INSERT OR REPLACE INTO changes (id, kind, at) VALUES (?, ?, ?)", id, kind, this.#core.now())
  }

  /** The number of the newest change; 0 before the first one. */
  latest(): number {
    const row = this.#core.get<{ seq: number }>("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")
    return row?.seq ?? 0
  }

  /** Whether a reader who knows everything up to `since` cannot catch up any more. */
  isTooOld(since: number): boolean {
    return since !== 0 && (since < this.#floor() || since > this.latest())
  }

  /** What happened after `since`, oldest first. A page ends early when its notes have 4 MB. */
  after(since: number, { limit, content }: Options): Page {
    const latest = this.latest()
    if (this.isTooOld(since)) return { changes: [], next: since, more: false, latest, reset: true }
    const sql = "SELECT number, kind, id, at FROM changes WHERE number > ? ORDER BY number LIMIT ?"
    const rows = this.#core.all<Change>(sql, since, limit + 1)
    const page: Change[] = []
    let bytes = 0
    for (const row of rows.slice(0, limit)) {
      const note = row.kind === "saved" ? this.#note(row.id, content) : undefined
      bytes += note?.content?.length ?? 0
      if (bytes > PAGE_BYTES && page.length > 0) break
      page.push(note ? { ...row, note } : row)
    }
    const more = page.length < rows.length
    return { changes: page, next: more ? page.at(-1)!.number : Math.max(latest, since), more, latest }
  }

  /** Forgets removed notes after 90 days. */
  prune(): number {
    const old = this.#core.ago(CHANGE_DAYS)
    return this.#core.write(() => {
      const sql = "SELECT max(number) AS number FROM changes WHERE kind <> 'saved' AND at < ?"
      const { number } = this.#core.get<{ number: number | null }>(sql, old)!
      if (number === null) return 0
      this.#core.run("INSERT OR REPLACE INTO state (name, value) VALUES ('changes_floor', ?)", number)
      return this.#core.run("DELETE FROM changes WHERE kind <> 'saved' AND at < ?", old)
    })
  }

  #note(id: string, content: boolean): Note | undefined {
    const row = this.#core.get<StoredNote>(`SELECT ${columns(content && "content")} FROM notes WHERE id = ?`, id)
    return row && toNote(row)
  }

  #floor(): number {
    return this.#core.get<{ value: number }>("SELECT value FROM state WHERE name = 'changes_floor'")?.value ?? 0
  }
}
