// Front matter of Markdown files. Our own is written so that the text after it is the note byte for byte;
// that of others is read as YAML, and stays in the text when something in it could get lost.

import type { NewNote } from "../store/model.ts"

/** A note as a Markdown file names it; what a file does not say is undefined. */
export type FileNote = Partial<NewNote> & { content: string }

const OWN = "parachute"
const LIMIT = 64 * 1024

interface Exported extends NewNote {
  id: string
  createdAt: string
  updatedAt: string
}

/**
 * A note as a Markdown file. Each value is JSON, which is YAML too. With `spread`, metadata are fields of their
 * own, as Obsidian shows them.
 */
export function toFile(note: Exported, spread: boolean): string {
  const fields: Record<string, unknown> = {
    [OWN]: 1,
    id: note.id,
    path: note.path,
    created: note.createdAt,
    updated: note.updatedAt,
    tags: note.tags,
    ...(note.pinned && { pinned: true }),
  }
  const rest: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(note.metadata ?? {})) {
    if (spread && /^[A-Za-z][\w-]*$/.test(name) && !(name in fields) && name !== "metadata") fields[name] = value
    else rest[name] = value
  }
  if (Object.keys(rest).length > 0) fields.metadata = rest
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`)
  return `---\n${head.join("")}---\n${note.content}`
}

/** Reads a Markdown file, of this vault or of anybody. */
export function fromFile(text: string): FileNote {
  const own = ownFields(text)
  if (own) return own
  const match = /^\uFEFF?---[ \t]*\r?\n([\s\S]*?)(?<=\n)---[ \t]*(?:\r?\n|$)/.exec(text.slice(0, LIMIT))
  const fields = match && yaml(match[1]!)
  if (!match || !fields) return { content: text }
  const { tags, tag, created, date, ...metadata } = fields
  const createdAt = timeOf(created ?? date)
  return {
    content: text.slice(match[0].length),
    tags: [...tagList(tags), ...tagList(tag)],
    metadata: {
      ...metadata,
      ...(created !== undefined && !createdAt && { created }),
      ...(date !== undefined && (created !== undefined || !createdAt) && { date }),
    },
    createdAt,
  }
}

function ownFields(text: string): FileNote | undefined {
  const start = "---\n".length
  const end = text.indexOf("\n---\n")
  if (!text.startsWith(`---\n${OWN}: 1\n`) || end < 0) return undefined
  try {
    const fields = text
      .slice(start, end)
      .split("\n")
      .map((line) => {
        const colon = line.indexOf(": ")
        return [line.slice(0, colon), JSON.parse(line.slice(colon + 2))] as const
      })
    return { ...fromOwn(Object.fromEntries(fields)), content: text.slice(end + "\n---\n".length) }
  } catch {
    return undefined
  }
}

function fromOwn(fields: Record<string, unknown>): Partial<NewNote> {
  const { [OWN]: _mark, id, path, created, updated, tags, pinned, metadata, ...spread } = fields
  return {
    id: id as string,
    path: path as string | null,
    createdAt: timeOf(created),
    updatedAt: timeOf(updated),
    tags: tagList(tags),
    pinned: pinned === true,
    metadata: { ...spread, ...(metadata as object | undefined) },
  }
}

/** The fields, if they are plain values that JSON can hold, and no comment would be lost. */
function yaml(text: string): Record<string, unknown> | undefined {
  if (/(^|\s)#(\s|$)/m.test(text)) return undefined
  try {
    const value = Bun.YAML.parse(text)
    if (value === null) return {}
    if (typeof value !== "object" || Array.isArray(value)) return undefined
    return JSON.parse(JSON.stringify(value))
  } catch {
    return undefined
  }
}

function tagList(value: unknown): string[] {
  const words = typeof value === "string" ? value.split(/[,\s]+/) : Array.isArray(value) ? value : []
  const tags = words.filter((word) => typeof word === "string" || typeof word === "number")
  return tags.map((word) => String(word).trim().replace(/^#/, "").replace(/\s+/g, "-").slice(0, 100)).filter(Boolean)
}

function timeOf(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined
  const at = new Date(value)
  const year = at.getUTCFullYear()
  return year >= 1 && year <= 9999 ? at.toISOString() : undefined
}
