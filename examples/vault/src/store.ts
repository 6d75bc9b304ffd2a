// Notes, tags and keys of one vault in SQLite: the only SQL besides migrations.ts.

import { Database, type SQLQueryBindings } from "bun:sqlite";
import { createHash, randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { migrate } from "./migrations.ts";
import type { NewNote, NoteChange, NoteQuery } from "./note-input.ts";

/** A note as REST and MCP show it. `path` and `metadata` are left out when unset. */
export interface Note {
  id: string;
  content?: string;
  path?: string;
  metadata?: Record<string, unknown>;
  createdAt: string;
  updatedAt: string;
  tags: string[];
}

/** Another note has the path already. */
export class PathTaken extends Error {
  constructor(path: string) {
    super(`Another note has the path "${path}". Choose another path, or change that note.`);
  }
}

/** The note changed since the caller read it; `current` is what it is now. */
export class NoteChanged extends Error {
  constructor(readonly current: Note) {
    super(`The note was changed at ${current.updatedAt}. Read it again, then repeat your change.`);
  }
}

/** A row as SQLite gives it. */
type Stored = Omit<Note, "tags" | "metadata" | "path"> & {
  path: string | null;
  metadata: string | null;
  tags: string;
};

const TAGS = `(SELECT json_group_array(tag) FROM (SELECT tag FROM tags WHERE tags.seq = notes.seq ORDER BY tag))`;
const HEAD = `id, path, metadata, created_at AS createdAt, updated_at AS updatedAt, ${TAGS} AS tags`;
const WHOLE = `id, content, path, metadata, created_at AS createdAt, updated_at AS updatedAt, ${TAGS} AS tags`;

export class Store {
  readonly #database: Database;
  readonly #inode: number;
  #count = 0;

  /** Opens the database file, made and migrated when needed. */
  constructor(readonly path: string) {
    this.#database = new Database(path, { create: true, strict: true });
    this.#database.run("PRAGMA busy_timeout = 5000");
    this.#database.run("PRAGMA journal_mode = WAL");
    // A note that was answered with 201 is on the disk, also when the power fails.
    this.#database.run("PRAGMA synchronous = FULL");
    this.#database.run("PRAGMA foreign_keys = ON");
    this.#database.run("PRAGMA cache_size = -2000");
    migrate(this.#database);
    this.#inode = statSync(path).ino;
  }

  close(): void {
    this.#database.close();
  }

  /** Throws when the file is gone, replaced or unreadable: an open handle alone would not notice. */
  check(): void {
    if (statSync(this.path).ino !== this.#inode) throw new Error(`${this.path} was replaced`);
    this.#database.query("SELECT 1 FROM notes LIMIT 1").get();
  }

  create(note: NewNote): Note {
    const insert = this.#database.transaction(() => {
      const now = new Date();
      const id = this.#newId(now);
      this.#pathIsFree(note.path, "");
      this.#database
        .query(
          `INSERT INTO notes (id, path, content, metadata, created_at, updated_at)
           VALUES ($id, $path, $content, $metadata, $now, $now)`,
        )
        .run({
          id,
          path: note.path,
          content: note.content,
          metadata: toText(note.metadata),
          now: now.toISOString(),
        });
      this.#setTags(id, note.tags);
      return id;
    });
    return this.find(insert.immediate())!;
  }

  /** By id or by path. */
  find(key: string): Note | undefined {
    const found = this.#database
      .query<Stored, [string]>(`SELECT ${WHOLE} FROM notes WHERE id = ?1 OR path = ?1 ORDER BY id = ?1 DESC LIMIT 1`)
      .get(key);
    return found ? toNote(found) : undefined;
  }

  /** Newest change first. */
  list(query: NoteQuery): Note[] {
    const where: string[] = [];
    const values: SQLQueryBindings[] = [];
    if (query.tags.length > 0) {
      where.push(`seq IN (SELECT seq FROM tags WHERE tag IN (${query.tags.map(() => "?").join()}))`);
      values.push(...query.tags);
    }
    if (query.search) {
      where.push("seq IN (SELECT rowid FROM words WHERE words MATCH ?)");
      values.push(matchAllWords(query.search));
    }
    if (query.pathPrefix) {
      where.push("substr(path, 1, length(?)) = ?");
      values.push(query.pathPrefix, query.pathPrefix);
    }
    const filter = where.length > 0 ? `WHERE ${where.join(" AND ")}` : "";
    const sql = `SELECT ${query.content ? WHOLE : HEAD} FROM notes ${filter}
                 ORDER BY updated_at DESC, seq DESC LIMIT ? OFFSET ?`;
    const rows = this.#database.query<Stored, SQLQueryBindings[]>(sql).all(...values, query.limit, query.offset);
    return rows.map(toNote);
  }

  /** Changes what `change` names and nothing else. undefined when there is no such note. */
  update(key: string, change: NoteChange): Note | undefined {
    const update = this.#database.transaction(() => {
      const before = this.find(key);
      if (!before) return undefined;
      if (change.ifUpdatedAt && change.ifUpdatedAt !== before.updatedAt) throw new NoteChanged(before);
      if (change.path) this.#pathIsFree(change.path, before.id);
      this.#database
        .query(
          `UPDATE notes SET path = $path, content = $content, metadata = $metadata, updated_at = $now
           WHERE id = $id`,
        )
        .run({
          id: before.id,
          path: change.path === undefined ? (before.path ?? null) : change.path,
          content: change.content ?? before.content!,
          metadata: toText(merge(before.metadata, change.metadata)),
          now: later(before.updatedAt),
        });
      if (change.tags) this.#setTags(before.id, change.tags(before.tags));
      return before.id;
    });
    const id = update.immediate();
    return id === undefined ? undefined : this.find(id);
  }

  /** The id of the note that was removed. */
  remove(key: string): string | undefined {
    const note = this.find(key);
    if (note) this.#database.query("DELETE FROM notes WHERE id = ?").run(note.id);
    return note?.id;
  }

  /** Each tag with the number of its notes, by name. */
  tags(): Array<{ name: string; count: number }> {
    return this.#database
      .query<{ name: string; count: number }, []>(
        "SELECT tag AS name, count(*) AS count FROM tags GROUP BY tag ORDER BY tag",
      )
      .all();
  }

  stats(): { totalNotes: number; tagCount: number; earliestNote: string | null; latestNote: string | null } {
    return this.#database
      .query<any, []>(
        `SELECT count(*) AS totalNotes, (SELECT count(DISTINCT tag) FROM tags) AS tagCount,
                min(created_at) AS earliestNote, max(created_at) AS latestNote FROM notes`,
      )
      .get();
  }

  /** Makes a key of this vault. Only its hash is kept, so this is the one time to see it. */
  addKey(label: string): string {
    const key = `pvt_${randomBytes(32).toString("base64url")}`;
    this.#database.query("INSERT INTO keys (hash, label, created_at) VALUES (?, ?, ?)").run(
      hash(key),
      label,
      new Date().toISOString(),
    );
    return key;
  }

  hasKey(key: string): boolean {
    return this.#database.query("SELECT 1 FROM keys WHERE hash = ?").get(hash(key)) !== null;
  }

  /** Like 2026-11-23-11-13-28-039000: the time in UTC, milliseconds, and a running number. */
  #newId(now: Date): string {
    const time = now.toISOString().slice(0, -1).replace(/[T:.]/g, "-");
    for (;;) {
      const id = time + String(this.#count++ % 1000).padStart(3, "0");
      if (!this.#database.query("SELECT 1 FROM notes WHERE id = ?").get(id)) return id;
    }
  }

  #pathIsFree(path: string | null, own: string): void {
    if (path === null) return;
    if (this.#database.query("SELECT 1 FROM notes WHERE path = ? AND id <> ?").get(path, own)) {
      throw new PathTaken(path);
    }
  }

  #setTags(id: string, tags: string[]): void {
    this.#database.query("DELETE FROM tags WHERE seq = (SELECT seq FROM notes WHERE id = ?)").run(id);
    const add = this.#database.query(
      "INSERT OR IGNORE INTO tags (seq, tag) SELECT seq, ?2 FROM notes WHERE id = ?1",
    );
    for (const tag of tags) add.run(id, tag);
  }
}

