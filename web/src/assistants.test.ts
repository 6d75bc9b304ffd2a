import { expect, test } from "bun:test"
import type { App } from "./api/shapes"
import { ASSISTANTS, connected, isPrivate, nameIn } from "./assistants"

const ADDRESS = "https://hub.example.com/vault/default/mcp"
const one = (id: string) => {
  const found = ASSISTANTS.find((assistant) => assistant.id === id)
  if (!found) throw new Error(id)
  return found
}
const app = (name: string | null, domain: string | null, more: Partial<App> = {}): App => ({
  client_id: "c",
  name,
  domain,
  same_hub: false,
  redirect_host: null,
  vaults: ["default"],
  scopes: [],
  first_used: 1,
  last_used: 1,
  active: true,
  branches: [],
  ended: null,
  ...more,
})

test("the links carry name and address as the programs read them", () => {
  const cursor = new URL(one("cursor").link?.url("parachute", ADDRESS) ?? "")
  expect(cursor.searchParams.get("name")).toBe("parachute")
  expect(JSON.parse(atob(cursor.searchParams.get("config") ?? ""))).toEqual({ url: ADDRESS })
  const [head, rest] = (one("vscode").link?.url("parachute", ADDRESS) ?? "").split("?")
  expect(head).toBe("vscode:mcp/install")
  expect(JSON.parse(decodeURIComponent(rest ?? ""))).toEqual({ name: "parachute", type: "http", url: ADDRESS })
})

test("a consent is told by the verified domain, else by the name", () => {
  const cases: [string, App, boolean][] = [
    ["claude", app("Claude", "claude.ai"), true],
    ["claude", app("Claude", null), true],
    ["claude", app("Claude Code (plugin)", null), false],
    ["claude", app("Claude", "evil.example"), false],
    ["claude-code", app("Claude Code", null), true],
    ["chatgpt", app("Notes", "chatgpt.com"), true],
    ["vscode", app("Visual Studio Code", null), true],
    ["codex", app("Codex", null), true],
    ["cursor", app("Cursor", null, { active: false }), false],
    ["cursor", app("Cursor", null, { vaults: ["work"] }), false],
    ["other", app(null, null), true],
  ]
  for (const [id, consent, holds] of cases)
    expect([id, consent.name, connected(one(id), "default", [consent]) !== null]).toEqual([id, consent.name, holds])
})

test("the last used consent is told", () => {
  const [old, fresh] = [app("Codex", null), app("Codex 2", null, { last_used: 9 })]
  expect(connected(one("codex"), "default", [old, fresh])).toBe(fresh)
})

test("vaults have names of their own in an assistant", () => {
  expect(nameIn("default")).toBe("parachute")
  expect(nameIn("work")).toBe("parachute-work")
})

test("an address that only this machine or network reaches is told apart", () => {
  const addresses: [string, boolean][] = [
    ["http://127.0.0.1:1939/x", true],
    ["https://box/x", true],
    ["https://box.local/x", true],
    ["https://box.tail1.ts.net/x", true],
    [ADDRESS, false],
  ]
  for (const [address, told] of addresses) expect([address, isPrivate(address)]).toEqual([address, told])
})
