/** Turns a series of numbers into an SVG line. */

export interface Line {
  /** Points for an SVG `polyline` in a 100 by 100 view box. */
  points: string
  least: number
  most: number
}

const PLACES = 120

/** The peaks of `values` in at most 120 points; null for fewer than two values. */
export function line(values: readonly number[]): Line | null {
  if (values.length < 2) return null
  const each = Math.ceil(values.length / PLACES)
  const peaks: number[] = []
  for (let at = 0; at < values.length; at += each) peaks.push(Math.max(...values.slice(at, at + each)))
  const most = Math.max(...values)
  const points = peaks.map((value, at) => {
    const across = peaks.length > 1 ? (100 * at) / (peaks.length - 1) : 100
    // The axis starts at zero, so that small changes look small.
    return `${across.toFixed(1)},${(100 - (90 * value) / (most || 1)).toFixed(1)}`
  })
  return { points: points.join(" "), least: Math.min(...values), most }
}

/** The series to show and the time it covers: the day, once it covers more than the hour. */
export function span(
  recent: readonly number[],
  minutes: readonly number[],
): { values: readonly number[]; told: string } {
  if (minutes.length <= 60) return { values: recent, told: "in the last hour" }
  const hours = Math.round(minutes.length / 60)
  return { values: minutes, told: hours >= 24 ? "in the last day" : `in the last ${hours} hours` }
}
