// Asks the hub for access to a vault: OAuth 2.1 with discovery (RFC 8414), registration (RFC 7591),
// PKCE (RFC 7636) and the issuer in the answer (RFC 9207).

import { Problem } from "../core/problem.ts"

export interface Tokens {
  vault: string
  access: string
  refresh?: string
  /** Expiry of the access token, in milliseconds. */
  expires: number
  scope: string
  client: string
  tokenEndpoint: string
  revocationEndpoint?: string
}

interface Server {
  issuer: string
  authorization_endpoint: string
  token_endpoint: string
  registration_endpoint: string
  revocation_endpoint?: string
  code_challenge_methods_supported?: string[]
  scopes_supported?: string[]
}

/** What must be remembered while the person is at the hub. */
interface Pending {
  state: string
  verifier: string
  client: string
  server: Server
}

const PENDING = "parachute-notes:pending"
const CLIENTS = "parachute-notes:client"
const redirect = () => `${location.origin}/notes/oauth/callback`

export function isCallback(): boolean {
  return location.pathname === "/notes/oauth/callback"
}

/** Leaves for the hub's consent page. */
export async function begin(): Promise<void> {
  if (!crypto.subtle) {
    throw new Problem("Connecting needs https, or the machine that runs the hub. Here you can use a vault key.")
  }
  const server = await discover()
  // The last attempt was never answered: the hub may have forgotten this app.
  if (sessionStorage.getItem(PENDING)) localStorage.removeItem(CLIENTS)
  const pending: Pending = { server, client: await register(server), state: random(), verifier: random() }
  sessionStorage.setItem(PENDING, JSON.stringify(pending))
  const url = new URL(server.authorization_endpoint)
  const wanted = ["vault:read", "vault:write"]
  if (server.scopes_supported?.includes("scribe:transcribe")) wanted.push("scribe:transcribe")
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: pending.client,
    redirect_uri: redirect(),
    scope: wanted.join(" "),
    state: pending.state,
    code_challenge: await sha256(pending.verifier),
    code_challenge_method: "S256",
  }).toString()
  location.assign(url)
}

/** Turns the answer in the page's address into tokens. */
export async function finish(): Promise<Tokens> {
  const answer = new URLSearchParams(location.search)
  const pending: Pending | null = JSON.parse(sessionStorage.getItem(PENDING) ?? "null")
  sessionStorage.removeItem(PENDING)
  if (!pending || answer.get("state") !== pending.state) {
    throw new Problem("This answer belongs to another attempt. Connect once more.")
  }
  const issuer = answer.get("iss")
  if (issuer !== null && issuer !== pending.server.issuer) {
    throw new Problem("The answer came from another server than the one that was asked. Connect once more.")
  }
  if (answer.get("error") === "access_denied") {
    throw new Problem("You did not allow it, so Notes has no access. Connect when you change your mind.")
  }
  const code = answer.get("code")
  if (!code) throw new Problem(`The hub gave no access (${answer.get("error") ?? "no code"}). Connect once more.`)
  const { server, client, verifier } = pending
  const response = await post(server.token_endpoint, {
    grant_type: "authorization_code",
    code,
    client_id: client,
    redirect_uri: redirect(),
    code_verifier: verifier,
  })
  const body = await response.json().catch(() => ({}))
  if (!response.ok) {
    if (body.error === "invalid_client") localStorage.removeItem(CLIENTS)
    const where = body.approve_url ? ` Approve Notes at ${body.approve_url}, then connect once more.` : ""
    throw new Problem(`The hub gave no access (${body.error ?? response.status}).${where}`)
  }
  return tokens(body, client, server.token_endpoint, server.revocation_endpoint)
}

/** The hub's own word that a refresh token is worth nothing any more (RFC 6749, section 5.2). */
const ENDED = ["invalid_grant", "invalid_client", "unauthorized_client"]

