/**
 * Keeps the page up to date with one event stream, which resumes after an interruption (Last-Event-ID). Until it does,
 * the page polls, so that it survives a restart of the hub and works behind proxies that buffer streams.
 */
import { createParser, type EventSourceMessage } from "eventsource-parser"

/** `live`: the stream works. `polling`: only requests work. `away`: the hub does not answer. */
export type Contact = "live" | "polling" | "away"

export interface FeedParts {
  open: (headers: Record<string, string>, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>
  /** Reloads everything; throws when the hub is away. */
  refresh: () => Promise<void>
  onMessage: (message: EventSourceMessage) => void
  onContact: (contact: Contact) => void
  sleep: (ms: number) => Promise<void>
}

const FIRST_WAIT = 500
const LONGEST_WAIT = 10_000

/**
 * In milliseconds. A working stream sends something within `firstWord`; otherwise a proxy is buffering it. After that it
 * may be silent for `silence`: the hub sends a tick every 15 s.
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

  /** Reads one stream until it ends; true if anything arrived. */
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
      const parser = createParser({
        onId: (id) => {
          this.#lastId = id
        },
        onEvent: this.parts.onMessage,
      })
      for (;;) {
        const { done, value } = await bytes.read()
        if (done) return heard
        clearTimeout(silence)
        silence = setTimeout(hangUp, this.patience.silence)
        if (!heard) {
          heard = true
          // No event reports what changed before the stream was open.
          await this.parts.refresh()
          this.parts.onContact("live")
        }
        parser.feed(text.decode(value, { stream: true }))
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
