// Files of notes: upload at once or in pieces, download by ranges, and never a script.

import { rmSync } from "node:fs"
import { asObject, badRequest, Refused, readJson } from "../kit/http.ts"
import type { Attachment } from "../store/attachments.ts"
import { LIMITS } from "../store/store.ts"
import { type Body, sha256Of, spool, TooLarge } from "../store/uploads.ts"
import type { Asked } from "./api.ts"
import { existing, notAllowed, notFound } from "./errors.ts"
import { count, flag, optional, ownId, paging, queryFields, short, text } from "./input.ts"

/** Types that a browser shows without running anything. */
const SHOWN = /^(image\/(png|jpeg|gif|webp|avif|bmp)|audio\/[\w.+-]+|video\/[\w.+-]+|application\/pdf|text\/plain)$/

export async function attachments(asked: Asked): Promise<Response> {
  const { request, url, method, store } = asked
  const given = url.searchParams
  if (method !== "POST") {
    const { limit, offset } = paging(queryFields(given), 500)
    const wanted = { note: given.get("note") ?? undefined, name: given.get("name") ?? undefined }
    return Response.json(store.attachments.list(wanted, limit, offset))
  }
  const announced = Number(request.headers.get("content-length") ?? 0)
  if (announced > LIMITS.attachmentBytes) throw new TooLarge(LIMITS.attachmentBytes)
  const described = {
    id: given.has("id") ? ownId(given.get("id")) : crypto.randomUUID(),
    name: fileName(given.get("name") ?? "file"),
    type: typeOf(request.headers.get("content-type")),
    note: optional(given.get("note") ?? undefined, (each) => short(each, "note")),
  }
  const temporary = store.uploads.temporary()
  try {
    const size = await spool(temporary, bodyOf(request), LIMITS.attachmentBytes)
    const done = store.attachments.add(described, temporary, size, await sha256Of(temporary))
    return Response.json(done.attachment, { status: done.created ? 201 : 200 })
  } finally {
    rmSync(temporary, { force: true })
  }
}

export async function attachment(asked: Asked): Promise<Response> {
  const { request, method, key, store } = asked
  const [id = "", verb] = key
  const found = existing(store.attachments.find(id), id, "attachment")
  const reads = ["GET", "HEAD"].includes(method)
  if (verb !== undefined) {
    if (verb !== "info") throw notFound(`There is nothing named "${verb}" here.`)
    if (!reads) throw notAllowed(["GET", "HEAD"])
    return Response.json(found)
  }
  if (reads) return download(asked, found)
  if (method === "DELETE") {
    store.attachments.remove(id)
    return Response.json({ deleted: true, id })
  }
  const fields = asObject(await readJson(request, 65_536), "A change")
  const note = fields.note === null ? null : optional(fields.note, (each) => short(each, "note"))
  return Response.json(store.attachments.change(id, { note, name: optional(fields.name, fileName) }))
}

/** The whole file, one range of it, or 304. */
function download({ request, url, method, store }: Asked, found: Attachment): Response {
  const forced = flag(url.searchParams.get("download") ?? false, "download")
  const kind = SHOWN.test(found.type) && !forced ? "inline" : "attachment"
  const headers = new Headers({
    "content-type": servedType(found.type),
    "content-disposition": `${kind}; filename*=UTF-8''${encodeURIComponent(found.name).replace(/['()*]/g, percent)}`,
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cache-control": "private, max-age=31536000, immutable",
    "accept-ranges": "bytes",
    etag: `"${found.sha256}"`,
  })
  if (request.headers.get("if-none-match")?.includes(`"${found.sha256}"`)) {
    return new Response(null, { status: 304, headers })
  }
  const file = Bun.file(store.attachments.path(found))
  const condition = request.headers.get("if-range")
  const range = condition === null || condition === `"${found.sha256}"` ? rangeOf(request, found.size) : undefined
  if (range === undefined) {
    headers.set("content-length", String(found.size))
    return new Response(method === "HEAD" ? null : file.stream(), { headers })
  }
  const [start, end] = range
  headers.set("content-range", `bytes ${start}-${end - 1}/${found.size}`)
  headers.set("content-length", String(end - start))
  return new Response(method === "HEAD" ? null : file.slice(start, end).stream(), { status: 206, headers })
}

