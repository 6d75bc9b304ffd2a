// What was typed in the last moments, in local storage: it is written at once, while the database needs a moment.
// Each tab has its own entry; that of a tab which ended without saving is taken up by the next start.

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

export function openJournal(): void {
  hold(tab)
}

export function remember(typed: Typed): void {
  try {
    localStorage.setItem(tab, JSON.stringify(typed))
  } catch {
    // A text that local storage has no room for waits for the database alone.
  }
}

export function done(): void {
  localStorage.removeItem(tab)
}

/** Gives what tabs that have ended left behind to `save`, and forgets it then. */
export async function recover(save: (typed: Typed) => Promise<void>): Promise<void> {
  const alive = await held()
  const left = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX) && key !== tab && !alive?.has(key))
  for (const key of left) {
    const text = localStorage.getItem(key)
    if (text) await save(JSON.parse(text))
    localStorage.removeItem(key)
  }
}
