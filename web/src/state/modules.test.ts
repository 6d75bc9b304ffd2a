import { expect, test } from "bun:test"
import type { Hub } from "../api/hub"
import type { Job, Module } from "../api/shapes"
import { joined, Modules } from "./modules"

const module = (short: string, more: Partial<Module> = {}): Module =>
  ({
    short,
    display_name: short.toUpperCase(),
    installed: true,
    available_to_install: true,
    state: "ready",
    ...more,
  }) as Module
const job = (id: string, more: Partial<Job> = {}): Job =>
  ({
    id,
    kind: "install",
    short: "vault",
    status: "running",
    log: [],
    steps: [],
    undone: [],
    startedAt: `2026-01-0${id}`,
    ...more,
  }) as Job

/** A store on a hub that has these modules and operations. */
function storeOf(modules: Module[], operations: Job[] = []) {
  const calls: string[] = []
  const hub = {
    get: (path: string) =>
      Promise.resolve(path === "/api/modules" ? { modules, supervisor_available: true } : { operations }),
    call: (method: string, path: string) => Promise.resolve(void calls.push(`${method} ${path}`)),
  } as unknown as Hub
  return { store: new Modules(hub), calls }
}

test("it separates installed from available modules", async () => {
  const { store } = storeOf([
    module("vault"),
    module("notes", { installed: false }),
    module("old", { installed: false, available_to_install: false }),
  ])
  expect(store.loaded.value).toBe(false)
  await store.refresh()
  expect(store.installed.value.map(({ short }) => short)).toEqual(["vault"])
  expect(store.offered.value.map(({ short }) => short)).toEqual(["notes"])
})

test("a failed install of an unlisted package is shown", async () => {
  const failed = (id: string, more: Partial<Job>) => job(id, { status: "failed", finishedAt: "2026-01-09", ...more })
  const jobs = [
    failed("1", { short: "clock" }),
    job("2", { short: "toy" }),
    failed("3", {}),
    failed("4", { short: "old", finishedAt: "2026-01-01" }),
  ]
  const { store } = storeOf([module("vault")], jobs)
  await store.refresh()
  const now = Date.parse("2026-01-09T12:00:00Z")
  expect(store.strangers(now).map(({ short }) => short)).toEqual(["toy", "clock"])
})

test("a state event changes only its module", async () => {
  const { store } = storeOf([module("vault"), module("notes")])
  await store.refresh()
  store.changed("vault", { state: "parked", reason: "It crashed." })
  expect(store.find("vault")?.state).toBe("parked")
  expect(store.find("vault")?.display_name).toBe("VAULT")
  expect(store.find("notes")?.state).toBe("ready")
})

/** A store whose hub answers when the test says so, in the order that the test chooses. */
function storeThatWaits() {
  const lists: ((answer: unknown) => void)[] = []
  const operations: ((answer: unknown) => void)[] = []
  const hub = {
    get: (path: string) => new Promise((resolve) => void (path === "/api/modules" ? lists : operations).push(resolve)),
  } as unknown as Hub
  const answer = (at: number, modules: Module[], jobs: Job[] = []) => {
    lists[at]?.({ modules, supervisor_available: true })
    operations[at]?.({ operations: jobs })
  }
  return { store: new Modules(hub), answer }
}

test("events that arrive during a reload are kept", async () => {
  const { store, answer } = storeThatWaits()
  const first = store.refresh()
  answer(0, [module("vault", { state: "starting" })], [job("1")])
  await first
  const second = store.refresh()
  store.changed("vault", { state: "ready" })
  store.moved(job("1", { status: "succeeded" }))
  answer(1, [module("vault", { state: "starting" })], [job("1")])
  await second
  expect(store.find("vault")?.state).toBe("ready")
  expect(store.running.value).toEqual([])
})

test("a late, older answer does not replace a newer one", async () => {
  const { store, answer } = storeThatWaits()
  const early = store.refresh()
  const late = store.refresh()
  answer(1, [module("vault")])
  answer(0, [module("vault", { installed: false })])
  await Promise.all([early, late])
  expect(store.installed.value.map(({ short }) => short)).toEqual(["vault"])
})

test("an older answer does not shorten an operation's log", async () => {
  const { store, answer } = storeThatWaits()
  const begun = store.refresh()
  store.moved(job("1", { log: ["one", "two"] }))
  answer(0, [module("vault")], [job("1", { log: ["one"] })])
  await begun
  expect(store.jobs.value[0]?.log).toEqual(["one", "two"])
})

test("the newest log line of each module is known", () => {
  const { store } = storeOf([module("vault")])
  expect(store.lastLine("vault")).toBeUndefined()
  store.said("vault", "listening")
  store.said("vault", "ffmpeg is missing")
  expect(store.lastLine("vault")).toBe("ffmpeg is missing")
})

test("an operation started on another device is shown", async () => {
  const { store } = storeOf([module("vault")])
  await store.refresh()
  store.moved(job("1"))
  expect(store.jobOf("vault")?.id).toBe("1")
  store.moved(job("1", { status: "succeeded" }))
  expect(store.jobOf("vault")).toBeUndefined()
})

test("operations survive a reload, newest first", async () => {
  const { store } = storeOf([module("vault")], [job("1", { status: "failed" }), job("2")])
  await store.refresh()
  expect(store.jobs.value.map(({ id }) => id)).toEqual(["2", "1"])
  expect(store.running.value.map(({ id }) => id)).toEqual(["2"])
})

test("a failed operation is shown until a newer one succeeds", async () => {
  const failed = job("1", { status: "failed" })
  const { store } = storeOf(
    [module("vault")],
    [failed, job("2", { short: "notes", status: "failed", outcome: "cancelled" })],
  )
  await store.refresh()
  expect(store.tellingOf("vault")?.id).toBe("1")
  expect(store.tellingOf("notes")).toBeUndefined()
  store.moved(job("3", { status: "succeeded" }))
  expect(store.tellingOf("vault")).toBeUndefined()
})

test("starting an operation shows the hub's answer", async () => {
  const { store, calls } = storeOf([module("vault")])
  await store.begin("vault", "restart")
  expect(calls).toEqual(["POST /api/modules/vault/restart"])
  expect(store.loaded.value).toBe(true)
})

test("new lines are appended without repeating", () => {
  expect(joined(["a", "b", "c"], ["b", "c", "d"])).toEqual(["a", "b", "c", "d"])
  expect(joined(["a"], ["x", "y"])).toEqual(["a", "x", "y"])
  expect(joined([], ["x"])).toEqual(["x"])
  expect(joined(["a", "b"], ["a", "b"])).toEqual(["a", "b"])
})
