// Columns and rows that follow from a note's path, text and tags. Called after each write, in its transaction.

import type { Database } from "bun:sqlite"
import { linksIn, nameKey, tagsIn, titleOf } from "../text/markdown.ts"

/** Brings title, names, tags of the text and links of one note up to date. */
export function derive(database: Database, seq: number): void {
  const { path, content } = database
    .query<{ path: string | null; content: string }, [number]>("SELECT path, content FROM notes WHERE seq = ?")
    .get(seq)!
  database.query("UPDATE tags SET in_text = 0 WHERE seq = ? AND in_text").run(seq)
  const tag = database.query(
    `INSERT INTO tags (seq, tag, fixed, in_text) VALUES (?, ?, 0, 1) ON CONFLICT DO UPDATE SET in_text = 1`,
  )
  for (const each of tagsIn(content)) tag.run(seq, each)
  database.query("DELETE FROM tags WHERE seq = ? AND NOT fixed AND NOT in_text").run(seq)

  database.query("DELETE FROM links WHERE seq = ?").run(seq)
  const link = database.query("INSERT OR IGNORE INTO links (seq, target_key) VALUES (?, ?)")
  for (const { target } of linksIn(content)) link.run(seq, nameKey(target))

  const title = titleOf(content, path)
  database
    .query(
      `UPDATE notes SET title = $title, path_key = $path, base_key = $base, title_key = $titleKey,
         tag_words = (SELECT coalesce(group_concat(tag, ' '), '')
                      FROM (SELECT tag FROM tags WHERE seq = $seq ORDER BY tag))
       WHERE seq = $seq`,
    )
    .run({
      seq,
      title,
      path: path === null ? null : nameKey(path),
      base: path === null ? null : nameKey(lastPart(path)),
      titleKey: path === null && title ? nameKey(title) : null,
    })
}

/** What follows the last slash. */
export function lastPart(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1)
}
