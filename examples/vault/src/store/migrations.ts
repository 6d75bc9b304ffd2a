// The database schema of one vault. Step N takes `user_version` from N to N + 1; never edit a step
// that was published, add one.

import type { Database } from "bun:sqlite"
import { derive } from "./derived.ts"

type Step = string | ((database: Database) => void)

const STEPS: Step[] = [
  `
  CREATE TABLE notes (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    path       TEXT UNIQUE,
    content    TEXT NOT NULL,
    metadata   TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
  );
  CREATE INDEX notes_by_update ON notes (updated_at DESC, seq DESC);

  CREATE TABLE tags (
    seq INTEGER NOT NULL REFERENCES notes (seq) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (seq, tag)
  ) WITHOUT ROWID;
  CREATE INDEX tags_by_name ON tags (tag, seq);

  CREATE VIRTUAL TABLE words USING fts5 (
    path, content, content = 'notes', content_rowid = 'seq', tokenize = 'unicode61 remove_diacritics 2'
  );
  CREATE TRIGGER notes_added AFTER INSERT ON notes BEGIN
    INSERT INTO words (rowid, path, content) VALUES (new.seq, new.path, new.content);
  END;
  CREATE TRIGGER notes_removed AFTER DELETE ON notes BEGIN
    INSERT INTO words (words, rowid, path, content) VALUES ('delete', old.seq, old.path, old.content);
  END;
  CREATE TRIGGER notes_changed AFTER UPDATE OF path, content ON notes BEGIN
    INSERT INTO words (words, rowid, path, content) VALUES ('delete', old.seq, old.path, old.content);
    INSERT INTO words (rowid, path, content) VALUES (new.seq, new.path, new.content);
  END;

  CREATE TABLE keys (
    hash       TEXT PRIMARY KEY,
    label      TEXT NOT NULL,
    created_at TEXT NOT NULL
  );
  `,

  (database) => {
    database.run(`
      -- Derived from path and content by derived.ts: what notes are found, sorted and linked by.
      ALTER TABLE notes ADD COLUMN title TEXT NOT NULL DEFAULT '';
      ALTER TABLE notes ADD COLUMN path_key TEXT;
      ALTER TABLE notes ADD COLUMN base_key TEXT;
      ALTER TABLE notes ADD COLUMN title_key TEXT;
      ALTER TABLE notes ADD COLUMN tag_words TEXT NOT NULL DEFAULT '';
      ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
      -- The editing session that wrote the present text.
      ALTER TABLE notes ADD COLUMN editor TEXT;
      CREATE INDEX notes_by_path_key ON notes (path_key);
      CREATE INDEX notes_by_base_key ON notes (base_key);
      CREATE INDEX notes_by_title_key ON notes (title_key);
      CREATE INDEX notes_by_creation ON notes (created_at, seq);
      CREATE INDEX notes_by_title ON notes (title COLLATE NOCASE, seq);
      CREATE INDEX notes_by_pin ON notes (pinned DESC, updated_at DESC, seq DESC);

      -- A tag can be set, written in the text, or both.
      ALTER TABLE tags ADD COLUMN fixed INTEGER NOT NULL DEFAULT 1;
      ALTER TABLE tags ADD COLUMN in_text INTEGER NOT NULL DEFAULT 0;

      CREATE TABLE links (
        seq        INTEGER NOT NULL REFERENCES notes (seq) ON DELETE CASCADE,
        target_key TEXT NOT NULL,
        PRIMARY KEY (seq, target_key)
      ) WITHOUT ROWID;
      CREATE INDEX links_by_target ON links (target_key, seq);

      -- The latest change of each note. Numbers only grow.
      CREATE TABLE changes (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id     TEXT NOT NULL UNIQUE,
        kind   TEXT NOT NULL,
        at     TEXT NOT NULL
      );
      CREATE INDEX changes_by_time ON changes (at) WHERE kind <> 'saved';
      INSERT INTO changes (id, kind, at) SELECT id, 'saved', updated_at FROM notes ORDER BY updated_at, seq;

      -- Creates that were done, by the caller's id or Idempotency-Key.
      CREATE TABLE creates (
        key  TEXT PRIMARY KEY,
        note TEXT NOT NULL,
        hash TEXT NOT NULL,
        at   TEXT NOT NULL
      ) WITHOUT ROWID;

      CREATE TABLE versions (
        number     INTEGER PRIMARY KEY AUTOINCREMENT,
        note       TEXT NOT NULL,
        content    TEXT NOT NULL,
        path       TEXT,
        metadata   TEXT,
        tags       TEXT NOT NULL,
        editor     TEXT,
        updated_at TEXT NOT NULL,
        saved_at   TEXT NOT NULL,
        bytes      INTEGER NOT NULL
      );
      CREATE INDEX versions_by_note ON versions (note, number, saved_at, bytes);
      CREATE INDEX versions_by_time ON versions (saved_at, bytes);

      CREATE TABLE trash (
        id         TEXT PRIMARY KEY,
        path       TEXT,
        content    TEXT NOT NULL,
        metadata   TEXT,
        tags       TEXT NOT NULL,
        pinned     INTEGER NOT NULL,
        editor     TEXT,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        deleted_at TEXT NOT NULL
      );
      CREATE INDEX trash_by_time ON trash (deleted_at);

      CREATE TABLE attachments (
        id         TEXT PRIMARY KEY,
        note       TEXT,
        name       TEXT NOT NULL,
        type       TEXT NOT NULL,
        size       INTEGER NOT NULL,
        sha256     TEXT NOT NULL,
        created_at TEXT NOT NULL
      );
      CREATE INDEX attachments_by_note ON attachments (note);
      CREATE INDEX attachments_by_content ON attachments (sha256);
      CREATE TABLE uploads (
        id         TEXT PRIMARY KEY,
        note       TEXT,
        name       TEXT NOT NULL,
        type       TEXT NOT NULL,
        size       INTEGER NOT NULL,
        sha256     TEXT,
        created_at TEXT NOT NULL
      );

      CREATE TABLE state (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    `)
    rebuildWords(database)
    for (const { seq } of database.query<{ seq: number }, []>("SELECT seq FROM notes").all()) derive(database, seq)
  },

  `
  -- Numbers of changes from \`first\` on were given in this epoch; see changes.ts.
  CREATE TABLE epochs (first INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
  INSERT INTO epochs (first, id) VALUES (0, lower(hex(randomblob(16))));
  `,
]

