// Devices with the app's core, for tests: one JSON command a line, one JSON answer a line.
// bun run devices.ts <address of a vault> <key>

import { newId } from "../src/core/ids.ts"
import { mergeFields } from "../src/core/merge.ts"
import { type Choice, choose, copy, create, edit, type Note, remove, unsent } from "../src/core/note.ts"
import { Refused, Unreachable } from "../src/core/problem.ts"
import { type Page, type Position, type Store, Sync, type Vault } from "../src/local/sync.ts"

let [address, key] = process.argv.slice(2)

/** The notes of a device, with IndexedDB's rule that an update sees and leaves a whole state. */
class MemoryStore implements Store {
  readonly notes = new Map<string, Note>()
  #position: Position = { number: 0 }

  unsent = async () => [...this.notes.values()].filter(unsent)
  ids = async () => [...this.notes.keys()]
  get = async (id: string) => this.notes.get(id)
  position = async () => this.#position

  async setPosition(position: Position) {
    this.#position = position
  }

  async update(id: string, change: (note: Note | undefined) => Note | undefined) {
    const after = structuredClone(change(structuredClone(this.notes.get(id))))
    if (after) this.notes.set(id, after)
    else this.notes.delete(id)
    return after
  }

  async updateMany(ids: string[], change: (id: string, note: Note | undefined) => Note | undefined) {
    for (const id of ids) await this.update(id, (note) => change(id, note))
  }
}

class Device {
  readonly store = new MemoryStore()
  readonly #editor = newId()
  offline = false
  /** The number of answers that are lost from now on. */
  lose = 0

  async #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    if (this.offline) throw new Unreachable()
    const init = {
      method,
      headers: { authorization: `Bearer ${key}` },
      ...(body ? { body: JSON.stringify(body) } : {}),
    }
    const response = await fetch(`${address}/${path}`, init)
    const answer = await response.json()
    if (this.lose > 0 && method !== "GET") {
      this.lose--
      throw new Unreachable()
    }
    if (!response.ok) throw new Refused(answer.message, response.status, answer.code ?? "", answer)
    return answer
  }

  readonly vault: Vault = {
    create: (id, fields, createdAt) =>
      this.#ask("POST", "api/notes", { id, ...fields, path: null, createdAt, editor: this.#editor }),
    change: (id, change, ifUpdatedAt) =>
      this.#ask("PATCH", `api/notes/${id}`, { ...change, if_updated_at: ifUpdatedAt, editor: this.#editor }),
    remove: async (id, ifUpdatedAt) => {
      await this.#ask("DELETE", `api/notes/${id}?if_updated_at=${encodeURIComponent(ifUpdatedAt)}`)
    },
    changes: ({ number, epoch = "" }) =>
      this.#ask<Page>("GET", `api/changes?since=${number}&limit=3&include_content=true${epoch && `&epoch=${epoch}`}`),
    knows: async (id, updatedAt) => {
      const ask = <T>(path: string) =>
        this.#ask<T>("GET", path).catch((error) => {
          if (error instanceof Refused && error.status === 404) return undefined
          throw error
        })
      const old = (await ask<{ updatedAt: string }[]>(`api/notes/${id}/versions?limit=200`)) ?? []
      const trashed = await ask<{ updatedAt: string }>(`api/trash/${id}`)
      return [...old, ...(trashed ? [trashed] : [])].some((version) => version.updatedAt === updatedAt)
    },
  }

  /** Sends and takes what it can, as far as the network goes. */
  async sync(push: boolean, pull: boolean): Promise<void> {
    const sync = new Sync(this.vault, this.store, async () => {})
    try {
      if (push) await sync.push()
      if (pull) await sync.pull()
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error
    }
  }

  notes() {
    return Object.fromEntries(
      [...this.store.notes.values()].map((note) => [
        note.id,
        {
          text: note.mine.content,
          unsent: unsent(note),
          deleted: note.deleted ?? false,
          theirs: note.theirs?.content ?? null,
          trouble: note.trouble?.kind ?? null,
        },
      ]),
    )
  }
}

let devices = [new Device(), new Device()]
let now = Date.now()

async function run(command: Record<string, unknown>): Promise<unknown> {
  const device = devices[Number(command["device"] ?? 0)]!
  const id = command["id"] as string
  const text = command["text"] as string
  now++
  switch (command["do"]) {
    case "vault":
      address = command["address"] as string
      return null
    case "begin":
      devices = [new Device(), new Device()]
      return null
    case "create": {
      const note = create(newId(), { content: text }, now)
      await device.store.update(note.id, () => note)
      return note.id
    }
    case "edit": {
      // As the editor does: from the text that it showed, into what is there now.
      const shown = { ...device.store.notes.get(id)!.mine, content: command["shown"] as string }
      await device.store.update(id, (note) => {
        if (!note) return note
        return edit(note, mergeFields(shown, { ...shown, content: text }, note.mine).fields, now)
      })
      return null
    }
    case "remove":
      await device.store.update(id, (note) => note && remove(note, now))
      return null
    case "choose":
      await device.store.update(id, (note) => note && choose(note, command["choice"] as Choice, now))
      return null
    case "saveAsNew": {
      const old = device.store.notes.get(id)!
      const note = copy(old, newId(), now)
      await device.store.update(note.id, () => note)
      await device.store.update(id, () => undefined)
      return note.id
    }
    case "network":
      device.offline = command["offline"] as boolean
      device.lose = command["lose"] as number
      return null
    case "sync":
      await device.sync(command["push"] !== false, command["pull"] !== false)
      return null
    case "notes":
      return device.notes()
    default:
      throw new Error(`unknown command ${command["do"]}`)
  }
}

for await (const line of console) {
  if (line) console.log(JSON.stringify(await run(JSON.parse(line))))
}
