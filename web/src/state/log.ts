/** The tail of a log. */

const KEPT = 3000

export type Level = "debug" | "info" | "warning" | "error"
export const LEVELS: readonly Level[] = ["debug", "info", "warning", "error"]

/** One line. `mark`: the hub's note of a moment, such as a start or a crash. */
export interface Entry {
  at: string
  level: Level
  mark: string | null
  text: string
}

/** What is shown: this level and more serious ones, from this time on (milliseconds), with this text. */
export interface Filter {
  text: string
  level: Level
  since: number | null
}

/** Splits chunks into lines and keeps the newest. While paused, the view does not change. */
export class Tail {
  #entries: Entry[] = []
  #rest = ""
  #shown: readonly Entry[] = []
  #paused = false

  constructor(private readonly kept: number = KEPT) {}

  /** A new stream replays what the hub remembers, so earlier lines are dropped. */
  restart(): void {
    this.#entries = []
    this.#rest = ""
  }

  /** A piece of the stream: one JSON object a line. */
  push(text: string): void {
    const lines = (this.#rest + text).split("\n")
    this.#rest = lines.pop() ?? ""
    for (const line of lines) if (line) this.#entries.push(JSON.parse(line) as Entry)
    if (this.#entries.length > this.kept) this.#entries.splice(0, this.#entries.length - this.kept)
  }

  pause(paused: boolean): void {
    this.#shown = [...this.#entries]
    this.#paused = paused
  }

  /** Visible lines. Marks are shown whatever the level. */
  view({ text, level, since }: Filter): readonly Entry[] {
    const wanted = text.trim().toLowerCase()
    const least = LEVELS.indexOf(level)
    return (this.#paused ? this.#shown : this.#entries).filter(
      (entry) =>
        (entry.mark !== null || LEVELS.indexOf(entry.level) >= least) &&
        (since === null || Date.parse(entry.at) >= since) &&
        entry.text.toLowerCase().includes(wanted),
    )
  }
}
