import { afterEach, beforeEach, expect, jest, test } from "bun:test"
import { UNDO_FOR, Undo } from "./undo"

let told: string[] = []
const doors = { say: (text: string) => told.push(text), report: (problem: unknown) => told.push(`! ${problem}`) }
const settled = () => new Promise<void>((resolve) => process.nextTick(resolve))

beforeEach(() => {
  told = []
  jest.useFakeTimers()
})

afterEach(() => jest.useRealTimers())

test("an act is hidden at once, and done after ten seconds", async () => {
  const undo = new Undo(doors)
  let done = 0
  undo.begin({ text: "Removing a", key: "a", done: "a is removed", commit: async () => void done++ })
  expect([undo.hides("a"), undo.pending.value?.text, done]).toEqual([true, "Removing a", 0])
  jest.advanceTimersByTime(UNDO_FOR - 1)
  expect(done).toBe(0)
  jest.advanceTimersByTime(1)
  await settled()
  expect([undo.hides("a"), undo.pending.value, done, told]).toEqual([false, null, 1, ["a is removed"]])
})

test("undo takes it back, and nothing happens later", async () => {
  const undo = new Undo(doors)
  let done = 0
  undo.begin({ text: "Removing a", key: "a", commit: async () => void done++ })
  await undo.undo()
  jest.advanceTimersByTime(UNDO_FOR)
  await undo.complete()
  expect([undo.hides("a"), done, told]).toEqual([false, 0, []])
})

test("what was done at once is taken back by its opposite", async () => {
  const undo = new Undo(doors)
  let back = 0
  undo.begin({ text: "Dismissed", key: "p", back: async () => void back++ })
  expect(undo.hides("p")).toBe(false)
  await undo.undo()
  undo.begin({ text: "Dismissed", key: "p", back: async () => void back++ })
  jest.advanceTimersByTime(UNDO_FOR)
  expect([back, undo.pending.value]).toEqual([1, null])
})

test("a second act completes the first", async () => {
  const undo = new Undo(doors)
  const done: string[] = []
  for (const key of ["a", "b"]) undo.begin({ text: key, key, commit: async () => void done.push(key) })
  await settled()
  expect([done, undo.hides("a"), undo.hides("b")]).toEqual([["a"], false, true])
})

test("an act that fails shows the entry again, and why", async () => {
  const undo = new Undo(doors)
  undo.begin({
    text: "Removing a",
    key: "a",
    done: "gone",
    commit: () => Promise.reject(new Error("The hub is away")),
  })
  await undo.complete()
  expect([undo.hides("a"), told]).toEqual([false, ["! Error: The hub is away"]])
})
