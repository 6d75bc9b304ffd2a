import { expect, test } from "bun:test"
import { type Entry, type Filter, Tail } from "./log"

const ALL: Filter = { text: "", level: "debug", since: null }
const line = (text: string, more: Partial<Entry> = {}) =>
  `${JSON.stringify({ at: "2026-01-02T10:00:00.000Z", level: "info", mark: null, text, ...more })}\n`
const texts = (tail: Tail, filter: Partial<Filter> = {}) => tail.view({ ...ALL, ...filter }).map(({ text }) => text)

test("chunks become lines, and an unfinished line waits", () => {
  const tail = new Tail()
  const second = line("two")
  tail.push(line("one") + second.slice(0, 10))
  expect(texts(tail)).toEqual(["one"])
  tail.push(second.slice(10))
  expect(texts(tail)).toEqual(["one", "two"])
})

test("only the newest lines are kept", () => {
  const tail = new Tail(2)
  tail.push(line("1") + line("2") + line("3"))
  expect(texts(tail)).toEqual(["2", "3"])
})

test("filters by text, level and time", () => {
  const tail = new Tail()
  tail.push(line("GET /a"))
  tail.push(line("Killed.", { mark: "oom", level: "error" }))
  tail.push(line("Started.", { mark: "start" }))
  tail.push(line("Error: x", { level: "error", at: "2026-01-02T11:00:00.000Z" }))
  expect(texts(tail, { text: " error " })).toEqual(["Error: x"])
  expect(texts(tail, { level: "warning" })).toEqual(["Killed.", "Started.", "Error: x"])
  expect(texts(tail, { since: Date.parse("2026-01-02T10:30:00Z") })).toEqual(["Error: x"])
})

test("a paused view does not change, and nothing is lost", () => {
  const tail = new Tail()
  tail.push(line("1"))
  tail.pause(true)
  tail.push(line("2"))
  expect(texts(tail)).toEqual(["1"])
  tail.pause(false)
  expect(texts(tail)).toEqual(["1", "2"])
})

test("a restarted stream replaces earlier lines", () => {
  const tail = new Tail()
  tail.push(`${line("1")}{"at":`)
  tail.restart()
  tail.push(line("1") + line("2"))
  expect(texts(tail)).toEqual(["1", "2"])
})
