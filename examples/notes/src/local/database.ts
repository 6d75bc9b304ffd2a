// The notes, files and recordings of this device, in IndexedDB: one database for each vault.

import { type DBSchema, type IDBPDatabase, openDB } from "idb"
import { type Note, unsent } from "../core/note.ts"
import type { Position, Store } from "./sync.ts"

/** A picture or another file of a note, on its way to the vault or kept to be seen offline. */
export interface KeptFile {
  id: string
  note: string
  name: string
  type: string
  size: number
  blob: Blob
  /** Bytes that the vault has; `size` when it has all. */
  sent: number
  uploaded: boolean
  problem?: string
}

/** A recording that is not text yet. */
export interface Recording {
  id: string
  blob: Blob
  name: string
  note?: string
  at: number
  problem?: string
}

interface Schema extends DBSchema {
  notes: { key: string; value: Note & { unsent?: 1 }; indexes: { updatedAt: string; unsent: number } }
  files: { key: string; value: KeptFile }
  recordings: { key: string; value: Recording }
  meta: { key: string; value: unknown }
}

export type Database = IDBPDatabase<Schema>

export const databaseName = (vault: string) => `parachute-notes-${vault}`

/** A step for each version of the database. Steps only add, so that an earlier version of the app can use it, too. */
const STEPS: ((db: Database) => void)[] = [
  (db) => {
    const notes = db.createObjectStore("notes", { keyPath: "id" })
    notes.createIndex("updatedAt", "updatedAt")
    notes.createIndex("unsent", "unsent")
    db.createObjectStore("files", { keyPath: "id" })
    db.createObjectStore("recordings", { keyPath: "id" })
    db.createObjectStore("meta")
  },
]

/** `onNewer` is called when another tab has a newer version of the app, which needs the database for itself. */
export async function open(vault: string, onNewer: () => void): Promise<Database> {
  const name = databaseName(vault)
  const blocking = (_now: number, _next: number | null, event: Event) => {
    ;(event.target as IDBDatabase).close()
    onNewer()
  }
  try {
    return await openDB<Schema>(name, STEPS.length, {
      upgrade: (db, from) => STEPS.slice(from).forEach((step) => void step(db)),
      blocking,
    })
  } catch (error) {
    // A newer version of the app was here before.
    if (!(error instanceof DOMException) || error.name !== "VersionError") throw error
    return openDB<Schema>(name, undefined, { blocking })
  }
}

/** The notes in the database; every change is passed to `changed` after it is on disk. */
export class NoteStore implements Store {
  readonly name: string
  readonly #db: Database
  readonly #changed: (id: string, note: Note | undefined) => void

  constructor(db: Database, changed: (id: string, note: Note | undefined) => void) {
    this.name = db.name
    this.#db = db
    this.#changed = changed
  }

  async get(id: string): Promise<Note | undefined> {
    return this.#db.get("notes", id)
  }

  async unsent(): Promise<Note[]> {
    return this.#db.getAllFromIndex("notes", "unsent", 1)
  }

  async ids(): Promise<string[]> {
    return this.#db.getAllKeys("notes")
  }

  async update(id: string, change: (note: Note | undefined) => Note | undefined): Promise<Note | undefined> {
    return (await this.updateMany([id], (_, note) => change(note)))[0]
  }

  async updateMany(
    ids: string[],
    change: (id: string, note: Note | undefined) => Note | undefined,
  ): Promise<(Note | undefined)[]> {
    const transaction = this.#db.transaction("notes", "readwrite", { durability: "strict" })
    const { store } = transaction
    const work = ids.map(async (id) => {
      const before = await store.get(id)
      const after = change(id, before)
      if (after === before) return { id, after, altered: false }
      await (after ? store.put(marked(after)) : store.delete(id))
      return { id, after, altered: true }
    })
    const [results] = await Promise.all([Promise.all(work), transaction.done])
    for (const { id, after, altered } of results) if (altered) this.#changed(id, after)
    return results.map(({ after }) => after)
  }

  async position(): Promise<Position> {
    const { store } = this.#db.transaction("meta")
    const [number, epoch] = await Promise.all([store.get("position"), store.get("epoch")])
    return { number: (number as number | undefined) ?? 0, epoch: epoch as string | undefined }
  }

  /** Whether this device has ever caught up with the vault. */
  async synced(): Promise<boolean> {
    return (await this.#db.count("meta", "position")) > 0
  }

  async setPosition({ number, epoch }: Position): Promise<void> {
    const { store, done } = this.#db.transaction("meta", "readwrite")
    await Promise.all([store.put(number, "position"), store.put(epoch, "epoch"), done])
  }

  /** The notes that were changed last, for a first view before all are read. */
  async newest(count: number): Promise<Note[]> {
    const found: Note[] = []
    let cursor = await this.#db.transaction("notes").store.index("updatedAt").openCursor(null, "prev")
    while (cursor && found.length < count) {
      found.push(cursor.value)
      cursor = await cursor.continue()
    }
    return found
  }

  /** All notes, in pieces, so that the page stays responsive. */
  async *all(): AsyncGenerator<Note[]> {
    let after: IDBKeyRange | undefined
    for (;;) {
      const page = await this.#db.getAll("notes", after, 500)
      if (page.length > 0) yield page
      if (page.length < 500) return
      after = IDBKeyRange.lowerBound(page.at(-1)!.id, true)
    }
  }
}

/** Only what is unsent is in the index of unsent notes. */
function marked(note: Note): Note & { unsent?: 1 } {
  const { unsent: _, ...rest } = note as Note & { unsent?: 1 }
  return unsent(note) ? { ...rest, unsent: 1 } : rest
}
