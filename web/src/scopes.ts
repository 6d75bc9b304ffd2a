/** What a scope allows, in words (identity.md 1.4). */

const VERBS: Record<string, string> = {
  read: "read notes in",
  write: "read and write notes in",
  admin: "read, write and manage",
}

const WHOLE: Record<string, string> = {
  "hub:admin": "manage the whole hub",
  "parachute:host:admin": "manage modules and people",
  "parachute:host:auth": "manage tokens",
  "parachute:host:install": "install modules",
  "parachute:host:start": "start and stop modules",
  "parachute:host:expose": "change the public address",
  "parachute:host:vault": "make vaults",
  "scribe:transcribe": "turn speech into text",
  "account:self:admin": "manage your account",
  "account:self:read": "see your account",
  "account:self:write": "make vaults for you",
}

/** `vault:work:read` -> `Read notes in the vault work`. An unknown scope stays as it is. */
export function scopeWords(scope: string): string {
  const [resource, name, verb] = scope.split(":")
  if (resource === "vault" && name && verb && VERBS[verb]) {
    const where = name === "*" ? "every vault" : `the vault ${name}`
    return capital(`${VERBS[verb]} ${where}`)
  }
  if (resource === "vault" && name && !verb && VERBS[name]) return capital(`${VERBS[name]} a vault`)
  const known = WHOLE[scope]
  return known ? capital(known) : scope
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
