// subscriptions/listen: a stream that tells when notes change.

import type { Store } from "../store/store.ts"
import type { EndReason, Script } from "../streams.ts"
import type { Asked } from "./methods.ts"
import { type Id, invalid, META, type Params } from "./protocol.ts"
import { noteOf, uriOf } from "./resources.ts"

const MOST_URIS = 200
const PAGE = 100

interface Wanted {
  listChanged: boolean
  uris: Set<string>
}

export function listen({ request, store, grants, streams, recheck, id, params }: Asked): Response {
  grants.need("read")
  const filter = params.notifications
  if (typeof filter !== "object" || filter === null) throw invalid('"notifications" must say what to listen to.')
  const { resourcesListChanged, resourceSubscriptions: uris = [] } = filter as Params
  if (!Array.isArray(uris) || uris.length > MOST_URIS || !uris.every((uri) => typeof uri === "string")) {
    throw invalid(`"resourceSubscriptions" must be a list of at most ${MOST_URIS} addresses.`)
  }
  const wanted = { listChanged: resourcesListChanged === true, uris: new Set<string>(uris) }
  return streams.open({ request, store, recheck, script: new Notifications(store, grants.vault, id, wanted) })
}

class Notifications implements Script {
  readonly hello: string
  readonly #store: Store
  readonly #vault: string
  readonly #id: Id
  readonly #wanted: Wanted
  #since: number

  constructor(store: Store, vault: string, id: Id, wanted: Wanted) {
    this.#store = store
    this.#vault = vault
    this.#id = id
    this.#wanted = wanted
    this.#since = store.changes.latest()
    const { listChanged, uris } = wanted
    const notifications = {
      ...(listChanged && { resourcesListChanged: true }),
      ...(uris.size > 0 && { resourceSubscriptions: [...uris] }),
    }
    this.hello = this.#notification("notifications/subscriptions/acknowledged", { notifications })
  }

  news(): string {
    const { changes } = this.#store
    let text = ""
    let listChanged = false
    for (let more = true; more; ) {
      const page = changes.after(this.#since, { limit: PAGE, content: false })
      this.#since = page.reset ? page.latest : page.next
      more = page.more && !page.reset
      for (const { id, kind, note } of page.changes) {
        listChanged ||= kind !== "saved" || note?.createdAt === note?.updatedAt
        for (const uri of this.#watched(id, note?.path)) {
          text += this.#notification("notifications/resources/updated", { uri })
        }
      }
    }
    if (listChanged && this.#wanted.listChanged) text += this.#notification("notifications/resources/list_changed", {})
    return text
  }

  bye(_reason: EndReason): string {
    const _meta = { [META.subscription]: this.#id }
    return event({ jsonrpc: "2.0", id: this.#id, result: { resultType: "complete", _meta } })
  }

  /** The addresses of a note that are watched: by id and by path. */
  #watched(id: string, path: string | undefined): string[] {
    return [...this.#wanted.uris].filter((uri) => {
      if (uri === uriOf(this.#vault, id)) return true
      return path !== undefined && noteOf(this.#vault, uri) === path
    })
  }

  #notification(method: string, params: object): string {
    return event({ jsonrpc: "2.0", method, params: { _meta: { [META.subscription]: this.#id }, ...params } })
  }
}

function event(message: object): string {
  return `event: message\ndata: ${JSON.stringify(message)}\n\n`
}
