/** One restore: sends or names the archive, follows it, and applies it. The hub knows it by a ticket. */
import type { Hub } from "./hub"
import { refusal } from "./hub"

const PATH = "/admin/setup/restore"
const MOST_FAILURES = 20
const PAUSE = 1000
const LOOK_EVERY = 500

/** What each has in the backup; sizes in bytes. */
export type Measures = Record<string, { files: number; size: number }>

/** One module's data, or one vault; with `as`, beside the others under that name. */
export type Part = { module: string } | { vault: string; as?: string }

/** What a backup brings, and what it takes the place of. Times are in Unix seconds. */
export interface RestorePlan {
  phase: "receiving" | "checking" | "ready" | "failed" | "applying"
  progress: { bytes?: number; of?: number }
  backup: { created_at: number; origin: string; modules: { short: string; version: string | null }[] }
  result: { files: number; size: number; modules: Measures; vaults: Measures; apps: string[] }
  replaces: { modules: string[]; versions: Record<string, string>; vaults: string[]; origin: string }
  error: string | null
}

interface Begun {
  id: string
  ticket: string
  /** Bytes of one part. */
  chunk: number
}

export interface Source {
  from: { id: string }
  name: string
}

/** Says how far it is: bytes done, and of how many. */
type Follow = (doing: "sending" | "checking", done: number, of: number) => void

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

export class Restore {
  private constructor(private readonly begun: Begun) {}

  /** Asks for the password; the rest needs the ticket only. */
  static async begin(hub: Hub, identity: string, source?: Source): Promise<Restore> {
    return new Restore(await hub.call<Begun>("POST", PATH, { identity, ...source }))
  }

  /** Sends a file in parts. The hub says how much it has, so a short loss of the network costs nothing. */
  async upload(file: Blob, follow: Follow): Promise<void> {
    let failures = 0
    for (let sent = 0; sent < file.size; ) {
      const part = file.slice(sent, sent + this.begun.chunk)
      const answer = await this.#send("PUT", `/parts/${sent}`, part).catch(() => null)
      if (answer?.ok) {
        sent = ((await answer.json()) as { received: number }).received
        failures = 0
        follow("sending", sent, file.size)
        continue
      }
      const problem = answer && (await refusal(answer))
      const received = problem?.detail["received"]
      if (problem?.error === "wrong_offset" && typeof received === "number") sent = received
      else if (problem && problem.status < 500) throw problem
      failures += 1
      if (failures > MOST_FAILURES) throw problem ?? new Error("The connection was lost. Nothing has changed.")
      await pause(PAUSE)
    }
    await this.#done("POST", "/end")
  }

  /** Waits until the whole archive was read and checked. Throws what is wrong with it. */
  async plan(follow: Follow): Promise<RestorePlan> {
    for (;;) {
      const state = (await this.#done("GET", "")) as RestorePlan
      if (state.phase === "failed") throw new Error(state.error ?? "The backup could not be read.")
      if (state.phase === "ready") return state
      follow("checking", state.progress.bytes ?? 0, state.progress.of ?? 0)
      await pause(LOOK_EVERY)
    }
  }

  /** Takes the backup in place of what is here. Ends when the hub runs again. */
  async apply(mode: "move" | "copy"): Promise<void> {
    const before = (await health())?.instance
    await this.#done("POST", "/apply", { mode })
    for (;;) {
      await pause(PAUSE)
      const now = await health()
      if (now?.phase === "up" && now.instance !== before) return
    }
  }

  /** Starts to put one part in place on the running hub: the operation's id. */
  async applyPart(part: Part): Promise<string> {
    return ((await this.#done("POST", "/apply", { part })) as { operation_id: string }).operation_id
  }

  async cancel(): Promise<void> {
    await this.#send("DELETE", "").catch(() => undefined)
  }

  #send(method: string, path: string, body?: unknown): Promise<Response> {
    const bytes = body instanceof Blob
    return fetch(`${PATH}/${this.begun.id}${path}`, {
      method,
      body: body === undefined ? null : bytes ? body : JSON.stringify(body),
      headers: {
        Accept: "application/json",
        Authorization: `Bearer ${this.begun.ticket}`,
        "Content-Type": bytes ? "application/octet-stream" : "application/json",
      },
    })
  }

  async #done(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.#send(method, path, body)
    if (!answer.ok) throw await refusal(answer)
    return answer.json()
  }
}

async function health(): Promise<{ phase: string; instance: string } | null> {
  try {
    return (await (await fetch("/health", { cache: "no-store" })).json()) as { phase: string; instance: string }
  } catch {
    return null
  }
}
