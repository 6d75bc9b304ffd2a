// What was typed in the last moments, in local storage: it is written at once, while the database needs a moment.
// Each tab has its own entries; those of a tab which ended without saving are taken up by the next start.

import { newId } from "../core/ids.ts"
import type { Fields } from "../core/note.ts"
import { held, hold } from "./locks.ts"

interface Typed {
  id: string
  /** What the editor showed before. */
  from: Fields
  to: Fields
}

const PREFIX = "parachute-notes:typing:"
const tab = `${PREFIX}${newId()}`
/** The name of the open database. */
let vault = ""

export function openJournal(name: string): void {
  vault = name
  hold(tab)
}

export function remember(typed: Typed): void {
  try {
    localStorage.setItem(`${tab}:${typed.id}`, JSON.stringify({ vault, ...typed }))
  } catch {
    // A text that local storage has no room for waits for the database alone.
  }
}

export function done(id: string): void {
  localStorage.removeItem(`${tab}:${id}`)
}

/** Gives what tabs that have ended left behind to `save`, and forgets what it could save. */
export async function recover(save: (typed: Typed) => Promise<void>): Promise<void> {
  const alive = await held()
  for (const { key, typed } of entries()) {
    const owner = key.slice(0, tab.length)
    if (owner === tab || alive?.has(owner)) continue
    try {
      await save(typed)
      localStorage.removeItem(key)
    } catch (error) {
      console.error(error)
    }
  }
}

/** Forgets everything that was typed for the open vault. */
export function forgetJournal(): void {
  for (const { key } of entries()) localStorage.removeItem(key)
}

/** The entries of the open vault. */
function entries(): { key: string; typed: Typed }[] {
  return Object.keys(localStorage)
    .filter((key) => key.startsWith(PREFIX))
    .map((key) => ({ key, typed: JSON.parse(localStorage.getItem(key)!) }))
    .filter(({ typed }) => typed.vault === vault)
}
