-- The OAuth issuer. Secrets (codes, refresh tokens, client secrets) are kept as SHA-256; access tokens not at all.
-- Lists of scopes are text with spaces between; lists of URIs and objects are JSON.

-- The newest key whose signs_from has come signs; all that are here are published.
CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    private_pem TEXT NOT NULL,
    created_at REAL NOT NULL,
    signs_from REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- vouched_by: who registered or approved it; a client for whom nobody did is forgotten when it stays unused.
-- source 'document': client_id is the URL of a Client ID Metadata Document, the rest a copy fresh until fresh_until.
CREATE TABLE clients (
    client_id TEXT PRIMARY KEY,
    source TEXT NOT NULL CHECK (source IN ('registered', 'document')),
    status TEXT NOT NULL CHECK (status IN ('pending', 'approved')),
    same_hub INTEGER NOT NULL DEFAULT 0,
    name TEXT NOT NULL,
    redirect_uris TEXT NOT NULL,
    scope TEXT NOT NULL,
    auth_method TEXT NOT NULL,
    secret_hash TEXT,
    software TEXT NOT NULL DEFAULT '{}',
    vouched_by TEXT,
    created_at REAL NOT NULL,
    fresh_until REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX clients_by_age ON clients (created_at);

CREATE TABLE grants (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    scopes TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    address TEXT NOT NULL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    PRIMARY KEY (user_id, client_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_by_client ON grants (client_id);

-- Everything that came out of one consent: its code, its refresh tokens, its access tokens.
CREATE TABLE families (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    scopes TEXT NOT NULL,
    resource TEXT,
    auth_time REAL NOT NULL,
    created_at REAL NOT NULL,
    ended_at REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX families_by_user ON families (user_id, client_id);
CREATE INDEX families_by_client ON families (client_id);

CREATE TABLE codes (
    hash TEXT PRIMARY KEY,
    family_id TEXT NOT NULL REFERENCES families (id) ON DELETE CASCADE,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    expires_at REAL NOT NULL,
    used_at REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX codes_by_family ON codes (family_id);
CREATE INDEX codes_by_end ON codes (expires_at);

CREATE TABLE refresh_tokens (
    hash TEXT PRIMARY KEY,
    family_id TEXT NOT NULL REFERENCES families (id) ON DELETE CASCADE,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    used_at REAL,
    successor TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family_id);
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at);

-- Every token that was signed and has not ended. A token without its row is not accepted by the hub.
-- No foreign keys: a revoked token must stay listed when its user or client is gone.
CREATE TABLE tokens (
    jti TEXT PRIMARY KEY,
    kid TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT,
    client_id TEXT NOT NULL,
    family_id TEXT,
    scopes TEXT NOT NULL,
    permissions TEXT,
    created_via TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    revoked_at REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_age ON tokens (created_at, jti);
CREATE INDEX tokens_by_end ON tokens (expires_at);
CREATE INDEX tokens_by_user ON tokens (user_id);
CREATE INDEX tokens_by_family ON tokens (family_id);
CREATE INDEX tokens_revoked ON tokens (expires_at) WHERE revoked_at IS NOT NULL;

-- Whoever forgets to end a person's or a client's tokens first does not leave them valid.
CREATE TRIGGER user_leaves BEFORE DELETE ON users BEGIN
    UPDATE tokens SET revoked_at = unixepoch() WHERE user_id = OLD.id AND revoked_at IS NULL;
END;
CREATE TRIGGER client_leaves BEFORE DELETE ON clients BEGIN
    UPDATE tokens SET revoked_at = unixepoch()
    WHERE client_id = OLD.client_id AND family_id IS NOT NULL AND revoked_at IS NULL;
END;
