// What an imported file is, and the notes and attachments in it.

import { open } from "node:fs/promises"
import { posix } from "node:path"
import { ownId, short } from "../rest/input.ts"
import { LIMITS } from "../store/store.ts"
import { type Archive, BadArchive, type Entry, readAll } from "./archive.ts"
import { fromFile } from "./frontmatter.ts"
import type { Found, Importer } from "./importer.ts"
import { lines, objects } from "./json.ts"
import { openTar } from "./untar.ts"
import { openZip } from "./unzip.ts"

export const KINDS = ["auto", "markdown", "json", "ndjson"] as const
export type Kind = (typeof KINDS)[number]

/** An object in a JSON file: the largest note, every character escaped. */
const LONGEST = 6 * LIMITS.noteBytes + 1024 * 1024
/** Folders and files of programs, not of people. */
const HIDDEN = /(^|\/)(\.|__MACOSX\/|Thumbs\.db$|desktop\.ini$)/
const INDEX = "attachments/index.json"

/** Reads the file at `path` into the importer. Throws BadArchive when it is none of the known kinds. */
export async function importFile(path: string, kind: Kind, importer: Importer): Promise<void> {
  const head = await firstBytes(path)
  const isZip = head.subarray(0, 2).equals(Buffer.from("PK"))
  const isGzip = head[0] === 0x1f && head[1] === 0x8b
  const isTar = isGzip || head.subarray(257, 262).toString("latin1") === "ustar"
  if (kind === "markdown" || (kind === "auto" && (isZip || isTar))) {
    if (!isZip && !isTar) throw new BadArchive("Send the folder as a zip, tar or tar.gz file.")
    await importArchive(isZip ? await openZip(path) : openTar(path, isGzip), importer)
  } else {
    const text = head
      .toString("utf8")
      .replace(/^\uFEFF/, "")
      .trimStart()
    const isLines = kind === "ndjson" || (kind === "auto" && /^\{"type"/.test(text))
    if (!/^[[{]/.test(text)) throw new BadArchive("This is no zip, tar, JSON or NDJSON file.")
    const source = Bun.file(path).stream() as unknown as AsyncIterable<Uint8Array>
    await (isLines ? importLines(source, importer) : importObjects(source, importer))
  }
  await importer.flush()
}

async function importObjects(source: AsyncIterable<Uint8Array>, importer: Importer): Promise<void> {
  let count = 0
  for await (const text of objects(source, LONGEST)) {
    const value = parse(text)
    const name = `note ${++count}`
    if (value === undefined) importer.problem(name, "This is not valid JSON.")
    else await importer.note(foundObject(value, name))
  }
}

async function importLines(source: AsyncIterable<Uint8Array>, importer: Importer): Promise<void> {
  const each = lines(source, LONGEST)[Symbol.asyncIterator]()
  let count = 0
  const next = async (): Promise<Record<string, unknown> | undefined> => {
    for (;;) {
      const { value, done } = await each.next()
      if (done) return undefined
      count++
      const parsed = parse(value)
      if (parsed) return parsed
      importer.problem(`line ${count}`, "This is not valid JSON.")
    }
  }
  for (let value = await next(); value; ) {
    if (value.type !== "attachment") {
      if (value.type !== "vault" && value.type !== "data") await importer.note(foundObject(value, `line ${count}`))
      value = await next()
      continue
    }
    const { id, name, mediaType, note } = value
    let after: Record<string, unknown> | undefined
    const bytes = (async function* () {
      for (after = await next(); after?.type === "data" && after.id === id; after = await next()) {
        yield Buffer.from(String(after.data), "base64")
      }
    })()
    const described = { name: String(name), id: validId(id), type: mediaTypeOf(mediaType), note: validNote(note) }
    await importer.file({ ...described, bytes })
    for await (const _rest of bytes); // After a problem with this file.
    value = after
  }
}

async function importArchive(archive: Archive, importer: Importer): Promise<void> {
  try {
    const names: string[] = []
    let described: Described = new Map()
    for await (const entry of archive.entries()) {
      names.push(entry.name)
      if (clean(entry.name).endsWith(INDEX)) described = await descriptions(entry, importer)
    }
    const root = commonRoot(names.map(clean).filter((name) => !HIDDEN.test(name)))
    for await (const entry of archive.entries()) {
      const name = clean(entry.name).slice(root.length)
      if (HIDDEN.test(name) || name === INDEX || name === "") continue
      if (/\.(md|markdown)$/i.test(name)) await importMarkdown(entry, name, importer)
      else await importOther(entry, name, described, importer)
    }
  } finally {
    await archive.close()
  }
}

async function importMarkdown(entry: Entry, name: string, importer: Importer): Promise<void> {
  try {
    const bytes = await readAll(entry, LIMITS.noteBytes + 1024 * 1024)
    const { updatedAt, ...note } = fromFile(decode(bytes, name, importer))
    const path = note.path === undefined ? name.replace(/\.(md|markdown)$/i, "") : note.path
    const createdAt = note.createdAt ?? entry.time?.toISOString()
    await importer.note({ name, updatedAt, fields: { ...note, id: validId(note.id), path, createdAt } })
  } catch (error) {
    if (!(error instanceof BadArchive)) throw error
    importer.problem(name, error.message)
  }
}

type Described = Map<string, { name: string; type: string; note?: string }>

/** `attachments/<id>/<name>` is one of ours; any other file becomes an attachment that is found by its name. */
async function importOther(entry: Entry, name: string, described: Described, importer: Importer): Promise<void> {
  const [, id = ""] = /^attachments\/([^/]+)\/[^/]+$/.exec(name) ?? []
  const own = described.get(id)
  const type = mediaTypeOf(Bun.file(name).type)
  const file = own ? { id, ...own } : { name: posix.basename(name), type }
  await importer.file({ ...file, bytes: entry.bytes() })
}

async function descriptions(entry: Entry, importer: Importer): Promise<Described> {
  const found: Described = new Map()
  const listed = parse(Buffer.from(await readAll(entry, 64 * 1024 * 1024)).toString("utf8")) as unknown
  if (!Array.isArray(listed)) importer.problem(entry.name, "This is no list of attachments.")
  for (const each of Array.isArray(listed) ? listed : []) {
    const id = validId(each?.id)
    if (id) found.set(id, { name: String(each.name), type: mediaTypeOf(each.type), note: validNote(each.note) })
  }
  return found
}

/** A note as REST shows it. Tags that only its text has are left to the text. */
function foundObject(value: Record<string, unknown>, name: string): Found {
  const { type: _type, id, content, path, metadata, pinned, createdAt, updatedAt, tags, textTags, fixedTags } = value
  const inText = Array.isArray(textTags) ? textTags : []
  const set = Array.isArray(tags) ? tags.filter((tag) => !inText.includes(tag)) : tags
  const fixed = Array.isArray(fixedTags) ? fixedTags : set
  const isTime = typeof updatedAt === "string" && !Number.isNaN(Date.parse(updatedAt))
  const time = isTime ? new Date(updatedAt).toISOString() : undefined
  return {
    name: typeof path === "string" ? path : typeof id === "string" ? id : name,
    updatedAt: time,
    fields: { id: validId(id), content, path, metadata, pinned, createdAt, tags: fixed },
  }
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text)
    return typeof value === "object" && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

/** Text as it is, a byte order mark too. What is not UTF-8 is read as Windows-1252, and reported. */
function decode(bytes: Uint8Array, name: string, importer: Importer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    importer.problem(name, "The file is not UTF-8; it was read as Windows-1252.")
    return new TextDecoder("windows-1252").decode(bytes)
  }
}

/** A path without `.`, `..` and a drive, with slashes. */
function clean(name: string): string {
  const parts = name
    .replaceAll("\\", "/")
    .replace(/^[A-Za-z]:/, "")
    .split("/")
  return parts.filter((part) => part !== "" && part !== "." && part !== "..").join("/")
}

/** The folder that holds everything, when somebody packed a folder instead of its content; with its slash. */
function commonRoot(names: string[]): string {
  const first = names[0]?.split("/")[0]
  if (first === undefined || ["notes", "attachments"].includes(first)) return ""
  return names.every((name) => name.startsWith(`${first}/`)) ? `${first}/` : ""
}

function validId(id: unknown): string | undefined {
  try {
    return ownId(id)
  } catch {
    return undefined
  }
}

function validNote(note: unknown): string | undefined {
  try {
    return short(note, "note")
  } catch {
    return undefined
  }
}

function mediaTypeOf(type: unknown): string {
  const plain = typeof type === "string" ? type.split(";")[0]!.trim().toLowerCase() : ""
  return /^[\w.+-]+\/[\w.+-]+$/.test(plain) ? plain : "application/octet-stream"
}

async function firstBytes(path: string): Promise<Buffer> {
  const file = await open(path, "r")
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
