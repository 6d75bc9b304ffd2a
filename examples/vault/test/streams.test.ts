import { expect, test } from "bun:test"
import { Refused } from "../src/kit/http.ts"
import { type EndReason, LiveStreams } from "../src/streams.ts"
import { openVault, write } from "./vault.ts"

const QUICK = { heartbeat: 10, poll: 10, stalled: 30 }

/** Counts up: one number for each change. */
function opened(streams: LiveStreams, recheck: () => Promise<void> = async () => {}) {
  const { store } = openVault()
  let told = 0
  const aborter = new AbortController()
  const script = {
    hello: "hello\n\n",
    news: () => (told < store.changes.latest() ? `news ${++told}\n\n` : ""),
    bye: (reason: EndReason) => `bye ${reason}\n\n`,
  }
  const request = new Request("http://vault/", { signal: aborter.signal })
  const reader = streams.open({ request, store, script, recheck }).body!.getReader()
  const next = async () => {
    const { value, done } = await reader.read()
    return done ? "end" : new TextDecoder().decode(value).trim()
  }
  return { store, next, aborter, reader }
}

test("a stream tells each change when it is read, and says that it lives", async () => {
  const { store, next } = opened(new LiveStreams(QUICK))
  expect(await next()).toBe("hello")
  write(store, "a")
  write(store, "b")
  expect([await next(), await next()]).toEqual(["news 1", "news 2"])
  expect(await next()).toBe(": alive")
  write(store, "c")
  let text = ": alive"
  while (text === ": alive") text = await next()
  expect(text).toBe("news 3")
})

test("a stream ends with the token", async () => {
  let good = true
  const { next } = opened(new LiveStreams(QUICK), async () => {
    if (!good) throw new Refused(401, { error: "Unauthorized" })
  })
  expect([await next(), await next()]).toEqual(["hello", ": alive"])
  good = false
  let text = ": alive"
  while (text === ": alive") text = await next()
  expect([text, await next()]).toEqual(["bye token", "end"])
})

test("a stream that nobody reads ends, and holds no more than one buffer", async () => {
  const streams = new LiveStreams(QUICK)
  const { store } = openVault()
  let sent = 0
  const script = {
    hello: "hello",
    news: () => ((sent += 65_536), "x".repeat(65_536)),
    bye: (reason: EndReason) => `bye ${reason}`,
  }
  const { body } = streams.open({ request: new Request("http://vault/"), store, script, recheck: async () => {} })
  await Bun.sleep(100)
  expect(sent).toBeLessThanOrEqual(2 * 65_536)
  const text = await new Response(body).text()
  expect(text.endsWith("bye slow")).toBe(true)
})

test("all streams end when the vault stops, and a closed one makes room", async () => {
  const streams = new LiveStreams(QUICK)
  const all = Array.from({ length: 32 }, () => opened(streams))
  expect(() => opened(streams)).toThrow("Too many devices")
  all[0]!.aborter.abort()
  await all[1]!.reader.cancel()
  all.push(opened(streams), opened(streams))
  streams.close()
  const rest = await Promise.all(all.slice(2).map(async ({ next }) => [await next(), await next(), await next()]))
  expect(new Set(rest.flat())).toEqual(new Set(["hello", "bye stopping", "end"]))
})
