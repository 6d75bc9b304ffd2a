// `[[links]]` between notes: what a name leads to, who links here, and moving links when a note is renamed.

import { isLinkable, linksIn, nameKey, relink } from "../text/markdown.ts"
import type { Core } from "./core.ts"
import { lastPart } from "./derived.ts"

/** The names by which a note can be linked, as they are compared. */
export interface Names {
  path: string | null
  base: string | null
  title: string | null
}

/** A note with a link by one of these names. */
export interface Linker {
  seq: number
  key: string
}

export interface Named {
  id: string
  title: string
  path?: string
}

interface Row {
  seq: number
  id: string
  title: string
  path: string | null
}

const MOST_LINES = 20

export class Links {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  /** The note that a name means: by path, then by the last part of a path, then by title. */
  resolve(name: string): Named | undefined {
    const row = this.#resolveKey(nameKey(name))
    return row && named(row)
  }

  /** Links of a note in their order, each target once. */
  from(content: string): Array<{ target: string; id: string | null; title?: string }> {
    const targets = [...new Set(linksIn(content).map(({ target }) => target))]
    return targets.map((target) => {
      const found = this.resolve(target)
      return { target, id: found?.id ?? null, ...(found && { title: found.title }) }
    })
  }

  /** Notes that link to this one, with the lines that do, newest change first. */
  backlinks(id: string): Array<Named & { updatedAt: string; lines: string[] }> {
    const seq = this.#core.get<{ seq: number }>("SELECT seq FROM notes WHERE id = ?", id)?.seq
    if (seq === undefined) return []
    const linkers = this.to(seq, this.namesOf(seq))
    const keys = new Set(linkers.map(({ key }) => key))
    const sources = [...new Set(linkers.map((linker) => linker.seq))].filter((source) => source !== seq)
    const found = sources.map((source) => {
      const sql = "SELECT seq, id, title, path, content, updated_at AS updatedAt FROM notes WHERE seq = ?"
      const row = this.#core.get<Row & { content: string; updatedAt: string }>(sql, source)!
      return { ...named(row), updatedAt: row.updatedAt, lines: linesWith(row.content, keys) }
    })
    return found.sort((a, b) => b.updatedAt.localeCompare(a.updatedAt))
  }

  /** Notes whose name begins with, or else contains, what was typed; with the text to put between the brackets. */
  complete(prefix: string, limit: number): Array<Named & { insert: string }> {
    const key = nameKey(prefix)
    const rows = this.#core.all<Row>(
      `SELECT seq, id, title, path FROM notes
       WHERE instr(path_key, ?1) OR instr(title_key, ?1)
       ORDER BY (coalesce(instr(base_key, ?1) = 1, 0) OR coalesce(instr(title_key, ?1) = 1, 0)) DESC,
                updated_at DESC LIMIT ?2`,
      key,
      limit,
    )
    return rows.flatMap((row) => {
      const insert = this.#nameFor(row.seq, false)
      return insert === undefined ? [] : [{ ...named(row), insert }]
    })
  }

  namesOf(seq: number): Names {
    const sql = "SELECT path_key AS path, base_key AS base, title_key AS title FROM notes WHERE seq = ?"
    return this.#core.get<Names>(sql, seq)!
  }

  /** Notes whose links lead to this one now. */
  to(seq: number, names: Names): Linker[] {
    const keys = [...new Set(Object.values(names))].filter((key): key is string => key !== null)
    return keys.filter((key) => this.#resolveKey(key)?.seq === seq).flatMap((key) => this.#linkers(key))
  }

  /** Notes with links by this name, if it leads nowhere. */
  dangling(name: string): Linker[] {
    const key = nameKey(name)
    return this.#resolveKey(key) ? [] : this.#linkers(key)
  }

  /**
   * Gives the links of `linkers` that no longer lead to the note its present name. `write` stores a new text.
   * The number of other notes that were changed.
   */
  rewrite(seq: number, before: Names, linkers: Linker[], write: (seq: number, content: string) => void): number {
    const lost = new Set(linkers.map(({ key }) => key).filter((key) => this.#resolveKey(key)?.seq !== seq))
    const short = this.#nameFor(seq, false)
    const whole = this.#nameFor(seq, true)
    if (lost.size === 0 || short === undefined) return 0
    const sources = new Set(linkers.filter(({ key }) => lost.has(key)).map((linker) => linker.seq))
    for (const source of sources) {
      const { content } = this.#core.get<{ content: string }>("SELECT content FROM notes WHERE seq = ?", source)!
      const moved = relink(content, (target) => {
        const key = nameKey(target)
        if (!lost.has(key)) return undefined
        return key === before.path && key !== before.base ? whole : short
      })
      if (moved !== content) write(source, moved)
    }
    sources.delete(seq)
    return sources.size
  }

  /** A name that leads to the note: the last part of its path when that is enough, unless `whole`. */
  #nameFor(seq: number, whole: boolean): string | undefined {
    const { path, title } = this.#core.get<Row>("SELECT path, title FROM notes WHERE seq = ?", seq)!
    const names = path === null ? [title] : whole ? [path] : [lastPart(path), path]
    return names.find((name) => isLinkable(name) && this.#resolveKey(nameKey(name))?.seq === seq)
  }

  #linkers(key: string): Linker[] {
    return this.#core.all<Linker>("SELECT seq, target_key AS key FROM links WHERE target_key = ?", key)
  }

  #resolveKey(key: string): Row | undefined {
    for (const column of ["path_key", "base_key", "title_key"]) {
      const sql = `SELECT seq, id, title, path FROM notes WHERE ${column} = ? ORDER BY length(path), seq LIMIT 1`
      const row = this.#core.get<Row>(sql, key)
      if (row) return row
    }
    return undefined
  }
}

function named({ id, title, path }: Row): Named {
  return { id, title, ...(path !== null && { path }) }
}

function linesWith(content: string, keys: Set<string>): string[] {
  const lines = new Set<string>()
  for (const { target, start } of linksIn(content)) {
    if (!keys.has(nameKey(target))) continue
    const from = content.lastIndexOf("\n", start) + 1
    const to = content.indexOf("\n", start)
    lines.add(
      content
        .slice(from, to < 0 ? undefined : to)
        .trim()
        .slice(0, 500),
    )
    if (lines.size === MOST_LINES) break
  }
  return [...lines]
}
