// Who may do what in one vault: the vault's own keys, and tokens of the hub.

import { forbidden, Refused } from "./kit/http.ts"
import { type Claims, type HubTokens, HubUnavailable, looksLikeHubToken, TokenRefused } from "./kit/hub-token.ts"
import type { Store } from "./store/store.ts"

export type Verb = "read" | "write" | "admin"
const VERBS: Verb[] = ["read", "write", "admin"]

/** What a caller may do in one vault. A higher verb includes the lower ones. */
export class Grants {
  constructor(
    readonly vault: string,
    readonly scopes: string[],
  ) {}

  allow(verb: Verb): boolean {
    const enough = VERBS.slice(VERBS.indexOf(verb))
    return enough.some((each) => this.scopes.includes(`vault:${this.vault}:${each}`))
  }

  need(verb: Verb): void {
    if (!this.allow(verb)) throw forbidden(`vault:${this.vault}:${verb}`, this.scopes)
  }
}

/** Finds the caller's rights, or refuses with 401. */
export async function grantsOf(request: Request, vault: string, store: Store, tokens: HubTokens): Promise<Grants> {
  const credential = credentialOf(request)
  if (!credential) throw unauthorized("API key required")
  if (!looksLikeHubToken(credential)) {
    if (!store.keys.has(credential)) throw unauthorized("Invalid API key")
    return new Grants(vault, [`vault:${vault}:admin`])
  }
  try {
    return new Grants(vault, scopesIn(await tokens.verify(credential), vault))
  } catch (error) {
    if (error instanceof TokenRefused) throw unauthorized(error.message)
    // 401 would make clients drop a token that is good.
    if (error instanceof HubUnavailable) throw unavailable(error.message)
    throw error
  }
}

function unavailable(message: string): Refused {
  return new Refused(503, { error: "Unavailable", code: "hub_unavailable", message }, { "retry-after": "5" })
}

export function unauthorized(message: string, headers: Record<string, string> = {}): Refused {
  return new Refused(401, { error: "Unauthorized", message }, headers)
}

function credentialOf(request: Request): string {
  const bearer = /^bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")
  return bearer?.[1] ?? request.headers.get("x-api-key") ?? new URL(request.url).searchParams.get("key") ?? ""
}

/** The token's scopes, after the checks that are about this vault. */
function scopesIn(claims: Claims, vault: string): string[] {
  const expected = `vault.${vault}`
  if (!claims.audience.includes(expected)) {
    const got = claims.audience.join(", ")
    throw new TokenRefused(`hub JWT audience mismatch: expected "${expected}", got "${got}"`)
  }
  const broad = claims.scopes.filter((scope) => /^vault:[^:]*$/.test(scope))
  if (broad.length > 0) {
    throw new TokenRefused(`hub JWT carries broad scopes (${broad.join(" ")}); a token must name its vault`)
  }
  if (claims.vaults.length > 0 && !claims.vaults.includes(vault)) {
    throw new TokenRefused(`hub JWT is not for the vault "${vault}"`)
  }
  return claims.scopes
}
