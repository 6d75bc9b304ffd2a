// Three-way merge of two changes of a note. Pure.

import { type Hunk, hunks } from "./lines.ts"
import type { Fields } from "./note.ts"

interface Merged {
  text: string
  /** Both sides changed the same lines. `text` then has the lines of both. */
  collides: boolean
}

/** Merges line by line; a text that is merged with itself, or changed on one side only, comes out as it went in. */
export function mergeText(base: string, mine: string, theirs: string): Merged {
  if (mine === theirs || theirs === base) return { text: mine, collides: false }
  if (mine === base) return { text: theirs, collides: false }
  const [old, left, right] = [lines(base), lines(mine), lines(theirs)]
  const parts: string[] = []
  let collides = false
  let at = 0
  for (const { from, to, a, b } of regions(hunks(old, left), hunks(old, right))) {
    parts.push(...old.slice(at, from))
    at = to
    const ours = left.slice(from + a.before, to + a.after)
    const others = right.slice(from + b.before, to + b.after)
    if (!b.changes || ours.join("") === others.join("")) parts.push(...ours)
    else if (!a.changes) parts.push(...others)
    else {
      collides = true
      parts.push(...ended(ours, others.length > 0), ...others)
    }
  }
  parts.push(...old.slice(at))
  return { text: parts.join(""), collides }
}

/** How one side's lines lie beside those of the base, before and after a region. */
interface Side {
  changes: boolean
  before: number
  after: number
}

interface Region {
  from: number
  to: number
  a: Side
  b: Side
}

/** The parts of the base that either side changed; hunks that meet are in one. */
function regions(a: Hunk[], b: Hunk[]): Region[] {
  const found: Region[] = []
  const rest = { a: [...a], b: [...b] }
  const offset = { a: 0, b: 0 }
  const nextOf = () => Math.min(rest.a[0]?.from ?? Infinity, rest.b[0]?.from ?? Infinity)
  for (let from = nextOf(); from !== Infinity; from = nextOf()) {
    const sides = {
      a: { changes: false, before: offset.a, after: 0 },
      b: { changes: false, before: offset.b, after: 0 },
    }
    let to = from
    while (nextOf() <= to) {
      for (const side of ["a", "b"] as const) {
        for (let hunk = rest[side][0]; hunk && hunk.from <= to; hunk = rest[side][0]) {
          rest[side].shift()
          sides[side].changes = true
          offset[side] = hunk.end - hunk.to
          to = Math.max(to, hunk.to)
        }
      }
    }
    sides.a.after = offset.a
    sides.b.after = offset.b
    found.push({ from, to, ...sides })
  }
  return found
}

interface Replacement {
  from: number
  to: number
  insert: string
}

/** The replacements that turn one text into the other; lines that both have are in none of them. */
export function replacements(before: string, after: string): Replacement[] {
  const { from, to, insert } = replacement(before, after)
  const old = lines(before.slice(from, to))
  const fresh = lines(insert)
  const found: Replacement[] = []
  let at = from
  let line = 0
  for (const hunk of hunks(old, fresh)) {
    at += old.slice(line, hunk.from).join("").length
    const text = old.slice(hunk.from, hunk.to).join("")
    const inner = replacement(text, fresh.slice(hunk.start, hunk.end).join(""))
    found.push({ from: at + inner.from, to: at + inner.to, insert: inner.insert })
    at += text.length
    line = hunk.to
  }
  return found
}

/** The one replacement that turns one text into the other. */
export function replacement(before: string, after: string): Replacement {
  const shorter = Math.min(before.length, after.length)
  let start = 0
  while (start < shorter && before[start] === after[start]) start++
  let end = 0
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++
  return { from: start, to: before.length - end, insert: after.slice(start, after.length - end) }
}

/** Merges text, path, tags and pin. `base` is absent when the two versions have no common beginning. */
export function mergeFields(
  base: Fields | undefined,
  mine: Fields,
  theirs: Fields,
): { fields: Fields; collides: boolean } {
  const from = base ?? { content: "", path: "", tags: [], pinned: false }
  const { text, collides } = mergeText(from.content, mine.content, theirs.content)
  return {
    fields: {
      content: text,
      path: mine.path === from.path ? theirs.path : mine.path,
      tags: mergeTags(from.tags, mine.tags, theirs.tags),
      pinned: mine.pinned === from.pinned ? theirs.pinned : mine.pinned,
    },
    collides,
  }
}

function mergeTags(base: string[], mine: string[], theirs: string[]): string[] {
  const removed = base.filter((tag) => !mine.includes(tag) || !theirs.includes(tag))
  return [...new Set([...theirs, ...mine])].filter((tag) => !removed.includes(tag)).sort()
}

/** Lines with their ends, so that joining them gives the text byte for byte. */
function lines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? []
}

/** The lines, the last one with an end when something follows. */
function ended(these: string[], follows: boolean): string[] {
  const last = these.at(-1)
  return last !== undefined && follows && !last.endsWith("\n") ? [...these.slice(0, -1), `${last}\n`] : these
}