function toNote({ id, content, path, metadata, createdAt, updatedAt, tags }: Stored): Note {
  return {
    id,
    ...(content !== undefined && { content }),
    ...(path !== null && { path }),
    ...(metadata !== null && { metadata: JSON.parse(metadata) }),
    createdAt,
    updatedAt,
    tags: JSON.parse(tags),
  };
}

function toText(metadata: Record<string, unknown> | undefined): string | null {
  return metadata && Object.keys(metadata).length > 0 ? JSON.stringify(metadata) : null;
}

/** Keys of `change` replace those of `before`; null removes one. */
function merge(before: Note["metadata"], change: Note["metadata"]): Note["metadata"] {
  const entries = Object.entries({ ...before, ...change }).filter(([, value]) => value !== null);
  return Object.fromEntries(entries);
}

/** Now, but after `previous`: two changes in one millisecond can still be told apart. */
function later(previous: string): string {
  return new Date(Math.max(Date.now(), Date.parse(previous) + 1)).toISOString();
}

/** FTS5 query for notes with every word, or a word that begins so, whatever signs it contains. */
function matchAllWords(search: string): string {
  const words = search.split(/\s+/).filter(Boolean);
  return words.map((word) => `"${word.replaceAll('"', '""')}"*`).join(" ");
}

function hash(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}
