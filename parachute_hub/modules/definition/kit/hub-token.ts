// Kit: checks access tokens that the hub issued (RS256 JSON Web Tokens), without a library.

/** The claims of a valid token that a module uses. */
export interface Claims {
  subject: string
  id: string
  audience: string[]
  scopes: string[]
  /** Names of the vaults the user is limited to; empty means all. */
  vaults: string[]
}

/** The token is not valid. The message may be shown; it holds no part of the token but its id. */
export class TokenRefused extends Error {}

/** The token could not be checked now: the hub does not give its keys. The caller keeps it and tries again. */
export class HubUnavailable extends Error {}

const KEYS_AGE = 5 * 60_000
const RELOAD_PAUSE = 10_000
const REVOKED_AGE = 60_000
const FETCH_LIMIT = 5_000

type Bytes = Uint8Array<ArrayBuffer>

interface Options {
  /** Where keys and revocations are fetched: PARACHUTE_HUB_ORIGIN. */
  origin: string
  /** The hub on this machine: asked when its origin does not lead here, as a name in a local network may not. */
  nearby?: string | undefined
  /** All values of `iss` that are the hub's: PARACHUTE_HUB_ORIGINS and the origin. */
  issuers: string[]
}

/** Whether a bearer value is a token of the hub; keys of a module's own never begin so. */
export function looksLikeHubToken(value: string): boolean {
  return value.startsWith("eyJ")
}

export function hubFromEnvironment(env: Record<string, string | undefined>): Options {
  const trim = (origin: string) => origin.trim().replace(/\/+$/, "")
  const origin = trim(env.PARACHUTE_HUB_ORIGIN || "http://127.0.0.1:1939")
  const others = (env.PARACHUTE_HUB_ORIGINS ?? "").split(",").map(trim).filter(Boolean)
  const nearby = others.find((other) => other.startsWith("http://127.0.0.1:"))
  return { origin, nearby, issuers: [...new Set([origin, ...others])] }
}

export class HubTokens {
  readonly #keys: Keys
  readonly #revoked: Revoked
  readonly #issuers: string[]

  constructor(options: Options) {
    const places = [...new Set([options.origin, options.nearby ?? options.origin])]
    this.#keys = new Keys(places.map((place) => `${place}/.well-known/jwks.json`))
    this.#revoked = new Revoked(places.map((place) => `${place}/.well-known/parachute-revocation.json`))
    this.#issuers = options.issuers
  }

  /** Signature, expiry, issuer, shape, revocation. Audience and scopes are the caller's to judge. */
  async verify(token: string): Promise<Claims> {
    const [head, body, mark, ...more] = token.split(".")
    if (!head || !body || !mark || more.length > 0) {
      throw new TokenRefused("hub JWT verification failed: not a signed token")
    }
    const header = decode(head)
    if (header.alg !== "RS256" || header.crit !== undefined) {
      throw new TokenRefused("hub JWT verification failed: only RS256 is accepted")
    }
    const signed = Buffer.from(`${head}.${body}`)
    const signature = Buffer.from(mark, "base64url")
    if (!(await this.#keys.verify(header.kid, signature, signed))) {
      throw new TokenRefused("hub JWT verification failed: signature does not match")
    }
    const claims = this.#judge(decode(body))
    if (await this.#revoked.has(claims.id)) {
      throw new TokenRefused(`hub JWT revoked: jti "${claims.id}" is in the revocation list`)
    }
    return claims
  }

  #judge(payload: Record<string, unknown>): Claims {
    const now = Date.now() / 1000
    const { iss, sub, jti, aud, exp, nbf, scope, vault_scope } = payload
    if (typeof exp !== "number" || exp <= now) throw new TokenRefused("hub JWT expired")
    if (nbf !== undefined && !(typeof nbf === "number" && nbf <= now)) {
      throw new TokenRefused("hub JWT is not valid yet")
    }
    if (!this.#issuers.includes(iss as string)) {
      throw new TokenRefused(`hub JWT issuer mismatch: expected "${this.#issuers[0]}"`)
    }
    if (typeof sub !== "string" || !sub) throw new TokenRefused("hub JWT has no sub")
    if (typeof jti !== "string" || !jti) throw new TokenRefused("hub JWT has no jti")
    return {
      subject: sub,
      id: jti,
      audience: strings(typeof aud === "string" ? [aud] : aud),
      scopes: typeof scope === "string" ? scope.split(/\s+/).filter(Boolean) : [],
      vaults: strings(vault_scope),
    }
  }
}

