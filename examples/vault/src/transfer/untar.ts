// Reads tar archives (POSIX pax and GNU long names), also gzipped, as a stream.

import { createReadStream } from "node:fs"
import { createGunzip } from "node:zlib"
import { type Archive, BadArchive, decodeName, type Entry } from "./archive.ts"

const BLOCK = 512
const LONGEST_HEADER = 1024 * 1024

export function openTar(path: string, gzipped: boolean): Archive {
  return { entries: () => entries(new Reader(streamOf(path, gzipped))), close: async () => {} }
}

async function* streamOf(path: string, gzipped: boolean): AsyncGenerator<Uint8Array> {
  const file = createReadStream(path)
  if (!gzipped) return yield* file
  const unpacked = createGunzip()
  file.on("error", (error) => unpacked.destroy(error))
  try {
    yield* file.pipe(unpacked) as AsyncIterable<Uint8Array>
  } catch {
    throw new BadArchive("The archive is damaged: it cannot be decompressed.")
  } finally {
    file.destroy()
    unpacked.destroy()
  }
}

async function* entries(reader: Reader): AsyncGenerator<Entry> {
  let longName: string | undefined
  let pax: Record<string, string> = {}
  for (;;) {
    const header = await reader.take(BLOCK)
    if (!header || header.every((byte) => byte === 0)) return
    checkSum(header)
    const kind = String.fromCharCode(header[156]!)
    const size = pax.size !== undefined ? Number(pax.size) : octal(header, 124, 12)
    const padding = (BLOCK - (size % BLOCK)) % BLOCK
    if (kind === "L" || kind === "x" || kind === "g") {
      if (size > LONGEST_HEADER) throw new BadArchive("The tar archive is damaged.")
      const data = (await reader.take(size + padding))?.subarray(0, size)
      if (!data) throw new BadArchive("The tar archive is cut off.")
      if (kind === "L") longName = decodeName(data).replace(/\0.*$/s, "")
      if (kind === "x") pax = records(data)
      continue
    }
    const name = pax.path ?? longName ?? plainName(header)
    const seconds = pax.mtime !== undefined ? Number(pax.mtime) : octal(header, 136, 12)
    longName = undefined
    pax = {}
    const body = reader.body(size)
    if (kind === "0" || kind === "\0" || kind === "7") {
      yield { name, size, time: new Date(seconds * 1000), bytes: () => body }
    }
    for await (const _rest of body); // What the caller left.
    await reader.take(padding)
  }
}

/** Bytes of a stream, in the portions that are asked for. */
class Reader {
  readonly #source: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array()

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** Exactly `length` bytes; undefined at the end of the stream. */
  async take(length: number): Promise<Uint8Array | undefined> {
    const parts: Uint8Array[] = []
    for (let missing = length; missing > 0; ) {
      const part = await this.#some(missing)
      if (!part && parts.length > 0) throw new BadArchive("The tar archive is cut off.")
      if (!part) return undefined
      parts.push(part)
      missing -= part.length
    }
    return Buffer.concat(parts)
  }

  async *body(length: number): AsyncGenerator<Uint8Array> {
    for (let missing = length; missing > 0; ) {
      const part = await this.#some(missing)
      if (!part) throw new BadArchive("The tar archive is cut off.")
      missing -= part.length
      yield part
    }
  }

  async #some(most: number): Promise<Uint8Array | undefined> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#source.next()
      if (done) return undefined
      this.#rest = value
    }
    const part = this.#rest.subarray(0, most)
    this.#rest = this.#rest.subarray(part.length)
    return part
  }
}

function checkSum(header: Uint8Array): void {
  let sum = 0
  header.forEach((byte, at) => {
    sum += at >= 148 && at < 156 ? 32 : byte
  })
  if (sum !== octal(header, 148, 8)) throw new BadArchive("The tar archive is damaged.")
}

function octal(header: Uint8Array, at: number, length: number): number {
  const field = header.subarray(at, at + length)
  if (field[0]! & 0x80) return field.reduce((sum, byte, index) => (index === 0 ? byte & 0x7f : sum * 256 + byte), 0)
  return Number.parseInt(decodeName(field).replace(/[\0 ]+/g, ""), 8) || 0
}

function plainName(header: Uint8Array): string {
  const part = (at: number, length: number) => decodeName(header.subarray(at, at + length)).replace(/\0.*$/s, "")
  const prefix = decodeName(header.subarray(257, 262)) === "ustar" ? part(345, 155) : ""
  return prefix ? `${prefix}/${part(0, 100)}` : part(0, 100)
}

/** `<length> <name>=<value>\n` again and again. */
function records(data: Uint8Array): Record<string, string> {
  const found: Record<string, string> = {}
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(32, at)
    const length = Number(decodeName(data.subarray(at, space)))
    if (space < 0 || !(length > 0)) break
    const record = decodeName(data.subarray(space + 1, at + length - 1))
    found[record.slice(0, record.indexOf("="))] = record.slice(record.indexOf("=") + 1)
    at += length
  }
  return found
}
