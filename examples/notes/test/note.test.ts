// The decisions about a note, and the merging of texts.

import { describe, expect, test } from "bun:test"
import { mergeText, replacements } from "../src/core/merge.ts"
import { create, fieldsOf, type Note, type Remote, replaced, sendable, unsent } from "../src/core/note.ts"
import { entryOf, matching } from "../src/core/words.ts"

const at = (minute: number) => `2026-11-29T08:${String(minute).padStart(2, "0")}:00.000Z`
const remote = (content: string, minute: number): Remote => ({
  id: "one",
  content,
  tags: [],
  createdAt: at(0),
  updatedAt: at(minute),
})
/** A note that this device has as `content`; the vault had `base` in minute 20. */
const note = (content: string, base?: string, more: Partial<Note> = {}): Note => ({
  ...create("one", { content }, 0),
  ...(base !== undefined && { base: fieldsOf(remote(base, 20)) }),
  ...more,
})

describe("a vault with other data than before", () => {
  const theirs = fieldsOf(remote("new other", 25))
  type Case = [name: string, mine: Note, vault: Remote | undefined, known: boolean, after: string]
  // What the device then has: its text, what it is to do with it, and the version that it began from.
  const table: Case[] = [
    ["has the same version", note("new", "new"), remote("new", 20), false, "new, saved, from 20"],
    ["has the same version, changed here", note("mine", "new"), remote("new", 20), false, "mine, to send, from 20"],
    ["has an older version", note("new", "new"), remote("old", 10), false, "new, to send, from 10"],
    ["has an older version, changed here", note("mine", "new"), remote("old", 10), false, "mine, to send, from 10"],
    ["lacks the note", note("new", "new"), undefined, false, "new, to send, as a new note"],
    ["lacks the note, changed here", note("mine", "new"), undefined, false, "mine, to send, as a new note"],
    ["lacks a note that it never had", note("mine"), undefined, false, "mine, to send, as a new note"],
    ["has changed what this device knows", note("new", "new"), remote("newer", 30), true, "newer, saved, from 30"],
    ["has changed something else", note("new", "new"), remote("other", 30), false, "new, or other"],
    ["has the same text as a later version", note("new", "new"), remote("new", 30), false, "new, saved, from 30"],
    ["has deleted what this device knows", note("new", "new"), undefined, true, "nothing"],
    ["has deleted what was changed here", note("mine", "new"), undefined, true, "mine, gone, from 20"],
    [
      "lacks what seemed deleted",
      note("mine", "new", { trouble: { kind: "gone", message: "" } }),
      undefined,
      false,
      "mine, to send, as a new note",
    ],
    [
      "has an older version of what is deleted here",
      note("new", "new", { deleted: true }),
      remote("old", 10),
      false,
      "new, to send, from 10, then to delete",
    ],
    [
      "lacks what is deleted here",
      note("new", "new", { deleted: true }),
      undefined,
      false,
      "new, to send, as a new note, then to delete",
    ],
    ["lacks an empty note that is deleted here", note("", "", { deleted: true }), undefined, false, "nothing"],
    [
      "lacks both sides of a collision",
      note("new mine", "new", { theirs }),
      undefined,
      false,
      "new mine\nnew other, to send, as a new note",
    ],
    [
      "has one side of a collision",
      note("new mine", "new", { theirs }),
      remote("new other", 25),
      false,
      "new mine, or new other",
    ],
  ]

  function told(after: Note | undefined): string {
    if (!after) return "nothing"
    const words = [after.mine.content]
    if (after.theirs) return `${after.mine.content}, or ${after.theirs.content}`
    words.push(after.trouble?.kind ?? (unsent(after) ? "to send" : "saved"))
    words.push(after.base ? `from ${Number(after.base.updatedAt.slice(14, 16))}` : "as a new note")
    if (after.deleted) words.push("then to delete")
    expect(sendable(after)).toBe(words[1] === "to send")
    return words.join(", ")
  }

  test.each(table)("%s", (_, mine, vault, known, after) => {
    const first = replaced(mine, vault, known)
    expect(told(first)).toBe(after)
    // A reload in the middle compares again.
    if (first && !known) expect(told(replaced(first, vault, known))).toBe(after)
  })
})

