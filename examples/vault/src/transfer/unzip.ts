// Reads ZIP archives by their directory, with ZIP64; one entry at a time, so that memory stays small.

import { type FileHandle, open } from "node:fs/promises"
import { crc32, createInflateRaw } from "node:zlib"
import { type Archive, BadArchive, decodeName, type Entry } from "./archive.ts"

const MOST_ENTRIES = 200_000
const MOST_DIRECTORY = 64 * 1024 * 1024
const END = 22
const LONGEST_COMMENT = 0xffff
const PIECE = 256 * 1024

interface Listed {
  name: string
  method: number
  flags: number
  crc: number
  packed: number
  size: number
  offset: number
  mode: number
  time: Date
}

export async function openZip(path: string): Promise<Archive> {
  const file = await open(path, "r")
  try {
    const listed = await directory(file)
    return { entries: () => entries(file, listed), close: () => file.close() }
  } catch (error) {
    await file.close()
    throw error instanceof RangeError ? new BadArchive("The ZIP archive is damaged.") : error
  }
}

async function* entries(file: FileHandle, listed: Listed[]): AsyncGenerator<Entry> {
  for (const each of listed) {
    const isLink = (each.mode & 0o170000) === 0o120000
    if (each.name.endsWith("/") || isLink) continue
    yield { name: each.name, size: each.size, time: each.time, bytes: () => unpacked(file, each) }
  }
}

async function* unpacked(file: FileHandle, entry: Listed): AsyncGenerator<Uint8Array> {
  if (entry.flags & 1) throw new BadArchive("The file is encrypted.")
  if (entry.method !== 0 && entry.method !== 8) throw new BadArchive("The file is compressed in an unknown way.")
  const header = await read(file, entry.offset, 30)
  if (header.readUInt32LE(0) !== 0x04034b50) throw new BadArchive("The ZIP archive is damaged.")
  const start = entry.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28)
  const raw = pieces(file, start, entry.packed)
  let size = 0
  let crc = 0
  for await (const chunk of entry.method === 0 ? raw : inflated(raw)) {
    size += chunk.length
    if (size > entry.size) throw new BadArchive("The file is larger than the archive says.")
    crc = crc32(chunk, crc)
    yield chunk
  }
  if (size !== entry.size || crc !== entry.crc) throw new BadArchive("The file is damaged: its checksum differs.")
}

async function* inflated(raw: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const inflate = createInflateRaw()
  const feeding = (async () => {
    for await (const chunk of raw) {
      if (!inflate.write(chunk)) await new Promise((resolve) => inflate.once("drain", resolve))
    }
    inflate.end()
  })()
  feeding.catch((error) => inflate.destroy(error))
  try {
    yield* inflate as AsyncIterable<Uint8Array>
  } catch {
    throw new BadArchive("The file is damaged: it cannot be decompressed.")
  } finally {
    inflate.destroy()
  }
}

async function* pieces(file: FileHandle, start: number, length: number): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < length; done += PIECE) yield read(file, start + done, Math.min(PIECE, length - done))
}

async function directory(file: FileHandle): Promise<Listed[]> {
  const { size } = await file.stat()
  const tail = await read(file, Math.max(0, size - END - LONGEST_COMMENT), Math.min(size, END + LONGEST_COMMENT))
  const at = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]))
  if (at < 0) throw new BadArchive("This is no complete ZIP archive.")
  let count = tail.readUInt16LE(at + 10)
  let length = tail.readUInt32LE(at + 12)
  let start = tail.readUInt32LE(at + 16)
  if (count === 0xffff || length === 0xffffffff || start === 0xffffffff) {
    const locator = tail.subarray(at - 20, at)
    if (at >= 20 && locator.readUInt32LE(0) === 0x07064b50) {
      const end = await read(file, Number(locator.readBigUInt64LE(8)), 56)
      count = Number(end.readBigUInt64LE(32))
      length = Number(end.readBigUInt64LE(40))
      start = Number(end.readBigUInt64LE(48))
    }
  }
  if (count > MOST_ENTRIES || length > MOST_DIRECTORY) throw new BadArchive(`More than ${MOST_ENTRIES} files.`)
  const bytes = await read(file, start, length)
  const listed: Listed[] = []
  for (let next = 0; listed.length < count; ) {
    const { entry, end } = parse(bytes, next)
    listed.push(entry)
    next = end
  }
  return listed
}

function parse(bytes: Buffer, at: number): { entry: Listed; end: number } {
  if (bytes.readUInt32LE(at) !== 0x02014b50) throw new BadArchive("The ZIP archive is damaged.")
  const nameEnd = at + 46 + bytes.readUInt16LE(at + 28)
  const extraEnd = nameEnd + bytes.readUInt16LE(at + 30)
  const entry = {
    name: decodeName(bytes.subarray(at + 46, nameEnd)),
    method: bytes.readUInt16LE(at + 10),
    flags: bytes.readUInt16LE(at + 8),
    crc: bytes.readUInt32LE(at + 16),
    packed: bytes.readUInt32LE(at + 20),
    size: bytes.readUInt32LE(at + 24),
    offset: bytes.readUInt32LE(at + 42),
    mode: bytes.readUInt32LE(at + 38) >>> 16,
    time: timeOf(bytes.readUInt16LE(at + 12), bytes.readUInt16LE(at + 14)),
  }
  for (let next = nameEnd; next + 4 <= extraEnd; next += 4 + bytes.readUInt16LE(next + 2)) {
    if (bytes.readUInt16LE(next) !== 1) continue
    let field = next + 4
    for (const name of ["size", "packed", "offset"] as const) {
      if (entry[name] !== 0xffffffff) continue
      entry[name] = Number(bytes.readBigUInt64LE(field))
      field += 8
    }
  }
  return { entry, end: extraEnd + bytes.readUInt16LE(at + 32) }
}

function timeOf(time: number, date: number): Date {
  const [year, month, day] = [1980 + (date >> 9), ((date >> 5) & 15) - 1, date & 31]
  return new Date(Date.UTC(year, month, day, time >> 11, (time >> 5) & 63, (time & 31) * 2))
}

async function read(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done)
    if (bytesRead === 0) throw new BadArchive("The ZIP archive is cut off.")
    done += bytesRead
  }
  return buffer
}
