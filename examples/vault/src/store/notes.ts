// Writing and reading single notes. Every change records a version, a change event and what is derived from the text.

import { createHash } from "node:crypto"
import type { Changes } from "./changes.ts"
import type { Core } from "./core.ts"
import { derive } from "./derived.ts"
import type { Links, Names } from "./links.ts"
import {
  columns,
  IdTaken,
  InTrash,
  type NewNote,
  type Note,
  type NoteChange,
  NoteChanged,
  PathTaken,
  type StoredNote,
  toNote,
  toText,
  type WholeNote,
} from "./model.ts"
import type { Versions } from "./versions.ts"

type Row = StoredNote & { content: string }

/** A create that was done before gives the note as it is now, with `created: false`. */
export interface Created {
  note: WholeNote
  created: boolean
}

interface Parts {
  core: Core
  changes: Changes
  versions: Versions
  links: Links
}

export class Notes {
  readonly #parts: Parts
  #count = 0

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** By id or by path. */
  find(key: string): WholeNote | undefined {
    const row = this.#row(key)
    return row && toNote(row)
  }

  /** Throws InTrash when the note was deleted and can be restored. undefined when it never was. */
  findOrTrashed(key: string): WholeNote | undefined {
    const note = this.find(key)
    if (!note) this.#refuseTrashed(key)
    return note
  }

  /** Writes a note once for each `id` or `idempotencyKey`, however often it is called. */
  create(note: NewNote, idempotencyKey = ""): Created {
    const { core } = this.#parts
    return core.write(() => {
      const key = idempotencyKey ? `key:${idempotencyKey}` : note.id ? `id:${note.id}` : ""
      const hash = key ? hashOf(note) : ""
      const before = key ? this.#repeated(key, hash, note) : undefined
      if (before) return { note: before, created: false }
      const now = core.now()
      const id = note.id ?? this.#newId(now)
      this.#pathIsFree(note.path, "")
      this.insert({ ...note, id, createdAt: note.createdAt ?? now, updatedAt: note.updatedAt ?? now })
      if (key) core.run("INSERT OR REPLACE INTO creates (key, note, hash, at) VALUES (?, ?, ?, ?)", key, id, hash, now)
      return { note: this.find(id)!, created: true }
    })
  }

