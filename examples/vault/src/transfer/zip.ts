// Writes ZIP archives as a stream (PKWARE APPNOTE 6.3): every entry's size is known before it is sent, and
// ZIP64 is used where an archive needs it.

import { crc32, deflateRawSync } from "node:zlib"

const STORED = 0
const DEFLATED = 8
const UTF8 = 0x0800
const MAX16 = 0xffff
const MAX32 = 0xffffffff
const SMALLEST = 200

interface Entry {
  name: Uint8Array
  method: number
  crc: number
  packed: number
  size: number
  offset: number
  time: Date
}

export type Chunks = AsyncIterable<Uint8Array>

export class ZipWriter {
  readonly #entries: Entry[] = []
  #offset = 0;

  /** A small file. */
  *file(name: string, content: Uint8Array, time: Date): Generator<Uint8Array> {
    const packed = content.length < SMALLEST ? content : deflateRawSync(content, { level: 4 })
    const method = packed.length < content.length ? DEFLATED : STORED
    const data = method === DEFLATED ? packed : content
    yield this.#begin({ name, method, crc: crc32(content), packed: data.length, size: content.length, time })
    yield this.#count(data)
  }

  /** A large file, not compressed. `open` is called twice: its checksum comes before its bytes. */
  async *large(name: string, size: number, open: () => Chunks, time: Date): AsyncGenerator<Uint8Array> {
    let crc = 0
    for await (const chunk of open()) crc = crc32(chunk, crc)
    yield this.#begin({ name, method: STORED, crc, packed: size, size, time })
    let sent = 0
    for await (const chunk of open()) {
      sent += chunk.length
      yield this.#count(chunk)
    }
    if (sent !== size) throw new Error(`${name} changed while it was exported`)
  }

  /** The directory at the end of the archive. */
  *end(): Generator<Uint8Array> {
    const start = this.#offset
    for (const entry of this.#entries) yield this.#count(directoryEntry(entry))
    const size = this.#offset - start
    const count = this.#entries.length
    if (count >= MAX16 || this.#offset >= MAX32) yield zip64End(count, size, start)
    const end = Buffer.alloc(22)
    end.writeUInt32LE(0x06054b50, 0)
    end.writeUInt16LE(Math.min(count, MAX16), 8)
    end.writeUInt16LE(Math.min(count, MAX16), 10)
    end.writeUInt32LE(Math.min(size, MAX32), 12)
    end.writeUInt32LE(Math.min(start, MAX32), 16)
    yield end
  }

  #begin({ name, ...rest }: Omit<Entry, "name" | "offset"> & { name: string }): Uint8Array {
    const entry = { ...rest, name: Buffer.from(name), offset: this.#offset }
    this.#entries.push(entry)
    const header = Buffer.alloc(30)
    header.writeUInt32LE(0x04034b50, 0)
    writeCommon(header, 4, entry)
    return this.#count(Buffer.concat([header, entry.name]))
  }

  #count(bytes: Uint8Array): Uint8Array {
    this.#offset += bytes.length
    return bytes
  }
}

/** The fields that local headers and the directory share, from "version needed" to "extra length". */
function writeCommon(header: Buffer, at: number, entry: Entry): void {
  header.writeUInt16LE(20, at)
  header.writeUInt16LE(UTF8, at + 2)
  header.writeUInt16LE(entry.method, at + 4)
  const { time } = entry
  const year = Math.min(Math.max(time.getUTCFullYear(), 1980), 2107)
  header.writeUInt16LE((time.getUTCHours() << 11) | (time.getUTCMinutes() << 5) | (time.getUTCSeconds() >> 1), at + 6)
  header.writeUInt16LE(((year - 1980) << 9) | ((time.getUTCMonth() + 1) << 5) | time.getUTCDate(), at + 8)
  header.writeUInt32LE(entry.crc, at + 10)
  header.writeUInt32LE(entry.packed, at + 14)
  header.writeUInt32LE(entry.size, at + 18)
  header.writeUInt16LE(entry.name.length, at + 22)
}

function directoryEntry(entry: Entry): Uint8Array {
  const far = entry.offset >= MAX32
  const header = Buffer.alloc(46)
  header.writeUInt32LE(0x02014b50, 0)
  header.writeUInt16LE((3 << 8) | 45, 4) // Made by Unix.
  writeCommon(header, 6, entry)
  header.writeUInt16LE(far ? 12 : 0, 30)
  header.writeUInt32LE((0o100600 << 16) >>> 0, 38)
  header.writeUInt32LE(Math.min(entry.offset, MAX32), 42)
  if (!far) return Buffer.concat([header, entry.name])
  const extra = Buffer.alloc(12)
  extra.writeUInt16LE(1, 0)
  extra.writeUInt16LE(8, 2)
  extra.writeBigUInt64LE(BigInt(entry.offset), 4)
  return Buffer.concat([header, entry.name, extra])
}

function zip64End(count: number, size: number, start: number): Uint8Array {
  const end = Buffer.alloc(56 + 20)
  end.writeUInt32LE(0x06064b50, 0)
  end.writeBigUInt64LE(44n, 4)
  end.writeUInt16LE((3 << 8) | 45, 12)
  end.writeUInt16LE(45, 14)
  end.writeBigUInt64LE(BigInt(count), 24)
  end.writeBigUInt64LE(BigInt(count), 32)
  end.writeBigUInt64LE(BigInt(size), 40)
  end.writeBigUInt64LE(BigInt(start), 48)
  end.writeUInt32LE(0x07064b50, 56)
  end.writeBigUInt64LE(BigInt(start + size), 64)
  end.writeUInt32LE(1, 72)
  return end
}
