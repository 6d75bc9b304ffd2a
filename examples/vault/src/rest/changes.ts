// Catching up: what changed since a number.

import type { Asked } from "./api.ts"
import { count, flag, MOST } from "./input.ts"

export function changes({ url, store }: Asked): Response {
  const given = url.searchParams
  const since = count(given.get("since") ?? 0, "since", 0, Number.MAX_SAFE_INTEGER)
  const limit = count(given.get("limit") ?? 200, "limit", 1, MOST)
  const content = flag(given.get("include_content") ?? false, "include_content")
  const epoch = given.get("epoch") ?? undefined
  return Response.json(store.changes.after(since, { limit, content, epoch }))
}