/** Start and end of a single byte range; undefined to send everything (RFC 9110, section 14). */
export function rangeOf(request: Request, size: number): [number, number] | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(request.headers.get("range") ?? "")
  const [, first = "", last = ""] = match ?? []
  if (!match || (first === "" && last === "")) return undefined
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1)
  if (first !== "" && last !== "" && Number(last) < Number(first)) return undefined
  if (start >= size || start >= end) {
    const message = `The file has ${size} bytes.`
    const headers = { "content-range": `bytes */${size}` }
    throw new Refused(416, { error: "Range not satisfiable", code: "bad_range", message }, headers)
  }
  return [start, end]
}

export async function uploads({ request, store }: Asked): Promise<Response> {
  const fields = asObject(await readJson(request, 65_536), "An upload")
  const size = count(fields.size, "size", 0, Number.MAX_SAFE_INTEGER)
  if (size > LIMITS.attachmentBytes) throw new TooLarge(LIMITS.attachmentBytes)
  const id = fields.id === undefined ? crypto.randomUUID() : ownId(fields.id)
  const done = store.attachments.find(id)
  if (done) return Response.json({ id, offset: done.size, size: done.size, attachment: done })
  const sha256 = optional(fields.sha256, (each) => text(each, "sha256").toLowerCase())
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) {
    throw badRequest('"sha256" must be 64 hexadecimal digits.')
  }
  const { upload, created } = store.uploads.start({
    id,
    name: fileName(fields.name ?? "file"),
    type: typeOf(optional(fields.type, (each) => short(each, "type")) ?? null),
    size,
    note: optional(fields.note, (each) => short(each, "note")),
    sha256,
  })
  return Response.json(upload, { status: created ? 201 : 200 })
}

export async function upload({ request, method, key, store }: Asked): Promise<Response> {
  const [id = ""] = key
  const done = store.attachments.find(id)
  if (done && method !== "DELETE") return Response.json({ id, offset: done.size, size: done.size, attachment: done })
  switch (method) {
    case "DELETE":
      existing(store.uploads.cancel(id) || undefined, id, "upload")
      return Response.json({ deleted: true, id })
    case "PATCH": {
      const offset = count(request.headers.get("upload-offset") ?? "", "Upload-Offset", 0, Number.MAX_SAFE_INTEGER)
      const result = existing(await store.uploads.append(id, offset, bodyOf(request), LIMITS.chunkBytes), id, "upload")
      const { attachment } = result
      return Response.json({ ...result.upload, ...(attachment && { attachment }) }, { status: attachment ? 201 : 200 })
    }
    default:
      return Response.json(existing(store.uploads.find(id), id, "upload"))
  }
}

export function bodyOf(request: Request): Body {
  return (request.body ?? new Blob([]).stream()) as unknown as Body
}

function servedType(type: string): string {
  if (!SHOWN.test(type)) return "application/octet-stream"
  return type === "text/plain" ? "text/plain; charset=utf-8" : type
}

function typeOf(given: string | null): string {
  const type = (given ?? "").split(";")[0]!.trim().toLowerCase()
  return /^[\w.+-]+\/[\w.+-]+$/.test(type) ? type : "application/octet-stream"
}

/** The last part of a path, without control characters. */
function fileName(value: unknown): string {
  const name = text(value, "name")
    .replace(/[\u0000-\u001f\u007f]/g, "")
    .split(/[\\/]/)
    .at(-1)!
    .trim()
  return short(name.slice(-200) || "file", "name")
}

function percent(sign: string): string {
  return `%${sign.charCodeAt(0).toString(16).toUpperCase()}`
}
