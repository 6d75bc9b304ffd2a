// `bun test` runs these on a hub of their own, with an empty home.
import { afterAll, expect, test } from "bun:test"
import { startHub } from "../kit/testing.ts"

const hub = await startHub(`${import.meta.dir}/..`)
afterAll(() => hub.stop())

test("its page and its icon are served", async () => {
  const page = await hub.fetch("/")
  expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"])
  expect((await hub.fetch("/.parachute/icon.svg")).status).toBe(200)
})
