/** The end of a module's log, followed live. */

const KEPT = 3000

/** Text in pieces becomes lines; only the newest are kept, and while paused the view stands still. */
export class Tail {
  #lines: string[] = []
  #rest = ""
  #shown: readonly string[] = []
  #paused = false

  constructor(private readonly kept: number = KEPT) {}

  /** A new stream replays what the hub remembers: begin again rather than show it twice. */
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

  /** Everything that is kept, also what came during a pause. */
  get all(): readonly string[] {
    return this.#lines
  }

  /** The lines to show that contain `filter`, in any case. */
  view(filter: string): readonly string[] {
    const lines = this.#paused ? this.#shown : this.#lines
    const wanted = filter.trim().toLowerCase()
    return wanted ? lines.filter((line) => line.toLowerCase().includes(wanted)) : lines
  }
}
