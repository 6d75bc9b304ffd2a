-- People, their sessions and second factors. Times are seconds since the epoch; secrets are hashed or sealed.

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    username TEXT NOT NULL UNIQUE COLLATE NOCASE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    must_change_password INTEGER NOT NULL DEFAULT 0,
    email TEXT,
    created_at REAL NOT NULL,
    password_changed_at REAL NOT NULL
) STRICT;

CREATE TABLE user_vaults (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    vault TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('read', 'write')),
    PRIMARY KEY (user_id, vault)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_vaults_by_vault ON user_vaults (vault);

-- id is the SHA-256 of the cookie's value: the table alone lets nobody in.
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at REAL NOT NULL,
    authenticated_at REAL NOT NULL,
    last_seen_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    methods TEXT NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- The password was right, the second factor is still to come. id is hashed as above.
CREATE TABLE pending_logins (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    next TEXT NOT NULL,
    expires_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pending_logins_by_user ON pending_logins (user_id);

-- Browsers that once signed in: the address throttle leaves them alone. id is hashed as above.
CREATE TABLE devices (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    last_seen_at REAL NOT NULL,
    PRIMARY KEY (id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_by_user ON devices (user_id);

-- kind 'passkey' is kept free for WebAuthn: `secret` then holds the public key, `detail` JSON.
CREATE TABLE second_factors (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('totp', 'passkey')),
    secret BLOB NOT NULL,
    created_at REAL NOT NULL,
    confirmed_at REAL,
    last_step INTEGER NOT NULL DEFAULT 0,
    detail TEXT NOT NULL DEFAULT '{}'
) STRICT, WITHOUT ROWID;
CREATE INDEX second_factors_by_user ON second_factors (user_id, kind);

CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    PRIMARY KEY (user_id, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE throttles (
    key TEXT PRIMARY KEY,
    failures REAL NOT NULL,
    last_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX throttles_by_time ON throttles (last_at);

CREATE TABLE invites (
    id TEXT PRIMARY KEY,
    created_by TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    username TEXT,
    vaults TEXT NOT NULL,
    max_uses INTEGER NOT NULL,
    used_count INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    revoked_at REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX invites_by_creator ON invites (created_by);

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    outcome TEXT NOT NULL,
    address TEXT NOT NULL
) STRICT;
