// Brings notes and attachments of a file into a vault, in batches. Doing it twice changes nothing.

import { createHash } from "node:crypto"
import { rmSync } from "node:fs"
import { Refused } from "../kit/http.ts"
import { newNote } from "../rest/input.ts"
import { isDiskFull } from "../store/core.ts"
import { type NewNote, PathTaken, type WholeNote } from "../store/model.ts"
import { LIMITS, type Store } from "../store/store.ts"
import { sha256Of, spool } from "../store/uploads.ts"

export const CONFLICTS = ["keep", "replace", "copy"] as const
export type Conflict = (typeof CONFLICTS)[number]

/** A note as a file describes it, not checked yet. */
export interface Found {
  /** How problems name it. */
  name: string
  fields: Record<string, unknown>
  updatedAt?: string
}

export interface FoundFile {
  name: string
  /** Without one it follows from the content, so that a second import finds it. */
  id?: string
  type: string
  note?: string
  bytes: AsyncIterable<Uint8Array>
}

export interface Report {
  created: number
  replaced: number
  unchanged: number
  skipped: number
  attachments: number
  problems: Array<{ name: string; message: string }>
}

const BATCH = 200
const BATCH_BYTES = 4 * 1024 * 1024
const MOST_PROBLEMS = 100

export class Importer {
  readonly report: Report = { created: 0, replaced: 0, unchanged: 0, skipped: 0, attachments: 0, problems: [] }
  readonly #store: Store
  readonly #conflict: Conflict
  #batch: Found[] = []
  #bytes = 0

  constructor(store: Store, conflict: Conflict) {
    this.#store = store
    this.#conflict = conflict
  }

  async note(found: Found): Promise<void> {
    this.#batch.push(found)
    this.#bytes += String(found.fields.content).length
    if (this.#batch.length >= BATCH || this.#bytes > BATCH_BYTES) await this.flush()
  }

  /** Writes the notes that were collected, in one transaction; lets other requests in between. */
  async flush(): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    this.#bytes = 0
    this.#store.core.write(() => {
      for (const found of batch) this.#attempt(found.name, () => this.#write(found))
    })
    await Bun.sleep(0)
  }

  async file(found: FoundFile): Promise<void> {
    const { attachments, uploads } = this.#store
    const temporary = uploads.temporary()
    try {
      const size = await spool(temporary, found.bytes, LIMITS.attachmentBytes)
      const sha256 = await sha256Of(temporary)
      const id = found.id ?? sha256.slice(0, 32)
      const { created } = attachments.add({ ...found, id }, temporary, size, sha256)
      if (created) this.report.attachments++
    } catch (error) {
      if (isDiskFull(error)) throw error
      this.problem(found.name, (error as Error).message)
    } finally {
      rmSync(temporary, { force: true })
    }
  }

  problem(name: string, message: string): void {
    if (this.report.problems.length < MOST_PROBLEMS) this.report.problems.push({ name: name.slice(0, 500), message })
  }

  #attempt(name: string, run: () => void): void {
    try {
      run()
    } catch (error) {
      if (!(error instanceof Refused || error instanceof PathTaken)) throw error
      this.problem(name, error.message)
    }
  }

  #write({ name, fields, updatedAt }: Found): void {
    const note = { ...newNote(fields), updatedAt }
    if (Buffer.byteLength(note.content) > LIMITS.noteBytes) {
      this.problem(name, `The note is larger than ${LIMITS.noteBytes} bytes.`)
      return
    }
    const { notes, trash } = this.#store
    const restored = note.id !== undefined && trash.find(note.id) !== undefined && trash.restore(note.id) !== undefined
    const before = (note.id && notes.find(note.id)) || (note.path !== null && notes.find(note.path)) || undefined
    if (!before) {
      this.#create(note)
      this.report.created++
    } else if (isSame(before, note)) {
      this.report[restored ? "created" : "unchanged"]++
    } else if (this.#conflict === "replace" || restored) {
      const { content, path, tags, metadata, pinned } = note
      notes.update(before.id, { content, path, tags, metadata, pinned })
      this.report[restored ? "created" : "replaced"]++
    } else if (this.#conflict === "copy") {
      this.#copy(note)
    } else {
      this.report.skipped++
    }
  }

  #create(note: NewNote): void {
    this.#store.notes.create({ ...note, updatedAt: note.updatedAt ?? note.createdAt })
  }

  /** A second note beside the first. Its id follows from its content, so that it is made once. */
  #copy(note: NewNote): void {
    const { notes } = this.#store
    const hash = createHash("sha256")
      .update(JSON.stringify([note.id, note.path, note.content]))
      .digest("hex")
    const id = `copy-${hash.slice(0, 32)}`
    if (notes.find(id)) {
      this.report.unchanged++
      return
    }
    let path = note.path
    for (let count = 1; path !== null && notes.find(path); count++) {
      path = `${note.path} (imported${count === 1 ? "" : ` ${count}`})`
    }
    this.#create({ ...note, id, path })
    this.report.created++
  }
}

function isSame(before: WholeNote, note: NewNote): boolean {
  return (
    before.content === note.content &&
    note.tags.every((tag) => before.tags.includes(tag)) &&
    (note.path === null || before.path === note.path) &&
    Bun.deepEquals(before.metadata ?? {}, note.metadata ?? {})
  )
}
