// Pictures and other files of notes: kept here until the vault has them, uploaded in pieces, shown offline once seen.

import { signal } from "@preact/signals"
import { newId } from "../core/ids.ts"
import type { Note } from "../core/note.ts"
import { Problem, Refused } from "../core/problem.ts"
import { ask, askJson } from "../remote/connection.ts"
import { type Limits, limits } from "../remote/vault.ts"
import type { Database, KeptFile } from "./database.ts"

/** Larger files are not kept on this device after the vault has them. */
const KEEP = 25 * 1024 * 1024
/** A file in a text: its words and its id. */
const FILE = /\[([^\]\n]*)\]\(attachments\/([A-Za-z0-9_-]+)\)/g
const MOST = 500
const USUAL: Limits = { noteBytes: 8 << 20, attachmentBytes: 100 << 20, chunkBytes: 4 << 20 }

export class Files {
  /** Files that the vault has not got yet, with the part that was sent. */
  readonly waiting = signal<Omit<KeptFile, "blob">[]>([])
  onWaiting: () => void = () => {}
  readonly #db: Database
  readonly #channel: BroadcastChannel
  readonly #urls = new Map<string, Promise<string | undefined>>()
  #limits: Limits = USUAL

  constructor(db: Database) {
    this.#db = db
    // Another tab may have added a file, or sent a part of one.
    this.#channel = new BroadcastChannel(`${db.name}:files`)
    this.#channel.onmessage = () => void this.#read()
  }

  async load(): Promise<void> {
    await this.#read()
    this.#limits = await limits().catch(() => USUAL)
  }

  /** Keeps a file for a note; the Markdown that shows it. */
  async add(note: string, file: File): Promise<string> {
    if (file.size > this.#limits.attachmentBytes) {
      const most = Math.floor(this.#limits.attachmentBytes / (1 << 20))
      throw new Problem(`"${file.name}" is too large. A file may have up to ${most} MB.`)
    }
    const type = file.type || "application/octet-stream"
    const name = file.name || (type.startsWith("image/") ? "picture" : "file")
    const kept = { id: newId(), note, name, type, size: file.size, blob: file, sent: 0, uploaded: false }
    await this.#db.put("files", kept)
    await this.#publish()
    this.onWaiting()
    const words = name.replace(/[[\]\\\n]/g, " ")
    return `${type.startsWith("image/") ? "!" : ""}[${words}](attachments/${kept.id})`
  }

  /** Uploads what waits, each from where it stopped. Rejects when waiting may help. */
  async upload(): Promise<void> {
    await this.#read()
    for (const { id } of this.waiting.value) {
      const file = await this.#db.get("files", id)
      if (!file || file.uploaded || file.problem) continue
      try {
        await this.#upload(file)
      } catch (error) {
        if (!(error instanceof Refused) || error.passes) throw error
        await this.#keep({ ...file, problem: error.message })
      }
    }
  }

  async #upload(file: KeptFile): Promise<void> {
    const { id, name, type, size, note, blob } = file
    let { offset } = await askJson<{ offset: number }>("api/uploads", "POST", { id, name, type, size, note })
    while (offset < size) {
      const piece = blob.slice(offset, offset + this.#limits.chunkBytes)
      const headers = { "upload-offset": `${offset}` }
      const response = await ask(`api/uploads/${id}`, { method: "PATCH", headers, body: piece })
      ;({ offset } = await response.json())
      await this.#keep({ ...file, sent: offset })
    }
    if (size > KEEP) await this.#db.delete("files", id)
    else await this.#keep({ ...file, sent: size, uploaded: true })
    await this.#publish()
  }

  /** After the vault was replaced: files of these notes that it lacks now are uploaded again, if they are kept here. */
  async compare(notes: Iterable<Note>): Promise<void> {
    const there = new Set<string>()
    for (let offset = 0, more = true; more; offset += MOST) {
      const page = await askJson<{ id: string }[]>(`api/attachments?limit=${MOST}&offset=${offset}`)
      for (const { id } of page) there.add(id)
      more = page.length === MOST
    }
    const used = new Map<string, { note: string; name: string }>()
    for (const { id: note, mine } of notes) {
      for (const [, words, id] of mine.content.matchAll(FILE)) used.set(id!, { note, name: words || id! })
    }
    for (const file of await this.#db.getAll("files")) {
      const place = used.get(file.id)
      if (!file.uploaded || !place || there.has(file.id)) continue
      await this.#keep({ ...file, ...place, sent: 0, uploaded: false })
    }
  }

  async retry(id: string): Promise<void> {
    const file = await this.#db.get("files", id)
    if (file) await this.#keep({ ...file, problem: undefined })
    this.onWaiting()
  }

  close(): void {
    this.#channel.close()
  }

  async forget(id: string): Promise<void> {
    await this.#db.delete("files", id)
    await this.#publish()
  }

  /** An address for the bytes of an attachment, from this device or from the vault; undefined when neither has them. */
  url(id: string): Promise<string | undefined> {
    let url = this.#urls.get(id)
    if (!url) {
      url = this.#blob(id).then((blob) => blob && URL.createObjectURL(blob))
      this.#urls.set(id, url)
      // What could not be had is asked for again the next time.
      void url.then((found) => found ?? this.#urls.delete(id))
    }
    return url
  }

  async #blob(id: string): Promise<Blob | undefined> {
    const kept = await this.#db.get("files", id)
    if (kept) return kept.blob
    try {
      const blob = await (await ask(`api/attachments/${encodeURIComponent(id)}`)).blob()
      if (blob.size <= KEEP) {
        const file = { id, note: "", name: id, type: blob.type, size: blob.size, blob, sent: blob.size, uploaded: true }
        await this.#db.put("files", file)
      }
      return blob
    } catch (error) {
      if (error instanceof Problem) return undefined
      throw error
    }
  }

  async #keep(file: KeptFile): Promise<void> {
    await this.#db.put("files", file)
    await this.#publish()
  }

  async #publish(): Promise<void> {
    await this.#read()
    this.#channel.postMessage(undefined)
  }

  async #read(): Promise<void> {
    const all = await this.#db.getAll("files")
    this.waiting.value = all.filter(({ uploaded }) => !uploaded).map(({ blob: _, ...rest }) => rest)
  }
}
