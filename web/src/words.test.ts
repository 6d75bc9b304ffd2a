import { expect, test } from "bun:test"
import type { Job, Module, State } from "./api/shapes"
import { allowed, scopeWords } from "./scopes"
import { choices, jobTitle, looseness, portRemedy, reach, summary, weighty, wording } from "./words"

const module = (name: string, state: State | null, more: Partial<Module> = {}): Module =>
  ({ short: name.toLowerCase(), display_name: name, installed: true, state, ...more }) as Module

test("every state has a label and a tone", () => {
  const states: State[] = [
    "stopped",
    "starting",
    "ready",
    "degraded",
    "backoff",
    "parked",
    "stopping",
    "held",
    "asleep",
  ]
  expect(states.map((state) => wording(module("A", state)).tone).join(" ")).toBe(
    "off busy good busy busy bad busy bad good",
  )
})

test("a module without a state uses supervisor_status", () => {
  expect(wording(module("A", null, { supervisor_status: "crashed" })).tone).toBe("bad")
  expect(wording(module("A", null)).label).toBe("Off")
})

test("the headline is green only when nothing is wrong", () => {
  const vault = module("Vault", "ready")
  const [error, warning, info] = [
    { severity: "error", title: "The disk is almost full" },
    { severity: "warning", title: "A token expires soon" },
    { severity: "info", title: "Update for Notes" },
  ] as const
  for (const [modules, problems, complete, tone, title] of [
    [[vault, module("Notes", "ready")], [], true, "good", "All is well"],
    [[vault], [], false, "busy", "Looking for problems"],
    [[vault], null, true, "busy", "Looking for problems"],
    [[vault], [info], true, "busy", "One thing to look at"],
    [[vault], [warning, info], true, "busy", "2 things to look at"],
    [[vault], [error, warning], true, "bad", "The disk is almost full"],
    [[vault], [error, error], true, "bad", "2 things need your attention"],
    [[module("Vault", "starting"), vault], [info], true, "busy", "Vault is not ready yet"],
    [[module("Vault", "stopped")], [], true, "off", "Everything is off"],
    [[], [info], true, "off", "Nothing is installed yet"],
    [[], [error], true, "bad", "The disk is almost full"],
  ] as const)
    expect(summary(modules, problems, complete), title).toMatchObject({ tone, title })
})

test("an operation's title says what it does and how it ended", () => {
  const job = (more: Partial<Job>) => jobTitle({ kind: "upgrade", status: "running", ...more } as Job, "Vault")
  expect(job({})).toBe("Updating Vault")
  expect(job({ status: "succeeded" })).toBe("Vault is updated")
  expect(job({ status: "failed" })).toBe("Vault could not be updated")
  expect(job({ status: "failed", outcome: "cancelled" })).toBe("Updating Vault was cancelled")
  expect(job({ kind: "rollback", status: "failed" })).toBe("Vault could not be rolled back")
  expect(job({ kind: "backup" })).toBe("Making a backup")
  expect(job({ kind: "verify", status: "succeeded" })).toBe("The backup can be restored")
  expect(job({ kind: "backup", status: "failed", outcome: "cancelled" })).toBe("The backup was cancelled")
  expect(job({ kind: "restore-data" })).toBe("Restoring the earlier data of Vault")
})

test("scopes are described in words, unknown ones by name", () => {
  expect(scopeWords("vault:work:read")).toBe("read notes in the vault work")
  expect(scopeWords("vault:*:write")).toBe("read and write notes in every vault")
  expect(scopeWords("scribe:transcribe")).toBe("turn speech into text")
  expect(scopeWords("notes:admin")).toBe("manage notes")
  expect(scopeWords("thing:do")).toBe("thing:do")
})

test("only the widest verb for a vault is described", () => {
  expect(allowed(["vault:a:read", "vault:a:write", "vault:b:read", "scribe:transcribe"])).toBe(
    "Read and write notes in the vault a, read notes in the vault b and turn speech into text",
  )
  expect(allowed([])).toBe("Nothing")
})

test("step-up operations are described in words", () => {
  expect(weighty("install:@some/one")).toBe("install @some/one, which is not in the catalog")
  expect(weighty("install:@some/one@1.0.0")).toBe("install a certain version of @some/one")
  expect(weighty("uninstall:vault")).toBe("remove vault")
  expect(weighty("downgrade:vault")).toBe("go back to an earlier version of vault")
  expect(weighty("vault.create:work")).toBe("create the vault work")
  expect(weighty("token.revoke:abc")).toBe("revoke somebody else's token")
  expect(weighty("hub.origin")).toBe("change the public address")
  expect(weighty("user.vaults:7")).not.toContain("7")
  expect(weighty("unheard.of")).toBe("do this")
})

test("a port problem has a button", () => {
  expect(portRemedy({ port_drift: null })).toBeNull()
  expect(portRemedy({ port_drift: "squatted" })).toBe("Assign a new port")
})

test("what a module can do is a line each", () => {
  const none = { network: "none" as const, folders: [], programs: [], memory: null }
  expect(reach(none)).toEqual([
    "Keeps data of its own, and sees no other data on this hub.",
    "Cannot use the internet.",
  ])
  const more = { network: ["a.com", "b.com"], folders: ["~/Notes"], programs: ["git"], memory: 256 }
  expect(reach(more).slice(1)).toEqual([
    "Can reach a.com and b.com on the internet, and nothing else there.",
    "Can read and change files in ~/Notes.",
    "Uses git if installed on this machine.",
    "Uses up to 256 MB of memory.",
  ])
})

test("a module that is not kept to that is warned of", () => {
  expect(looseness({ state: "on", missing: [], why: null })).toBeNull()
  expect(looseness(undefined)).toBeNull()
  expect(looseness({ state: "partly", missing: ["the network"], why: null })).toContain("cannot restrict the network")
  expect(looseness({ state: "off", missing: [], why: "This machine cannot." })).toBe(
    "This machine cannot. It can read and change everything on this hub.",
  )
})

test("a refusal that a person may overrule has a choice", () => {
  const offered = (error_type: string, more: object = {}, kind = "install") =>
    choices({ kind, error_detail: { error_type, ...more } } as unknown as Job).map(([, choice]) => choice)
  expect(offered("too_new")).toEqual([{ allow_new: true }])
  expect(offered("more_permissions", { permissions: { memory: 1 } })).toEqual([{ permissions: { memory: 1 } }])
  expect(offered("init_command")).toEqual([{ init: true }, { init: false }])
  expect(offered("disk_full", { fits_without_optional: true })).toEqual([{ without_optional: true }])
  expect(offered("disk_full", { fits_without_optional: true }, "upgrade")).toEqual([])
  expect(offered("disk_full")).toEqual([])
  expect(offered("integrity")).toEqual([])
  expect(choices({ kind: "install" } as Job)).toEqual([])
})
