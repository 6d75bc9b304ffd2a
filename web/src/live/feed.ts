/**
 * Keeps the page true. One event stream while the page is seen; after a break it resumes where it was (Last-Event-ID),
 * and until then the page is polled, so that it works through a hub restart and behind proxies that hold streams back.
 */
import { type Message, Reader } from "./sse"

/** `live`: by stream; `polling`: the hub answers but the stream does not; `away`: the hub does not answer. */
export type Contact = "live" | "polling" | "away"

export interface FeedParts {
  open: (headers: Record<string, string>, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>
  /** Reads everything anew; raises when the hub is away. */
  refresh: () => Promise<void>
  onMessage: (message: Message) => void
  onContact: (contact: Contact) => void
  sleep: (ms: number) => Promise<void>
}

const FIRST_WAIT = 500
const LONGEST_WAIT = 10_000

/**
 * In milliseconds. A stream that stands says something within `firstWord`; otherwise something between holds it back.
 * Later it may be silent for `silence`: the hub ticks every 15 s.
 */
export interface Patience {
  firstWord: number
  silence: number
}

export class Feed {
  #lastId = ""
  #stop: AbortController | null = null

  constructor(
    private readonly parts: FeedParts,
    private readonly patience: Patience = { firstWord: 5_000, silence: 45_000 },
  ) {}

  start(): void {
    if (this.#stop) return
    this.#stop = new AbortController()
    void this.#run(this.#stop.signal)
  }

  stop(): void {
    this.#stop?.abort()
    this.#stop = null
  }

  async #run(ended: AbortSignal): Promise<void> {
    let wait = FIRST_WAIT
    while (!ended.aborted) {
      const heard = await this.#listen(ended)
      if (ended.aborted) return
      if (heard) wait = FIRST_WAIT
      this.parts.onContact(await this.#poll())
      await this.parts.sleep(wait)
      wait = Math.min(wait * 2, LONGEST_WAIT)
    }
  }

  async #poll(): Promise<Contact> {
    try {
      await this.parts.refresh()
      return "polling"
    } catch {
      return "away"
    }
  }

  /** One stream until it ends; whether anything was heard. */
  async #listen(ended: AbortSignal): Promise<boolean> {
    const line = new AbortController()
    const hangUp = () => line.abort()
    ended.addEventListener("abort", hangUp)
    let silence = setTimeout(hangUp, this.patience.firstWord)
    let heard = false
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream" }
      if (this.#lastId) headers["Last-Event-ID"] = this.#lastId
      const stream = await this.parts.open(headers, line.signal)
      const bytes = stream.getReader()
      const text = new TextDecoder()
      const reader = new Reader(this.#lastId)
      for (;;) {
        const { done, value } = await bytes.read()
        if (done) return heard
        clearTimeout(silence)
        silence = setTimeout(hangUp, this.patience.silence)
        if (!heard) {
          heard = true
          // What changed before the stream stood is told by no event.
          await this.parts.refresh()
          this.parts.onContact("live")
        }
        for (const message of reader.push(text.decode(value, { stream: true }))) {
          this.#lastId = message.id
          this.parts.onMessage(message)
        }
      }
    } catch {
      return heard
    } finally {
      clearTimeout(silence)
      ended.removeEventListener("abort", hangUp)
      line.abort()
    }
  }
}
