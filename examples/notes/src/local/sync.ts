// Brings this device and the vault together: sends what is unsent, in order, and takes what changed elsewhere.
// All state is in the store, so that a reload at any point goes on where it stopped.

import {
  acknowledged,
  blank,
  deletedElsewhere,
  type Fields,
  type Note,
  pulled,
  type Remote,
  replaced,
  same,
  sendable,
  sending,
} from "../core/note.ts"
import { Refused } from "../core/problem.ts"

export interface Change {
  number: number
  kind: "saved" | "deleted" | "purged"
  id: string
  note?: Remote
}

/** How far the vault's changes are known. The epoch tells whether the number still means the same change. */
export interface Position {
  number: number
  epoch?: string
}

export interface Page {
  changes: Change[]
  next: number
  epoch?: string
  more: boolean
  reset?: boolean
  reason?: string
}

/** The part of the vault that syncing needs. Methods reject with `Refused`, `Unreachable` or `Ended`. */
export interface Vault {
  create(id: string, fields: Fields, createdAt: string): Promise<Remote>
  change(id: string, change: Partial<Fields>, ifUpdatedAt: string, renameFrom?: string): Promise<Remote>
  remove(id: string, ifUpdatedAt: string): Promise<void>
  changes(since: Position): Promise<Page>
  /** Whether the vault has or had this version of the note. */
  knows(id: string, updatedAt: string): Promise<boolean>
}

/** The notes of this device. `update` and `updateMany` read and write in one transaction. */
export interface Store {
  unsent(): Promise<Note[]>
  ids(): Promise<string[]>
  get(id: string): Promise<Note | undefined>
  update(id: string, change: (note: Note | undefined) => Note | undefined): Promise<Note | undefined>
  updateMany(ids: string[], change: (id: string, note: Note | undefined) => Note | undefined): Promise<unknown>
  position(): Promise<Position>
  setPosition(position: Position): Promise<void>
}

export class Sync {
  readonly #vault: Vault
  readonly #store: Store
  readonly #onReplaced: () => Promise<void>
  #pulling: Promise<void> | undefined

  /** `onReplaced` is called when the vault has other data than before, and the notes were compared with it. */
  constructor(vault: Vault, store: Store, onReplaced: () => Promise<void>) {
    this.#vault = vault
    this.#store = store
    this.#onReplaced = onReplaced
  }

  /** Sends every note that can be sent, the one that was changed first at first. Rejects when waiting may help. */
  async push(): Promise<void> {
    const notes = (await this.#store.unsent()).filter(sendable)
    let full: Refused | undefined
    for (const { id } of notes.sort((a, b) => a.editedAt - b.editedAt)) {
      try {
        await this.pushOne(id)
      } catch (error) {
        // Where nothing fits any more, deleting other notes still works, and makes room.
        if (!(error instanceof Refused) || error.status !== 507) throw error
        full = error
      }
    }
    if (full) throw full
  }

  /** Sends one note, as it is now. A refusal that does not pass becomes the note's trouble. */
  async pushOne(id: string, again = true): Promise<void> {
    const note = await this.#store.get(id)
    if (!note || !sendable(note) || blank(note)) return
    try {
      if (note.deleted && note.base && same(note.mine, note.base)) await this.#remove(note, note.base.updatedAt)
      else await this.#save(note)
    } catch (error) {
      if (!(error instanceof Refused) || error.passes) throw error
      if (again && (error.status === 404 || error.status === 409) && error.code !== "path_taken") {
        // What happened to the note is in the feed, which knows whether this is still the same vault.
        await this.pull()
        return this.pushOne(id, false)
      }
      await this.#store.update(id, (now) => now && refused(now, error))
    }
  }

  async #remove(note: Note, updatedAt: string): Promise<void> {
    await this.#vault.remove(note.id, updatedAt)
    await this.#store.update(note.id, (now) => (now?.deleted ? undefined : now && { ...now, base: undefined }))
  }

