import { expect, test } from "bun:test"
import { line, span } from "./history"

test("a line is drawn from zero to its peak, with its ends at the edges", () => {
  const drawn = line([50, 100, 0])
  expect(drawn).toEqual({ points: "0.0,55.0 50.0,10.0 100.0,100.0", least: 0, most: 100 })
})

test("of many values each place shows the peak, so that none is lost", () => {
  const values = Array.from({ length: 1800 }, (_, at) => (at === 777 ? 900 : 100))
  const drawn = line(values)
  expect(drawn?.points.split(" ").length).toBe(120)
  expect(drawn?.points).toContain(",10.0")
  expect(drawn?.most).toBe(900)
})

test("nothing is drawn of nothing, and zeros divide nothing", () => {
  expect(line([])).toBeNull()
  expect(line([7])).toBeNull()
  expect(line([0, 0])?.points).toBe("0.0,100.0 100.0,100.0")
})

test("the day is shown once it has more to tell than the hour", () => {
  const minutes = (count: number) => Array.from({ length: count }, () => 1)
  expect(span([1, 2], minutes(60)).told).toBe("during the last hour")
  expect(span([1, 2], minutes(180)).told).toBe("during the last 3 hours")
  expect(span([1, 2], minutes(1440))).toEqual({ values: minutes(1440), told: "during the last day" })
})