/** The hub's public keys, kept for five minutes; a failed check may fetch them again earlier. */
class Keys {
  readonly #load: () => Promise<void>
  #keys = new Map<string, CryptoKey>()
  #loadedAt = -Infinity
  #forcedAt = -Infinity

  constructor(urls: string[]) {
    this.#load = singleFlight(async () => {
      const body = await fetchFirst(urls)
      if (!Array.isArray(body.keys)) throw new Error("no list of keys")
      const usable = body.keys.filter(isUsable)
      this.#keys = new Map(await Promise.all(usable.map(async (key) => [key.kid, await publicKey(key)] as const)))
      this.#loadedAt = performance.now()
    })
  }

  async verify(kid: unknown, signature: Bytes, signed: Bytes): Promise<boolean> {
    if (typeof kid !== "string") throw new TokenRefused("hub JWT verification failed: no kid")
    try {
      if (performance.now() - this.#loadedAt > KEYS_AGE) await this.#load()
      if (await this.#matches(kid, signature, signed)) return true
      // The hub may have rotated its keys. Forged tokens must not cause constant requests.
      if (performance.now() - this.#forcedAt < RELOAD_PAUSE) return false
      this.#forcedAt = performance.now()
      await this.#load()
    } catch (error) {
      throw new HubUnavailable(`The keys of the hub cannot be read now: ${(error as Error).message}`)
    }
    return this.#matches(kid, signature, signed)
  }

  async #matches(kid: string, signature: Bytes, signed: Bytes): Promise<boolean> {
    const key = this.#keys.get(kid)
    return key !== undefined && crypto.subtle.verify("RSASSA-PKCS1-v1_5", key, signature, signed)
  }
}

/**
 * Ids of revoked tokens, kept for a minute. Until the first fetch, every token is refused. After it,
 * the last good list is used while the hub does not answer.
 */
class Revoked {
  readonly #load: () => Promise<void>
  #ids: Set<string> | undefined
  #triedAt = -Infinity

  constructor(urls: string[]) {
    this.#load = singleFlight(async () => {
      const { jtis } = await fetchFirst(urls)
      if (!Array.isArray(jtis) || jtis.length !== strings(jtis).length) throw new Error("no list of ids")
      this.#ids = new Set(jtis)
    })
  }

  async has(id: string): Promise<boolean> {
    if (!this.#ids || performance.now() - this.#triedAt > REVOKED_AGE) {
      await this.#load().catch((error: Error) => {
        if (!this.#ids) throw new HubUnavailable(`The hub's revocation list cannot be read now: ${error.message}`)
      })
      this.#triedAt = performance.now()
    }
    return this.#ids!.has(id)
  }
}

function decode(part: string): Record<string, unknown> {
  try {
    const value = JSON.parse(Buffer.from(part, "base64url").toString("utf8"))
    if (typeof value === "object" && value !== null) return value
  } catch {
    // Falls through to the refusal below.
  }
  throw new TokenRefused("hub JWT verification failed: not readable")
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : []
}

function isUsable(key: Partial<JsonWebKey & { kid: unknown }> | null): key is JsonWebKey & { kid: string } {
  return key?.kty === "RSA" && typeof key.kid === "string" && (key.alg ?? "RS256") === "RS256"
}

function publicKey({ n, e }: JsonWebKey): Promise<CryptoKey> {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }
  return crypto.subtle.importKey("jwk", { kty: "RSA", n, e }, algorithm, false, ["verify"])
}

/** The answer of the first place that gives one; otherwise what was wrong with the first. */
async function fetchFirst([url = "", ...others]: string[]): Promise<Record<string, unknown>> {
  try {
    return await fetchJson(url)
  } catch (error) {
    for (const other of others) {
      const answer = await fetchJson(other).catch(() => null)
      if (answer) return answer
    }
    throw error
  }
}

async function fetchJson(url: string): Promise<Record<string, unknown>> {
  const request = { headers: { accept: "application/json" }, signal: AbortSignal.timeout(FETCH_LIMIT) }
  const response = await fetch(url, request)
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  return (await response.json()) as Record<string, unknown>
}

/** Concurrent callers share one run. */
function singleFlight(run: () => Promise<void>): () => Promise<void> {
  let current: Promise<void> | undefined
  return () => (current ??= run().finally(() => (current = undefined)))
}
