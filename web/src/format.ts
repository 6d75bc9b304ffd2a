/** Numbers and times for people. */

const UNITS = ["B", "KB", "MB", "GB", "TB"]

/** `524288` -> `512 KB`, with at most three digits. */
export function bytes(count: number | null | undefined): string {
  if (count === null || count === undefined) return "unknown"
  let value = count
  let unit = 0
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  const digits = unit === 0 || value >= 10 ? 0 : 1
  return `${Number(value.toFixed(digits))} ${UNITS[unit]}`
}

/** `0.034` -> `3%`. */
export function percent(share: number): string {
  return `${Math.round(share * 100)}%`
}

/** A time of the API (Unix seconds or ISO 8601) in milliseconds; null when it is neither. */
export function moment(at: number | string | null | undefined): number | null {
  if (at === null || at === undefined || at === "") return null
  const value = typeof at === "number" ? at * 1000 : Date.parse(at)
  return Number.isFinite(value) ? value : null
}

/** The begin of a day of a date field (`2026-11-29`), or of the one `after` days later, in Unix seconds, by the clock of
 * this browser; null for anything else. */
export function dayStart(day: string, after = 0): number | null {
  const [, year, month, date] = /^(\d{4,})-(\d\d)-(\d\d)$/.exec(day) ?? []
  if (!year || !month || !date) return null
  return new Date(Number(year), Number(month) - 1, Number(date) + after).getTime() / 1000
}

/** `75` -> `1 min 15 s`: the two largest units. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  if (first < 0) return "0 s"
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0)
  return shown.map(([count, unit]) => `${count} ${unit}`).join(" ")
}

/** `5 minutes ago`, `in 3 days`. */
export function ago(at: number | string | null | undefined, now: number = Date.now()): string {
  const then = moment(at)
  if (then === null) return "never"
  const seconds = (then - now) / 1000
  const size = Math.abs(seconds)
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" })
  if (size < 45) return seconds <= 0 ? "just now" : "in a moment"
  if (size < 2700) return words.format(Math.round(seconds / 60), "minute")
  if (size < 79_200) return words.format(Math.round(seconds / 3600), "hour")
  if (size < 30 * 86_400) return words.format(Math.round(seconds / 86_400), "day")
  return new Date(then).toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" })
}

/** `December 29`, by the clock of this browser. */
export function day(at: number | string): string {
  const then = moment(at)
  return then === null ? "" : new Date(then).toLocaleDateString("en", { month: "long", day: "numeric" })
}

/** Full date and time, for tooltips and tables. */
export function exactly(at: number | string | null | undefined): string {
  const then = moment(at)
  return then === null ? "" : new Date(then).toLocaleString("en", { dateStyle: "medium", timeStyle: "medium" })
}

/** `["a", "b", "c"]` -> `a, b and c`. */
export function list(words: readonly string[]): string {
  if (words.length < 2) return words.join("")
  return `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`
}

/** Adds a full stop to a text that lacks one. */
export function sentence(text: string): string {
  const plain = text.trim()
  return plain && !/[.!?]$/.test(plain) ? `${plain}.` : plain
}
