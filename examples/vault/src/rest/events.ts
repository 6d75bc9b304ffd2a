// Live changes for apps, as server-sent events.

import type { Store } from "../store/store.ts"
import type { EndReason, Script } from "../streams.ts"
import type { Asked } from "./api.ts"
import { count, flag } from "./input.ts"

const PAGE = 50

export function events({ request, url, store, streams, recheck }: Asked): Response {
  const last = request.headers.get("last-event-id") ?? url.searchParams.get("since")
  const since = last === null ? store.changes.latest() : count(last, "since", 0, Number.MAX_SAFE_INTEGER)
  const content = flag(url.searchParams.get("include_content") ?? false, "include_content")
  const epoch = url.searchParams.get("epoch") ?? undefined
  return streams.open({ request, store, recheck, script: new ChangeEvents(store, since, content, epoch) })
}

class ChangeEvents implements Script {
  readonly hello: string
  readonly #store: Store
  readonly #content: boolean
  #since: number
  #epoch: string | undefined

  constructor(store: Store, since: number, content: boolean, epoch?: string) {
    this.#store = store
    this.#since = since
    this.#content = content
    this.#epoch = epoch
    this.hello = event("hello", { latest: store.changes.latest() })
  }

  news(): string {
    const { changes: feed } = this.#store
    const page = feed.after(this.#since, { limit: PAGE, content: this.#content, epoch: this.#epoch })
    const { epoch, latest, reason } = page
    this.#epoch = epoch
    if (page.reset) {
      this.#since = latest
      return event("reset", { latest, reason }, latest)
    }
    this.#since = page.next
    return page.changes.map((change) => event("change", { ...change, epoch }, change.number)).join("")
  }

  bye(reason: EndReason): string {
    return event("bye", { reason })
  }
}

function event(name: string, data: object, id?: number): string {
  return `event: ${name}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`
}
