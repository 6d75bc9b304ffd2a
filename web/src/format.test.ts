import { expect, test } from "bun:test"
import { ago, bytes, dayStart, duration, list, moment, sentence } from "./format"

test("sizes have at most three digits", () => {
  expect([0, 999, 1024, 1536, 10 * 1024, 536870912, 1024 ** 3, null].map(bytes)).toEqual([
    "0 B",
    "999 B",
    "1 KB",
    "1.5 KB",
    "10 KB",
    "512 MB",
    "1 GB",
    "unknown",
  ])
})

test("times are parsed from Unix seconds and ISO 8601", () => {
  expect(moment(1)).toBe(1000)
  expect(moment("1970-01-01T00:00:01Z")).toBe(1000)
  expect([moment(null), moment(""), moment("soon")]).toEqual([null, null, null])
})

test("days begin at midnight of this browser", () => {
  expect(dayStart("2026-02-28")).toBe(new Date(2026, 1, 28).getTime() / 1000)
  expect(dayStart("2026-02-28", 1)).toBe(new Date(2026, 2, 1).getTime() / 1000)
  expect([dayStart(""), dayStart("tomorrow")]).toEqual([null, null])
})

test("durations show their two largest units", () => {
  expect([0, 59, 75, 3600, 90_061].map(duration)).toEqual(["0 s", "59 s", "1 min 15 s", "1 h", "1 d 1 h"])
})

test("times are shown relative to now", () => {
  const now = Date.parse("2026-01-10T12:00:00Z")
  const told = ["2026-01-10T11:59:50Z", "2026-01-10T11:30:00Z", "2026-01-09T12:00:00Z", "2026-01-12T12:00:00Z"]
  expect(told.map((at) => ago(at, now))).toEqual(["just now", "30 minutes ago", "yesterday", "in 2 days"])
  expect(ago(null, now)).toBe("never")
})

test('lists are joined with commas and "and"', () => {
  expect([list([]), list(["a"]), list(["a", "b"]), list(["a", "b", "c"])]).toEqual(["", "a", "a and b", "a, b and c"])
})

test("a tagline gets a full stop", () => {
  expect([sentence("Says hello"), sentence("Really?"), sentence(" ")]).toEqual(["Says hello.", "Really?", ""])
})
