/** The tail of a module's log. */

const KEPT = 3000

/** Splits chunks into lines and keeps the newest. While paused, the view does not change. */
export class Tail {
  #lines: string[] = []
  #rest = ""
  #shown: readonly string[] = []
  #paused = false

  constructor(private readonly kept: number = KEPT) {}

  /** A new stream replays what the hub remembers, so earlier lines are dropped. */
  restart(): void {
    this.#lines = []
    this.#rest = ""
  }

  push(text: string): void {
    const lines = (this.#rest + text).split("\n")
    this.#rest = lines.pop() ?? ""
    this.#lines.push(...lines)
    if (this.#lines.length > this.kept) this.#lines.splice(0, this.#lines.length - this.kept)
  }

  pause(paused: boolean): void {
    this.#shown = [...this.#lines]
    this.#paused = paused
  }

  /** All lines kept, including those that arrived while paused. */
  get all(): readonly string[] {
    return this.#lines
  }

  /** Visible lines that contain `filter`, ignoring case. */
  view(filter: string): readonly string[] {
    const lines = this.#paused ? this.#shown : this.#lines
    const wanted = filter.trim().toLowerCase()
    return wanted ? lines.filter((line) => line.toLowerCase().includes(wanted)) : lines
  }
}