  async #save(note: Note): Promise<void> {
    const { base } = note
    const keepsPath = note.trouble?.kind === "title"
    const sent: Fields = keepsPath ? { ...note.mine, path: base?.path ?? "" } : note.mine
    const change = base && difference(base, sent)
    if (change && Object.keys(change).length === 0 && note.oldTitle === undefined) return
    await this.#store.update(note.id, (now) => now && sending(now, sent))
    const remote =
      base && change
        ? await this.#vault.change(note.id, change, base.updatedAt, note.oldTitle)
        : await this.#vault.create(note.id, sent, note.createdAt)
    await this.#store.update(note.id, (now) => now && acknowledged(now, sent, remote))
    // What was written last goes to the trash with the note, where it can be restored.
    if (note.deleted) await this.pushOne(note.id)
  }

  /** Takes everything that changed since the last time. */
  pull(): Promise<void> {
    this.#pulling ??= this.#pull().finally(() => (this.#pulling = undefined))
    return this.#pulling
  }

  async #pull(): Promise<void> {
    for (let more = true; more; ) {
      const page = await this.#vault.changes(await this.#store.position())
      if (page.reset) return this.#startOver(page.reason === "asleep")
      await this.take(page.changes)
      await this.#store.setPosition({ number: page.next, epoch: page.epoch })
      more = page.more
    }
  }

  /** Takes changes, one for each note. Taking one again, or an older one after it, alters nothing. */
  async take(changes: Change[]): Promise<void> {
    const byId = new Map(changes.map((change) => [change.id, change]))
    await this.#store.updateMany([...byId.keys()], (id, note) => {
      const change = byId.get(id)!
      if (change.note) return pulled(note, change.note)
      return change.kind === "saved" ? note : deletedElsewhere(note)
    })
  }

  /**
   * The feed does not lead from what is known to now. A device that was asleep for too long deletes what the vault lacks;
   * after a replacement it sends that again. Unsent changes stay.
   */
  async #startOver(asleep: boolean): Promise<void> {
    const seen = new Set<string>()
    let position: Position = { number: 0 }
    for (let more = true; more; ) {
      const page = await this.#vault.changes(position)
      if (asleep) await this.take(page.changes)
      else await this.#compare(page.changes)
      for (const { id } of page.changes) seen.add(id)
      position = { number: page.next, epoch: page.epoch }
      more = page.more
    }
    const lacking = (await this.#store.ids()).filter((id) => !seen.has(id))
    await this.#store.updateMany(lacking, (_, note) =>
      asleep ? deletedElsewhere(note) : note && replaced(note, undefined, false),
    )
    if (!asleep) await this.#onReplaced()
    await this.#store.setPosition(position)
  }

  /** Compares what the replaced vault has with what is known. */
  async #compare(changes: Change[]): Promise<void> {
    const known = new Map<string, string>()
    for (const { id, note } of changes) {
      const base = (await this.#store.get(id))?.base
      const asks = base && (!note || note.updatedAt > base.updatedAt)
      if (asks && (await this.#vault.knows(id, base.updatedAt))) known.set(id, base.updatedAt)
    }
    const byId = new Map(changes.map((change) => [change.id, change]))
    await this.#store.updateMany([...byId.keys()], (id, note) => {
      const remote = byId.get(id)!.note
      if (!note) return remote && pulled(note, remote)
      return replaced(note, remote, note.base !== undefined && known.get(id) === note.base.updatedAt)
    })
  }
}

function difference(base: Fields, mine: Fields): Partial<Fields> {
  const change: Partial<Fields> = {}
  if (mine.content !== base.content) change.content = mine.content
  if (mine.path !== base.path) change.path = mine.path
  if (mine.pinned !== base.pinned) change.pinned = mine.pinned
  if (mine.tags.join("\n") !== base.tags.join("\n")) change.tags = mine.tags
  return change
}

/** What a final refusal makes of the note. Nothing that was written goes away. */
function refused(note: Note, error: Refused): Note | undefined {
  const { status, code, body, message } = error
  const current = body["current"] as Remote | undefined
  if (status === 409 && current) {
    // A vault that goes back in time was replaced, whatever it says.
    if (note.base && current.updatedAt < note.base.updatedAt) return replaced(note, current, false)
    return { ...pulled(note, current), sending: undefined }
  }
  if (code === "path_taken") return { ...note, trouble: { kind: "title", message }, sending: undefined }
  if (status === 404 || code === "in_trash") {
    if (note.deleted) return undefined
    return { ...note, trouble: { kind: "gone", message: "This note was deleted somewhere else." }, sending: undefined }
  }
  const kind = status === 413 ? "too_large" : status === 403 ? "forbidden" : "refused"
  return { ...note, trouble: { kind, message }, sending: undefined }
}
