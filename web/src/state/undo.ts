/** What can be taken back: it is hidden at once, and done when ten seconds have passed or the page is left. */
import { signal } from "@preact/signals"

export const UNDO_FOR = 10_000

export interface Undoable {
  /** What is happening, for the person: "Disconnecting Claude". */
  text: string
  /** The entry that is hidden meanwhile. */
  key: string
  /** Does it once the time is over. Without it, it has been done and `back` takes it back. */
  commit?: () => Promise<void>
  back?: () => Promise<void>
  /** Told once it is done. */
  done?: string
}

interface Doors {
  say: (text: string) => void
  report: (problem: unknown) => void
}

/** Holds one act at a time: another one, or leaving the page, completes it. */
export class Undo {
  readonly pending = signal<Undoable | null>(null)
  readonly #hidden = signal<ReadonlySet<string>>(new Set())
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly doors: Doors) {}

  /** Whether an entry is being removed, so that lists leave it out. */
  hides(key: string): boolean {
    return this.#hidden.value.has(key)
  }

  begin(act: Undoable): void {
    void this.complete()
    this.pending.value = act
    if (act.commit) this.#hidden.value = new Set([...this.#hidden.value, act.key])
    this.#timer = setTimeout(() => void this.complete(), UNDO_FOR)
  }

  /** Takes it back. */
  async undo(): Promise<void> {
    const act = this.#taken()
    if (!act) return
    this.#show(act.key)
    await act.back?.()
  }

  /** Does what waits, now. A failure shows the entry again. */
  async complete(): Promise<void> {
    const act = this.#taken()
    if (!act?.commit) return
    try {
      await act.commit()
      if (act.done) this.doors.say(act.done)
    } catch (problem) {
      this.doors.report(problem)
    }
    this.#show(act.key)
  }

  #taken(): Undoable | null {
    clearTimeout(this.#timer)
    const act = this.pending.value
    this.pending.value = null
    return act
  }

  #show(key: string): void {
    this.#hidden.value = new Set([...this.#hidden.value].filter((other) => other !== key))
  }
}
