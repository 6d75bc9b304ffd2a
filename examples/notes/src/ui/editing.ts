/** What the page of a note asks of its editor. */
export interface EditorHandle {
  /** Shows another text; the cursor stays where it is. */
  set(text: string): void
  /** Puts text in the place of the selection. */
  insert(text: string): void
  focus(at?: number): void
  redraw(): void
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
  onOpen: (address: string) => void
  /** Names and tags that begin like this. */
  links: (prefix: string) => string[]
  tags: (prefix: string) => string[]
  picture: (id: string) => Promise<string | undefined>
}

/** The text field that is there before the editor is loaded, or instead of it. */
export function plainEditor(field: HTMLTextAreaElement, options: EditorOptions): EditorHandle {
  field.value = options.text
  field.oninput = () => options.onChange(field.value)
  field.onblur = options.onBlur
  field.onpaste = (event) => {
    const files = [...(event.clipboardData?.files ?? [])]
    if (files.length === 0) return
    event.preventDefault()
    options.onFiles(files)
  }
  return {
    set: (text) => {
      const { selectionStart, selectionEnd } = field
      field.value = text
      field.setSelectionRange(selectionStart, selectionEnd)
    },
    insert: (text) => {
      field.setRangeText(text, field.selectionStart, field.selectionEnd, "end")
      options.onChange(field.value)
    },
    focus: (at) => {
      field.focus()
      if (at !== undefined) field.setSelectionRange(at, at)
    },
    redraw: () => {},
    destroy: () => {
      field.oninput = field.onblur = field.onpaste = null
    },
  }
}