/** A search index that also knows tags. Its tags are empty until `derive` ran for each note. */
function rebuildWords(database: Database): void {
  database.run(`
    DROP TRIGGER notes_added; DROP TRIGGER notes_removed; DROP TRIGGER notes_changed;
    DROP TABLE words;
    CREATE VIRTUAL TABLE words USING fts5 (
      path, content, tag_words, content = 'notes', content_rowid = 'seq',
      tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2 3'
    );
    INSERT INTO words (words) VALUES ('rebuild');
    CREATE TRIGGER notes_added AFTER INSERT ON notes BEGIN
      INSERT INTO words (rowid, path, content, tag_words) VALUES (new.seq, new.path, new.content, new.tag_words);
    END;
    CREATE TRIGGER notes_removed AFTER DELETE ON notes BEGIN
      INSERT INTO words (words, rowid, path, content, tag_words)
      VALUES ('delete', old.seq, old.path, old.content, old.tag_words);
    END;
    CREATE TRIGGER notes_changed AFTER UPDATE OF path, content, tag_words ON notes
    WHEN old.path IS NOT new.path OR old.content <> new.content OR old.tag_words <> new.tag_words BEGIN
      INSERT INTO words (words, rowid, path, content, tag_words)
      VALUES ('delete', old.seq, old.path, old.content, old.tag_words);
      INSERT INTO words (rowid, path, content, tag_words) VALUES (new.seq, new.path, new.content, new.tag_words);
    END;
  `)
}

/** Brings a database to the newest schema, each step in a transaction. */
export function migrate(database: Database): void {
  const { user_version: version } = database.query("PRAGMA user_version").get() as { user_version: number }
  if (version > STEPS.length) {
    throw new Error(`${database.filename} was written by a newer vault; install that version again.`)
  }
  STEPS.slice(version).forEach((step, index) => {
    database
      .transaction(() => {
        if (typeof step === "string") database.run(step)
        else step(database)
        database.run(`PRAGMA user_version = ${version + index + 1}`)
      })
      .immediate()
  })
}
