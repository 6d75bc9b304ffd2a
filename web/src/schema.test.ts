import { expect, test } from "bun:test"
import { changes, isSecret, label, type Schema } from "./schema"

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
