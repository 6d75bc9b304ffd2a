import { expect, test } from "bun:test"
import { applies, changes, choiceLabel, groups, isSecret, label, type Schema } from "./schema"

const SCHEMA: Schema = {
  required: ["provider"],
  properties: {
    provider: { type: "string" },
    api_key: { type: "string", writeOnly: true },
    limit: { type: "integer" },
    share: { type: ["number", "null"] },
    keep: { type: "boolean" },
  },
}
const BEFORE = { provider: "openai", limit: 10, share: 0.5, keep: true }

test("only changed values are sent, in the types of the schema", () => {
  expect(changes(SCHEMA, BEFORE, { provider: "openai", limit: "20", share: "0.25", keep: "false" })).toEqual({
    limit: 20,
    share: 0.25,
    keep: false,
  })
})

test("an empty secret field keeps the stored value, a filled one replaces it", () => {
  expect(changes(SCHEMA, BEFORE, { api_key: "" })).toEqual({})
  expect(changes(SCHEMA, BEFORE, { api_key: "sk-1" })).toEqual({ api_key: "sk-1" })
})

test("an emptied field is removed unless it is required", () => {
  expect(changes(SCHEMA, BEFORE, { limit: "" })).toEqual({ limit: null })
  expect(() => changes(SCHEMA, BEFORE, { provider: "" })).toThrow("Provider is required.")
})

test("a number field refuses text", () => {
  expect(() => changes(SCHEMA, BEFORE, { limit: "2.5" })).toThrow("Limit must be a whole number.")
  expect(() => changes(SCHEMA, BEFORE, { share: "half" })).toThrow("Share must be a number.")
})

test("secrets are recognised by writeOnly or by name", () => {
  expect([isSecret("x", { writeOnly: true }), isSecret("openaiApiKey", {}), isSecret("keyboard", {})]).toEqual([
    true,
    true,
    false,
  ])
})

test("property names become labels", () => {
  expect([label("time_limit", {}), label("keepAudio", {}), label("x", { title: "The X" })]).toEqual([
    "Time limit",
    "Keep audio",
    "The X",
  ])
})

const TWO: Schema = {
  properties: {
    how: { enum: ["a", "b"], default: "a", "x-labels": { a: "The first" } },
    a_key: { type: "string", "x-group": "A", "x-show-if": { how: "a" } },
    b_path: { type: "string", "x-group": "B", "x-show-if": { how: ["b", "c"] } },
  },
}
const names = (form: Record<string, string>, values = {}) =>
  groups(TWO, values, form).map(([title, settings]) => [title, ...settings.map(([name]) => name)])

test("settings are shown while they apply: by default, by value, by what is chosen now", () => {
  const first = [
    ["", "how"],
    ["A", "a_key"],
  ]
  const second = [
    ["", "how"],
    ["B", "b_path"],
  ]
  expect(names({})).toEqual(first)
  expect(names({}, { how: "b" })).toEqual(second)
  expect(names({ how: "b" })).toEqual(second)
  expect(names({ how: "a" }, { how: "b" })).toEqual(first)
  expect(applies(TWO, { "x-show-if": { nothing: "x" } }, {}, {})).toBe(false)
})

test("what was typed into a setting that no longer applies is not sent", () => {
  expect(changes(TWO, {}, { a_key: "k", how: "b", b_path: "/p" })).toEqual({ how: "b", b_path: "/p" })
})

test("a choice has words", () => {
  const how = TWO.properties?.["how"] ?? {}
  expect([choiceLabel(how, "a"), choiceLabel(how, "b")]).toEqual(["The first", "b"])
})
