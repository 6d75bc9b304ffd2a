-- Refresh tokens form branches: processes that share a token each go on in a branch of their own.
-- parent: the token that this one was given for. generation: counted within the branch; 0 is the one that came for the
-- code, which belongs to no process yet.
ALTER TABLE refresh_tokens ADD COLUMN branch TEXT NOT NULL DEFAULT '';
ALTER TABLE refresh_tokens ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE refresh_tokens ADD COLUMN parent TEXT;
UPDATE refresh_tokens SET
    branch = family_id,
    generation = (SELECT count(*) FROM refresh_tokens AS older
                  WHERE older.family_id = refresh_tokens.family_id AND older.created_at < refresh_tokens.created_at),
    parent = (SELECT before.hash FROM refresh_tokens AS before WHERE before.successor = refresh_tokens.hash);
ALTER TABLE refresh_tokens DROP COLUMN successor;
CREATE INDEX refresh_tokens_by_parent ON refresh_tokens (parent);
CREATE INDEX refresh_tokens_by_branch ON refresh_tokens (branch, generation);

CREATE TABLE branches (
    id TEXT PRIMARY KEY,
    family_id TEXT NOT NULL REFERENCES families (id) ON DELETE CASCADE,
    began_at REAL NOT NULL,
    last_at REAL NOT NULL,
    address TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX branches_by_family ON branches (family_id);
INSERT INTO branches (id, family_id, began_at, last_at, address)
    SELECT tokens.branch, tokens.family_id, min(tokens.created_at), max(tokens.created_at),
           coalesce((SELECT grants.address FROM grants WHERE grants.user_id = families.user_id
                     AND grants.client_id = families.client_id), '')
    FROM refresh_tokens AS tokens JOIN families ON families.id = tokens.family_id GROUP BY tokens.branch;

-- Why a family ended, where it was not the user's wish: shown to the user.
ALTER TABLE families ADD COLUMN ended_why TEXT;
