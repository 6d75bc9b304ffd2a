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
  /** Sent with `since` the next time, it shows whether the numbers still mean the same changes. */
  epoch: string
  reset?: true
  /** Why a reset is needed: the reader slept longer than the feed lasts, or this is not the data that it knew. */
  reason?: "asleep" | "replaced"
}

export const CHANGE_DAYS = 90
const PAGE_BYTES = 4 * 1024 * 1024

interface Options {
  limit: number
  content: boolean
  /** The epoch in which the reader came to know everything up to `since`. */
  epoch?: string
}

export class Changes {
  readonly #core: Core
  /**
   * The epoch of what this object records. A restored database counts on from an earlier number, so that a number
   * alone may mean two changes. It is restored only while nobody has it open, and who opens it begins an epoch.
   */
  readonly #epoch = crypto.randomUUID()

  constructor(core: Core) {
    this.#core = core
  }

  /** Part of the transaction that changes the note. */
  record(id: string, kind: Kind): void {
    if (!this.#core.get("SELECT 1 FROM epochs WHERE id = ?", this.#epoch)) {
      this.#core.run("INSERT INTO epochs (first, id) VALUES (?, ?)", this.latest() + 1, this.#epoch)
    }
    this.#core.run("INSERT OR REPLACE INTO changes (id, kind, at) VALUES (?, ?, ?)", id, kind, this.#core.now())
  }

  /** The number of the newest change; 0 before the first one. */
  latest(): number {
    const row = this.#core.get<{ seq: number }>("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")
    return row?.seq ?? 0
  }

  /** What happened after `since`, oldest first. A page ends early when its notes have 4 MB. */
  after(since: number, { limit, content, epoch }: Options): Page {
    const latest = this.latest()
    const reason = since === 0 ? undefined : this.#lost(since, epoch)
    if (reason) return { changes: [], next: since, more: false, latest, epoch: this.#newest(), reset: true, reason }
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
    const next = more ? page.at(-1)!.number : Math.max(latest, since)
    return { changes: page, next, more, latest, epoch: this.#newest() }
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

  /** Why a reader who knows everything up to `since` of this epoch cannot catch up; undefined when it can. */
  #lost(since: number, epoch: string | undefined): Page["reason"] {
    if (since > (epoch === undefined ? this.latest() : this.#endOf(epoch))) return "replaced"
    return since < this.#floor() ? "asleep" : undefined
  }

  /** The last number of an epoch; -1 when it is not in this database. */
  #endOf(epoch: string): number {
    const row = this.#core.get<{ first: number }>("SELECT first FROM epochs WHERE id = ?", epoch)
    if (!row) return -1
    const sql = "SELECT min(first) AS first FROM epochs WHERE first > ?"
    const { first } = this.#core.get<{ first: number | null }>(sql, row.first)!
    return first === null ? this.latest() : first - 1
  }

  #newest(): string {
    return this.#core.get<{ id: string }>("SELECT id FROM epochs ORDER BY first DESC LIMIT 1")!.id
  }

  #floor(): number {
    return this.#core.get<{ value: number }>("SELECT value FROM state WHERE name = 'changes_floor'")?.value ?? 0
  }
}
