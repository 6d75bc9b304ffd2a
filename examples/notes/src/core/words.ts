// Titles, tags, links and search over the notes of this device. Pure.

import type { Note } from "./note.ts"

export interface Entry {
  note: Note
  /** As people read it, without the marks of Markdown. */
  title: string
  /** As links name it: the path, else the first line with words, without `#` marks. */
  name: string
  /** The first line after the title. */
  preview: string
  tags: string[]
  /** Everything that search looks at, in lower case. */
  haystack: string
}

export type Sort = "updated" | "created" | "title"

const TAG = /(?<=^|[\s([{])#([\p{L}\p{N}_/-]+)/gu
const CODE = /```[\s\S]*?(?:```|$)|~~~[\s\S]*?(?:~~~|$)|`[^`\n]*`/g
export const LINK = /!?\[\[([^\]\n|#]+)(?:#[^\]\n|]*)?(?:\|([^\]\n]*))?\]\]/g

const known = new WeakMap<Note, Entry>()

/** What lists and search need of a note; computed once for each version of it. */
export function entryOf(note: Note): Entry {
  let entry = known.get(note)
  if (!entry) known.set(note, (entry = describe(note)))
  return entry
}

function describe(note: Note): Entry {
  const { content, path, tags } = note.mine
  const first = firstLine(content)
  const all = [...new Set([...tags, ...textTags(content)])].sort()
  const title = path ? (path.split("/").pop() ?? path) : first.title
  return {
    note,
    title,
    name: path || first.name,
    preview: (path ? first.title || first.rest : first.rest).slice(0, 160),
    tags: all,
    haystack: `${path}\n${content}\n${all.map((tag) => `#${tag}`).join(" ")}`.toLowerCase(),
  }
}

function firstLine(content: string): { title: string; name: string; rest: string } {
  const lines = content.slice(0, 2000).split("\n")
  const at = lines.findIndex((line) => plain(line) !== "")
  if (at < 0) return { title: "", name: "", rest: "" }
  const rest = lines.slice(at + 1).find((line) => plain(line) !== "")
  const name = lines[at]!.trim().replace(/^#+\s*/, "")
  return { title: plain(lines[at]!).slice(0, 200), name, rest: rest ? plain(rest) : "" }
}

/** A line without the marks of Markdown. */
function plain(line: string): string {
  return line
    .replace(/^\s*(?:#{1,6}\s+|>\s?|[-*+]\s+(?:\[[ xX]\]\s+)?|\d+[.)]\s+)/, "")
    .replace(/!\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/!?\[\[([^\]|]+)(?:\|([^\]]*))?\]\]/g, (_, target, shown) => shown ?? target)
    .replace(/\*\*|__|~~|`/g, "")
    .trim()
}

/** The `#tags` of a text, as the vault counts them: none in code, no numbers, no headings. */
export function textTags(content: string): string[] {
  if (!content.includes("#")) return []
  const found = [...content.replace(CODE, " ").matchAll(TAG)].map(([, tag]) => tag!.toLowerCase())
  return [...new Set(found)].filter((tag) => !/^\d+$/.test(tag)).sort()
}

