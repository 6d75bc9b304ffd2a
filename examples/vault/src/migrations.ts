// The database schema of one vault. Step N takes `user_version` from N to N + 1; never edit a step
// that was published, add one.

import type { Database } from "bun:sqlite";

const STEPS = [
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
];

export function migrate(database: Database): void {
  const { user_version: version } = database.query("PRAGMA user_version").get() as { user_version: number };
  if (version > STEPS.length) {
    throw new Error(`${database.filename} was written by a newer vault; install that version again.`);
  }
  STEPS.slice(version).forEach((step, index) => {
    database.transaction(() => {
      database.run(step);
      database.run(`PRAGMA user_version = ${version + index + 1}`);
    }).immediate();
  });
}
