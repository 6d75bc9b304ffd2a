import { expect, test } from "bun:test"
import { type Contact, Feed } from "./feed"

/** A feed over pretended streams; `open` answers a text (a stream that ends) or an error. */
function watched(answers: (string | Error)[], away = false) {
  const seen = {
    headers: [] as Record<string, string>[],
    data: [] as string[],
    contacts: [] as Contact[],
    refreshed: 0,
    waits: [] as number[],
  }
  let finish = () => {}
  const over = new Promise<void>((resolve) => (finish = resolve))
  const feed = new Feed({
    open: (headers) => {
      seen.headers.push(headers)
      const answer = answers.shift()
      if (answer === undefined || answer instanceof Error) return Promise.reject(answer ?? new Error("no more"))
      return Promise.resolve(new Blob([answer]).stream())
    },
    refresh: () => {
      seen.refreshed += 1
      return away ? Promise.reject(new Error("away")) : Promise.resolve()
    },
    onMessage: ({ data }) => seen.data.push(data),
    onContact: (contact) => seen.contacts.push(contact),
    sleep: (ms) => {
      seen.waits.push(ms)
      if (answers.length > 0) return Promise.resolve()
      feed.stop()
      finish()
      return Promise.resolve()
    },
  })
  return { feed, seen, over }
}

test("it resumes after the last message", async () => {
  const { feed, seen, over } = watched(["id: 8\ndata: a\n\n", "id: 9\ndata: b\n\n"])
  feed.start()
  await over
  expect(seen.headers.map((headers) => headers["Last-Event-ID"])).toEqual([undefined, "8"])
  expect(seen.data).toEqual(["a", "b"])
  expect(seen.contacts).toEqual(["live", "polling", "live", "polling"])
})

test("everything is reloaded when a stream opens, because of earlier changes", async () => {
  const { feed, seen, over } = watched([": hello\n\n"])
  feed.start()
  await over
  expect(seen.refreshed).toBe(2)
})

test("without a stream it polls, with growing delays", async () => {
  const { feed, seen, over } = watched([new Error("503"), new Error("503"), new Error("503")])
  feed.start()
  await over
  expect(seen.contacts).toEqual(["polling", "polling", "polling"])
  expect(seen.waits).toEqual([500, 1000, 2000])
})

test("a hub that does not answer is away", async () => {
  const { feed, seen, over } = watched([new Error("refused")], true)
  feed.start()
  await over
  expect(seen.contacts).toEqual(["away"])
})

test("a buffered stream is replaced by polling", async () => {
  const contacts: Contact[] = []
  const feed = new Feed(
    {
      open: (_, signal) =>
        Promise.resolve(
          new ReadableStream<Uint8Array>({
            start: (held) => signal.addEventListener("abort", () => held.error("held")),
          }),
        ),
      refresh: () => Promise.resolve(),
      onMessage: () => undefined,
      onContact: (contact) => contacts.push(contact),
      sleep: () => {
        feed.stop()
        return Promise.resolve()
      },
    },
    { firstWord: 1, silence: 1 },
  )
  feed.start()
  while (contacts.length === 0) await Bun.sleep(1)
  expect(contacts).toEqual(["polling"])
})