describe("the replacements between two texts", () => {
  test("leave the lines alone that both have", () => {
    const before = "one\ntwo\nthree\nfour\n"
    expect(replacements(before, "ONE\ntwo\nthree\nfour and five\n")).toEqual([
      { from: 0, to: 3, insert: "ONE" },
      { from: 18, to: 18, insert: " and five" },
    ])
    expect(replacements(before, before)).toEqual([])
  })

  test("give the other text, whatever it is", () => {
    let state = 7
    const random = (below: number) => (state = (state * 48_271) % 2_147_483_647) % below
    const text = () =>
      Array.from({ length: random(9) }, () => ["a", "b\n", "\n", "\r\n", "😀", "c c\n"][random(6)]).join("")
    for (let round = 0; round < 2000; round++) {
      const [before, after] = [text(), text()]
      let made = before
      for (const { from, to, insert } of replacements(before, after).reverse()) {
        made = made.slice(0, from) + insert + made.slice(to)
      }
      expect(made).toBe(after)
    }
  })
})

describe("three-way merges of lines", () => {
  type Case = [base: string, mine: string, theirs: string, text: string]
  // One letter is one line; `!` means that the two collide, and that all lines are kept.
  const table: Case[] = [
    ["abc", "abc", "abc", "abc"],
    ["abc", "xbc", "abc", "xbc"],
    ["abc", "abc", "abx", "abx"],
    ["abc", "xbc", "aby", "xby"],
    ["abc", "xbc", "xbc", "xbc"],
    ["abcde", "xbcdy", "abzde", "xbzdy"],
    ["abc", "ac", "abcd", "acd"],
    ["abc", "axc", "ayc", "!axyc"],
    ["abc", "ac", "axc", "!axc"],
    ["abc", "axbc", "abyc", "axbyc"],
    ["abc", "axbc", "aybc", "!axybc"],
    ["", "x", "y", "!xy"],
    ["abc", "", "abcd", "!abcd"],
    ["aaaa", "aaa", "aaaab", "!aaaab"],
    ["abcabc", "abcxabc", "abcabcy", "abcxabcy"],
  ]
  const lined = (letters: string) => [...letters].map((letter) => `${letter}\n`).join("")
  test.each(table)("%s: %s and %s", (base, mine, theirs, text) => {
    const merged = mergeText(lined(base), lined(mine), lined(theirs))
    const letters = merged.text.replaceAll("\n", "")
    expect(merged.collides ? `!${letters}` : letters).toBe(text)
  })

  test("keep every line that one side wrote, and drop what one side removed", () => {
    let state = 11
    const random = (below: number) => (state = (state * 48_271) % 2_147_483_647) % below
    let written = 0
    for (let round = 0; round < 2000; round++) {
      const base = Array.from({ length: random(8) }, () => `${"ab"[random(2)]}\n`)
      const edited = () => {
        const added: string[] = []
        const made = base.flatMap((line) => {
          const news = random(5) === 0 ? [`new ${written++}\n`] : []
          added.push(...news)
          return random(6) === 0 ? news : [...news, line]
        })
        return { text: made.join(""), added }
      }
      const [mine, theirs] = [edited(), edited()]
      const { text } = mergeText(base.join(""), mine.text, theirs.text)
      for (const line of [...mine.added, ...theirs.added]) expect(text).toContain(line)
    }
  })
})

test("changes at both ends of a note with 10,000 lines are merged", () => {
  const lines = Array.from({ length: 10_000 }, (_, number) => `line ${number % 100} of many\n`)
  const [base, mine, theirs] = [lines, [...lines, "mine\n"], ["theirs\n", ...lines]].map((each) => each.join(""))
  expect(mergeText(base!, mine!, theirs!)).toEqual({ text: `theirs\n${base}mine\n`, collides: false })
})

test("a search ends when enough is found", () => {
  const entries = ["Tomato #red", "bread", "tomato soup", "tomatoes"].map((content) =>
    entryOf(create(content, { content }, 0)),
  )
  const found = (search: string, most: number) => matching(entries, search, most).map(({ title }) => title)
  expect(found("tomato", 2)).toEqual(["Tomato #red", "tomato soup"])
  expect(found("TOMATO", 9)).toEqual(["Tomato #red", "tomato soup", "tomatoes"])
  expect(found("#re", 9)).toEqual(["Tomato #red"])
  expect(found("tomato so", 9)).toEqual(["tomato soup"])
  expect(found("", 3)).toEqual(["Tomato #red", "bread", "tomato soup"])
})
