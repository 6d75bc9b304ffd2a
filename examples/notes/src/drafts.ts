// What is typed but not saved yet survives a closed tab, a lost connection and an ended session.

import type { Draft } from "./vault.ts"

export interface KeptDraft extends Draft {
  /** The note and version it changes; a new note has neither. */
  id?: string
  updatedAt?: string
}

const PLACE = "parachute-notes:draft"

export function keep(draft: KeptDraft): void {
  localStorage.setItem(PLACE, JSON.stringify(draft))
}

export function kept(): KeptDraft | undefined {
  try {
    return JSON.parse(localStorage.getItem(PLACE) ?? "null") ?? undefined
  } catch {
    return undefined
  }
}

export function drop(): void {
  localStorage.removeItem(PLACE)
}
