// The vault over MCP: streamable HTTP without sessions. One POST carries one JSON-RPC message of any revision.

import type { Grants } from "../auth.ts"
import { Refused, readJson } from "../kit/http.ts"
import type { Store } from "../store/store.ts"
import type { LiveStreams } from "../streams.ts"
import { checkHeaders, checkVersion } from "./headers.ts"
import { METHODS } from "./methods.ts"
import {
  CODES,
  failure,
  type Id,
  LEGACY,
  META,
  MODERN,
  type Params,
  RpcError,
  SUPPORTED,
  serverInfo,
  success,
} from "./protocol.ts"

const MESSAGE_LIMIT = 8 * 1024 * 1024

/** Everything about a request that methods may need. */
export interface Context {
  request: Request
  store: Store
  grants: Grants
  streams: LiveStreams
  recheck: () => Promise<unknown>
  /** Where clients learn how to get a token with more rights (RFC 9728). */
  metadata: string
}

interface Call {
  id: Id
  method: string
  params: Params
  modern: boolean
}

/** Answers one POST to /mcp. */
export async function answerMcp(context: Context): Promise<Response> {
  let id: Id | undefined
  try {
    const message = await read(context.request)
    if (isId(message.id)) id = message.id
    const call = understand(context.request.headers, message)
    return call ? await answer(call, context) : new Response(null, { status: 202 })
  } catch (error) {
    if (error instanceof RpcError) return failure(id, error)
    if (error instanceof Refused && error.status === 403) return failure(id, stepUp(error, context.metadata))
    throw error
  }
}

async function read(request: Request): Promise<Params> {
  let message: unknown
  try {
    message = await readJson(request, MESSAGE_LIMIT)
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 400) throw error
    throw new RpcError(CODES.parse, error.message, undefined, 400)
  }
  if (typeof message === "object" && message !== null && !Array.isArray(message)) return message as Params
  throw new RpcError(CODES.invalidRequest, "One JSON-RPC 2.0 message is expected", undefined, 400)
}

/** The request in a message; undefined when the message wants no answer. */
function understand(headers: Headers, message: Params): Call | undefined {
  const { jsonrpc, id, method, params = {} } = message
  const spoken = headers.get("mcp-protocol-version")
  const meta = isObject(params) && isObject(params._meta) ? params._meta : {}
  if (spoken !== null && typeof meta[META.version] === "string") checkVersion(spoken, meta[META.version] as string)
  const requested = meta[META.version] ?? spoken ?? LEGACY[0]
  if (!SUPPORTED.includes(requested as string)) {
    const data = { supported: SUPPORTED, requested }
    throw new RpcError(CODES.unsupportedVersion, "Unsupported protocol version", data, 400)
  }
  if (jsonrpc !== "2.0" || (typeof method !== "string" && !isAnswer(message))) {
    throw new RpcError(CODES.invalidRequest, "One JSON-RPC 2.0 message is expected", undefined, 400)
  }
  if (id === undefined || isAnswer(message)) return undefined
  if (!isId(id)) throw new RpcError(CODES.invalidRequest, "The id must be text or a whole number", undefined, 400)
  if (!isObject(params)) throw new RpcError(CODES.invalidParams, "params must be an object", undefined, 400)
  const modern = MODERN.includes(requested as string) || method === "server/discover"
  if (modern) checkModern(headers, method as string, { ...params, _meta: meta })
  return { id, method: method as string, params, modern }
}

function checkModern(headers: Headers, method: string, params: Params & { _meta: Params }): void {
  for (const [key, type] of [
    [META.version, "string"],
    [META.capabilities, "object"],
  ] as const) {
    const value = params._meta[key]
    if (typeof value !== type || value === null) {
      throw new RpcError(CODES.invalidParams, `_meta must have "${key}"`, undefined, 400)
    }
  }
  checkHeaders(headers, method, params)
}

async function answer({ id, method, params, modern }: Call, context: Context): Promise<Response> {
  const found = Object.hasOwn(METHODS, method) ? METHODS[method]! : undefined
  if (!found || (found.only && found.only !== (modern ? "modern" : "legacy"))) {
    throw new RpcError(CODES.methodNotFound, `There is no method "${method}"`, undefined, modern ? 404 : 200)
  }
  const { request, grants } = context
  const result = await found.run({ ...context, id, params, modern, cursor: params.cursor })
  if (result instanceof Response) return result
  if (!modern) return success(id, result)
  if (request.signal.aborted) return new Response(null, { status: 499 })
  const { cache } = found
  return success(id, {
    resultType: "complete",
    ...result,
    ...(cache && { ttlMs: cache.ttlMs, cacheScope: cache.scope }),
    _meta: { [META.server]: serverInfo(grants.vault) },
  })
}

/** RFC 6750, section 3.1: says which scope the client should ask the hub for. */
function stepUp({ message, body }: Refused, metadata: string): RpcError {
  const scope = String(body.required_scope)
  const challenge =
    `Bearer error="insufficient_scope", scope="${scope}", resource_metadata="${metadata}", ` +
    `error_description="${message}"`
  const data = { required_scope: scope, granted_scopes: body.granted_scopes }
  return new RpcError(CODES.insufficientScope, message, data, 403, { "www-authenticate": challenge })
}

function isAnswer(message: Params): boolean {
  return message.method === undefined && (message.result !== undefined || message.error !== undefined)
}

function isId(id: unknown): id is Id {
  return typeof id === "string" || Number.isInteger(id)
}

function isObject(value: unknown): value is Params {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
