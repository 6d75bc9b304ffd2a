// Which function answers which path. Everything else about a request is decided elsewhere.

import { join } from "node:path"
import manifest from "../.parachute/module.json"
import { version } from "../package.json"
import { type Grants, grantsOf, unauthorized } from "./auth.ts"
import type { KnownHosts } from "./hosts.ts"
import { badRequest, Refused } from "./kit/http.ts"
import type { HubTokens } from "./kit/hub-token.ts"
import { answerApi } from "./rest/api.ts"
import { notAllowed, refusalOf } from "./rest/errors.ts"
import type { Store } from "./store/store.ts"
import { LiveStreams } from "./streams.ts"
import type { Vaults } from "./vaults.ts"

const ICON = join(import.meta.dir, "..", ".parachute", "icon.svg")

/** Browser apps and assistants from anywhere may call: every right needs a token, none a cookie. */
const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET, POST, PATCH, DELETE, OPTIONS",
  "access-control-allow-headers":
    "Content-Type, Authorization, X-API-Key, Idempotency-Key, If-Match, If-None-Match, If-Updated-At, Last-Event-ID, " +
    "Range, Upload-Offset, Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name",
  "access-control-expose-headers":
    "Content-Disposition, Content-Range, ETag, Link, Retry-After, X-Total-Count, WWW-Authenticate, Mcp-Session-Id",
  "access-control-max-age": "600",
}

const CONFIG_SCHEMA = {
  $schema: "http://json-schema.org/draft-07/schema#",
  type: "object",
  title: "Vault configuration",
  properties: {
    scribe_url: {
      type: "string",
      title: "Scribe address",
      description: "Where speech is turned into text. The hub sets it when scribe is installed.",
      readOnly: true,
    },
    port: { type: "integer", minimum: 1, maximum: 65535, title: "Port", readOnly: true },
  },
}

interface Surroundings {
  vaults: Vaults
  tokens: HubTokens
  /** The hub's origin: who issues tokens. */
  issuer: string
  hosts: KnownHosts
  port: () => number
}

export class Routes {
  readonly #around: Surroundings
  readonly #streams = new Map<string, LiveStreams>()

  constructor(around: Surroundings) {
    this.#around = around
  }

  /** Answers a request; never throws. */
  async answer(request: Request): Promise<Response> {
    let response: Response
    try {
      response = await this.#route(request)
    } catch (error) {
      const refusal = refusalOf(error)
      if (!refusal) console.error("request failed:", error)
      response = refusal?.answer() ?? Response.json({ error: "Internal error" }, { status: 500 })
    }
    for (const [name, value] of Object.entries(CORS)) response.headers.set(name, value)
    return response
  }

  /** Ends the streams that would otherwise stay open. */
  close(): void {
    for (const streams of this.#streams.values()) streams.close()
  }

  async #route(request: Request): Promise<Response> {
    if (request.method === "OPTIONS") return new Response(null, { status: 204 })
    const [first, ...rest] = segments(request.url)
    const path = rest.join("/")
    const { vaults } = this.#around
    if (first === "health" && rest.length === 0) return this.#health()
    if (first === "vaults" && path === "list") {
      return Response.json({ vaults: vaults.list().map(({ name }) => name) })
    }
    const named = /^oauth-protected-resource\/vault\/([^/]+)(\/mcp)?$/.exec(path)?.[1]
    if (first === ".well-known" && named) {
      this.#store(named)
      return this.#resource(request, named)
    }
    if (first === "vault" && rest[0]) return this.#vault(request, rest[0], rest.slice(1))
    const oldest = vaults.list()[0]?.name
    if (first === ".parachute" && oldest) return this.#vault(request, oldest, [first, ...rest])
    throw notFound()
  }

