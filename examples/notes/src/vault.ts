// The vault's REST interface, and transcription, as the app needs them.

import { Problem } from "./dom.ts"
import { bearer, load, mayTranscribeAtScribe } from "./session.ts"

export interface Note {
  id: string
  path?: string
  content: string
  tags: string[]
  updatedAt: string
}

export interface Draft {
  path: string | null
  content: string
  tags: string[]
}

/** Somebody else changed the note; `current` is their version. */
export class Conflict extends Problem {
  constructor(readonly current: Note) {
    super("This note was changed somewhere else since you opened it.")
  }
}

/** No answer came: what was asked for may have been done all the same. */
export class Unanswered extends Problem {
  constructor() {
    super("The hub does not answer. What you wrote is kept here; it is saved when the hub is back.")
  }
}

export const PAGE = 30
const STARTING_TRIES = 8

export async function list(search: string, offset: number): Promise<Note[]> {
  const query = new URLSearchParams({ include_content: "true", limit: `${PAGE}`, offset: `${offset}`, search })
  return (await call(`api/notes?${query}`)).json()
}

export async function create(draft: Draft): Promise<Note> {
  return (await call("api/notes", { method: "POST", body: JSON.stringify(draft) })).json()
}

/** The newest note that is word for word this draft: the one that an unanswered `create` made after all. */
export async function findTwin(draft: Draft): Promise<Note | undefined> {
  const newest = await list("", 0)
  return newest.find((note) => note.content === draft.content && (note.path ?? null) === draft.path)
}

/** Saves over the version that was read at `updatedAt`, and no other. */
export async function update(id: string, draft: Draft, updatedAt: string): Promise<Note> {
  const body = JSON.stringify({ ...draft, if_updated_at: updatedAt })
  return (await call(`api/notes/${encodeURIComponent(id)}`, { method: "PATCH", body })).json()
}

export async function remove(id: string): Promise<void> {
  await call(`api/notes/${encodeURIComponent(id)}`, { method: "DELETE" })
}

/** The text of a recording: from scribe when the hub allowed it, else through the vault. */
export async function transcribe(audio: Blob, name: string): Promise<string> {
  const body = new FormData()
  body.append("file", audio, name)
  const direct = mayTranscribeAtScribe()
  const url = direct ? "/scribe/v1/audio/transcriptions" : `${vaultUrl()}/api/transcribe`
  const response = await send(url, { method: "POST", body })
  if (response.ok) return (await response.json()).text
  if (response.status === 404) throw new Problem("Nothing here turns speech into text. Install Scribe on your hub.")
  throw await problemOf(response)
}

async function call(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await send(`${vaultUrl()}/${path}`, init)
  if (response.ok) return response
  throw await problemOf(response)
}

function vaultUrl(): string {
  return `/vault/${encodeURIComponent(load()?.vault ?? "default")}`
}

/** Sends with our token; renews it once, and waits while a module starts. */
async function send(url: string, init: RequestInit): Promise<Response> {
  let token = await bearer()
  let renewed = false
  for (let tries = 0; ; tries++) {
    const response = await reach(url, { ...init, headers: { authorization: `Bearer ${token}` } })
    if (response.status === 401 && !renewed) {
      renewed = true
      token = await bearer(token)
    } else if (tries < STARTING_TRIES && (await isStarting(response))) {
      await new Promise((resolve) => setTimeout(resolve, 1000))
    } else {
      return response
    }
  }
}

/** The hub's own answer while a module is not up yet: the module has not seen the request. */
async function isStarting(response: Response): Promise<boolean> {
  if (response.status !== 503) return false
  const body = await response
    .clone()
    .json()
    .catch(() => ({}))
  return body.error === "upstream_starting"
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch {
    throw new Unanswered()
  }
}

async function problemOf(response: Response): Promise<Problem> {
  const body = await response.json().catch(() => ({}))
  if (response.status === 409 && body.current) return new Conflict(body.current)
  if (response.status === 403) {
    return new Problem("Notes may not do this in your vault. Disconnect, connect again, and allow to read and write.")
  }
  if (response.status === 404 && body.vault) {
    return new Problem(`There is no vault "${body.vault}" on this hub. Disconnect, then choose another.`)
  }
  const words = body.message ?? body.error_description
  return new Problem(words ?? `The hub answered ${response.status}. Try again, or look at the hub's module page.`)
}
