// Long answers: server-sent events that follow the change feed of a vault. A stream produces text when its reader
// is ready for more, so a slow reader costs no memory.

import { Refused } from "./kit/http.ts"
import { busy } from "./rest/errors.ts"
import type { Store } from "./store/store.ts"

const MOST_STREAMS = 32

/** In milliseconds. */
interface Timing {
  heartbeat: number
  /** Looks for changes of other processes this often, while somebody listens. */
  poll: number
  /** A reader that takes nothing for this long is disconnected. */
  stalled: number
}

const TIMING: Timing = { heartbeat: 15_000, poll: 1_000, stalled: 60_000 }

export type EndReason = "token" | "slow" | "stopping"

/** What a stream says. Each text is one or more whole events. */
export interface Script {
  hello: string
  /** What there is to say since the last call; empty when nothing happened. */
  news(): string
  bye(reason: EndReason): string
}

interface Options {
  request: Request
  store: Store
  script: Script
  /** Rejects when the caller's token is no longer good. */
  recheck: () => Promise<unknown>
}

/** All open streams of one vault. */
export class LiveStreams {
  readonly #streams = new Set<LiveStream>()
  readonly #timing: Timing

  constructor(timing: Timing = TIMING) {
    this.#timing = timing
  }

  open(options: Options): Response {
    if (this.#streams.size >= MOST_STREAMS) throw busy("Too many devices listen to this vault.", 30)
    const stream = new LiveStream(options, this.#timing, () => this.#streams.delete(stream))
    this.#streams.add(stream)
    options.request.signal.addEventListener("abort", () => stream.end())
    return new Response(stream.body, {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" },
    })
  }

  /** Ends all streams, before the process does. */
  close(): void {
    for (const stream of [...this.#streams]) stream.bye("stopping")
  }
}

class LiveStream {
  readonly body: ReadableStream<Uint8Array>
  readonly #options: Options
  readonly #timing: Timing
  readonly #ended: () => void
  readonly #timers: Timer[] = []
  readonly #encoder = new TextEncoder()
  #controller!: ReadableStreamDefaultController<Uint8Array>
  #unsubscribe = () => {}
  #wake: (() => void) | undefined
  #fullSince = Infinity
  #over = false

  constructor(options: Options, timing: Timing, ended: () => void) {
    this.#options = options
    this.#timing = timing
    this.#ended = ended
    this.body = new ReadableStream<Uint8Array>(
      { start: (controller) => this.#start(controller), pull: () => this.#pull(), cancel: () => this.end() },
      new ByteLengthQueuingStrategy({ highWaterMark: 65_536 }),
    )
  }

  /** Says why, then ends. */
  bye(reason: EndReason): void {
    if (this.#over) return
    this.#send(this.#options.script.bye(reason))
    this.end()
  }

  end(): void {
    if (this.#over) return
    this.#over = true
    this.#unsubscribe()
    this.#timers.forEach(clearInterval)
    this.#wake?.()
    this.#ended()
    try {
      this.#controller.close()
    } catch {
      // The reader closed it already.
    }
  }

  #start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const { core } = this.#options.store
    this.#controller = controller
    this.#send(this.#options.script.hello)
    this.#unsubscribe = core.subscribe(() => this.#wake?.())
    this.#timers.push(
      setInterval(() => core.poll(), this.#timing.poll),
      setInterval(() => void this.#beat(), this.#timing.heartbeat),
    )
  }

  /** Called when the reader wants more: sends what there is, or waits for the next change. */
  async #pull(): Promise<void> {
    this.#fullSince = Infinity
    while (!this.#over) {
      const news = this.#options.script.news()
      if (news) {
        this.#send(news)
        break
      }
      await new Promise<void>((resolve) => (this.#wake = resolve))
      this.#wake = undefined
    }
    if (!this.#over && (this.#controller.desiredSize ?? 0) <= 0) this.#fullSince = performance.now()
  }

  async #beat(): Promise<void> {
    if (performance.now() - this.#fullSince > this.#timing.stalled) return this.bye("slow")
    try {
      await this.#options.recheck()
    } catch (error) {
      if (!(error instanceof Refused)) console.error("a stream's token could not be checked:", error)
      return this.bye("token")
    }
    if (!this.#over && (this.#controller.desiredSize ?? 0) > 0) this.#send(": alive\n\n")
  }

  #send(text: string): void {
    try {
      this.#controller.enqueue(this.#encoder.encode(text))
    } catch {
      this.end()
    }
  }
}