/** Fresh tokens; undefined when the hub has ended the access. */
export async function renew(old: Tokens): Promise<Tokens | undefined> {
  if (!old.refresh) return undefined
  const fields = { grant_type: "refresh_token", refresh_token: old.refresh, client_id: old.client }
  const response = await post(old.tokenEndpoint, fields)
  if (response.status >= 500 || response.status === 429) {
    throw new Problem("The hub is busy. Try again in a moment; what you wrote is kept here.")
  }
  if (!response.ok) {
    const body = await response.json().catch(() => ({}))
    if (ENDED.includes(body.error)) return undefined
    throw new Problem(`The hub did not renew the access (${response.status}). What you wrote is kept here.`)
  }
  const body = await response.json().catch(() => undefined)
  if (!body?.access_token) throw new Problem("Your hub does not answer. What you write is kept on this device.")
  const fresh = tokens(body, old.client, old.tokenEndpoint, old.revocationEndpoint, old.vault)
  return { ...fresh, refresh: fresh.refresh ?? old.refresh }
}

/** Revokes the access at the hub. */
export async function revoke(old: Tokens): Promise<void> {
  if (!old.revocationEndpoint) return
  await post(old.revocationEndpoint, { token: old.refresh ?? old.access, client_id: old.client })
}

async function discover(): Promise<Server> {
  const response = await reach("/.well-known/oauth-authorization-server")
  const server: Partial<Server> | undefined = response.ok ? await response.json().catch(() => undefined) : undefined
  if (!server?.registration_endpoint || !server.code_challenge_methods_supported?.includes("S256")) {
    throw new Problem("This hub cannot hand out access yet. You can use a vault key instead.")
  }
  if (new URL(server.issuer!).origin !== location.origin) {
    throw new Problem(`Your hub is known as ${server.issuer}. Open Notes there: ${server.issuer}/notes/`)
  }
  return server as Server
}

/** Our client id, stored so that a second connection is not a second app. */
async function register(server: Server): Promise<string> {
  const known = JSON.parse(localStorage.getItem(CLIENTS) ?? "null")
  if (known?.issuer === server.issuer && known.redirect === redirect()) return known.client
  const response = await reach(server.registration_endpoint, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      client_name: "Parachute Notes",
      redirect_uris: [redirect()],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    }),
  })
  if (!response.ok) throw new Problem(`The hub did not accept Notes as an app (${response.status}). Try again later.`)
  const { client_id: client } = await response.json()
  localStorage.setItem(CLIENTS, JSON.stringify({ issuer: server.issuer, redirect: redirect(), client }))
  return client
}

/** The members of a token response that this app reads. */
interface TokenResponse {
  access_token: string
  refresh_token: string
  expires_in?: number
  scope?: string
  vault?: string
  services?: Record<string, unknown>
}

function tokens(
  body: TokenResponse,
  client: string,
  tokenEndpoint: string,
  revocationEndpoint?: string,
  before = "",
): Tokens {
  return {
    vault: vaultOf(body) || before || "default",
    access: body.access_token,
    refresh: body.refresh_token,
    expires: Date.now() + (body.expires_in ?? 300) * 1000,
    scope: body.scope ?? "",
    client,
    tokenEndpoint,
    revocationEndpoint,
  }
}

/** The vault the person chose, from the name, the services or the scopes. */
function vaultOf(body: TokenResponse): string | undefined {
  if (typeof body.vault === "string") return body.vault
  const service = Object.keys(body.services ?? {}).find((name) => name.startsWith("vault:"))
  return service?.slice("vault:".length) ?? /\bvault:([^:\s]+):(?:read|write|admin)\b/.exec(body.scope ?? "")?.[1]
}

function post(url: string, fields: Record<string, string>): Promise<Response> {
  return reach(url, { method: "POST", body: new URLSearchParams(fields) })
}

async function reach(url: string, init?: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch {
    throw new Problem("The hub does not answer. Check your connection, then try again.")
  }
}

function random(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(32)))
}

async function sha256(text: string): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))))
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "")
}