/** Tags as a person types them: with or without `#`, separated by blanks or commas. */
export function typedTags(text: string): string[] {
  const words = text
    .split(/[\s,]+/)
    .map((word) => word.replace(/^#+/, "").toLowerCase())
    .filter(Boolean)
  return [...new Set(words)].sort()
}

/** All notes in order, pinned ones first. */
export function sorted(notes: Iterable<Note>, sort: Sort): Entry[] {
  const entries: Entry[] = []
  for (const note of notes) if (!note.deleted) entries.push(entryOf(note))
  const order = ORDERS[sort]
  return entries.sort((a, b) => Number(b.note.mine.pinned) - Number(a.note.mine.pinned) || order(a, b))
}

/** The first `most` with every word of the search, in the same order; `#word` looks at tags only. */
export function matching(entries: Entry[], search: string, most: number): Entry[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  const found: Entry[] = []
  for (const entry of entries) {
    if (found.length >= most) break
    if (words.every((word) => matches(entry, word))) found.push(entry)
  }
  return found
}

function matches(entry: Entry, word: string): boolean {
  if (word.startsWith("#") && word.length > 1) return entry.tags.some((tag) => tag.startsWith(word.slice(1)))
  return entry.haystack.includes(word)
}

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" })
const ORDERS: Record<Sort, (a: Entry, b: Entry) => number> = {
  updated: (a, b) => (a.note.updatedAt < b.note.updatedAt ? 1 : a.note.updatedAt > b.note.updatedAt ? -1 : 0),
  created: (a, b) => (a.note.createdAt < b.note.createdAt ? 1 : a.note.createdAt > b.note.createdAt ? -1 : 0),
  title: (a, b) => collator.compare(a.title, b.title),
}

/** All tags with the number of their notes, the most used first. */
export function tagCounts(notes: Iterable<Note>): [string, number][] {
  const counts = new Map<string, number>()
  for (const note of notes) {
    if (note.deleted) continue
    for (const tag of entryOf(note).tags) counts.set(tag, (counts.get(tag) ?? 0) + 1)
  }
  return [...counts].sort((a, b) => b[1] - a[1] || collator.compare(a[0], b[0]))
}

/** The note that `[[name]]` means: by path, by the last part of a path, by title; the shortest path, then the oldest. */
export function resolve(notes: Iterable<Note>, name: string): Note | undefined {
  const wanted = name.trim().toLowerCase()
  let best: { note: Note; rank: number } | undefined
  for (const note of notes) {
    if (note.deleted) continue
    const path = note.mine.path.toLowerCase()
    const rank =
      path === wanted && path ? 0 : path && path.split("/").pop() === wanted ? 1 : titleOf(note) === wanted ? 2 : 3
    if (rank === 3) continue
    if (!best || rank < best.rank || (rank === best.rank && before(note, best.note))) best = { note, rank }
  }
  return best?.note
}

function titleOf(note: Note): string {
  return entryOf(note).name.toLowerCase()
}

function before(a: Note, b: Note): boolean {
  const shorter = a.mine.path.length - b.mine.path.length
  return shorter === 0 ? a.createdAt < b.createdAt : shorter < 0
}

/** What can stand between the brackets of a link and begins like this. */
export function complete(notes: Iterable<Note>, prefix: string, limit = 20): Entry[] {
  const start = prefix.trim().toLowerCase()
  const found = sorted(notes, "updated").filter(({ title }) => title !== "")
  const rank = ({ title }: Entry) => {
    const lower = title.toLowerCase()
    return lower.startsWith(start) ? 0 : lower.includes(start) ? 1 : 2
  }
  return found
    .map((entry) => ({ entry, rank: rank(entry) }))
    .filter(({ rank }) => rank < 2)
    .sort((a, b) => a.rank - b.rank)
    .slice(0, limit)
    .map(({ entry }) => entry)
}

/** The notes whose text links to this one, with the lines that do. */
export function backlinks(notes: Iterable<Note>, to: Note): { entry: Entry; lines: string[] }[] {
  const all = [...notes]
  const names = new Set([titleOf(to), to.mine.path.toLowerCase(), to.mine.path.toLowerCase().split("/").pop() ?? ""])
  names.delete("")
  const found: { entry: Entry; lines: string[] }[] = []
  for (const note of all) {
    if (note.deleted || note.id === to.id || !note.mine.content.includes("[[")) continue
    const lines = note.mine.content
      .split("\n")
      .filter((line) =>
        [...line.matchAll(LINK)].some(
          ([, target]) => names.has(target!.trim().toLowerCase()) && resolve(all, target!)?.id === to.id,
        ),
      )
    if (lines.length > 0) found.push({ entry: entryOf(note), lines })
  }
  return found
}
