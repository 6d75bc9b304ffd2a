/** A row of figures as a line that fits any width. */

export interface Line {
  /** For an SVG `polyline` in a view box of 100 by 100, the highest value near the top. */
  points: string
  least: number
  most: number
}

const PLACES = 120

/** The peaks of `values` in at most 120 places; null when there are fewer than two. */
export function line(values: readonly number[]): Line | null {
  if (values.length < 2) return null
  const each = Math.ceil(values.length / PLACES)
  const peaks: number[] = []
  for (let at = 0; at < values.length; at += each) peaks.push(Math.max(...values.slice(at, at + each)))
  const most = Math.max(...values)
  const points = peaks.map((value, at) => {
    const across = peaks.length > 1 ? (100 * at) / (peaks.length - 1) : 100
    // From zero, so that a small change does not look like a large one.
    return `${across.toFixed(1)},${(100 - (90 * value) / (most || 1)).toFixed(1)}`
  })
  return { points: points.join(" "), least: Math.min(...values), most }
}

/** Which of the two rows says more, and what it covers: the day once it has more than the hour has. */
export function span(
  recent: readonly number[],
  minutes: readonly number[],
): { values: readonly number[]; told: string } {
  if (minutes.length <= 60) return { values: recent, told: "during the last hour" }
  const hours = Math.round(minutes.length / 60)
  return { values: minutes, told: hours >= 24 ? "during the last day" : `during the last ${hours} hours` }
}
