// Who may use scribe: the shared secret of the hub's own modules, or a hub token with the scope.

import { createHash, timingSafeEqual } from "node:crypto"
import { forbidden, Refused } from "./kit/http.ts"
import { type HubTokens, HubUnavailable, looksLikeHubToken, TokenRefused } from "./kit/hub-token.ts"

export type Scope = "scribe:transcribe" | "scribe:admin"

/** Lets the request pass, or refuses it. Without a configured secret nothing is served. */
export async function need(scope: Scope, request: Request, secret: string, tokens: HubTokens): Promise<void> {
  if (!secret) {
    throw new Refused(503, {
      error: "not_configured",
      message:
        "Scribe refuses every request until SCRIBE_AUTH_TOKEN is set. The hub sets it; restart scribe from the hub.",
    })
  }
  const credential = /^bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1]
  if (!credential) throw unauthorized("A bearer token is required.")
  if (!looksLikeHubToken(credential)) {
    if (!same(credential, secret)) throw unauthorized("The token is not valid.")
    return
  }
  const scopes = await scopesOf(credential, tokens)
  if (!scopes.includes(scope)) throw forbidden(scope, scopes)
}

async function scopesOf(token: string, tokens: HubTokens): Promise<string[]> {
  try {
    return (await tokens.verify(token)).scopes
  } catch (error) {
    if (error instanceof TokenRefused) throw unauthorized(error.message)
    // 401 would make clients drop a token that is good.
    if (error instanceof HubUnavailable) {
      throw new Refused(503, { error: "hub_unavailable", message: error.message }, { "retry-after": "5" })
    }
    throw error
  }
}

function unauthorized(message: string): Refused {
  return new Refused(401, { error: "unauthorized", message })
}

/** Compares in a time that tells nothing about the secret. */
function same(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
