import { expect, test } from "bun:test"
import { ACTIONS, actionsOf, actWords, KINDS, meansWords } from "./acts"

test("an attempt is not told as a deed", () => {
  for (const [action, outcome, words] of [
    ["module-install", "ok", "installed"],
    ["module-install", "failed", "tried to install"],
    ["module-install", "cancelled", "tried to install"],
    ["module-stop", "refused", "tried to stop"],
    ["owner-created", "refused", "tried to set up this hub"],
    ["backup-place-added", "refused", "tried to add a place for backups"],
    ["disk-cleared", "failed", "tried to free disk space"],
    ["reach-checked", "failed", "tried to reach the hub at"],
    ["app-key-reused", "refused", "was disconnected because an old key of it was used again, for"],
    ["sign-in", "refused", "tried to sign in and was refused"],
    ["something-new", "ok", "something new"],
    ["something-new", "refused", "tried: something new"],
  ] as const)
    expect(actWords(action, outcome)).toBe(words)
})

test("an attempt is told with a plain verb", () => {
  const told = ACTIONS.map((action) => actWords(action, "refused"))
  expect(told.filter((words) => /^tried to \w+ed\b/.test(words))).toEqual([])
})

test("every act is of one kind", () => {
  const all = KINDS.flatMap(actionsOf)
  expect(all.toSorted()).toEqual(ACTIONS.toSorted())
})

test("only unusual means are worth a word", () => {
  expect([meansWords("session"), meansWords("command")]).toEqual([null, "with the parachute command"])
})
