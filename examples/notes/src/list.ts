// The list of notes, searched as the person types.

import { attempt, byId, complain, onClick } from "./dom.ts"
import { list, type Note, PAGE } from "./vault.ts"

const PAUSE = 250

export class NoteList {
  readonly #choose: (note: Note) => void
  readonly #words = byId<HTMLInputElement>("words")
  #notes: Note[] = []
  #current: string | undefined
  #turn = 0
  #timer = 0

  constructor(choose: (note: Note) => void) {
    this.#choose = choose
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault()
      void attempt(() => this.load())
    })
    this.#words.addEventListener("input", () => {
      clearTimeout(this.#timer)
      this.#timer = window.setTimeout(() => void attempt(() => this.load()), PAUSE)
    })
    onClick("more", () => this.load(this.#notes.length))
  }

  /** Reads a page from the vault; without `offset` from the beginning. The latest request wins. */
  async load(offset = 0): Promise<void> {
    const turn = ++this.#turn
    const search = this.#words.value.trim()
    const page = await list(search, offset)
    if (turn !== this.#turn) return
    complain()
    const seen = new Set(page.map(({ id }) => id))
    this.#notes = offset > 0 ? [...this.#notes.filter(({ id }) => !seen.has(id)), ...page] : page
    byId("more").hidden = page.length < PAGE
    byId("empty").textContent = search ? "No note has these words." : "No notes yet. Write the first one."
    this.#draw()
  }

  /** Puts a saved note on top. */
  put(note: Note): void {
    this.#current = note.id
    this.#notes = [note, ...this.#notes.filter(({ id }) => id !== note.id)]
    this.#draw()
  }

  drop(removed: string): void {
    this.#notes = this.#notes.filter(({ id }) => id !== removed)
    this.#draw()
  }

  mark(id?: string): void {
    this.#current = id
    this.#draw()
  }

  #draw(): void {
    byId("empty").hidden = this.#notes.length > 0
    const focused = document.activeElement?.getAttribute("data-id")
    byId("notes").replaceChildren(...this.#notes.map((note) => this.#item(note)))
    if (focused)
      byId("notes")
        .querySelector<HTMLElement>(`[data-id="${CSS.escape(focused)}"]`)
        ?.focus()
  }

  #item(note: Note): HTMLElement {
    const button = document.createElement("button")
    button.type = "button"
    button.dataset.id = note.id
    if (note.id === this.#current) button.setAttribute("aria-current", "true")
    const title = document.createElement("strong")
    title.textContent = note.path ?? (firstLine(note.content) || "Untitled")
    const detail = document.createElement("span")
    const day = new Date(note.updatedAt).toLocaleDateString(undefined, { dateStyle: "medium" })
    detail.textContent = [day, ...note.tags.map((tag) => `#${tag}`)].join(" · ")
    button.append(title, detail)
    button.addEventListener("click", () => this.#choose(note))
    const item = document.createElement("li")
    item.append(button)
    return item
  }
}

function firstLine(content: string): string {
  return content
    .trim()
    .split("\n", 1)[0]!
    .replace(/^#+\s*/, "")
}
