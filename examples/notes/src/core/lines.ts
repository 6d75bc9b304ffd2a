// What differs between two lists of lines (Myers, "An O(ND) difference algorithm", 1986). Pure.

/** Lines `from` to `to` of the first list give way to lines `start` to `end` of the second. */
export interface Hunk {
  from: number
  to: number
  start: number
  end: number
}

/** Lists that differ in more lines are not compared line by line: time and memory grow with the square. */
const MOST = 2000

/** The fewest lines that have to go and to come, in order. Of lists with little in common it is one hunk. */
export function hunks(before: string[], after: string[]): Hunk[] {
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start++
  let left = before.length
  let right = after.length
  while (left > start && right > start && before[left - 1] === after[right - 1]) {
    left--
    right--
  }
  if (start === left && start === right) return []
  const whole = { from: start, to: left, start, end: right }
  if (start === left || start === right) return [whole]
  const found = shortest(before.slice(start, left), after.slice(start, right))
  return (
    found?.map(({ from, to, start: first, end }) => ({
      from: from + start,
      to: to + start,
      start: first + start,
      end: end + start,
    })) ?? [whole]
  )
}

/** The shortest path from one list to the other; undefined when it is too long. */
function shortest(a: string[], b: string[]): Hunk[] | undefined {
  const most = Math.min(MOST, a.length + b.length)
  // The furthest place on each diagonal `x - y`, after each number of steps.
  const row = new Int32Array(2 * most + 2)
  const rows: Int32Array[] = []
  for (let steps = 0; steps <= most; steps++) {
    rows.push(row.slice(most - steps, most + steps + 2))
    for (let diagonal = -steps; diagonal <= steps; diagonal += 2) {
      const at = most + diagonal
      let x = comesDown(row, at, diagonal, steps) ? row[at + 1]! : row[at - 1]! + 1
      let y = x - diagonal
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x++
        y++
      }
      row[at] = x
      if (x >= a.length && y >= b.length) return walked(rows, a.length, b.length)
    }
  }
  return undefined
}

function comesDown(row: Int32Array, at: number, diagonal: number, steps: number): boolean {
  return diagonal === -steps || (diagonal !== steps && row[at - 1]! < row[at + 1]!)
}

/** The way back through the rows, as hunks. */
function walked(rows: Int32Array[], width: number, height: number): Hunk[] {
  const found: Hunk[] = []
  let x = width
  let y = height
  for (let steps = rows.length - 1; steps > 0; steps--) {
    const row = rows[steps]!
    const diagonal = x - y
    // Its first element belongs to the diagonal `-steps`.
    const down = comesDown(row, diagonal + steps, diagonal, steps)
    const before = down ? diagonal + 1 : diagonal - 1
    const fromX = row[before + steps]!
    const fromY = fromX - before
    const [toX, toY] = down ? [fromX, fromY + 1] : [fromX + 1, fromY]
    const next = found.at(-1)
    if (next && next.from === toX && next.start === toY) {
      next.from = fromX
      next.start = fromY
    } else {
      found.push({ from: fromX, to: toX, start: fromY, end: toY })
    }
    x = fromX
    y = fromY
  }
  return found.reverse()
}