  /** Adds a row with everything that belongs to it. The id and the path are free. */
  insert(note: NewNote & { id: string; createdAt: string; updatedAt: string }): void {
    const { core, changes } = this.#parts
    core.run(
      `INSERT INTO notes (id, path, content, metadata, pinned, editor, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      note.id,
      note.path,
      note.content,
      toText(note.metadata),
      note.pinned ? 1 : 0,
      note.editor ?? null,
      note.createdAt,
      note.updatedAt,
    )
    const { seq } = core.get<{ seq: number }>("SELECT seq FROM notes WHERE id = ?", note.id)!
    this.#fixTags(seq, note.tags)
    derive(core.database, seq)
    changes.record(note.id, "saved")
  }

  /**
   * Changes what `change` names and nothing else. undefined when there is no such note. `relinked` counts the
   * other notes whose links were moved. A change that would alter nothing is never refused.
   */
  update(key: string, change: NoteChange): { note: WholeNote; relinked: number } | undefined {
    return this.#parts.core.write(() => {
      const before = this.#row(key)
      if (!before) {
        this.#refuseTrashed(key)
        return undefined
      }
      const after = this.#after(before, change)
      const same = isSame(before, this.#fixedOf(before), after) && !change.renameFrom
      if (!same) {
        if (change.ifUpdatedAt && change.ifUpdatedAt !== before.updatedAt) throw new NoteChanged(toNote(before))
        this.#pathIsFree(after.path, before.id)
        return { relinked: this.#replace(before, after, change), note: this.find(before.id)! }
      }
      return { relinked: 0, note: toNote(before) }
    })
  }

  /** Removes the row; the caller has saved what shall be kept. */
  removeRow(id: string): void {
    this.#parts.core.run("DELETE FROM notes WHERE id = ?", id)
  }

  /** The tags that were set, without those that only the text has. */
  fixedTags(id: string): string[] {
    const sql = "SELECT tag FROM tags WHERE fixed AND seq = (SELECT seq FROM notes WHERE id = ?) ORDER BY tag"
    return this.#parts.core.all<{ tag: string }>(sql, id).map(({ tag }) => tag)
  }

  stored(key: string): Row | undefined {
    return this.#row(key)
  }

  #row(key: string): Row | undefined {
    return this.#parts.core.get<Row>(
      `SELECT ${columns()} FROM notes WHERE id = ?1 OR path = ?1 ORDER BY id = ?1 DESC LIMIT 1`,
      key,
    )
  }

  #refuseTrashed(key: string): void {
    const row = this.#parts.core.get<{ id: string; at: string }>(
      "SELECT id, deleted_at AS at FROM trash WHERE id = ?",
      key,
    )
    if (row) throw new InTrash(row.id, row.at)
  }

  #after(before: Row, change: NoteChange): NewNote {
    const metadata = before.metadata === null ? undefined : JSON.parse(before.metadata)
    return {
      content: change.content ?? before.content,
      path: change.path === undefined ? before.path : change.path,
      metadata: change.metadata ? merge(metadata, change.metadata) : metadata,
      pinned: change.pinned ?? before.pinned === 1,
      tags: change.tags === undefined ? this.#fixedOf(before) : this.#changedTags(before, change.tags),
    }
  }

  /** Tags of the text that a caller sends back, because it read them, do not become fixed. */
  #changedTags(before: Row, change: NonNullable<NoteChange["tags"]>): string[] {
    const fixed = this.#fixedOf(before)
    if (!Array.isArray(change)) {
      const kept = fixed.filter((tag) => !change.remove.includes(tag))
      return [...new Set([...kept, ...change.add])].sort()
    }
    const inText = new Set(JSON.parse(before.textTags))
    return change.filter((tag) => fixed.includes(tag) || !inText.has(tag)).sort()
  }

  #fixedOf(row: Row): string[] {
    return this.fixedTags(row.id)
  }

  /** The number of other notes that were changed because they link here. */
  #replace(before: Row, after: NewNote, change: NoteChange): number {
    const { core, versions, changes, links } = this.#parts
    const names = links.namesOf(before.seq)
    const linkers = after.path === before.path ? [] : links.to(before.seq, names)
    versions.keep(before, this.#fixedOf(before), change.editor, after)
    core.run(
      `UPDATE notes SET path = ?, content = ?, metadata = ?, pinned = ?, editor = ?, updated_at = ? WHERE seq = ?`,
      after.path,
      after.content,
      toText(after.metadata),
      after.pinned ? 1 : 0,
      after.content === before.content ? before.editor : (change.editor ?? null),
      this.#later(before.updatedAt),
      before.seq,
    )
    this.#fixTags(before.seq, after.tags)
    derive(core.database, before.seq)
    changes.record(before.id, "saved")
    let moved = links.rewrite(before.seq, names, linkers, (seq, content) => this.#rewriteText(seq, content))
    if (change.renameFrom) {
      const renamed: Names = { path: null, base: null, title: change.renameFrom }
      const left = links.dangling(change.renameFrom)
      moved += links.rewrite(before.seq, renamed, left, (seq, content) => this.#rewriteText(seq, content))
    }
    return moved
  }

  /** New text for a note whose links were moved: a change like any other, except that its own path stays. */
  #rewriteText(seq: number, content: string): void {
    const { core, versions, changes } = this.#parts
    const row = core.get<Row>(`SELECT ${columns()} FROM notes WHERE seq = ?`, seq)!
    versions.keep(row, this.#fixedOf(row), undefined, { content })
    const updatedAt = this.#later(row.updatedAt)
    core.run("UPDATE notes SET content = ?, editor = NULL, updated_at = ? WHERE seq = ?", content, updatedAt, seq)
    derive(core.database, seq)
    changes.record(row.id, "saved")
  }

  /** The note that an earlier create with this key made. */
  #repeated(key: string, hash: string, note: NewNote): WholeNote | undefined {
    const { core } = this.#parts
    const done = core.get<{ note: string; hash: string }>("SELECT note, hash FROM creates WHERE key = ?", key)
    const id = done?.note ?? note.id
    if (id === undefined) return undefined
    const current = this.#row(id)
    if (!current || current.id !== id) {
      const trashed = core.get<{ at: string }>("SELECT deleted_at AS at FROM trash WHERE id = ?", id)
      if (trashed) throw new InTrash(id, trashed.at, true)
      return undefined
    }
    const same = done ? done.hash === hash : current.content === note.content && current.path === note.path
    if (!same) throw new IdTaken(toNote(current))
    return toNote(current)
  }

  /** Like 2026-11-23-11-13-28-039000: the time in UTC, milliseconds, and a running number. */
  #newId(now: string): string {
    const time = now.slice(0, -1).replace(/[T:.]/g, "-")
    for (;;) {
      const id = time + String(this.#count++ % 1000).padStart(3, "0")
      const sql = "SELECT 1 FROM notes WHERE id = ?1 UNION ALL SELECT 1 FROM trash WHERE id = ?1"
      if (!this.#parts.core.get(sql, id)) return id
    }
  }

  #pathIsFree(path: string | null, own: string): void {
    if (path === null) return
    const sql = "SELECT id FROM notes WHERE path = ? AND id <> ?"
    const other = this.#parts.core.get<{ id: string }>(sql, path, own)
    if (other) throw new PathTaken(path, other.id)
  }

  #fixTags(seq: number, tags: string[]): void {
    const { core } = this.#parts
    core.run("UPDATE tags SET fixed = 0 WHERE seq = ?", seq)
    const sql = "INSERT INTO tags (seq, tag, fixed) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET fixed = 1"
    for (const tag of tags) core.run(sql, seq, tag)
  }

  /** Now, but after `previous`: two changes in one millisecond can still be told apart. */
  #later(previous: string): string {
    return new Date(Math.max(this.#parts.core.clock(), Date.parse(previous) + 1)).toISOString()
  }
}

function isSame(before: Row, fixed: string[], after: NewNote): boolean {
  return (
    before.content === after.content &&
    before.path === after.path &&
    before.metadata === toText(after.metadata) &&
    (before.pinned === 1) === Boolean(after.pinned) &&
    fixed.length === after.tags.length &&
    after.tags.every((tag) => fixed.includes(tag))
  )
}

/** Keys of `change` replace those of `before`; null removes one. */
function merge(before: Note["metadata"], change: Note["metadata"]): Note["metadata"] {
  return Object.fromEntries(Object.entries({ ...before, ...change }).filter(([, value]) => value !== null))
}

function hashOf({ content, path, tags, metadata, pinned }: NewNote): string {
  const text = JSON.stringify([content, path, [...tags].sort(), metadata ?? null, pinned ?? false])
  return createHash("sha256").update(text).digest("hex")
}
