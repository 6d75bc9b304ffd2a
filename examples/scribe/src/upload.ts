// Receives a multipart form piece by piece: the audio goes to the disk, never whole into memory.

import { open, rm } from "node:fs/promises"
import { join } from "node:path"
import { badRequest, Refused } from "./kit/http.ts"

const AUDIO_LIMIT = 200 * 1024 * 1024
const FIELD_LIMIT = 16 * 1024
const HEAD_LIMIT = 8 * 1024

export interface Upload {
  /** Where the audio lies; the caller removes it. */
  path: string
  /** The name that the sender gave it. */
  name: string
  /** The other fields of the form. */
  fields: Record<string, string>
}

interface Sink {
  write(piece: Uint8Array): Promise<void>
  close(): Promise<void>
}

/** Reads the form of a request. Its field `file` is written below `folder`. */
export async function receive(request: Request, folder: string): Promise<Upload> {
  const boundary = /^multipart\/form-data\s*;.*?\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(
    request.headers.get("content-type") ?? "",
  )
  if (!boundary || !request.body) throw badRequest('Send the audio as multipart/form-data, in the field "file".')
  const path = join(folder, crypto.randomUUID())
  const fields: Record<string, string> = {}
  let upload: Upload | undefined
  try {
    await split(request.body, (boundary[1] ?? boundary[2])!, async (head) => {
      const field = parameter(head, "name") ?? ""
      if (field !== "file") return memorySink((text) => (fields[field] = text))
      if (upload) throw badRequest('Send one "file" at a time.')
      const name = parameter(head, "filename") || "audio"
      // Programs tell formats apart by the ending.
      upload = { name, path: path + (/\.[A-Za-z0-9]{1,5}$/.exec(name)?.[0] ?? ""), fields }
      return fileSink(upload.path)
    })
    if (!upload) throw badRequest('The form has no field "file".')
    return upload
  } catch (error) {
    if (upload) await rm(upload.path, { force: true })
    throw error
  }
}

/** RFC 2046 section 5.1: hands each part's head to `begin` and its body to the sink it returns. */
async function split(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  begin: (head: string) => Promise<Sink>,
): Promise<void> {
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  let rest = Buffer.from("\r\n") // The first delimiter need not have a line before it.
  let sink: Sink | undefined
  let inHead = false
  try {
    for await (const piece of body) {
      rest = Buffer.concat([rest, piece])
      for (;;) {
        if (inHead) {
          if (rest.subarray(0, 2).toString() === "--") return
          const end = rest.indexOf("\r\n\r\n")
          if (end > HEAD_LIMIT || (end < 0 && rest.length > HEAD_LIMIT)) throw badRequest("A part's head is too long.")
          if (end < 0) break
          sink = await begin(rest.subarray(0, end).toString())
          rest = rest.subarray(end + 4)
          inHead = false
        }
        const end = rest.indexOf(delimiter)
        const ready = end < 0 ? Math.max(0, rest.length - delimiter.length + 1) : end
        if (ready > 0) await sink?.write(rest.subarray(0, ready))
        rest = rest.subarray(ready)
        if (end < 0) break
        await sink?.close()
        sink = undefined
        rest = rest.subarray(delimiter.length)
        inHead = true
      }
    }
    throw badRequest("The form ends too early.")
  } finally {
    await sink?.close()
  }
}

async function fileSink(path: string): Promise<Sink> {
  const file = await open(path, "wx", 0o600)
  let size = 0
  return {
    async write(piece) {
      size += piece.length
      if (size > AUDIO_LIMIT) {
        throw new Refused(413, { error: "too_large", message: `Audio may have ${AUDIO_LIMIT >> 20} MB at most.` })
      }
      await file.writeFile(piece)
    },
    close: () => file.close(),
  }
}

async function memorySink(done: (text: string) => void): Promise<Sink> {
  const pieces: Buffer[] = []
  let size = 0
  return {
    async write(piece) {
      size += piece.length
      if (size > FIELD_LIMIT) throw badRequest("A field of the form is too long.")
      pieces.push(Buffer.from(piece))
    },
    async close() {
      done(Buffer.concat(pieces).toString())
    },
  }
}

function parameter(head: string, name: string): string | undefined {
  const line = /^content-disposition:(.*)$/im.exec(head)?.[1] ?? ""
  return new RegExp(`;\\s*${name}="([^"]*)"`, "i").exec(line)?.[1]
}
