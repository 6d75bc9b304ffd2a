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

test("only what changed is sent, in the schema's types", () => {
  expect(changes(SCHEMA, BEFORE, { provider: "openai", limit: "20", share: "0.25", keep: "false" })).toEqual({
    limit: 20,
    share: 0.25,
    keep: false,
  })
})

test("an empty secret keeps what is set, a typed one replaces it", () => {
  expect(changes(SCHEMA, BEFORE, { api_key: "" })).toEqual({})
  expect(changes(SCHEMA, BEFORE, { api_key: "sk-1" })).toEqual({ api_key: "sk-1" })
})

test("an emptied field is taken away, unless it is required", () => {
  expect(changes(SCHEMA, BEFORE, { limit: "" })).toEqual({ limit: null })
  expect(() => changes(SCHEMA, BEFORE, { provider: "" })).toThrow("Provider must be filled in.")
})

test("a number must be one", () => {
  expect(() => changes(SCHEMA, BEFORE, { limit: "2.5" })).toThrow("Limit must be a whole number.")
  expect(() => changes(SCHEMA, BEFORE, { share: "half" })).toThrow("Share must be a number.")
})

test("secrets are known by their mark or their name", () => {
  expect([isSecret("x", { writeOnly: true }), isSecret("openaiApiKey", {}), isSecret("keyboard", {})]).toEqual([
    true,
    true,
    false,
  ])
})

test("names become words", () => {
  expect([label("time_limit", {}), label("keepAudio", {}), label("x", { title: "The X" })]).toEqual([
    "Time limit",
    "Keep audio",
    "The X",
  ])
})
