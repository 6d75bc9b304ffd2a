// Deleted notes: kept 30 days, restorable with everything that belonged to them.

import type { Attachments } from "./attachments.ts"
import type { Changes } from "./changes.ts"
import type { Core } from "./core.ts"
import { InTrash, NoteChanged, toNote, type WholeNote } from "./model.ts"
import type { Notes } from "./notes.ts"
import type { Versions } from "./versions.ts"

export const TRASH_DAYS = 30

export type Trashed = WholeNote & { deletedAt: string; purgeAt: string }

interface Row {
  id: string
  path: string | null
  content: string
  metadata: string | null
  tags: string
  pinned: number
  editor: string | null
  createdAt: string
  updatedAt: string
  deletedAt: string
}

interface Parts {
  core: Core
  notes: Notes
  changes: Changes
  versions: Versions
  attachments: Attachments
}

const COLUMNS = `id, path, content, metadata, tags, pinned, editor, created_at AS createdAt, updated_at AS updatedAt,
  deleted_at AS deletedAt`

export class Trash {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Moves a note to the trash. Its id; undefined when there is no such note. */
  remove(key: string, ifUpdatedAt?: string): string | undefined {
    const { core, notes, changes } = this.#parts
    return core.write(() => {
      const row = notes.stored(key)
      if (!row) {
        const trashed = this.find(key)
        if (trashed) throw new InTrash(trashed.id, trashed.deletedAt)
        return undefined
      }
      if (ifUpdatedAt && ifUpdatedAt !== row.updatedAt) throw new NoteChanged(toNote(row))
      core.run(
        `INSERT INTO trash (id, path, content, metadata, tags, pinned, editor, created_at, updated_at, deleted_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        row.id,
        row.path,
        row.content,
        row.metadata,
        JSON.stringify(notes.fixedTags(row.id)),
        row.pinned,
        row.editor,
        row.createdAt,
        row.updatedAt,
        core.now(),
      )
      notes.removeRow(row.id)
      changes.record(row.id, "deleted")
      return row.id
    })
  }

  /** The last deleted first. `search` is a part of the path or the text. */
  list(limit: number, offset: number, search = ""): Trashed[] {
    const sql = `SELECT ${COLUMNS} FROM trash
                 WHERE ?1 = '' OR instr(lower(content), lower(?1)) OR instr(lower(path), lower(?1))
                 ORDER BY deleted_at DESC, id LIMIT ?2 OFFSET ?3`
    return this.#parts.core.all<Row>(sql, search, limit, offset).map(toTrashed)
  }

  find(id: string): Trashed | undefined {
    const row = this.#parts.core.get<Row>(`SELECT ${COLUMNS} FROM trash WHERE id = ?`, id)
    return row && toTrashed(row)
  }

  /** The note as it was. If its path was taken meanwhile it gets another one. Restoring twice is no mistake. */
  restore(id: string): WholeNote | undefined {
    const { core, notes } = this.#parts
    return core.write(() => {
      const row = core.get<Row>(`SELECT ${COLUMNS} FROM trash WHERE id = ?`, id)
      if (!row) {
        const note = notes.find(id)
        return note?.id === id ? note : undefined
      }
      const { metadata, editor } = row
      core.run("DELETE FROM trash WHERE id = ?", id)
      notes.insert({
        ...row,
        path: this.#freePath(row.path),
        tags: JSON.parse(row.tags),
        metadata: metadata === null ? undefined : JSON.parse(metadata),
        pinned: row.pinned === 1,
        editor: editor ?? undefined,
      })
      return notes.find(id)!
    })
  }

  /** Removes a note from the trash for good. false when it is not there. */
  purge(id: string): boolean {
    const { core } = this.#parts
    const purged = core.write(() => {
      if (!core.get("SELECT 1 FROM trash WHERE id = ?", id)) return false
      this.#purge(id)
      return true
    })
    if (purged) core.checkpoint()
    return purged
  }

  /** Empties the trash. The number of notes. */
  empty(): number {
    return this.#purgeAll("9999")
  }

  /** Purges what has been in the trash for 30 days. The number of notes. */
  prune(): number {
    return this.#purgeAll(this.#parts.core.ago(TRASH_DAYS))
  }

  #purgeAll(before: string): number {
    const { core } = this.#parts
    return core.write(() => {
      const old = core.all<{ id: string }>("SELECT id FROM trash WHERE deleted_at < ?", before)
      for (const { id } of old) this.#purge(id)
      return old.length
    })
  }

  #purge(id: string): void {
    const { core, changes, versions, attachments } = this.#parts
    core.run("DELETE FROM trash WHERE id = ?", id)
    versions.removeAll(id)
    attachments.removeOf(id)
    changes.record(id, "purged")
  }

  #freePath(path: string | null): string | null {
    const { core } = this.#parts
    const isTaken = (each: string) => core.get("SELECT 1 FROM notes WHERE path = ?", each) !== undefined
    if (path === null || !isTaken(path)) return path
    for (let count = 1; ; count++) {
      const other = count === 1 ? `${path} (restored)` : `${path} (restored ${count})`
      if (!isTaken(other)) return other
    }
  }
}

function toTrashed(row: Row): Trashed {
  const purgeAt = new Date(Date.parse(row.deletedAt) + TRASH_DAYS * 86_400_000).toISOString()
  return {
    ...toNote({ ...row, seq: 0, title: "", textTags: "[]" }),
    deletedAt: row.deletedAt,
    purgeAt,
  }
}
