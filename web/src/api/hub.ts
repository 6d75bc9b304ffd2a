/** The hub's JSON API, called with the browser's own session. */
import type { AnswerTo, Me, Path } from "./shapes"

/** An answer that is not 2xx. `message` is the hub's sentence for a person. */
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

/** The hub did not answer at all: it restarts, or the network is away. */
export class Away extends Error {
  constructor() {
    super("The hub does not answer. It may be restarting; try again in a moment.")
  }
}

export interface Doors {
  /** Asks the person for a password or code; gives the proof, or null when they turn back. */
  prove: (operation: string) => Promise<string | null>
  /** The session ended, or first-run is not done: go there. */
  leave: (to: string) => void
}

export type Fetcher = (path: string, init: RequestInit) => Promise<Response>
export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE"

/** Thrown when the person closes the step-up dialog: nothing went wrong and nothing was done. */
export class TurnedBack extends Error {
  constructor() {
    super("Nothing was changed.")
  }
}

export class Hub {
  #csrf: string | null = null

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

  /** One call; asks for a step-up proof and repeats when the hub wants one. Raises Refusal, Away or TurnedBack. */
  async call<T>(method: Method, path: string, body?: unknown): Promise<T> {
    const headers: Record<string, string> = {}
    if (method !== "GET") headers["X-Parachute-CSRF"] = this.#csrf ?? (await this.me()).csrf ?? ""
    try {
      return await this.#send<T>(method, path, body, headers)
    } catch (problem) {
      if (!(problem instanceof Refusal)) throw problem
      if (problem.error === "step_up_required") return this.#proven<T>(method, path, body, headers, problem)
      if (problem.status === 403 && problem.error.startsWith("csrf") && method !== "GET") {
        // Another tab signed in again: the token is a new one.
        headers["X-Parachute-CSRF"] = (await this.me()).csrf ?? ""
        return this.#send<T>(method, path, body, headers)
      }
      throw this.#handled(problem)
    }
  }

  /** A stream of bytes (events, logs); the caller reads and ends it. */
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
    // A wrong password is answered with 401 too, and ends nothing.
    const ended = problem.status === 401 && problem.error !== "invalid_credentials"
    if (ended) this.doors.leave(`/login?next=${here}`)
    else if (problem.error === "setup_required") this.doors.leave("/admin/setup")
    else if (problem.error === "force_change_password") this.doors.leave(`/account/change-password?next=${here}`)
    return problem
  }

  async #send<T>(method: Method, path: string, body: unknown, headers: Record<string, string>): Promise<T> {
    headers["Accept"] = "application/json"
    const init: RequestInit = { method, headers, credentials: "same-origin", cache: "no-store" }
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
    // A session that begins or is renewed has a new value.
    if (typeof told.csrf === "string") this.#csrf = told.csrf
    return told as T
  }
}

async function refusal(answer: Response): Promise<Refusal> {
  let body: Record<string, unknown> = {}
  try {
    body = (await answer.json()) as Record<string, unknown>
  } catch {
    // A proxy in front of the hub answers in HTML; its status is all we can tell.
  }
  const text = body["error_description"] ?? body["message"] ?? `The hub answered ${answer.status}.`
  return new Refusal(answer.status, String(body["error"] ?? "unknown"), String(text), body)
}
