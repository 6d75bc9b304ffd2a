/** Client of the hub's JSON API, using the browser's session. */
import type { AnswerTo, Me, Path } from "./shapes"

/** A response other than 2xx. `message` is meant for people. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly error: string,
    message: string,
    readonly detail: Record<string, unknown> = {},
  ) {
    super(message)
  }
}

/** The hub did not answer: it is restarting, or the network is down. */
export class Away extends Error {
  constructor() {
    super("The hub does not answer. It may be restarting. Try again in a moment.")
  }
}

export interface Doors {
  /** Asks the person for a password or code. Resolves to the proof, or null when they cancel. */
  prove: (operation: string) => Promise<string | null>
  /** Leaves the app: the session ended, or setup is not done. */
  leave: (to: string) => void
  /** What this browser keeps from signing in over plain http. */
  key?: () => string | null
}

export type Fetcher = (path: string, init: RequestInit) => Promise<Response>
export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE"

/** Thrown when the person cancels step-up: nothing failed and nothing was done. */
export class TurnedBack extends Error {
  constructor() {
    super("Nothing was changed.")
  }
}

export class Hub {
  #csrf: string | null = null
  /** The page is being left: requests outlive it. */
  leaving = false

  constructor(
    private readonly doors: Doors,
    private readonly fetcher: Fetcher = (path, init) => fetch(path, init),
  ) {}

  async me(): Promise<Me> {
    return this.#send<Me>("GET", "/api/me", undefined, {})
  }

  get<P extends Path>(path: P): Promise<AnswerTo<P>> {
    return this.call<AnswerTo<P>>("GET", path)
  }

  /** One request, repeated with a proof when the hub requires step-up. Throws Refusal, Away or TurnedBack. */
  async call<T>(method: Method, path: string, body?: unknown): Promise<T> {
    const headers: Record<string, string> = {}
    if (method !== "GET") {
      headers["X-Parachute-CSRF"] = this.#csrf ?? (await this.me()).csrf ?? ""
      // Over plain http the session's cookie reaches other programs on this machine; this key does not.
      const key = this.doors.key?.()
      if (key) headers["X-Parachute-Key"] = key
    }
    try {
      return await this.#send<T>(method, path, body, headers)
    } catch (problem) {
      if (!(problem instanceof Refusal)) throw problem
      if (problem.error === "step_up_required") return this.#proven<T>(method, path, body, headers, problem)
      if (problem.status === 403 && problem.error.startsWith("csrf") && method !== "GET") {
        // Another tab signed in again, so the token changed.
        headers["X-Parachute-CSRF"] = (await this.me()).csrf ?? ""
        return this.#send<T>(method, path, body, headers)
      }
      throw this.#handled(problem)
    }
  }

  /** A byte stream (events, logs). The caller closes it. */
  async stream(
    path: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>> {
    const answer = await this.fetcher(path, { headers, signal, credentials: "same-origin", cache: "no-store" })
    if (!answer.ok || !answer.body) throw this.#handled(await refusal(answer))
    return answer.body
  }

  async #proven<T>(
    method: Method,
    path: string,
    body: unknown,
    headers: Record<string, string>,
    asked: Refusal,
  ): Promise<T> {
    const operation = String(asked.detail["operation"] ?? "")
    const proof = await this.doors.prove(operation)
    if (proof === null) throw new TurnedBack()
    return this.#send<T>(method, path, body, { ...headers, "X-Parachute-Proof": proof })
  }

  #handled(problem: Refusal): Refusal {
    const here = encodeURIComponent(location.pathname + location.search)
    // A wrong password also gets 401, but the session goes on.
    const ended = problem.status === 401 && problem.error !== "invalid_credentials"
    if (ended) this.doors.leave(`/login?next=${here}`)
    else if (problem.error === "key_required") this.doors.leave(`/login/key?lost=1&next=${here}`)
    else if (problem.error === "setup_required") this.doors.leave("/admin/setup")
    else if (problem.error === "force_change_password") this.doors.leave(`/account/change-password?next=${here}`)
    return problem
  }

  async #send<T>(method: Method, path: string, body: unknown, headers: Record<string, string>): Promise<T> {
    headers["Accept"] = "application/json"
    const init: RequestInit = { method, headers, credentials: "same-origin", cache: "no-store" }
    if (this.leaving) init.keepalive = true
    if (body !== undefined) {
      headers["Content-Type"] = "application/json"
      init.body = JSON.stringify(body)
    }
    let answer: Response
    try {
      answer = await this.fetcher(path, init)
    } catch {
      throw new Away()
    }
    if (!answer.ok) throw await refusal(answer)
    const json = answer.headers.get("Content-Type")?.startsWith("application/json")
    if (!json) return undefined as T
    const told = (await answer.json()) as { csrf?: unknown }
    // A new or renewed session has a new value.
    if (typeof told.csrf === "string") this.#csrf = told.csrf
    return told as T
  }
}

/** What a response other than 2xx says. */
export async function refusal(answer: Response): Promise<Refusal> {
  let body: Record<string, unknown> = {}
  try {
    body = (await answer.json()) as Record<string, unknown>
  } catch {
    // A proxy in front of the hub answered in HTML: only the status is known.
  }
  const text = body["error_description"] ?? body["message"] ?? `The hub answered ${answer.status}.`
  return new Refusal(answer.status, String(body["error"] ?? "unknown"), String(text), body)
}