  async #vault(request: Request, name: string, rest: string[]): Promise<Response> {
    const store = this.#store(name)
    const path = rest.join("/")
    switch (path) {
      case ".parachute/info":
        return Response.json(info(name))
      case ".parachute/icon.svg":
        return new Response(Bun.file(ICON), {
          headers: { "x-content-type-options": "nosniff", "cache-control": "public, max-age=3600" },
        })
      case ".parachute/config/schema":
        return Response.json(CONFIG_SCHEMA)
      case ".well-known/oauth-protected-resource":
        return this.#resource(request, name)
    }
    if (path === "mcp") this.#around.hosts.check(request)
    const grants = await this.#grants(request, name, store, rest[0] === "mcp")
    if (path === ".parachute/config") return this.#config(request, grants)
    if (path === "mcp") {
      if (request.method !== "POST") throw notAllowed(["POST"])
      // Loaded at the first request: the vault starts sooner.
      const { answerMcp } = await import("./mcp/http.ts")
      const recheck = () => this.#recheck(request, name)
      const streams = this.#streamsOf(name)
      return answerMcp({ request, store, grants, streams, recheck, metadata: metadataUrl(request, name) })
    }
    if (rest[0] === "api") {
      grants.need(["GET", "HEAD"].includes(request.method) ? "read" : "write")
      const asked = {
        request,
        url: new URL(request.url),
        method: request.method,
        store,
        vault: name,
        streams: this.#streamsOf(name),
        recheck: () => this.#recheck(request, name),
      }
      return (await answerApi(asked, rest.slice(1))) ?? Promise.reject(notFound())
    }
    if (path === "health") return Response.json({ status: "ok" })
    if (path === "" && request.method === "GET") return Response.json(this.#summary(name, store))
    throw notFound()
  }

  #streamsOf(name: string): LiveStreams {
    const streams = this.#streams.get(name) ?? new LiveStreams()
    this.#streams.set(name, streams)
    return streams
  }

  #store(name: string): Store {
    const store = this.#around.vaults.get(name)
    if (!store) throw new Refused(404, { error: "Vault not found", vault: name })
    return store
  }

  /** Throws when the vault is gone, or the caller's token is no longer good. */
  async #recheck(request: Request, name: string): Promise<Grants> {
    return this.#grants(request, name, this.#store(name), false)
  }

  async #grants(request: Request, name: string, store: Store, isMcp: boolean): Promise<Grants> {
    try {
      return await grantsOf(request, name, store, this.#around.tokens)
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401 || !isMcp) throw error
      const challenge = `Bearer resource_metadata="${metadataUrl(request, name)}"`
      throw unauthorized(error.message, { "www-authenticate": challenge })
    }
  }

  /** RFC 9728: tells MCP clients which server issues tokens for this vault. */
  #resource(request: Request, name: string): Response {
    return Response.json({
      resource: `${base(request)}/vault/${name}/mcp`,
      authorization_servers: [this.#around.issuer],
      scopes_supported: [`vault:${name}:read`, `vault:${name}:write`],
      bearer_methods_supported: ["header"],
    })
  }

  #config(request: Request, grants: Grants): Response {
    grants.need("admin")
    if (request.method !== "GET") throw notAllowed(["GET"])
    return Response.json({ scribe_url: process.env.SCRIBE_URL ?? "", port: this.#around.port() })
  }

  #health(): Response {
    try {
      this.#around.vaults.check()
      return Response.json({ status: "ok" })
    } catch (error) {
      return Response.json({ status: "error", message: (error as Error).message }, { status: 503 })
    }
  }

  #summary(name: string, store: Store): object {
    return { name, createdAt: this.#around.vaults.createdAt(name), stats: store.stats() }
  }
}

function metadataUrl(request: Request, name: string): string {
  return `${base(request)}/vault/${name}/.well-known/oauth-protected-resource`
}

function info(vault: string): object {
  const { manifestName: name, displayName, tagline } = manifest
  return { name, displayName, tagline, version, iconUrl: `/vault/${vault}/.parachute/icon.svg`, kind: "api" }
}

/** Parts of the path, each decoded by itself: the slash in `notes/a%2Fb` belongs to the key. */
function segments(url: string): string[] {
  try {
    return new URL(url).pathname.split("/").slice(1).map(decodeURIComponent)
  } catch {
    throw badRequest("The path is not correctly percent-encoded.")
  }
}

/** The origin by which the caller knows us: what the hub says, else our own. */
function base(request: Request): string {
  const host = request.headers.get("x-forwarded-host") ?? ""
  const scheme = request.headers.get("x-forwarded-proto") === "http" ? "http" : "https"
  return /^[\w.:[\]-]+$/.test(host) ? `${scheme}://${host}` : new URL(request.url).origin
}

function notFound(): Refused {
  return new Refused(404, { error: "Not found" })
}
