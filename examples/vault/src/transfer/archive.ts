// What the readers of archives have in common.

/** One file of an archive. Its bytes can be read once, before the next entry is asked for. */
export interface Entry {
  name: string
  size: number
  /** Last change, if the archive says it. */
  time?: Date
  bytes(): AsyncIterable<Uint8Array>
}

/** Something that can be walked through again and again. */
export interface Archive {
  entries(): AsyncIterable<Entry>
  close(): Promise<void>
}

/** The archive cannot be read. The message can be shown. */
export class BadArchive extends Error {}

/** All bytes of an entry; throws BadArchive above `limit`. */
export async function readAll(entry: Entry, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of entry.bytes()) {
    size += chunk.length
    if (size > limit) throw new BadArchive(`The file is larger than ${limit} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** A name in an archive: UTF-8, else Latin-1. */
export function decodeName(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    return new TextDecoder("latin1").decode(bytes)
  }
}
