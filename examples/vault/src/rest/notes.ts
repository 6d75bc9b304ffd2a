// Notes, their versions, links and attachments.

import { asObject, badRequest, Refused, readJson } from "../kit/http.ts"
import { NoteChanged, type WholeNote } from "../store/model.ts"
import { LIMITS } from "../store/store.ts"
import type { Asked } from "./api.ts"
import { existing, notAllowed } from "./errors.ts"
import { count, flag, newNote, noteChange, noteQuery, optional, paging, queryFields, short, text } from "./input.ts"

export async function notes(asked: Asked): Promise<Response> {
  const { request, url, store } = asked
  if (asked.method === "POST") {
    const key = request.headers.get("idempotency-key")
    const given = newNote(await readJson(request, LIMITS.noteBytes))
    const { note, created } = store.notes.create(given, key === null ? "" : short(key, "Idempotency-Key"))
    return answer(note, created ? 201 : 200)
  }
  const id = url.searchParams.get("id")
  if (id) return answer(existing(store.notes.findOrTrashed(id), id))
  return list(asked)
}

function list({ url, store }: Asked): Response {
  const fields = queryFields(url.searchParams)
  const query = noteQuery(fields)
  const found = store.search.list({ ...query, limit: query.limit + 1 })
  const headers = new Headers()
  if (found.length > query.limit) {
    const next = new URLSearchParams(url.searchParams)
    next.set("offset", String(query.offset + query.limit))
    headers.set("link", `<notes?${next}>; rel="next"`)
  }
  if (flag(fields.count ?? false, "count")) headers.set("x-total-count", String(store.search.count(query)))
  return Response.json(found.slice(0, query.limit), { headers })
}

const NESTED = { versions: "versions", links: "links", backlinks: "backlinks", attachments: "attachments" } as const

/** `notes/<id or path>` and what is below it. A path may have slashes: the longest key that is a note wins. */
export async function note(asked: Asked): Promise<Response> {
  const { key, store } = asked
  const whole = key.join("/")
  const at = key.findLastIndex((part) => Object.hasOwn(NESTED, part))
  if (at > 0 && !store.notes.find(whole)) {
    const owner = key.slice(0, at).join("/")
    const rest = key.slice(at + 1)
    if (rest.length <= 2) return nested(asked, key[at] as keyof typeof NESTED, owner, rest)
  }
  return single(asked, whole)
}

async function single({ request, url, method, store }: Asked, key: string): Promise<Response> {
  switch (method) {
    case "GET":
    case "HEAD":
      return answer(existing(store.notes.findOrTrashed(key), key))
    case "PATCH": {
      const change = noteChange(await readJson(request, LIMITS.noteBytes))
      return withPrecondition(request, change.ifUpdatedAt, (ifUpdatedAt) => {
        const done = existing(store.notes.update(key, { ...change, ifUpdatedAt }), key)
        return answer(done.note, 200, done.relinked > 0 ? { relinked: done.relinked } : {})
      })
    }
    case "DELETE":
      return withPrecondition(request, url.searchParams.get("if_updated_at") ?? undefined, (ifUpdatedAt) =>
        Response.json({ deleted: true, id: existing(store.trash.remove(key, ifUpdatedAt), key) }),
      )
    default:
      throw notAllowed(["GET", "HEAD", "PATCH", "DELETE"])
  }
}

async function nested(asked: Asked, noun: keyof typeof NESTED, owner: string, rest: string[]): Promise<Response> {
  const { url, method, store } = asked
  if (noun === "versions") return versions(asked, owner, rest)
  if (rest.length > 0) return single(asked, asked.key.join("/"))
  if (!["GET", "HEAD"].includes(method)) throw notAllowed(["GET", "HEAD"])
  if (noun === "attachments") {
    const id = store.notes.find(owner)?.id ?? owner
    const { limit, offset } = paging(queryFields(url.searchParams), 500)
    return Response.json(store.attachments.list({ note: id }, limit, offset))
  }
  const found = existing(store.notes.findOrTrashed(owner), owner)
  if (noun === "links") return Response.json(store.links.from(found.content))
  return Response.json(store.links.backlinks(found.id))
}

async function versions({ request, url, method, store }: Asked, owner: string, rest: string[]): Promise<Response> {
  const note = store.notes.find(owner) ?? store.trash.find(owner)
  const { id } = existing<{ id: string }>(note, owner)
  const [number, verb] = rest
  const reads = ["GET", "HEAD"].includes(method)
  if (number === undefined) {
    if (!reads) throw notAllowed(["GET", "HEAD"])
    const { limit, offset } = paging(queryFields(url.searchParams))
    return Response.json(store.versions.list(id, limit, offset))
  }
  const version = /^\d{1,15}$/.test(number) ? Number(number) : -1
  if (verb === undefined) {
    if (!reads) throw notAllowed(["GET", "HEAD"])
    return Response.json(existing(store.versions.find(id, version), number, "version"))
  }
  if (verb !== "restore") throw existing(undefined, verb, "action")
  if (method !== "POST") throw notAllowed(["POST"])
  const body = request.body ? asObject(await readJson(request, 65_536), "The body") : {}
  const given = optional(body.if_updated_at, (each) => text(each, "if_updated_at"))
  return withPrecondition(request, given, (ifUpdatedAt) =>
    answer(existing(store.restoreVersion(id, version, ifUpdatedAt), number, "version")),
  )
}

export function resolveLink({ url, store }: Asked): Response {
  const target = url.searchParams.get("target") ?? ""
  const found = store.links.resolve(target)
  return Response.json({ target, id: found?.id ?? null, ...(found && { title: found.title }) })
}

export function completeLink({ url, store }: Asked): Response {
  const limit = count(url.searchParams.get("limit") ?? 20, "limit", 1, 100)
  return Response.json(store.links.complete(url.searchParams.get("prefix") ?? "", limit))
}

function answer(note: WholeNote, status = 200, more: object = {}): Response {
  return Response.json({ ...note, ...more }, { status, headers: { etag: `"${note.updatedAt}"` } })
}

/** If-Match answers 412; the field and If-Updated-At answer 409. */
function withPrecondition(
  request: Request,
  field: string | undefined,
  change: (ifUpdatedAt: string | undefined) => Response,
): Response {
  const match = request.headers.get("if-match")
  const tag = match === null || match.trim() === "*" ? undefined : /^\s*"([^"]*)"\s*$/.exec(match)?.[1]
  if (match !== null && match.trim() !== "*" && tag === undefined) {
    throw badRequest('If-Match must be one quoted updatedAt, such as "2026-11-29T08:00:00.000Z".')
  }
  try {
    return change(field ?? request.headers.get("if-updated-at") ?? tag)
  } catch (error) {
    if (!(error instanceof NoteChanged) || tag === undefined || field !== undefined) throw error
    const { message, current } = error
    throw new Refused(412, { error: "Precondition failed", code: "changed", message, current })
  }
}
