// Export and import over HTTP.

import { rmSync } from "node:fs"
import { badRequest } from "../kit/http.ts"
import { LIMITS } from "../store/store.ts"
import { spool, TooLarge } from "../store/uploads.ts"
import { BadArchive } from "../transfer/archive.ts"
import { describe, exported, FORMATS } from "../transfer/export.ts"
import { CONFLICTS, Importer } from "../transfer/importer.ts"
import { importFile, KINDS } from "../transfer/sources.ts"
import type { Asked } from "./api.ts"
import { bodyOf } from "./attachments.ts"
import { busy } from "./errors.ts"
import { choice, flag } from "./input.ts"

export function exportNotes({ url, store, vault }: Asked): Response {
  const format = choice(url.searchParams.get("format") ?? "markdown", "format", FORMATS)
  const attachments = flag(url.searchParams.get("attachments") ?? true, "attachments")
  const { name, type } = describe(vault, format, store.core.now())
  return new Response(streamOf(exported({ store, vault, format, attachments })), {
    headers: {
      "content-type": type,
      "content-disposition": `attachment; filename="${name}"`,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
  })
}

const importing = new Set<string>()

/** Stores the whole body first: an archive is read from its end, and a broken connection imports nothing. */
export async function importNotes({ request, url, store, vault }: Asked): Promise<Response> {
  const kind = choice(url.searchParams.get("format") ?? "auto", "format", KINDS)
  const conflict = choice(url.searchParams.get("conflict") ?? "keep", "conflict", CONFLICTS)
  const announced = Number(request.headers.get("content-length") ?? 0)
  if (announced > LIMITS.importBytes) throw new TooLarge(LIMITS.importBytes)
  if (importing.has(vault)) throw busy("Another import is running.", 5)
  importing.add(vault)
  const temporary = store.uploads.temporary()
  try {
    await spool(temporary, bodyOf(request), LIMITS.importBytes)
    const importer = new Importer(store, conflict)
    await importFile(temporary, kind, importer)
    return Response.json(importer.report)
  } catch (error) {
    throw error instanceof BadArchive ? badRequest(error.message) : error
  } finally {
    importing.delete(vault)
    rmSync(temporary, { force: true })
  }
}

/** A stream that asks for the next piece when its reader is ready. */
function streamOf(source: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { value, done } = await source.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        await source.return(undefined)
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: 65_536 }),
  )
}
