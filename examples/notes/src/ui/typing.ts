// What the person types into the open note, on its way into the database.

import { signal } from "@preact/signals"
import { mergeFields } from "../core/merge.ts"
import { type Fields, type Note, same } from "../core/note.ts"
import { wordsFor } from "../core/problem.ts"
import { done, remember } from "../local/journal.ts"

/** Milliseconds after a key before it is written to the database; the journal has it at once. */
const PAUSE = 150
/** Milliseconds before another try when the database took nothing. */
const RETRY = 2000

/** True while something typed is not in the database yet. */
export const typed = signal(false)
/** Why what was typed cannot be stored on this device, while that is so. */
export const notStored = signal<string>()

export class Typing {
  readonly #id: string
  readonly #edit: (id: string, from: Fields, to: Fields) => Promise<Note | undefined>
  readonly #show: (fields: Fields) => void
  /** What the database has, as far as this editor knows, and what the editor shows. */
  #stored: Fields
  #current: Fields
  #timer = 0
  #saving: Promise<void> | undefined

  /** `show` is called with fields that differ from what the editor shows, because somebody else changed them. */
  constructor(
    id: string,
    fields: Fields,
    edit: (id: string, from: Fields, to: Fields) => Promise<Note | undefined>,
    show: (fields: Fields) => void,
  ) {
    this.#id = id
    this.#stored = this.#current = fields
    this.#edit = edit
    this.#show = show
  }

  get current(): Fields {
    return this.#current
  }

  /** The person changed something. With `held` it is not saved before `save` is called: a title that is half typed. */
  type(change: Partial<Fields>, held = false): void {
    this.#current = { ...this.#current, ...change }
    if (same(this.#current, this.#stored)) return
    typed.value = true
    remember({ id: this.#id, from: this.#stored, to: this.#current })
    if (held) return
    clearTimeout(this.#timer)
    this.#timer = window.setTimeout(() => void this.save(), PAUSE)
  }

  /** The database has changed: shown at once, unless something typed waits; then both are merged when it is saved. */
  stored(fields: Fields): void {
    if (this.#saving || !same(this.#current, this.#stored)) return
    this.#stored = fields
    if (same(fields, this.#current)) return
    this.#current = fields
    this.#show(fields)
  }

  /** Resolves when everything typed is in the database, or cannot be stored now; then it tries again by itself. */
  save(): Promise<void> {
    clearTimeout(this.#timer)
    this.#saving ??= this.#tryToSave().finally(() => (this.#saving = undefined))
    return this.#saving
  }

  async #tryToSave(): Promise<void> {
    try {
      await this.#save()
      notStored.value = undefined
    } catch (error) {
      console.error(error)
      notStored.value = wordsFor(error)
      this.#timer = window.setTimeout(() => void this.save(), RETRY)
    }
  }

  async #save(): Promise<void> {
    while (!same(this.#current, this.#stored)) {
      const to = this.#current
      const note = await this.#edit(this.#id, this.#stored, to)
      const stored = note?.mine ?? to
      const now = same(this.#current, to) ? stored : mergeFields(to, this.#current, stored).fields
      this.#stored = stored
      if (same(now, this.#current)) continue
      this.#current = now
      this.#show(now)
    }
    done(this.#id)
    typed.value = false
  }
}
