-- What a token is for, in its maker's words, and about when it was last used.
ALTER TABLE tokens ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN last_used_at REAL;
