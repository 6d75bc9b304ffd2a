import { describe, expect, test } from "bun:test"
import { linksIn, nameKey, relink, tagsIn, titleOf, withoutCode } from "../src/text/markdown.ts"
import { randomOf } from "./vault.ts"

describe("tags of a text", () => {
  const table: Array<[text: string, tags: string[]]> = [
    ["#a and #b, then #a again", ["a", "b"]],
    ["(#in-brackets) [#x] {#y}", ["in-brackets", "x", "y"]],
    ["line\n#start\r\n\t#tab", ["start", "tab"]],
    ["#ünïcode #日本語 #a/b_c-d", ["a/b_c-d", "ünïcode", "日本語"]],
    ["# heading\n## other", []],
    ["#2026 #12-3", []],
    ["#2026-plan", ["2026-plan"]],
    ["word#no http://x/#no &#39; [text](#anchor)", []],
    ["`#no` ``a ` #no`` #yes", ["yes"]],
    ["```\n#no\n```\n#yes\n~~~ js\n#no\n~~~", ["yes"]],
    ["````\n```\n#no\n````\n#yes", ["yes"]],
    ["`unclosed #yes", ["yes"]],
    ["##no", []],
    [`#${"x".repeat(101)}`, []],
  ]
  test.each(table)("%j", (text, tags) => expect(tagsIn(text)).toEqual(tags))
})

describe("links of a text", () => {
  const table: Array<[text: string, targets: string[]]> = [
    ["[[a]] and [[b|shown]] and [[c#part]] and ![[d]]", ["a", "b", "c", "d"]],
    ["[[ spaced ]]", ["spaced"]],
    ["[[]] [[ ]] [[#part]] [a] [[a\nb]]", []],
    ["`[[no]]` [[yes]]", ["yes"]],
    ["[[x/y z]]", ["x/y z"]],
  ]
  test.each(table)("%j", (text, targets) => expect(linksIn(text).map(({ target }) => target)).toEqual(targets))

  test("are replaced in place, and nothing else changes", () => {
    const text = "[[Old]] [[old|shown]] [[ OLD#part]] `[[Old]]` ![[Old]] [[Older]]"
    const moved = relink(text, (target) => (nameKey(target) === "old" ? "New/Name" : undefined))
    expect(moved).toBe("[[New/Name]] [[New/Name|shown]] [[ New/Name#part]] `[[Old]]` ![[New/Name]] [[Older]]")
  })
})

test("a title is the path, else the first words", () => {
  expect(titleOf("# Hello\nmore", "p/q")).toBe("p/q")
  expect(titleOf("\n\n ## Hello  \nmore", null)).toBe("Hello")
  expect(titleOf("- [ ] task", null)).toBe("[ ] task")
  expect(titleOf("", null)).toBe("")
  expect([...titleOf("𝒳".repeat(500), null)]).toHaveLength(200)
})

test("names are compared without case and a final .md", () => {
  expect(nameKey(" Größe.MD ")).toBe(nameKey("grÖße"))
  expect(nameKey("e\u0301")).toBe(nameKey("é"))
})

test("hiding code keeps every length, and reading any text ends", () => {
  const random = randomOf(7)
  const signs = ["`", "``", "```", "~~~", "\n", "[[", "]]", "|", "#", "a", " ", "é", "𝒳", "\r\n", "    "]
  for (let round = 0; round < 500; round++) {
    const text = Array.from({ length: 40 }, () => signs[Math.floor(random() * signs.length)]).join("")
    expect(withoutCode(text)).toHaveLength(text.length)
    expect(relink(text, () => undefined)).toBe(text)
    for (const { target, start, end } of linksIn(text)) expect(text.slice(start, end)).toBe(target)
    tagsIn(text)
  }
})

test("a large text of nothing but marks is read in time that grows with its length", () => {
  for (const sign of ["`", "``` \n", "[[", "#", "` `` ", "[[a"]) {
    const text = `#yes [[yes]] ${sign.repeat(400_000 / sign.length)}`
    expect(tagsIn(text)).toContain("yes")
    expect(linksIn(text)[0]!.target).toBe("yes")
  }
})
