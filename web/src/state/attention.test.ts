import { expect, test } from "bun:test"
import type { Backups, Job, Module, Overview } from "../api/shapes"
import { attention } from "./attention"

const NOW = Date.parse("2026-01-02T12:00:00Z")
const module = (more: Partial<Module>): Module =>
  ({
    short: "vault",
    display_name: "Vault",
    installed: true,
    state: "ready",
    upgrade_available: false,
    ...more,
  }) as Module
const failed = (more: Partial<Job> = {}): Job =>
  ({
    id: "1",
    kind: "upgrade",
    short: "vault",
    status: "failed",
    error: "It did not start.",
    finishedAt: "2026-01-02T11:00:00Z",
    log: [],
    ...more,
  }) as Job
const roomy: Overview = {
  memory: { limit: 100, used: 10, hub: 1, modules: [] },
  processor: { modules: [] },
  disk: { total: 100, free: 90, owners: [] },
}

const keys = (modules: Module[], jobs: Job[] = [], overview: Overview | null = roomy) =>
  attention(modules, jobs, overview, null, NOW).map(({ key }) => key)

test("a healthy hub needs no attention", () => {
  expect(keys([module({})])).toEqual([])
})

test("a crashing module shows why and can be started again", () => {
  const [concern] = attention([module({ state: "parked", reason: "ffmpeg is missing." })], [], roomy, null, NOW)
  expect(concern).toMatchObject({ tone: "bad", text: "ffmpeg is missing.", short: "vault", act: "start" })
})

test("the most serious problem comes first, updates last", () => {
  const modules = [module({ upgrade_available: true }), module({ short: "notes", state: "held" })]
  expect(keys(modules, [failed()], { ...roomy, disk: { total: 100, free: 2, owners: [] } })).toEqual([
    "state-notes",
    "disk",
    "job-1",
    "upgrade-vault",
  ])
})

test("a vault module without a vault says so", () => {
  expect(keys([module({ vaults: 0 })])).toEqual(["empty-vault"])
  expect(keys([module({ vaults: 1 }), module({ short: "notes", vaults: null })])).toEqual([])
  expect(keys([module({ vaults: 0, state: "starting" })])).toEqual([])
})

test("a failing part of a module is shown", () => {
  const uis = [
    { name: "notes", display_name: "Notes", status: "failing" },
    { name: "docs", display_name: "Docs", status: "active" },
  ]
  expect(keys([module({ uis })])).toEqual(["part-vault-notes"])
})

test("a failure is settled by a later success, by cancelling and by time", () => {
  expect(keys([module({})], [failed({ id: "2", status: "succeeded" }), failed()])).toEqual([])
  expect(keys([module({})], [failed({ outcome: "cancelled" })])).toEqual([])
  expect(keys([module({})], [failed({ finishedAt: "2026-01-01T11:00:00Z" })])).toEqual([])
})

test("a machine of unknown size is not full", () => {
  const unknown = {
    memory: { ...roomy.memory, limit: null, used: null },
    processor: { modules: [] },
    disk: { total: null, free: null, owners: [] },
  }
  expect(keys([module({})], [], unknown)).toEqual([])
})

test("problems of backups come from the hub, not from a failed operation", () => {
  const backups = { problems: [{ key: "backup-failed-1", text: "The disk is full." }] } as Backups
  const concerns = attention([], [failed({ kind: "backup", short: "backup" })], roomy, backups, NOW)
  expect(concerns).toMatchObject([{ key: "backup-failed-1", tone: "bad", text: "The disk is full." }])
})

test("what a running module says is wrong with itself is shown", () => {
  const says = { reports: ["dependencies: missing rg"], warnings: ["bun add failed", "cannot read x"] }
  const [report] = attention([module(says)], [], roomy, null, NOW)
  expect(report).toMatchObject({ key: "reports-vault", tone: "bad", text: "dependencies: missing rg." })
  expect(keys([module(says)])).toEqual(["reports-vault"])
  const [warning] = attention([module({ ...says, reports: [] })], [], roomy, null, NOW)
  expect(warning).toMatchObject({ tone: "busy", text: "When it started, it wrote: bun add failed (and 1 more)" })
  expect(keys([module({ ...says, state: "stopped" })])).toEqual([])
})
