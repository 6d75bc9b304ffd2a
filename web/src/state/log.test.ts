import { expect, test } from "bun:test"
import { Tail } from "./log"

test("chunks become lines, and an unfinished line waits", () => {
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

test("the filter ignores case", () => {
  const tail = new Tail()
  tail.push("GET /a\nError: x\n")
  expect(tail.view(" error ")).toEqual(["Error: x"])
})

test("a paused view does not change, and nothing is lost", () => {
  const tail = new Tail()
  tail.push("1\n")
  tail.pause(true)
  tail.push("2\n")
  expect(tail.view("")).toEqual(["1"])
  expect(tail.all).toEqual(["1", "2"])
  tail.pause(false)
  expect(tail.view("")).toEqual(["1", "2"])
})

test("a restarted stream replaces earlier lines", () => {
  const tail = new Tail()
  tail.push("1\nhalf")
  tail.restart()
  tail.push("1\n2\n")
  expect(tail.view("")).toEqual(["1", "2"])
})
