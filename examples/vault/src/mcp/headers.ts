// Revision 2026-07-28 repeats parts of a request in HTTP headers; what differs from the body is refused.
// https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http

import { CODES, META, type Params, RpcError } from "./protocol.ts"

const NAMED: Record<string, string> = { "tools/call": "name", "prompts/get": "name", "resources/read": "uri" }

export function checkHeaders(headers: Headers, method: string, params: Params): void {
  const { [META.version]: version } = params._meta as Params
  checkVersion(headers.get("mcp-protocol-version"), String(version))
  compare("Mcp-Method", headers.get("mcp-method"), method)
  const field = NAMED[method]
  if (field) compare("Mcp-Name", decoded(headers.get("mcp-name")), String(params[field]))
}

export function checkVersion(header: string | null, body: string): void {
  compare("MCP-Protocol-Version", header, body)
}

function compare(name: string, header: string | null, body: string): void {
  if (header === body) return
  const problem = header === null ? "is missing or malformed" : `"${header}" does not match the body's "${body}"`
  throw new RpcError(CODES.headerMismatch, `Header mismatch: ${name} ${problem}`, undefined, 400)
}

/** Values that are not plain ASCII come as `=?base64?...?=`. */
function decoded(value: string | null): string | null {
  const coded = /^=\?base64\?(.*)\?=$/.exec(value ?? "")?.[1]
  if (coded === undefined) return value !== null && /^[\x20-\x7e\t]*$/.test(value) ? value : null
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(coded) || coded.length % 4 !== 0) return null
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(coded, "base64"))
  } catch {
    return null
  }
}
