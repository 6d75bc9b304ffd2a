// The vault's REST interface, as the app needs it. Shapes and errors: the API page of the vault.

import { createParser } from "eventsource-parser"
import { newId } from "../core/ids.ts"
import type { Fields, Remote } from "../core/note.ts"
import { Problem, Refused } from "../core/problem.ts"
import type { Change, Page, Position, Vault } from "../local/sync.ts"
import { ask, askJson, expectOk, send } from "./connection.ts"
import { mayTranscribeAtScribe } from "./session.ts"

export interface Trashed extends Remote {
  deletedAt: string
  purgeAt: string
}

export interface OldVersion {
  version: number
  updatedAt: string
  savedAt: string
  bytes: number
}

export interface Limits {
  noteBytes: number
  attachmentBytes: number
  chunkBytes: number
}

/** One id for this page's editing: autosaves of one editor become one version every five minutes. */
const EDITOR = newId()
/** Milliseconds without a sign of life (the vault sends one every 15 s) before connecting again. */
const SILENCE = 45_000

const at = (id: string) => `api/notes/${encodeURIComponent(id)}`

export const vault: Vault = {
  create: (id, fields, createdAt) =>
    askJson<Remote>("api/notes", "POST", { id, ...wire(fields), createdAt, editor: EDITOR }),
  change: (id, change, ifUpdatedAt, renameFrom) =>
    askJson<Remote>(at(id), "PATCH", {
      ...wire(change),
      if_updated_at: ifUpdatedAt,
      editor: EDITOR,
      ...(renameFrom === undefined ? {} : { rename_from: renameFrom }),
    }),
  remove: async (id, ifUpdatedAt) => {
    await ask(`${at(id)}?if_updated_at=${encodeURIComponent(ifUpdatedAt)}`, { method: "DELETE" })
  },
  changes: (since) => askJson<Page>(`api/changes?${query(since)}&limit=500`),
  knows: async (id, updatedAt) => {
    const had = (version: { updatedAt: string }) => version.updatedAt === updatedAt
    if ((await versions.list(id).catch(none)).some(had)) return true
    return [await askJson<Trashed>(`api/trash/${encodeURIComponent(id)}`).catch(none)].flat().some(had)
  },
}

/** Nothing, where the vault says that it has no such note. */
function none(error: unknown): [] {
  if (error instanceof Refused && error.status === 404 && !error.passes) return []
  throw error
}

function query({ number, epoch }: Position): string {
  return `since=${number}&include_content=true${epoch === undefined ? "" : `&epoch=${encodeURIComponent(epoch)}`}`
}

function wire(fields: Partial<Fields>): Record<string, unknown> {
  return "path" in fields ? { ...fields, path: fields.path || null } : { ...fields }
}

/**
 * Follows the vault's changes until `signal` aborts or the stream ends (then it returns; connect again). Rejects when
 * the stream cannot be opened.
 */
export async function follow(
  since: Position,
  on: { change: (change: Change & Position) => Promise<void>; open: () => void; reset: () => Promise<void> },
  signal: AbortSignal,
): Promise<void> {
  const quiet = new AbortController()
  const path = `api/events?${query(since)}`
  const response = await ask(path, { signal: AbortSignal.any([signal, quiet.signal]) })
  let timer = setTimeout(() => quiet.abort(), SILENCE)
  let over = false
  let work: Promise<void> = Promise.resolve()
  const parser = createParser({
    onEvent: ({ event, data }) => {
      if (event === "hello") on.open()
      else if (event === "change") work = work.then(() => on.change(JSON.parse(data)))
      else if (event === "reset") work = work.then(on.reset)
      if (event === "bye" || event === "reset") over = true
    },
  })
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  try {
    while (!over) {
      const { value, done } = await reader.read().catch(() => ({ value: undefined, done: true as const }))
      if (done) break
      clearTimeout(timer)
      timer = setTimeout(() => quiet.abort(), SILENCE)
      parser.feed(value)
      await work
    }
  } finally {
    clearTimeout(timer)
    quiet.abort()
  }
}

export const trash = {
  list: (offset: number) => askJson<Trashed[]>(`api/trash?limit=50&offset=${offset}`),
  restore: (id: string) => askJson<Remote>(`api/trash/${encodeURIComponent(id)}/restore`, "POST", {}),
  purge: (id: string) => askJson(`api/trash/${encodeURIComponent(id)}`, "DELETE"),
  empty: () => askJson("api/trash", "DELETE"),
}

export const versions = {
  list: (id: string) => askJson<OldVersion[]>(`${at(id)}/versions?limit=200`),
  read: (id: string, version: number) => askJson<{ content: string }>(`${at(id)}/versions/${version}`),
}

/** Rejects with words for the person when the vault does not take this key. */
export async function checkKey(vault: string, key: string): Promise<void> {
  const url = `/vault/${encodeURIComponent(vault)}/api/limits`
  const response = await fetch(url, { headers: { authorization: `Bearer ${key}` } }).catch(() => undefined)
  if (!response) throw new Problem("Your hub does not answer. Check your connection, then try again.")
  if (response.status === 401) throw new Problem("The vault does not know this key. Copy the whole key.")
  await expectOk(response)
}

export async function limits(): Promise<Limits> {
  return askJson<Limits>("api/limits")
}

/** An export of all notes with attachments, as a zip of Markdown files. */
export async function exportAll(): Promise<Blob> {
  return (await ask("api/export?format=markdown")).blob()
}

export interface Imported {
  created: number
  replaced: number
  unchanged: number
  skipped: number
  attachments: number
  problems: { name: string; message: string }[]
}

export async function importFile(file: Blob): Promise<Imported> {
  return (await ask("api/import?conflict=keep", { method: "POST", body: file })).json()
}

/** Whether speech can be turned into text, as far as the hub says before anybody speaks; undefined when it does not say. */
export async function speechProblem(): Promise<string | undefined> {
  if (!mayTranscribeAtScribe()) return undefined
  const response = await send("/scribe/v1/models")
  if (response.status === 404) return "Nothing here turns speech into text yet. Install Scribe on your hub."
  const body = await response.json().catch(() => ({}))
  if (response.ok) return body.data?.length === 0 ? body.message : undefined
  return "Speech cannot be turned into text right now. You can record; it becomes text later."
}

/** The text of a recording: from scribe when the hub allowed it, else through the vault. */
export async function transcribe(audio: Blob, name: string): Promise<string> {
  const body = new FormData()
  body.append("file", audio, name)
  try {
    const response = mayTranscribeAtScribe()
      ? await expectOk(await send("/scribe/v1/audio/transcriptions", { method: "POST", body }))
      : await ask("api/transcribe", { method: "POST", body })
    return (await response.json()).text
  } catch (error) {
    if (error instanceof Refused && error.status === 404) {
      throw new Problem("Nothing here turns speech into text yet. Install Scribe on your hub.")
    }
    throw error
  }
}
