-- Whose a vault is: that person may share it. Until now, only an invitation made such a vault, named after the person.
ALTER TABLE user_vaults ADD COLUMN own INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX vault_owners ON user_vaults (vault) WHERE own = 1;
UPDATE OR IGNORE user_vaults SET own = 1
    WHERE role = 'write' AND vault = (SELECT replace(lower(username), '.', '-') FROM users
                                      WHERE users.id = user_vaults.user_id AND users.role = 'member');

-- Bytes that a vault, or all of a person's own vaults together, may take; 0 is no limit.
ALTER TABLE users ADD COLUMN quota INTEGER NOT NULL DEFAULT 0;
CREATE TABLE vault_quotas (
    vault TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Vaults that will be deleted. warned_at: since when owners are told that it comes soon.
CREATE TABLE vault_deletions (
    vault TEXT PRIMARY KEY,
    whose TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    asked_at REAL NOT NULL,
    due_at REAL NOT NULL,
    warned_at REAL,
    failed_at REAL,
    failure TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
-- A vault that somebody uses again stays.
CREATE TRIGGER vault_given AFTER INSERT ON user_vaults BEGIN
    DELETE FROM vault_deletions WHERE vault = NEW.vault;
END;
