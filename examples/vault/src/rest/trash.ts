// Deleted notes: list, restore, purge.

import type { Asked } from "./api.ts"
import { existing, notAllowed, notFound } from "./errors.ts"
import { paging, queryFields } from "./input.ts"

export function trash({ url, method, store }: Asked): Response {
  if (method === "DELETE") return Response.json({ purged: store.emptyTrash() })
  const { limit, offset } = paging(queryFields(url.searchParams))
  return Response.json(store.trash.list(limit, offset, url.searchParams.get("search") ?? ""))
}

export function trashed({ method, key, store }: Asked): Response {
  const [id = "", verb] = key
  if (verb !== undefined) {
    if (verb !== "restore") throw notFound(`There is no action "${verb}".`)
    if (method !== "POST") throw notAllowed(["POST"])
    return Response.json(existing(store.trash.restore(id), id, "note in the trash"))
  }
  if (method === "POST") throw notAllowed(["GET", "HEAD", "DELETE"])
  if (method !== "DELETE") return Response.json(existing(store.trash.find(id), id, "note in the trash"))
  existing(store.trash.purge(id) || undefined, id, "note in the trash")
  return Response.json({ purged: true, id })
}
