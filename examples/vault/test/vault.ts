// A store in a folder of its own, with a clock that tests move.

import { afterEach } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { noteQuery } from "../src/rest/input.ts"
import type { NewNote, NoteQuery } from "../src/store/model.ts"
import { Store } from "../src/store/store.ts"

export const DAY = 86_400_000
const folders: string[] = []
const stores: Store[] = []

afterEach(() => {
  for (const store of stores.splice(0)) store.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "vault-test-"))
  folders.push(folder)
  return folder
}

/** Time stands still until `advance` is called. */
export function openVault(folder = newFolder()): {
  store: Store
  folder: string
  advance: (milliseconds: number) => void
} {
  let now = Date.parse("2026-11-29T08:00:00.000Z")
  const store = new Store(join(folder, "vault.db"), () => now)
  stores.push(store)
  return { store, folder, advance: (milliseconds) => void (now += milliseconds) }
}

export function write(store: Store, content: string, more: Partial<NewNote> = {}): string {
  return store.notes.create({ content, path: null, tags: [], ...more }).note.id
}

export function query(fields: Record<string, unknown>): NoteQuery {
  return noteQuery(fields)
}

/** Deterministic random numbers below 1. */
export function randomOf(seed: number): () => number {
  let state = seed
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
}
