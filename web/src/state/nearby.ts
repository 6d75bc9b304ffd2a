/** Addresses that lead into a private network by their looks; the hub looks names up, and has the last word. */

const NUMBERS = /^(10|127|169\.254|192\.168|172\.(1[6-9]|2\d|3[01])|100\.(6[4-9]|[789]\d|1[01]\d|12[0-7]))\./
const NAMES = /(^[^.:]+|\.(local|localhost|internal|lan|home\.arpa))\.?$/
const IPV6 = /^(::1$|f[cd]|fe[89ab])/

/** The host of an address that looks private, null for any other. */
export function nearby(address: string): string | null {
  const text = address
    .trim()
    .toLowerCase()
    .replace(/^https?:\/\//, "")
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^/:]+))(?::\d+)?\/?$/.exec(text) ?? []
  if (bracketed) return IPV6.test(bracketed) ? bracketed : null
  if (!plain) return null
  const number = /^[\d.]+$/.test(plain)
  return (number ? NUMBERS : NAMES).test(plain) ? plain : null
}
