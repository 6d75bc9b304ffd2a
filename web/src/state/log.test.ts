import { expect, test } from "bun:test"
import { Tail } from "./log"

test("pieces become lines, and an unfinished line waits", () => {
  const tail = new Tail()
  tail.push("one\ntw")
  expect(tail.view("")).toEqual(["one"])
  tail.push("o\n")
  expect(tail.view("")).toEqual(["one", "two"])
})

test("only the newest lines are kept", () => {
  const tail = new Tail(2)
  tail.push("1\n2\n3\n")
  expect(tail.all).toEqual(["2", "3"])
})

test("a filter finds words in any case", () => {
  const tail = new Tail()
  tail.push("GET /a\nError: x\n")
  expect(tail.view(" error ")).toEqual(["Error: x"])
})

test("a paused view stands still and misses nothing", () => {
  const tail = new Tail()
  tail.push("1\n")
  tail.pause(true)
  tail.push("2\n")
  expect(tail.view("")).toEqual(["1"])
  expect(tail.all).toEqual(["1", "2"])
  tail.pause(false)
  expect(tail.view("")).toEqual(["1", "2"])
})

test("a stream that begins again replaces what was there", () => {
  const tail = new Tail()
  tail.push("1\nhalf")
  tail.restart()
  tail.push("1\n2\n")
  expect(tail.view("")).toEqual(["1", "2"])
})
