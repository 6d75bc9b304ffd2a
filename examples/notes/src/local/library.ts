// All notes of this device in memory, for the pages; every tab sees the changes of the others.

import { signal } from "@preact/signals"
import { newId } from "../core/ids.ts"
import { mergeFields } from "../core/merge.ts"
import { copy, create, edit, type Fields, type Note, only, remove, restore, same, unsent } from "../core/note.ts"
import { type Database, NoteStore } from "./database.ts"

const FIRST_VIEW = 60

export class Library {
  readonly notes = new Map<string, Note>()
  /** Grows with every change of `notes`; reading it subscribes to them. */
  readonly version = signal(0)
  /** False while the first notes are read. */
  readonly ready = signal(false)
  /** False until all notes are in memory. */
  readonly complete = signal(false)
  /** False until this device has caught up with the vault for the first time. */
  readonly synced = signal(false)
  readonly store: NoteStore
  /** Called when there is something to send. */
  onUnsent: () => void = () => {}
  readonly #db: Database
  readonly #channel: BroadcastChannel
  #scheduled = false

  constructor(db: Database) {
    this.#db = db
    this.store = new NoteStore(db, (id, note) => {
      this.#put(id, note)
      this.#channel.postMessage(id)
    })
    this.#channel = new BroadcastChannel(db.name)
    this.#channel.onmessage = async ({ data: id }: MessageEvent<string>) => {
      const note = await this.store.get(id)
      this.#put(id, note)
      if (note && unsent(note)) this.onUnsent()
    }
  }

  async load(): Promise<void> {
    this.synced.value = await this.store.synced()
    for (const note of await this.store.newest(FIRST_VIEW)) this.notes.set(note.id, note)
    this.#announce()
    this.ready.value = true
    for await (const page of this.store.all()) {
      for (const note of page) this.notes.set(note.id, note)
      this.#announce()
    }
    this.complete.value = true
  }

  async create(fields: Partial<Fields> = {}): Promise<Note> {
    return this.#save(newId(), () => create(newId(), fields, Date.now()))
  }

  /** Saves what was typed: `to`, begun from `from`. What another tab saved meanwhile is merged, and no line is lost. */
  async edit(id: string, from: Fields, to: Fields): Promise<Note | undefined> {
    return this.#update(id, (note) => {
      if (!note) return create(id, to, Date.now())
      const merged = same(note.mine, from) ? to : mergeFields(from, to, note.mine).fields
      return edit(note.deleted ? restore(note, Date.now()) : note, merged, Date.now())
    })
  }

  async change(id: string, change: Partial<Fields>): Promise<Note | undefined> {
    return this.#update(id, (note) => note && edit(note, change, Date.now()))
  }

  /** Adds a paragraph to what is stored, whatever else is being saved. */
  async append(id: string, text: string): Promise<void> {
    await this.#update(id, (note) => {
      const content = [note?.mine.content, text].filter(Boolean).join("\n\n")
      return note && edit(note, { content }, Date.now())
    })
  }

  /** A new title: links that lead to the old one are moved when the hub has it. */
  async retitle(id: string, oldTitle: string): Promise<void> {
    await this.#update(id, (note) => note && (note.oldTitle || !note.base ? note : { ...note, oldTitle }))
  }

  async remove(id: string): Promise<void> {
    await this.#update(id, (note) => note && remove(note, Date.now()))
  }

  async restore(id: string): Promise<boolean> {
    return Boolean(await this.#update(id, (note) => note && restore(note, Date.now())))
  }

  async resolve(id: string, change: (note: Note) => Note): Promise<void> {
    await this.#update(id, (note) => note && change(note))
  }

  /** Saves the text of a note that cannot be sent as a new one, and drops the other. */
  async saveAsNew(id: string): Promise<Note | undefined> {
    const note = this.notes.get(id)
    if (!note) return undefined
    const fresh = await this.#save(newId(), (newest) => copy(note, newest, Date.now()))
    await this.discard(id)
    return fresh
  }

  /** Forgets what is on this device; what the hub has comes back with the next change. */
  async discard(id: string): Promise<void> {
    await this.#update(id, (note) =>
      note?.base && note.trouble?.kind !== "gone"
        ? { ...note, mine: only(note.base), trouble: undefined, theirs: undefined, oldTitle: undefined }
        : undefined,
    )
  }

  unsent(): Note[] {
    return [...this.notes.values()].filter(unsent)
  }

  close(): void {
    this.#channel.close()
    this.#db.close()
  }

  async #save(id: string, make: (id: string) => Note): Promise<Note> {
    const note = make(id)
    await this.#update(note.id, () => note)
    return note
  }

  async #update(id: string, change: (note: Note | undefined) => Note | undefined): Promise<Note | undefined> {
    const note = await this.store.update(id, change)
    if (note && unsent(note)) this.onUnsent()
    return note
  }

  #put(id: string, note: Note | undefined): void {
    if (note) this.notes.set(id, note)
    else this.notes.delete(id)
    this.#announce()
  }

  /** Many changes in one go are one change for the pages. */
  #announce(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.version.value++
    })
  }
}
