// A whole vault as one file, written as a stream from a snapshot: notes that change meanwhile are exported as
// they were at the start.

import { Database } from "bun:sqlite"
import type { Attachment } from "../store/attachments.ts"
import { columns, type StoredNote, toNote } from "../store/model.ts"
import type { Store } from "../store/store.ts"
import { titleOf } from "../text/markdown.ts"
import { toFile } from "./frontmatter.ts"
import { ZipWriter } from "./zip.ts"

export const FORMATS = ["markdown", "obsidian", "json", "ndjson"] as const
export type Format = (typeof FORMATS)[number]

interface Wanted {
  store: Store
  vault: string
  format: Format
  attachments: boolean
}

type Pieces = AsyncGenerator<Uint8Array>
type Row = StoredNote & { content: string; fixed: string }

const PIECE = 192 * 1024

/** The name and media type of an export. */
export function describe(vault: string, format: Format, now: string): { name: string; type: string } {
  const day = now.slice(0, 10)
  if (format === "json") return { name: "notes.json", type: "application/json" }
  if (format === "ndjson") return { name: `${vault}-${day}.ndjson`, type: "application/x-ndjson" }
  return { name: `${vault}-${day}${format === "obsidian" ? "-obsidian" : ""}.zip`, type: "application/zip" }
}

export async function* exported({ store, vault, format, attachments }: Wanted): Pieces {
  const snapshot = new Snapshot(store.core.path)
  const files = attachments && format !== "json" ? snapshot.attachments() : []
  try {
    if (format === "json") yield* json(snapshot)
    else if (format === "ndjson") yield* ndjson(snapshot, store, vault, files)
    else yield* zip(snapshot, store, files, format === "obsidian")
  } finally {
    snapshot.close()
  }
}

/** A connection that sees the vault as it is now, until it is closed. */
class Snapshot {
  readonly #database: Database

  constructor(path: string) {
    this.#database = new Database(path, { readonly: true, strict: true })
    this.#database.run("PRAGMA cache_size = -1000")
    this.#database.run("BEGIN")
    this.#database.query("SELECT 1 FROM notes LIMIT 1").get()
  }

  /** One text at a time is in memory, however large the notes are. */
  *notes(): Generator<Row> {
    const next = this.#database.query<Row, [number]>(`SELECT ${columns()},
        (SELECT json_group_array(tag)
         FROM (SELECT tag FROM tags WHERE tags.seq = notes.seq AND fixed ORDER BY tag)) AS fixed
      FROM notes WHERE seq > ? ORDER BY seq LIMIT 1`)
    for (let row = next.get(0); row; row = next.get(row.seq)) yield row
  }

  attachments(): Array<Attachment & { note: string | null }> {
    const sql = `SELECT id, note, name, type, size, sha256, created_at AS createdAt FROM attachments
      ORDER BY created_at, id`
    return this.#database.query<Attachment & { note: string | null }, []>(sql).all()
  }

  close(): void {
    this.#database.run("ROLLBACK")
    this.#database.close()
  }
}

async function* zip(snapshot: Snapshot, store: Store, files: Attachment[], obsidian: boolean): Pieces {
  const writer = new ZipWriter()
  const names = new Names()
  for (const row of snapshot.notes()) {
    const { pinned, createdAt, updatedAt, id, path, content } = row
    const metadata = row.metadata === null ? undefined : JSON.parse(row.metadata)
    const tags = JSON.parse(row.fixed)
    const text = toFile({ id, path, content, createdAt, updatedAt, tags, metadata, pinned: pinned === 1 }, obsidian)
    const name = names.free(`${obsidian ? "" : "notes/"}${fileName(path ?? (titleOf(content, null) || id))}`, ".md")
    yield* writer.file(name, Buffer.from(text), new Date(updatedAt))
  }
  const described = Buffer.from(`${JSON.stringify(files, null, 1)}\n`)
  if (files.length > 0) yield* writer.file("attachments/index.json", described, new Date(store.core.now()))
  for (const file of files) {
    const open = () => Bun.file(store.attachments.path(file)).stream() as unknown as AsyncIterable<Uint8Array>
    yield* writer.large(`attachments/${file.id}/${fileName(file.name)}`, file.size, open, new Date(file.createdAt))
  }
  yield* writer.end()
}

async function* json(snapshot: Snapshot): Pieces {
  let before = '{"notes": [\n'
  for (const row of snapshot.notes()) {
    yield Buffer.from(before + JSON.stringify(toNote(row)))
    before = ",\n"
  }
  yield Buffer.from(before === ",\n" ? "\n]}\n" : `${before}]}\n`)
}

async function* ndjson(snapshot: Snapshot, store: Store, vault: string, files: Attachment[]): Pieces {
  const line = (value: object) => Buffer.from(`${JSON.stringify(value)}\n`)
  yield line({ type: "vault", name: vault, format: 1, exportedAt: store.core.now() })
  for (const row of snapshot.notes()) yield line({ type: "note", ...toNote(row), fixedTags: JSON.parse(row.fixed) })
  for (const { url: _url, type: mediaType, ...file } of files) {
    yield line({ type: "attachment", ...file, mediaType })
    const content = Bun.file(store.attachments.path(file))
    for (let start = 0; start < file.size; start += PIECE) {
      const piece = await content.slice(start, start + PIECE).bytes()
      yield line({ type: "data", id: file.id, data: Buffer.from(piece).toString("base64") })
    }
  }
}

/** Names that differ also where case does not matter. */
class Names {
  readonly #taken = new Set<string>()

  free(base: string, end: string): string {
    for (let count = 1; ; count++) {
      const name = `${base}${count === 1 ? "" : ` (${count})`}${end}`
      const key = name.normalize("NFC").toLowerCase()
      if (this.#taken.has(key)) continue
      this.#taken.add(key)
      return name
    }
  }
}

/** A path that every system can unpack, and that stays below its folder. */
export function fileName(path: string): string {
  const parts = path.split("/").map((part) => {
    const safe = part
      .replace(/[<>:"|?*\\\u0000-\u001f\u007f]/g, "-")
      .replace(/^\.+|[. ]+$/g, "")
      .trim()
    return shortened(safe, 150)
  })
  return shortened(parts.filter(Boolean).join("/"), 400) || "note"
}

/** Not longer than so many bytes, and without half a character at the end. */
function shortened(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text
  const cut = new TextDecoder().decode(Buffer.from(text).subarray(0, bytes))
  return cut.replace(/\uFFFD$/, "").replace(/[/. ]+$/, "")
}
