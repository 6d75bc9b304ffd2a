// What the pages share: the open vault, the page that is shown, and messages.

import { effect, signal } from "@preact/signals"
import { pulled } from "../core/note.ts"
import { Problem, wordsFor } from "../core/problem.ts"
import type { Sort } from "../core/words.ts"
import { type Database, open as openDatabase } from "../local/database.ts"
import { Engine } from "../local/engine.ts"
import { Files } from "../local/files.ts"
import { openJournal, recover } from "../local/journal.ts"
import { Library } from "../local/library.ts"
import { load as loadSession, PLACE } from "../remote/session.ts"
import { trash } from "../remote/vault.ts"
import { updateReady } from "./update.ts"

export interface Desk {
  db: Database
  library: Library
  files: Files
  engine: Engine
}

export type Route = { page: "list" } | { page: "note"; id: string } | { page: "trash" } | { page: "keys" }

interface Toast {
  text: string
  action?: { label: string; run: () => Promise<void> | void }
}

export const desk = signal<Desk>()
export const route = signal<Route>(readRoute())
export const search = signal("")
export const sort = signal<Sort>((localStorage.getItem("parachute-notes:sort") as Sort | null) ?? "updated")
export const toast = signal<Toast>()
export const problem = signal<string>()
export const online = signal(navigator.onLine)

effect(() => localStorage.setItem("parachute-notes:sort", sort.value))
addEventListener("hashchange", () => {
  route.value = readRoute()
  if (askedForNew()) void attempt(beginAsked)
})
for (const event of ["online", "offline"]) addEventListener(event, () => (online.value = navigator.onLine))

const BEGIN = "parachute-notes:new"

/** `#/new` begins a note: the hub's front page links to it. Kept while the person connects at the hub. */
export function askedForNew(): boolean {
  if (location.hash !== "#/new") return false
  sessionStorage.setItem(BEGIN, "1")
  history.replaceState(null, "", "#/")
  return true
}

/** Begins the note that was asked for, once the vault is open. */
export async function beginAsked(): Promise<void> {
  if (!desk.value || !sessionStorage.getItem(BEGIN)) return
  sessionStorage.removeItem(BEGIN)
  await newNote()
}

window.addEventListener("storage", ({ key }) => {
  // Another tab has disconnected, or connected again.
  if (key !== PLACE || !desk.value) return
  const session = loadSession()
  if (!session || (desk.value.engine.ended.value && !session.ended)) location.reload()
})

function readRoute(): Route {
  const [, page, id] = location.hash.split("/")
  if (page === "note" && id) return { page, id: decodeURIComponent(id) }
  if (page === "trash" || page === "keys") return { page }
  return { page: "list" }
}

export function go(to: Route): void {
  const hash = to.page === "list" ? "#/" : to.page === "note" ? `#/note/${encodeURIComponent(to.id)}` : `#/${to.page}`
  if (location.hash !== hash) location.hash = hash
  route.value = to
}

/** Opens the notes of the vault that this browser is connected to. */
export async function openDesk(): Promise<void> {
  const session = loadSession()
  if (!session) return
  const db = await openDatabase(session.vault, () => {
    // This tab's app is too old for the database now. Another tab sends what is unsent.
    desk.value?.engine.stop()
    updateReady.value = () => location.reload()
  })
  const library = new Library(db)
  const files = new Files(db)
  const engine = new Engine(library, files)
  openJournal(db.name)
  await recover(async ({ id, from, to }) => void (await library.edit(id, from, to)))
  desk.value = { db, library, files, engine }
  await library.load()
  void files.load()
  void engine.run()
  await beginAsked()
}

export function closeDesk(): void {
  const open = desk.value
  desk.value = undefined
  open?.engine.stop()
  open?.library.close()
  open?.files.close()
}

let toastTimer = 0

/** Shows a message for some seconds, with at most one thing that can be done about it. */
export function say(text: string, action?: Toast["action"]): void {
  clearTimeout(toastTimer)
  toast.value = { text, action }
  toastTimer = window.setTimeout(() => (toast.value = undefined), action ? 10_000 : 4000)
}

/** Runs an action of the person and shows its errors. */
export async function attempt(work: () => Promise<unknown> | unknown): Promise<void> {
  problem.value = undefined
  try {
    await work()
  } catch (error) {
    if (!(error instanceof Problem)) console.error(error)
    problem.value = wordsFor(error)
  }
}

/** Begins a new note and opens it. */
export async function newNote(): Promise<void> {
  const note = await desk.value?.library.create()
  if (note) go({ page: "note", id: note.id })
}

/** Moves a note to the trash, with a way back. */
export async function removeNote(id: string): Promise<void> {
  const { library } = desk.value!
  await library.remove(id)
  go({ page: "list" })
  say("Moved to the trash.", { label: "Undo", run: () => restoreNote(id) })
}

export async function restoreNote(id: string): Promise<void> {
  const { library } = desk.value!
  const here = library.notes.has(id) && (await library.restore(id))
  if (!here) {
    const remote = await trash.restore(id)
    await library.store.update(id, (note) => pulled(note, remote))
  }
  toast.value = undefined
  go({ page: "note", id })
}
