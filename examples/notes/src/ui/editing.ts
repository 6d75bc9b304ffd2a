import { replacement } from "../core/merge.ts"

/** What the page of a note asks of its editor. */
export interface EditorHandle {
  /** Shows another text; the cursor stays where it is. */
  set(text: string): void
  /** Puts text in the place of the selection. */
  insert(text: string): void
  /** With places, it selects what is between them. */
  focus(anchor?: number, head?: number): void
  destroy(): void
}

export interface EditorOptions {
  text: string
  onChange: (text: string) => void
  onBlur: () => void
  onFiles: (files: File[]) => void
  /** A `[[name]]`, a `#tag` or an address was chosen. */
  onFollow: (name: string) => void
  onTag: (tag: string) => void
  onOpen: (address: string, words: string) => void
  /** Names and tags that begin like this. */
  links: (prefix: string) => string[]
  tags: (prefix: string) => string[]
  picture: (id: string) => Promise<string | undefined>
}

/** The text field that is there before the editor is loaded, or instead of it. */
export class PlainEditor implements EditorHandle {
  readonly #field: HTMLTextAreaElement
  readonly #options: EditorOptions
  readonly #stop = new AbortController()
  /** With the line ends that it has; a text field shows all of them as "\n". */
  #text: string
  #composing = false

  constructor(field: HTMLTextAreaElement, options: EditorOptions) {
    this.#field = field
    this.#options = options
    this.#text = options.text
    field.value = options.text
    const on = <K extends keyof HTMLElementEventMap>(name: K, run: (event: HTMLElementEventMap[K]) => void) =>
      field.addEventListener(name, run, { signal: this.#stop.signal })
    on("input", () => this.#changed())
    on("blur", options.onBlur)
    on("compositionstart", () => (this.#composing = true))
    on("compositionend", () => (this.#composing = false))
    on("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])]
      if (files.length === 0) return
      event.preventDefault()
      options.onFiles(files)
    })
  }

  set(text: string): void {
    const { selectionStart, selectionEnd } = this.#field
    this.#text = text
    this.#field.value = text
    this.#field.setSelectionRange(selectionStart, selectionEnd)
  }

  insert(text: string): void {
    this.#field.setRangeText(text, this.#field.selectionStart, this.#field.selectionEnd, "end")
    this.#changed()
  }

  focus(): void {
    this.#field.focus()
  }

  /** Where the selection begins and ends in the text. */
  get selection(): [number, number] {
    return [place(this.#text, this.#field.selectionStart), place(this.#text, this.#field.selectionEnd)]
  }

  /** Resolves when no word is in the middle of an input method. */
  async composed(): Promise<void> {
    if (!this.#composing) return
    await new Promise((resolve) => this.#field.addEventListener("compositionend", resolve, { once: true }))
    await new Promise((resolve) => setTimeout(resolve)) // The last input event comes first.
  }

  destroy(): void {
    this.#stop.abort()
  }

  #changed(): void {
    const { from, to, insert } = replacement(shown(this.#text), this.#field.value)
    this.#text = this.#text.slice(0, place(this.#text, from)) + insert + this.#text.slice(place(this.#text, to))
    this.#options.onChange(this.#text)
  }
}

/** A text as a text field shows it. */
function shown(text: string): string {
  return text.replace(/\r\n?/g, "\n")
}

/** The place in the text of what a text field shows at `at`. */
function place(text: string, at: number): number {
  if (!text.includes("\r")) return at
  let place = 0
  for (let left = at; left > 0; left--) place += text[place] === "\r" && text[place + 1] === "\n" ? 2 : 1
  return place
}
