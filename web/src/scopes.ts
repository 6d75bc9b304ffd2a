/** What a scope allows, in words. */
import { list } from "./format"

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
  "parachute:host:vault": "create vaults",
  "parachute:host:metrics": "read the hub's metrics",
  "vault:admin": "manage every vault",
  "scribe:transcribe": "turn speech into text",
  "account:self:admin": "manage your account",
  "account:self:read": "see your account",
  "account:self:write": "create vaults for you",
}

const RANKS = ["read", "write", "admin"]

/** What these scopes allow, as one sentence. For each resource only the widest verb is named. */
export function allowed(scopes: readonly string[]): string {
  if (scopes.includes("hub:admin")) return "Manage the whole hub and everything on it"
  const rank = (scope: string) => RANKS.indexOf(scope.slice(scope.lastIndexOf(":") + 1))
  const thing = (scope: string) => scope.slice(0, scope.lastIndexOf(":"))
  const widest = scopes.filter(
    (scope) => !scopes.some((other) => thing(other) === thing(scope) && rank(scope) >= 0 && rank(other) > rank(scope)),
  )
  return widest.length > 0 ? capital(list(widest.map(scopeWords))) : "Nothing"
}

/** `vault:work:read` -> `read notes in the vault work`. Unknown scopes are returned unchanged. */
export function scopeWords(scope: string): string {
  const [resource, name, verb] = scope.split(":")
  if (resource === "vault" && name && verb && VERBS[verb]) {
    const where = name === "*" ? "every vault" : `the vault ${name}`
    return `${VERBS[verb]} ${where}`
  }
  const known = WHOLE[scope]
  if (known) return known
  if (resource === "vault" && name && !verb && VERBS[name]) return `${VERBS[name]} a vault`
  return name === "admin" && !verb ? `manage ${resource}` : scope
}

/** Capitalizes the first letter. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
