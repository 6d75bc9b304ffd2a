// Objects of a large JSON array, or of lines of JSON, one at a time.

import { BadArchive } from "./archive.ts"

/** The objects of NDJSON. `limit` is the longest line in bytes. */
export async function* lines(source: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true })
  let rest = ""
  for await (const chunk of source) {
    rest += decode(decoder, chunk)
    const parts = rest.split("\n")
    rest = parts.pop()!
    for (const part of parts) if (part.trim()) yield part
    if (rest.length > limit) throw new BadArchive(`A line is longer than ${limit} bytes.`)
  }
  rest += decode(decoder)
  if (rest.trim()) yield rest
}

/**
 * The texts of the objects in the first array of a JSON document: `[{...}, ...]` or `{"notes": [{...}, ...]}`.
 * They are found by counting brackets outside of strings.
 */
export async function* objects(source: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true })
  let depth = 0
  let inArray = false
  let isString = false
  let escaped = false
  let object = ""
  for await (const chunk of source) {
    const text = decode(decoder, chunk)
    let start = 0
    for (let at = 0; at < text.length; at++) {
      const sign = text[at]!
      if (isString) {
        if (escaped) escaped = false
        else if (sign === "\\") escaped = true
        else if (sign === '"') isString = false
        continue
      }
      if (sign === '"') isString = true
      else if (!inArray) inArray = sign === "["
      else if (sign === "{" || sign === "[") {
        if (depth++ === 0) start = at
      } else if (sign === "}" || sign === "]") {
        if (depth === 0) return
        if (--depth === 0) {
          yield object + text.slice(start, at + 1)
          object = ""
        }
      }
    }
    if (depth > 0) object += text.slice(start)
    if (object.length > limit) throw new BadArchive(`An object is longer than ${limit} bytes.`)
  }
  throw new BadArchive(inArray ? "The JSON file is cut off." : "The JSON file has no list of notes.")
}

function decode(decoder: InstanceType<typeof TextDecoder>, chunk?: Uint8Array): string {
  try {
    return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode()
  } catch {
    throw new BadArchive("The file is not UTF-8 text.")
  }
}
