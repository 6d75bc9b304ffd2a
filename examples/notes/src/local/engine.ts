// Keeps this device and the vault in step, in one tab for all: the stream of changes, and the sending of what is
// unsent with a back-off. It tries again when the network or the person comes back.

import { signal } from "@preact/signals"
import { Ended, Problem, Refused, wordsFor } from "../core/problem.ts"
import { follow, vault } from "../remote/vault.ts"
import type { Files } from "./files.ts"
import type { Library } from "./library.ts"
import { alone } from "./locks.ts"
import { Sync } from "./sync.ts"

/** Milliseconds after the last key before a note is sent, and the longest that typing delays it. */
const PAUSE = 800
const LONGEST = 4000
/** Milliseconds before the next try: doubled each time, with some chance. */
const FIRST_RETRY = 1000
const LAST_RETRY = 15_000

/** What tabs tell each other: why nothing can be sent, or to send at once. */
interface State {
  now?: true
  synced?: true
  replaced?: true
  problem?: string
  ended?: boolean
}

export class Engine {
  /** Why nothing can be sent now, in words for the person. */
  readonly problem = signal<string>()
  /** True after the hub has ended the access. */
  readonly ended = signal(false)
  /** True after the vault turned out to have other data than before. */
  readonly replaced = signal(false)
  readonly #library: Library
  readonly #files: Files
  readonly #sync: Sync
  readonly #stop = new AbortController()
  readonly #bell = new EventTarget()
  readonly #channel: BroadcastChannel
  #dueAt = 0
  #firstAt = 0

  constructor(library: Library, files: Files) {
    this.#library = library
    this.#files = files
    this.#sync = new Sync(vault, library.store, () => this.#replaced())
    this.#channel = new BroadcastChannel(`${library.store.name}:sync`)
    this.#channel.onmessage = ({ data }: MessageEvent<State>) => {
      if (data.now) this.#hurry()
      else this.#show(data)
    }
    library.onUnsent = () => this.#soon()
    files.onWaiting = () => this.now()
    const again = () => document.visibilityState === "visible" && this.now()
    const { signal } = this.#stop
    for (const event of ["online", "focus"]) addEventListener(event, again, { signal })
    document.addEventListener("visibilitychange", again, { signal })
  }

  async run(): Promise<void> {
    const { signal } = this.#stop
    await alone(
      `${this.#library.store.name}:sync`,
      async () => {
        await Promise.all([this.#sending(signal), this.#following(signal)])
      },
      signal,
    )
  }

  stop(): void {
    this.#stop.abort()
    this.#ring()
    this.#channel.close()
  }

  /** Sends at once, whatever the back-off says. */
  now(): void {
    if (this.#stop.signal.aborted) return
    this.#hurry()
    this.#channel.postMessage({ now: true })
  }

  #hurry(): void {
    this.#dueAt = 0
    this.#ring()
  }

  #soon(): void {
    const now = Date.now()
    if (this.#firstAt === 0) this.#firstAt = now
    this.#dueAt = Math.min(now + PAUSE, this.#firstAt + LONGEST)
    this.#ring()
  }

  async #sending(signal: AbortSignal): Promise<void> {
    let retry = FIRST_RETRY
    while (!signal.aborted) {
      const wait = this.#dueAt - Date.now()
      if (wait > 0) {
        await this.#pause(wait)
        continue
      }
      this.#dueAt = Number.POSITIVE_INFINITY
      this.#firstAt = 0
      try {
        await this.#sync.push()
        await this.#files.upload()
        this.#tell({})
        retry = FIRST_RETRY
      } catch (error) {
        this.#say(error)
        if (error instanceof Ended) return this.stop()
        const least = error instanceof Refused ? error.retryAfter * 1000 : 0
        this.#dueAt = Date.now() + Math.max(least, retry * (0.75 + Math.random() / 2))
        retry = Math.min(retry * 2, LAST_RETRY)
      }
    }
  }

  async #following(signal: AbortSignal): Promise<void> {
    let retry = FIRST_RETRY
    while (!signal.aborted) {
      try {
        await this.#sync.pull()
        if (!this.#library.synced.value) this.#tell({ synced: true })
        const store = this.#library.store
        await follow(
          await store.position(),
          {
            open: () => {
              retry = FIRST_RETRY
              if (this.problem.value) this.now()
            },
            change: async (change) => {
              await this.#sync.take([change])
              await store.setPosition(change)
            },
            reset: () => this.#sync.pull(),
          },
          signal,
        )
      } catch (error) {
        if (signal.aborted) return
        this.#say(error)
        if (error instanceof Ended) return this.stop()
      }
      await this.#pause(retry * (0.75 + Math.random() / 2))
      retry = Math.min(retry * 2, LAST_RETRY)
    }
  }

  /** What the vault lacks now is sent again, pictures and other files, too. */
  async #replaced(): Promise<void> {
    await this.#files.compare(this.#library.notes.values())
    this.#tell({ replaced: true })
    this.now()
  }

  #say(error: unknown): void {
    if (this.#stop.signal.aborted) return
    if (!(error instanceof Problem)) console.error(error)
    this.#tell({ problem: wordsFor(error), ended: error instanceof Ended })
  }

  /** Shows the state in this tab and in the others. */
  #tell(state: State): void {
    this.#show(state)
    this.#channel.postMessage(state)
  }

  #show({ problem, ended, synced, replaced }: State): void {
    if (replaced) this.replaced.value = true
    if (synced) this.#library.synced.value = true
    this.problem.value = problem
    if (ended) this.ended.value = true
  }

  #ring(): void {
    this.#bell.dispatchEvent(new Event("ring"))
  }

  /** Waits, at most so many milliseconds; `now` and `stop` end it early. */
  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        this.#bell.removeEventListener("ring", end)
        resolve()
      }
      const timer = setTimeout(end, Math.min(milliseconds, 2 ** 30))
      this.#bell.addEventListener("ring", end)
    })
  }
}
