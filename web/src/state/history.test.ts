import { expect, test } from "bun:test"
import { line, span } from "./history"

test("a line goes from zero to its peak and spans the full width", () => {
  const drawn = line([50, 100, 0])
  expect(drawn).toEqual({ points: "0.0,55.0 50.0,10.0 100.0,100.0", least: 0, most: 100 })
})

test("with many values, each point shows a peak", () => {
  const values = Array.from({ length: 1800 }, (_, at) => (at === 777 ? 900 : 100))
  const drawn = line(values)
  expect(drawn?.points.split(" ").length).toBe(120)
  expect(drawn?.points).toContain(",10.0")
  expect(drawn?.most).toBe(900)
})

test("too few values draw nothing, and zeros do not divide by zero", () => {
  expect(line([])).toBeNull()
  expect(line([7])).toBeNull()
  expect(line([0, 0])?.points).toBe("0.0,100.0 100.0,100.0")
})

test("the day is shown once it covers more than the hour", () => {
  const minutes = (count: number) => Array.from({ length: count }, () => 1)
  expect(span([1, 2], minutes(60)).told).toBe("in the last hour")
  expect(span([1, 2], minutes(180)).told).toBe("in the last 3 hours")
  expect(span([1, 2], minutes(1440))).toEqual({ values: minutes(1440), told: "in the last day" })
})
