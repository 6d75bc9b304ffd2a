import { expect, test } from "bun:test"
import { ACTIONS, actionsOf, actWords, KINDS, meansWords } from "./acts"

test("an attempt is not told as a deed", () => {
  for (const [action, outcome, words] of [
    ["module-install", "ok", "installed"],
    ["module-install", "failed", "tried to install"],
    ["module-stop", "refused", "was not allowed: stopped"],
    ["owner-created", "refused", "tried to set up this hub and was refused"],
    ["module-start", "cancelled", "cancelled: started"],
    ["something-new", "ok", "something new"],
  ] as const)
    expect(actWords(action, outcome)).toBe(words)
})

test("every act is of one kind", () => {
  const all = KINDS.flatMap(actionsOf)
  expect(all.toSorted()).toEqual(ACTIONS.toSorted())
})

test("only unusual means are worth a word", () => {
  expect([meansWords("session"), meansWords("command")]).toEqual([null, "with the parachute command"])
})
