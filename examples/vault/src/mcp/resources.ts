// Notes and their attachments as resources: vault://<vault>/note/<id or path>, vault://<vault>/attachment/<id>.

import type { Store } from "../store/store.ts"
import type { Asked } from "./methods.ts"
import { cursorAfter, invalid, startOf } from "./protocol.ts"

const PAGE = 100
const BLOB_LIMIT = 4 * 1024 * 1024

interface Row {
  seq: number
  id: string
  title: string
  updatedAt: string
  size: number
}

export function uriOf(vault: string, id: string): string {
  return `vault://${vault}/note/${encodeURIComponent(id)}`
}

/** The id or path of the note that an address names; undefined when it names none of this vault. */
export function noteOf(vault: string, uri: string): string | undefined {
  return keyOf(`vault://${vault}/note/`, uri)
}

export function listResources({ store, grants, cursor }: Asked): object {
  grants.need("read")
  const rows = store.core.all<Row>(
    `SELECT seq, id, title, updated_at AS updatedAt, length(CAST(content AS BLOB)) AS size FROM notes
     WHERE seq > ? ORDER BY seq LIMIT ?`,
    startOf(cursor),
    PAGE + 1,
  )
  const resources = rows.slice(0, PAGE).map(({ id, title, updatedAt, size }) => ({
    uri: uriOf(grants.vault, id),
    name: title || id,
    mimeType: "text/markdown",
    size,
    annotations: { lastModified: updatedAt },
  }))
  return { resources, ...(rows.length > PAGE && { nextCursor: cursorAfter(rows[PAGE - 1]!.seq) }) }
}

export function listTemplates({ grants, cursor }: Asked): object {
  startOf(cursor)
  return {
    resourceTemplates: [
      {
        uriTemplate: `vault://${grants.vault}/note/{key}`,
        name: "note",
        title: "A note",
        description: "By its id or its path",
        mimeType: "text/markdown",
      },
      {
        uriTemplate: `vault://${grants.vault}/attachment/{id}`,
        name: "attachment",
        title: "A file of a note",
        description: `Its bytes, up to ${BLOB_LIMIT} of them`,
      },
    ],
  }
}

export async function readResource({ store, grants, params }: Asked): Promise<object> {
  grants.need("read")
  const { uri } = params
  if (typeof uri !== "string") throw invalid('"uri" must be the address of a resource.')
  const key = noteOf(grants.vault, uri)
  const note = key === undefined ? undefined : store.notes.find(key)
  if (note) return { contents: [{ uri, mimeType: "text/markdown", text: note.content }] }
  const id = keyOf(`vault://${grants.vault}/attachment/`, uri)
  const file = id === undefined ? undefined : await fileOf(store, id)
  if (file) return { contents: [{ uri, ...file }] }
  throw invalid("Resource not found", { uri })
}

async function fileOf(store: Store, id: string): Promise<object | undefined> {
  const attachment = store.attachments.find(id)
  if (!attachment) return undefined
  if (attachment.size > BLOB_LIMIT) throw invalid(`The file has ${attachment.size} bytes; ${BLOB_LIMIT} can be read.`)
  const bytes = await Bun.file(store.attachments.path(attachment)).bytes()
  return { mimeType: attachment.type, blob: Buffer.from(bytes).toString("base64") }
}

function keyOf(start: string, uri: string): string | undefined {
  if (!uri.startsWith(start)) return undefined
  try {
    return decodeURIComponent(uri.slice(start.length))
  } catch {
    return undefined
  }
}
