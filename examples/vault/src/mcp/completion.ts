// Completion of what people type into arguments of prompts and addresses of resources.

import type { Store } from "../store/store.ts"
import type { Asked } from "./methods.ts"
import { PROMPTS } from "./prompts.ts"
import { invalid, type Params } from "./protocol.ts"

const MOST = 100

export function complete({ store, grants, params }: Asked): object {
  grants.need("read")
  const { type, name: prompt, uri } = (params.ref ?? {}) as Params
  const { name, value } = (params.argument ?? {}) as Params
  if (typeof name !== "string" || typeof value !== "string") throw invalid('"argument" must have "name" and "value".')
  let kind: string | undefined
  if (type === "ref/prompt") kind = kindOf(prompt, name)
  if (type === "ref/resource") kind = kindAt(grants.vault, uri, name)
  if (kind === undefined) throw invalid("There is nothing like that to complete.")
  const found = kind === "tag" ? tags(store, value) : kind === "note" ? notes(store, value) : []
  return { completion: { values: found.slice(0, MOST), hasMore: found.length > MOST } }
}

function kindOf(prompt: unknown, argument: string): string | undefined {
  const found = PROMPTS.find(({ name }) => name === prompt)
  return found?.arguments.find(({ name }) => name === argument)?.of
}

function kindAt(vault: string, uri: unknown, argument: string): string | undefined {
  if (uri === `vault://${vault}/note/{key}` && argument === "key") return "note"
  return uri === `vault://${vault}/attachment/{id}` && argument === "id" ? "" : undefined
}

function tags(store: Store, start: string): string[] {
  const wanted = start.replace(/^#/, "").toLowerCase()
  const found = store.search.tags().filter(({ name }) => name.toLowerCase().startsWith(wanted))
  return found
    .sort((a, b) => b.count - a.count)
    .slice(0, MOST + 1)
    .map(({ name }) => name)
}

/** Paths, and ids of notes without one. */
function notes(store: Store, start: string): string[] {
  return store.links.complete(start, MOST + 1).map(({ path, id }) => path ?? id)
}
