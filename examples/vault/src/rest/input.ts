// What callers may say about notes, checked once for REST and MCP. Field names are those of the API.

import { asObject, badRequest } from "../kit/http.ts"
import type { NewNote, NoteChange, NoteQuery } from "../store/model.ts"

export const MOST = 500
const SORTS = ["updated", "created", "title", "relevance"] as const

export function newNote(value: unknown): NewNote {
  const fields = asObject(value, "A note")
  return {
    id: fields.id === undefined ? undefined : ownId(fields.id),
    content: text(fields.content ?? "", "content"),
    path: path(fields.path),
    tags: tags(fields.tags ?? []),
    metadata: metadata(fields.metadata),
    pinned: optional(fields.pinned, (each) => flag(each, "pinned")),
    createdAt: optional(fields.createdAt, (each) => time(each, "createdAt")),
    editor: optional(fields.editor, (each) => short(each, "editor")),
  }
}

export function noteChange(value: unknown): NoteChange {
  const fields = asObject(value, "A change")
  return {
    content: optional(fields.content, (each) => text(each, "content")),
    path: optional(fields.path, path),
    tags: optional(fields.tags, tagChange),
    metadata: metadata(fields.metadata),
    pinned: optional(fields.pinned, (each) => flag(each, "pinned")),
    ifUpdatedAt: optional(fields.if_updated_at, (each) => text(each, "if_updated_at")),
    editor: optional(fields.editor, (each) => short(each, "editor")),
    renameFrom: optional(fields.rename_from, (each) => text(each, "rename_from")),
  }
}

/** From MCP arguments, or from a query string in which values are text. */
export function noteQuery(fields: Record<string, unknown>): NoteQuery {
  const sort = choice(fields.sort ?? "updated", "sort", SORTS)
  const order = choice(fields.order ?? (sort === "title" ? "asc" : "desc"), "order", ["asc", "desc"])
  return {
    tags: tags(fields.tag === undefined ? [] : [fields.tag].flat()),
    allTags: flag(fields.all_tags ?? false, "all_tags"),
    search: text(fields.search ?? "", "search"),
    pathPrefix: text(fields.path_prefix ?? "", "path_prefix"),
    pinned: optional(fields.pinned, (each) => flag(each, "pinned")),
    sort,
    ascending: order === "asc",
    pinnedFirst: flag(fields.pinned_first ?? false, "pinned_first"),
    content: flag(fields.include_content ?? false, "include_content"),
    preview: flag(fields.preview ?? false, "preview"),
    ...paging(fields),
  }
}

/** `limit` and `offset`, for every list. */
export function paging(fields: Record<string, unknown>, standard = 50): { limit: number; offset: number } {
  return {
    limit: count(fields.limit ?? standard, "limit", 1, MOST),
    offset: count(fields.offset ?? 0, "offset", 0, Number.MAX_SAFE_INTEGER),
  }
}

export function queryFields(parameters: URLSearchParams): Record<string, unknown> {
  return { ...Object.fromEntries(parameters), ...(parameters.has("tag") && { tag: parameters.getAll("tag") }) }
}

export function optional<T>(value: unknown, read: (value: unknown) => T): T | undefined {
  return value === undefined ? undefined : read(value)
}

/** Text that can be stored and read back unchanged. */
export function text(value: unknown, field: string): string {
  if (typeof value !== "string") throw badRequest(`"${field}" must be text.`)
  if (!value.isWellFormed()) throw badRequest(`"${field}" has half of a surrogate pair; it is not valid Unicode.`)
  return value
}

/** One line of 1 to 200 characters. */
export function short(value: unknown, field: string): string {
  const given = text(value, field).trim()
  if (given === "" || given.length > 200 || /[\u0000-\u001f\u007f]/.test(given)) {
    throw badRequest(`"${field}" must have 1 to 200 characters and no control characters.`)
  }
  return given
}

/** An id that the caller chose. */
export function ownId(value: unknown): string {
  const id = text(value, "id")
  if (!/^[A-Za-z0-9_-]{8,64}$/.test(id)) throw badRequest('"id" must have 8 to 64 of A-Z a-z 0-9 _ and -.')
  return id
}

export function flag(value: unknown, field: string): boolean {
  if (value === true || value === "true") return true
  if (value === false || value === "false" || value === "") return false
  throw badRequest(`"${field}" must be true or false.`)
}

export function count(value: unknown, field: string, least: number, most: number): number {
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value
  if (!Number.isInteger(number) || (number as number) < least || (number as number) > most) {
    throw badRequest(`"${field}" must be a whole number from ${least} to ${most}.`)
  }
  return number as number
}

export function choice<T extends string>(value: unknown, field: string, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T
  throw badRequest(`"${field}" must be one of ${choices.join(", ")}.`)
}

export function path(value: unknown): string | null {
  if (value === undefined || value === null) return null
  const given = text(value, "path").trim()
  if (given === "" || given.length > 500 || /[\u0000-\u001f\u007f]/.test(given)) {
    throw badRequest('"path" must have 1 to 500 characters and no control characters.')
  }
  return given
}

export function tags(value: unknown): string[] {
  if (!Array.isArray(value)) throw badRequest('"tags" must be a list of words.')
  if (value.length > MOST) throw badRequest(`A note has ${MOST} tags at most.`)
  return [...new Set(value.map(tag))].sort()
}

function tag(value: unknown): string {
  const word = text(value, "tags").trim().replace(/^#/, "")
  if (word === "" || word.length > 100 || /[\s\u0000-\u001f]/.test(word)) {
    throw badRequest("A tag must have 1 to 100 characters and no spaces.")
  }
  return word
}

/** Either the whole new list, or `{"add": […], "remove": […]}`. */
function tagChange(value: unknown): NoteChange["tags"] {
  if (Array.isArray(value)) return tags(value)
  const fields = asObject(value, '"tags"')
  return { add: tags(fields.add ?? []), remove: tags(fields.remove ?? []) }
}

function metadata(value: unknown): Record<string, unknown> | undefined {
  return value === undefined || value === null ? undefined : asObject(value, '"metadata"')
}

function time(value: unknown, field: string): string {
  const at = new Date(text(value, field))
  if (Number.isNaN(at.getTime()) || at.getUTCFullYear() < 1 || at.getUTCFullYear() > 9999) {
    throw badRequest(`"${field}" must be a time such as 2026-11-29T08:00:00.000Z.`)
  }
  return at.toISOString()
}
