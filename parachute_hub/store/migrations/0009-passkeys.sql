-- Passkeys (WebAuthn). id is the credential's, in base64url; it works at hosts of rp_id alone. A blocked one signs nobody in.
CREATE TABLE passkeys (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    rp_id TEXT NOT NULL,
    public_key BLOB NOT NULL,
    sign_count INTEGER NOT NULL,
    synced INTEGER NOT NULL,
    created_at REAL NOT NULL,
    last_used_at REAL,
    blocked_at REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX passkeys_by_user ON passkeys (user_id);
