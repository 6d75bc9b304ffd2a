// Three-way merge of two changes of a note. Pure.

import { diff3Merge } from "node-diff3"
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
  const regions = diff3Merge(lines(mine), lines(base), lines(theirs), { excludeFalseConflicts: true })
  let collides = false
  const parts: string[] = []
  for (const region of regions) {
    if (region.ok) {
      parts.push(...region.ok)
    } else if (region.conflict) {
      collides = true
      const { a, b } = region.conflict
      parts.push(...ended(a, b.length > 0), ...b)
    }
  }
  return { text: parts.join(""), collides }
}

/** The one replacement that turns one text into the other. */
export function replacement(before: string, after: string): { from: number; to: number; insert: string } {
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
