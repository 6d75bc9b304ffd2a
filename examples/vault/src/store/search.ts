// Lists of notes: by words, tags, path and pin, in a chosen order.

import type { SQLQueryBindings } from "bun:sqlite"
import type { Core } from "./core.ts"
import { columns, type Note, type NoteQuery, type StoredNote, toNote } from "./model.ts"

const MOST_WORDS = 32
const PREVIEW = 200
/** Characters of a text that a preview looks at. */
const PREVIEW_SOURCE = 20_000

interface Filter {
  where: string
  values: SQLQueryBindings[]
}

export class Search {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  list(query: NoteQuery): Note[] {
    const { where, values } = filterOf(query)
    const order = orderOf(query)
    const ranked = query.sort === "relevance" && query.search
    const from = ranked ? "notes JOIN words ON words.rowid = notes.seq" : "notes"
    // The inner query sorts numbers only; texts are read for the rows of one page.
    const sql = `
      SELECT ${columns(query.content ? "content" : query.preview && `substr(content, 1, ${PREVIEW_SOURCE}) AS content`)}
      FROM (SELECT notes.seq AS found, row_number() OVER () AS place FROM
             (SELECT notes.seq FROM ${from} ${where} ORDER BY ${order} LIMIT ? OFFSET ?) AS notes)
      JOIN notes ON notes.seq = found ORDER BY place`
    const rows = this.#core.all<StoredNote>(sql, ...values, query.limit, query.offset)
    return rows.map((row) => (query.preview ? withPreview(row, query) : toNote(row)))
  }

  count(query: NoteQuery): number {
    const { where, values } = filterOf({ ...query, sort: "updated" })
    return this.#core.get<{ count: number }>(`SELECT count(*) AS count FROM notes ${where}`, ...values)!.count
  }

  /** Each tag with the number of its notes, by name. */
  tags(): Array<{ name: string; count: number }> {
    return this.#core.all("SELECT tag AS name, count(*) AS count FROM tags GROUP BY tag ORDER BY tag")
  }
}

function filterOf(query: NoteQuery): Filter {
  const where: string[] = []
  const values: SQLQueryBindings[] = []
  const add = (condition: string, ...more: SQLQueryBindings[]) => {
    where.push(condition)
    values.push(...more)
  }
  if (query.search) {
    const match = matchAllWords(query.search)
    if (query.sort === "relevance") add("words MATCH ?", match)
    else add("notes.seq IN (SELECT rowid FROM words WHERE words MATCH ?)", match)
  }
  if (query.tags.length > 0) {
    const marks = query.tags.map(() => "?").join()
    const group = query.allTags ? `GROUP BY seq HAVING count(*) = ${query.tags.length}` : ""
    add(`notes.seq IN (SELECT seq FROM tags WHERE tag IN (${marks}) ${group})`, ...query.tags)
  }
  if (query.pathPrefix) add("substr(notes.path, 1, length(?)) = ?", query.pathPrefix, query.pathPrefix)
  if (query.pinned !== undefined) add("notes.pinned = ?", query.pinned ? 1 : 0)
  return { where: where.length > 0 ? `WHERE ${where.join(" AND ")}` : "", values }
}

function orderOf({ sort, ascending, pinnedFirst, search }: NoteQuery): string {
  const way = ascending ? "ASC" : "DESC"
  const pinned = pinnedFirst ? "notes.pinned DESC, " : ""
  switch (sort) {
    case "created":
      return `${pinned}notes.created_at ${way}, notes.seq ${way}`
    case "title":
      return `${pinned}notes.title COLLATE NOCASE ${way}, notes.seq ${way}`
    case "relevance":
      // Without words to search for, the newest notes are the most relevant.
      if (!search) return `${pinned}notes.updated_at ${way}, notes.seq ${way}`
      return `${pinned}bm25(words, 10.0, 1.0, 5.0) ${ascending ? "DESC" : "ASC"}, notes.updated_at DESC`
    default:
      return `${pinned}notes.updated_at ${way}, notes.seq ${way}`
  }
}

/** FTS5 query for notes with every word, or a word that begins so. A word with `#` must be a tag. */
function matchAllWords(search: string): string {
  const words = search.split(/\s+/).filter(Boolean).slice(0, MOST_WORDS)
  return words
    .map((word) => {
      const isTag = /^#./.test(word)
      const quoted = `"${(isTag ? word.slice(1) : word).replaceAll('"', '""')}"*`
      return isTag ? `tag_words : ${quoted}` : quoted
    })
    .join(" ")
}

function withPreview(row: StoredNote, query: NoteQuery): Note {
  const content = row.content ?? ""
  const note = toNote(query.content ? row : { ...row, content: undefined })
  return { ...note, title: row.title, preview: previewOf(content, query.search) }
}

/** Up to 200 characters of a text around the first of the words, on one line. */
export function previewOf(content: string, search: string): string {
  const lower = content.toLowerCase()
  const hits = search
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => lower.indexOf(word.replace(/^#/, "")))
  const first = Math.min(...hits.filter((at) => at >= 0), content.length)
  const start = hits.some((at) => at > PREVIEW / 2) && first < content.length ? Math.max(0, first - PREVIEW / 4) : 0
  const characters = [...content.slice(start, start + PREVIEW * 4)]
  const text = characters.join("").replace(/\s+/g, " ").trim()
  return [...text].slice(0, PREVIEW).join("")
}
