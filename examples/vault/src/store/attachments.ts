// Files of notes: rows in the database, bytes in files that are named for their SHA-256. Equal files are stored once.

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { syncFolder } from "../kit/files.ts"
import type { Core } from "./core.ts"

export interface Attachment {
  id: string
  name: string
  type: string
  size: number
  sha256: string
  note?: string
  createdAt: string
  url: string
}

export interface NewAttachment {
  id: string
  name: string
  type: string
  note?: string
}

export interface Added {
  attachment: Attachment
  created: boolean
}

interface Row extends Omit<Attachment, "note" | "url"> {
  note: string | null
}

/** An attachment repeats an id that stands for other bytes. */
export class AttachmentExists extends Error {
  constructor() {
    super("There is an attachment with this id and other content. Take a new id.")
  }
}

const COLUMNS = "id, note, name, type, size, sha256, created_at AS createdAt"
/** A file without a row may belong to an upload that is just ending. */
const SWEEP_AGE = 3_600_000
const ORPHAN_DAYS = 30

export class Attachments {
  readonly #core: Core
  readonly #folder: string

  constructor(core: Core) {
    this.#core = core
    this.#folder = join(dirname(core.path), "files")
  }

  /**
   * Takes over a complete file at `temporary`, which is on the disk already. Adding the same bytes with the same
   * id again is no mistake.
   */
  add(attachment: NewAttachment, temporary: string, size: number, sha256: string): Added {
    const { id, name, type, note } = attachment
    const target = this.#file(sha256)
    if (existsSync(target) && statSync(target).size === size) {
      rmSync(temporary, { force: true })
    } else {
      const isNew = mkdirSync(dirname(target), { recursive: true }) !== undefined
      renameSync(temporary, target)
      syncFolder(dirname(target))
      if (isNew) for (const folder of [this.#folder, dirname(this.#folder)]) syncFolder(folder)
    }
    return this.#core.write(() => {
      const before = this.find(id)
      if (before && before.sha256 !== sha256) throw new AttachmentExists()
      if (before) return { attachment: before, created: false }
      this.#core.run(
        "INSERT INTO attachments (id, note, name, type, size, sha256, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        id,
        note ?? null,
        name,
        type,
        size,
        sha256,
        this.#core.now(),
      )
      return { attachment: this.find(id)!, created: true }
    })
  }

  find(id: string): Attachment | undefined {
    const row = this.#core.get<Row>(`SELECT ${COLUMNS} FROM attachments WHERE id = ?`, id)
    return row && toAttachment(row)
  }

  /** Those of a note, those with a name, or all; oldest first. */
  list(wanted: { note?: string; name?: string }, limit: number, offset: number): Attachment[] {
    const sql = `SELECT ${COLUMNS} FROM attachments WHERE (?1 IS NULL OR note = ?1) AND (?2 IS NULL OR name = ?2)
                 ORDER BY created_at, id LIMIT ?3 OFFSET ?4`
    return this.#core.all<Row>(sql, wanted.note ?? null, wanted.name ?? null, limit, offset).map(toAttachment)
  }

  change(id: string, change: { note?: string | null; name?: string }): Attachment | undefined {
    const before = this.find(id)
    if (!before) return undefined
    const note = change.note === undefined ? (before.note ?? null) : change.note
    this.#core.write(() =>
      this.#core.run("UPDATE attachments SET note = ?, name = ? WHERE id = ?", note, change.name ?? before.name, id),
    )
    return this.find(id)
  }

  /** Where the bytes are. */
  path({ sha256 }: { sha256: string }): string {
    return this.#file(sha256)
  }

  remove(id: string): boolean {
    const attachment = this.find(id)
    if (!attachment) return false
    this.#core.write(() => this.#core.run("DELETE FROM attachments WHERE id = ?", id))
    this.#dropFile(attachment.sha256)
    return true
  }

  /** Removes the attachments of a purged note, except those that another text names. Their files go with `sweep`. */
  removeOf(note: string): void {
    for (const { id } of this.#core.all<Row>("SELECT id FROM attachments WHERE note = ?", note)) {
      if (!this.#isNamed(id)) this.#core.run("DELETE FROM attachments WHERE id = ?", id)
    }
  }

  /** Removes files without a row, and attachments whose note never came. */
  sweep(): number {
    const old = this.#core.ago(ORPHAN_DAYS)
    const sql = `SELECT id FROM attachments WHERE note IS NOT NULL AND created_at < ?
      AND note NOT IN (SELECT id FROM notes) AND note NOT IN (SELECT id FROM trash)`
    this.#core.write(() => {
      for (const { id } of this.#core.all<Row>(sql, old)) {
        if (!this.#isNamed(id)) this.#core.run("DELETE FROM attachments WHERE id = ?", id)
      }
    })
    let removed = 0
    for (const start of foldersIn(this.#folder)) {
      for (const sha256 of readdirSync(join(this.#folder, start))) {
        const age = Date.now() - statSync(join(this.#folder, start, sha256)).mtimeMs
        if (age > SWEEP_AGE && this.#dropFile(sha256)) removed++
      }
    }
    return removed
  }

  /** Whether the text of a note, or of one in the trash, names the attachment. */
  #isNamed(id: string): boolean {
    const sql = `SELECT 1 FROM notes WHERE instr(content, ?1)
      UNION ALL SELECT 1 FROM trash WHERE instr(content, ?1) LIMIT 1`
    return this.#core.get(sql, `attachments/${id}`) !== undefined
  }

  #dropFile(sha256: string): boolean {
    if (this.#core.get("SELECT 1 FROM attachments WHERE sha256 = ?", sha256)) return false
    rmSync(this.#file(sha256), { force: true })
    return true
  }

  #file(sha256: string): string {
    return join(this.#folder, sha256.slice(0, 2), sha256)
  }
}

function foldersIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : []
}

function toAttachment({ note, ...row }: Row): Attachment {
  return { ...row, ...(note !== null && { note }), url: `api/attachments/${encodeURIComponent(row.id)}` }
}
