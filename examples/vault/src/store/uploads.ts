// Files on their way in: written to disk piece by piece, so that an upload goes on after a break.

import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs"
import { open } from "node:fs/promises"
import { dirname, join } from "node:path"
import type { Attachment, Attachments } from "./attachments.ts"
import { type Core, DiskFull, isDiskFull } from "./core.ts"

export const UPLOAD_DAYS = 7

export interface NewUpload {
  id: string
  name: string
  type: string
  size: number
  note?: string
  sha256?: string
}

export interface Upload {
  id: string
  offset: number
  size: number
  expiresAt: string
}

interface Row {
  id: string
  note: string | null
  name: string
  type: string
  size: number
  sha256: string | null
  createdAt: string
}

/** The body is larger than allowed. */
export class TooLarge extends Error {
  constructor(readonly limit: number) {
    super(`At most ${limit} bytes are accepted here.`)
  }
}

/** The piece does not begin where the file ends. */
export class WrongOffset extends Error {
  constructor(readonly offset: number) {
    super(`Continue at byte ${offset}.`)
  }
}

/** Another request writes to this upload. */
export class UploadBusy extends Error {
  constructor() {
    super("Another request sends this file already. Wait a moment, then ask for the offset.")
  }
}

/** The whole file is there, but its SHA-256 is not the announced one. The upload was discarded. */
export class Damaged extends Error {
  constructor() {
    super("The file arrived damaged: its SHA-256 differs. Upload it again.")
  }
}

export type Body = AsyncIterable<Uint8Array>

const COLUMNS = "id, note, name, type, size, sha256, created_at AS createdAt"

export class Uploads {
  readonly #core: Core
  readonly #attachments: Attachments
  readonly #folder: string
  readonly #busy = new Set<string>()

  constructor(core: Core, attachments: Attachments) {
    this.#core = core
    this.#attachments = attachments
    this.#folder = join(dirname(core.path), "uploads")
  }

  /** A file that no one else uses, for a body that is stored before it is looked at. */
  temporary(): string {
    mkdirSync(this.#folder, { recursive: true })
    return join(this.#folder, `.tmp-${crypto.randomUUID()}`)
  }

  /** Starts an upload, or finds the one that was started before. */
  start(upload: NewUpload): { upload: Upload; created: boolean } {
    const row = this.#row(upload.id)
    if (row) return { upload: this.#state(row), created: false }
    mkdirSync(this.#folder, { recursive: true })
    this.#core.write(() =>
      this.#core.run(
        "INSERT INTO uploads (id, note, name, type, size, sha256, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        upload.id,
        upload.note ?? null,
        upload.name,
        upload.type,
        upload.size,
        upload.sha256 ?? null,
        this.#core.now(),
      ),
    )
    return { upload: this.#state(this.#row(upload.id)!), created: true }
  }

  find(id: string): Upload | undefined {
    const row = this.#row(id)
    return row && this.#state(row)
  }

  /** Appends a piece. With the last one the attachment is made. undefined when there is no such upload. */
  async append(
    id: string,
    offset: number,
    body: Body,
    limit: number,
  ): Promise<{ upload: Upload; attachment?: Attachment } | undefined> {
    const row = this.#row(id)
    if (!row) return undefined
    if (this.#busy.has(id)) throw new UploadBusy()
    this.#busy.add(id)
    try {
      const present = this.#state(row)
      if (present.offset !== offset) throw new WrongOffset(present.offset)
      await spool(this.#file(id), body, Math.min(limit, row.size - offset))
      const upload = this.#state(row)
      if (upload.offset < upload.size) return { upload }
      return { upload, attachment: await this.#finish(row) }
    } finally {
      this.#busy.delete(id)
    }
  }

  cancel(id: string): boolean {
    const found = this.#core.write(() => this.#core.run("DELETE FROM uploads WHERE id = ?", id)) > 0
    rmSync(this.#file(id), { force: true })
    return found
  }

  /** Discards what was not finished within 7 days, and leftovers of a crash. */
  prune(): number {
    const sql = "SELECT id FROM uploads WHERE created_at < ?"
    const old = this.#core.all<{ id: string }>(sql, this.#core.ago(UPLOAD_DAYS))
    for (const { id } of old) this.cancel(id)
    if (!existsSync(this.#folder)) return old.length
    for (const name of readdirSync(this.#folder)) {
      const path = join(this.#folder, name)
      if (name.startsWith(".tmp-") && Date.now() - statSync(path).mtimeMs > 86_400_000) rmSync(path, { force: true })
    }
    return old.length
  }

  async #finish(row: Row): Promise<Attachment> {
    const file = this.#file(row.id)
    const sha256 = await sha256Of(file)
    if (row.sha256 && row.sha256 !== sha256) {
      this.cancel(row.id)
      throw new Damaged()
    }
    const { id, name, type, note, size } = row
    const { attachment } = this.#attachments.add({ id, name, type, note: note ?? undefined }, file, size, sha256)
    this.cancel(row.id)
    return attachment
  }

  #row(id: string): Row | undefined {
    return this.#core.get<Row>(`SELECT ${COLUMNS} FROM uploads WHERE id = ?`, id)
  }

  #state({ id, size, createdAt }: Row): Upload {
    const file = this.#file(id)
    return {
      id,
      offset: existsSync(file) ? statSync(file).size : 0,
      size,
      expiresAt: new Date(Date.parse(createdAt) + UPLOAD_DAYS * 86_400_000).toISOString(),
    }
  }

  #file(id: string): string {
    return join(this.#folder, id)
  }
}

/** Appends a body to a file and syncs it. What arrived before a failure stays. Throws TooLarge or DiskFull. */
export async function spool(path: string, body: Body, limit: number): Promise<number> {
  let size = 0
  const file = await open(path, "a", 0o600).catch(diskFull)
  try {
    for await (const chunk of body) {
      size += chunk.byteLength
      if (size > limit) throw new TooLarge(limit)
      await file.writeFile(chunk).catch(diskFull)
    }
  } finally {
    await file
      .sync()
      .catch(diskFull)
      .finally(() => file.close())
  }
  return size
}

export async function sha256Of(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256")
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk)
  return hasher.digest("hex")
}

function diskFull(error: unknown): never {
  throw isDiskFull(error) ? new DiskFull() : error
}
