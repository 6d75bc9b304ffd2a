/** An error with a message for the person. */
export class Problem extends Error {}

/** No answer came: what was asked for may have been done all the same. */
export class Unreachable extends Problem {
  constructor() {
    super("Your hub does not answer. What you write is kept on this device and sent when the hub is back.")
  }
}

/** The hub has ended the access of this app; only connecting again helps. */
export class Ended extends Problem {
  constructor() {
    super("Your hub has ended the access of Notes. Connect again; what you wrote is kept on this device.")
  }
}

/** The vault's answer to a request that it did not carry out. */
export class Refused extends Problem {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
    readonly body: Record<string, unknown>,
    /** Seconds to wait before the next try, when the hub says so. */
    readonly retryAfter = 0,
  ) {
    super(message)
  }

  /** True when the same request can succeed later. A 404 without a code is not the vault's word on a note. */
  get passes(): boolean {
    return this.status >= 500 || [401, 408, 429].includes(this.status) || (this.status === 404 && !this.code)
  }
}

/** What the person is told about an error. */
export function wordsFor(error: unknown): string {
  if (error instanceof Problem) return error.message
  if (error instanceof DOMException && error.name === "QuotaExceededError") {
    return "This device has no room left for notes. Free some space; what is open here stays until then."
  }
  return "Something went wrong here. Reload the page."
}
