// Revisions of MCP, and JSON-RPC messages. https://modelcontextprotocol.io/specification/2026-07-28/basic

import { version } from "../../package.json"

/** Stateless: each request says in `_meta` what it speaks. */
export const MODERN = ["2026-07-28"]
/** Begins with `initialize`. */
export const LEGACY = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]
export const SUPPORTED = [...MODERN, ...LEGACY]

export const META = {
  version: "io.modelcontextprotocol/protocolVersion",
  capabilities: "io.modelcontextprotocol/clientCapabilities",
  server: "io.modelcontextprotocol/serverInfo",
  subscription: "io.modelcontextprotocol/subscriptionId",
}

export const CODES = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  headerMismatch: -32020,
  unsupportedVersion: -32022,
  /** Our own: outside of the ranges that JSON-RPC and MCP reserve. */
  insufficientScope: 403,
}

export type Id = string | number
export type Params = Record<string, unknown>

/** A mistake in a request, answered as a JSON-RPC error. */
export class RpcError extends Error {
  constructor(
    readonly code: number,
    message: string,
    readonly data?: object,
    readonly status = 200,
    readonly headers: Record<string, string> = {},
  ) {
    super(message)
  }
}

export function invalid(message: string, data?: object): RpcError {
  return new RpcError(CODES.invalidParams, message, data)
}

export function serverInfo(vault: string): object {
  return { name: `parachute-vault/${vault}`, title: `Vault "${vault}"`, version }
}

export function success(id: Id, result: object): Response {
  return Response.json({ jsonrpc: "2.0", id, result })
}

/** Without an id when it could not be read. */
export function failure(id: Id | undefined, { code, message, data, status, headers }: RpcError): Response {
  const error = { code, message, ...(data && { data }) }
  return Response.json({ jsonrpc: "2.0", ...(id !== undefined && { id }), error }, { status, headers })
}

/** The start of a page from an opaque cursor. */
export function startOf(cursor: unknown): number {
  if (cursor === undefined) return 0
  const text = typeof cursor === "string" ? Buffer.from(cursor, "base64url").toString("latin1") : ""
  if (!/^after:\d{1,15}$/.test(text)) throw invalid("The cursor is not one of this server.")
  return Number(text.slice("after:".length))
}

export function cursorAfter(position: number): string {
  return Buffer.from(`after:${position}`).toString("base64url")
}
