// Protection against DNS rebinding: a page whose own name leads to this machine sends that name as Host and Origin.

import { isIP } from "node:net"
import { Refused } from "./kit/http.ts"

const LOOPBACK = /^(localhost|[\w-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/

export class KnownHosts {
  readonly #names: Set<string>
  readonly #addresses: boolean

  /** `origins` are those of the hub. With `bind`, the vault is reached at other addresses than loopback, too. */
  constructor(origins: string[], bind?: string) {
    this.#names = new Set(origins.map((origin) => URL.parse(origin)?.hostname).filter((name) => name !== undefined))
    this.#addresses = bind !== undefined && bind !== "" && !LOOPBACK.test(bind)
  }

  /** Refuses a request by a name that is neither the hub's nor this machine's, whatever key it brings. */
  check(request: Request): void {
    const host = request.headers.get("host")
    if (host !== null && !this.#knows(`http://${host}`)) {
      throw new Refused(421, { error: "Misdirected request", message: "The vault does not answer to this Host." })
    }
    const origin = request.headers.get("origin")
    if (origin !== null && !this.#knows(origin) && !isSameOrigin(origin, request)) {
      throw new Refused(403, { error: "Forbidden", message: "Pages of this Origin may not use the vault over MCP." })
    }
  }

  #knows(origin: string): boolean {
    const name = URL.parse(origin)?.hostname
    if (!name) return false
    const isAddress = this.#addresses && isIP(name.replace(/^\[|\]$/g, "")) > 0
    return LOOPBACK.test(name) || this.#names.has(name) || isAddress
  }
}

/** The hub says by which name it was reached, and answers only to names of its own. */
function isSameOrigin(origin: string, request: Request): boolean {
  const host = request.headers.get("x-forwarded-host")
  return host !== null && URL.parse(origin)?.host === host.toLowerCase()
}
