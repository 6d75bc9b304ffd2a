-- What people call themselves; the username stays what they sign in with.
ALTER TABLE users ADD COLUMN display_name TEXT NOT NULL DEFAULT '';
-- Whom an invitation is for, a line for them, and the encrypted token, so that the link can be shown again.
ALTER TABLE invites ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE invites ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE invites ADD COLUMN own_vault INTEGER NOT NULL DEFAULT 0;
ALTER TABLE invites ADD COLUMN sealed_token BLOB;
