// The form of one note. It saves automatically after a pause, and keeps what it cannot save.

import { attempt, byId, complain, onClick, tell } from "./dom.ts"
import * as drafts from "./drafts.ts"
import { Conflict, create, type Draft, findTwin, type Note, remove, Unanswered, update } from "./vault.ts"

const PAUSE = 1500

interface Listener {
  saved(note: Note): void
  removed(id: string): void
  closed(): void
}

export class Editor {
  readonly #listener: Listener
  readonly #title = byId<HTMLInputElement>("title")
  readonly #text = byId<HTMLTextAreaElement>("text")
  readonly #tags = byId<HTMLInputElement>("tags")
  #id: string | undefined
  #updatedAt: string | undefined
  #changed = false
  #unanswered = false
  #timer = 0
  #saving: Promise<void> = Promise.resolve()
  #other: Note | undefined

  constructor(listener: Listener) {
    this.#listener = listener
    const form = byId<HTMLFormElement>("note")
    form.addEventListener("input", () => this.#touched())
    form.addEventListener("submit", (event) => {
      event.preventDefault()
      void attempt(() => this.save())
    })
    form.addEventListener("keydown", (event) => {
      if (!(event.key === "s" && (event.ctrlKey || event.metaKey))) return
      event.preventDefault()
      void attempt(() => this.save())
    })
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) void attempt(() => this.save())
    })
    onClick("back", async () => {
      await this.save()
      this.close()
    })
    onClick("delete", () => this.#delete())
    onClick("keep-mine", () => this.#keepMine())
    onClick("take-other", () => this.open(this.#other))
  }

  /** Shows a note, or an empty form for a new one. */
  open(note?: Note | drafts.KeptDraft): void {
    this.#show(note?.id, note?.updatedAt, note)
    this.#changed = false
    drafts.drop()
    // A note is opened to read it first; focus in its text would open a phone's keyboard.
    ;(note ? byId("editor") : this.#title).focus()
  }

  /** Shows what could not be saved last time. */
  reopen(draft: drafts.KeptDraft): void {
    this.#show(draft.id, draft.updatedAt, draft)
    this.#unanswered = true
    this.#touched()
  }

  close(): void {
    byId("editor").hidden = true
    this.#show(undefined, undefined, undefined, true)
    this.#listener.closed()
  }

  /** Appends a paragraph to the open note or a new one. */
  append(text: string): void {
    if (byId("editor").hidden) this.open()
    const before = this.#text.value.trimEnd()
    this.#text.value = before ? `${before}\n\n${text}` : text
    this.#touched()
  }

  /** Saves changes, if any. Saves never overlap. */
  save(): Promise<void> {
    clearTimeout(this.#timer)
    const next = this.#saving.then(() => this.#save())
    this.#saving = next.catch(() => undefined)
    return next
  }

  /** Creates a note once: after a lost response, it first checks whether the note exists. */
  async #createOnce(draft: Draft): Promise<Note> {
    return (this.#unanswered && (await findTwin(draft))) || create(draft)
  }

  async #save(): Promise<void> {
    const draft = this.#draft()
    if (!this.#changed || this.#other || (!this.#id && !draft.content.trim() && !draft.path)) return
    this.#changed = false
    tell("Saving…")
    try {
      const note = this.#id ? await update(this.#id, draft, this.#updatedAt!) : await this.#createOnce(draft)
      this.#unanswered = false
      this.#id = note.id
      this.#updatedAt = note.updatedAt
      byId("delete").hidden = false
      if (!this.#changed) drafts.drop()
      complain()
      tell("Saved")
      this.#listener.saved(note)
    } catch (problem) {
      this.#changed = true
      this.#unanswered ||= problem instanceof Unanswered
      tell("Not saved yet")
      if (!(problem instanceof Conflict)) throw problem
      this.#other = problem.current
      byId("conflict").hidden = false
    }
  }

  #show(id?: string, updatedAt?: string, draft?: Partial<Note> | Draft, hidden = false): void {
    clearTimeout(this.#timer)
    this.#id = id
    this.#updatedAt = updatedAt
    this.#other = undefined
    this.#unanswered = false
    this.#title.value = draft?.path ?? ""
    this.#text.value = draft?.content ?? ""
    this.#tags.value = draft?.tags?.join(" ") ?? ""
    byId("conflict").hidden = true
    byId("delete").hidden = !id
    byId("editor").hidden = hidden
  }

  #touched(): void {
    this.#changed = true
    drafts.keep({ ...this.#draft(), id: this.#id, updatedAt: this.#updatedAt })
    tell("Not saved yet")
    clearTimeout(this.#timer)
    this.#timer = window.setTimeout(() => void attempt(() => this.save()), PAUSE)
  }

  #draft(): Draft {
    return {
      path: this.#title.value.trim() || null,
      content: this.#text.value,
      tags: this.#tags.value.split(/[\s,]+/).filter((tag) => tag.replace(/^#/, "")),
    }
  }

  async #keepMine(): Promise<void> {
    this.#updatedAt = this.#other?.updatedAt
    this.#other = undefined
    byId("conflict").hidden = true
    await this.save()
  }

  async #delete(): Promise<void> {
    const dialog = byId<HTMLDialogElement>("confirm")
    dialog.returnValue = ""
    dialog.showModal()
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }))
    const id = this.#id
    if (dialog.returnValue !== "delete" || !id) return
    clearTimeout(this.#timer)
    this.#changed = false
    await this.#saving
    await remove(id)
    drafts.drop()
    tell("Deleted")
    this.#listener.removed(id)
    this.close()
  }
}
