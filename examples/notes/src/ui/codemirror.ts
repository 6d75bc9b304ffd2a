// The editor: Markdown that looks like what it means while it is written. Loaded when the first note is opened; until
// then a plain text field does. The text is stored as it was typed, byte for byte: lines end only at "\n".

import { autocompletion, type CompletionContext, closeBrackets, completionKeymap } from "@codemirror/autocomplete"
import { defaultKeymap, history, historyKeymap, indentLess, indentMore } from "@codemirror/commands"
import { markdown, markdownKeymap, markdownLanguage } from "@codemirror/lang-markdown"
import { HighlightStyle, syntaxHighlighting, syntaxTree } from "@codemirror/language"
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search"
import { Annotation, EditorState, type Range, Transaction } from "@codemirror/state"
import {
  Decoration,
  type DecorationSet,
  EditorView,
  keymap,
  placeholder,
  ViewPlugin,
  type ViewUpdate,
  WidgetType,
} from "@codemirror/view"
import { tags } from "@lezer/highlight"
import { replacements } from "../core/merge.ts"
import type { EditorHandle, EditorOptions } from "./editing.ts"

const fromOutside = Annotation.define<boolean>()

export function createEditor(parent: HTMLElement, options: EditorOptions): EditorHandle {
  // Styles go into a shadow tree, where they are allowed by a policy that forbids inline styles.
  const root = parent.shadowRoot ?? parent.attachShadow({ mode: "open" })
  root.replaceChildren()
  const view = new EditorView({
    parent: root,
    root,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        EditorState.lineSeparator.of("\n"),
        history(),
        closeBrackets(),
        markdown({ base: markdownLanguage, completeHTMLTags: false }),
        syntaxHighlighting(STYLE),
        highlightSelectionMatches(),
        autocompletion({ override: [linkSource(options), tagSource(options)], icons: false }),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": "Text", autocapitalize: "sentences", spellcheck: "true" }),
        placeholder("Write…"),
        keymap.of([
          ...completionKeymap,
          ...markdownKeymap,
          { key: "Mod-]", run: indentMore },
          { key: "Mod-[", run: indentLess },
          { key: "Mod-Enter", run: (view) => followAt(view, view.state.selection.main.head, options) },
          ...searchKeymap,
          ...historyKeymap,
          ...defaultKeymap,
        ]),
        preview(options),
        THEME,
        EditorView.updateListener.of((update) => {
          if (update.docChanged && !update.transactions.some((each) => each.annotation(fromOutside))) {
            options.onChange(update.state.doc.toString())
          }
          if (update.focusChanged && !update.view.hasFocus) options.onBlur()
        }),
        EditorView.domEventHandlers({
          paste: (event) => take(event, event.clipboardData, options),
          drop: (event, view) => {
            const at = view.posAtCoords({ x: event.clientX, y: event.clientY })
            if (at !== null && event.dataTransfer?.files.length) view.dispatch({ selection: { anchor: at } })
            return take(event, event.dataTransfer, options)
          },
        }),
      ],
    }),
  })
  return {
    set: (text) => {
      const before = view.state.doc.toString()
      if (before === text) return
      view.dispatch({
        changes: replacements(before, text),
        annotations: [fromOutside.of(true), Transaction.addToHistory.of(false)],
      })
    },
    insert: (text) => {
      view.dispatch(view.state.replaceSelection(text), { scrollIntoView: true, userEvent: "input.paste" })
    },
    focus: (anchor, head = anchor) => {
      view.focus()
      if (anchor !== undefined && head !== undefined) view.dispatch({ selection: { anchor, head } })
    },
    destroy: () => view.destroy(),
  }
}

/** Hands pasted or dropped files to the app; text is left to the editor. */
function take(event: Event, data: DataTransfer | null, options: EditorOptions): boolean {
  const files = [...(data?.files ?? [])]
  if (files.length === 0) return false
  event.preventDefault()
  options.onFiles(files)
  return true
}

function linkSource(options: EditorOptions) {
  return (context: CompletionContext) => {
    const before = context.matchBefore(/\[\[[^\]\n|#]*/)
    if (!before) return null
    return {
      from: before.from + 2,
      filter: false,
      options: options.links(before.text.slice(2)).map((name) => ({
        label: name,
        apply: (view: EditorView, _: unknown, from: number, to: number) => {
          // Brackets that were closed while typing are not doubled.
          const closed = view.state.sliceDoc(to, to + 2) === "]]" ? 2 : 0
          const insert = `${name}]]`
          view.dispatch({
            changes: { from, to: to + closed, insert },
            selection: { anchor: from + insert.length },
            userEvent: "input.complete",
          })
        },
      })),
    }
  }
}

function tagSource(options: EditorOptions) {
  return (context: CompletionContext) => {
    const before = context.matchBefore(/(?<=^|[\s([{])#[\p{L}\p{N}_/-]+/u)
    if (!before) return null
    return {
      from: before.from,
      filter: false,
      options: options.tags(before.text.slice(1)).map((tag) => ({ label: `#${tag}` })),
    }
  }
}

const INLINE =
  /!?\[\[([^\]\n|#]+)(?:#[^\]\n|]*)?(?:\|([^\]\n]*))?\]\]|(?<=^|[\s([{])#([\p{L}\p{N}_/-]*[\p{L}_/-][\p{L}\p{N}_/-]*)/gu

const HIDDEN = Decoration.replace({})
const LINES: Record<string, Decoration> = Object.fromEntries(
  ["h1", "h2", "h3", "quote", "code", "rule"].map((name) => [name, Decoration.line({ class: `cm-${name}` })]),
)
const LINK = Decoration.mark({ class: "cm-link" })
const TAG = Decoration.mark({ class: "cm-tag" })
const DONE = Decoration.mark({ class: "cm-done" })

/** Decorations for what can be seen: marks are hidden where the cursor is not. */
function preview(options: EditorOptions) {
  return ViewPlugin.fromClass(
    class {
      decorations: DecorationSet

      constructor(view: EditorView) {
        this.decorations = decorate(view, options)
      }

      update(update: ViewUpdate) {
        const parsed = syntaxTree(update.startState) !== syntaxTree(update.state)
        const asked = update.transactions.some((each) => each.annotation(fromOutside))
        if (
          update.docChanged ||
          update.selectionSet ||
          update.viewportChanged ||
          update.focusChanged ||
          parsed ||
          asked
        ) {
          this.decorations = decorate(update.view, options)
        }
      }
    },
    {
      decorations: (plugin) => plugin.decorations,
      eventHandlers: {
        mousedown(event, view) {
          const target = event.target as HTMLElement
          if (event.button !== 0 || !target.closest?.(".cm-link, .cm-tag")) return false
          const at = view.posAtDOM(target)
          const modified = event.metaKey || event.ctrlKey
          if (!modified && touches(view, view.state.doc.lineAt(at).from, view.state.doc.lineAt(at).to)) return false
          event.preventDefault()
          return followAt(view, at, options)
        },
      },
    },
  )
}

/** Whether the cursor or the selection is there, so that the marks must be seen. */
function touches(view: EditorView, from: number, to: number): boolean {
  return view.hasFocus && view.state.selection.ranges.some((range) => range.from <= to && range.to >= from)
}

function decorate(view: EditorView, options: EditorOptions): DecorationSet {
  const found: Range<Decoration>[] = []
  const { doc } = view.state
  const active = (at: number) => {
    const line = doc.lineAt(at)
    return touches(view, line.from, line.to)
  }
  const hide = (from: number, to: number) => {
    if (to > from && !active(from)) found.push(HIDDEN.range(from, to))
  }
  const eachLine = (from: number, to: number, decoration: Decoration) => {
    for (let at = doc.lineAt(from).from; at <= to; at = doc.lineAt(at).to + 1) found.push(decoration.range(at))
  }
  const codes: [number, number][] = []
  for (const { from, to } of view.visibleRanges) {
    syntaxTree(view.state).iterate({
      from,
      to,
      enter: (node) => {
        const { name } = node
        const heading = /^(?:ATX|Setext)Heading([1-6])$/.exec(name)
        if (heading) eachLine(node.from, node.from, LINES[`h${Math.min(3, Number(heading[1]))}`]!)
        else if (name === "HeaderMark") {
          const space = doc.sliceString(node.to, node.to + 1) === " " ? 1 : 0
          hide(node.from, node.to + space)
        } else if (name === "EmphasisMark" || name === "StrikethroughMark") hide(node.from, node.to)
        else if (name === "InlineCode") {
          codes.push([node.from, node.to])
          const marks = /^`+/.exec(doc.sliceString(node.from, node.to))![0].length
          hide(node.from, node.from + marks)
          hide(node.to - marks, node.to)
        } else if (name === "FencedCode" || name === "CodeBlock") {
          codes.push([node.from, node.to])
          eachLine(node.from, node.to, LINES["code"]!)
        } else if (name === "Blockquote") eachLine(node.from, node.to, LINES["quote"]!)
        else if (name === "QuoteMark") hide(node.from, node.to)
        else if (name === "HorizontalRule") {
          eachLine(node.from, node.from, LINES["rule"]!)
          hide(node.from, node.to)
        } else if (name === "TaskMarker") {
          const done = /x/i.test(doc.sliceString(node.from, node.to))
          found.push(Decoration.replace({ widget: new Checkbox(done, node.from) }).range(node.from, node.to))
          const line = doc.lineAt(node.to)
          if (done && line.to > node.to) found.push(DONE.range(node.to, line.to))
        } else if (name === "ListMark") {
          if (!active(node.from) && /^[-*+]$/.test(doc.sliceString(node.from, node.to))) {
            const task = /^ \[[ xX]\] /.test(doc.sliceString(node.to, node.to + 5))
            found.push(
              task
                ? HIDDEN.range(node.from, node.to + 1)
                : Decoration.replace({ widget: new Bullet() }).range(node.from, node.to),
            )
          }
        } else if (name === "Image") {
          codes.push([node.from, node.to])
          const id = /\(attachments\/([A-Za-z0-9_-]+)\)$/.exec(doc.sliceString(node.from, node.to))?.[1]
          if (id) {
            const words = /^!\[([^\]]*)\]/.exec(doc.sliceString(node.from, node.to))?.[1] ?? ""
            const picture = Decoration.widget({ widget: new Picture(id, words, options), side: 1 })
            found.push(picture.range(node.to))
            hide(node.from, node.to)
          }
        } else if (name === "Link") {
          const url = node.node.getChild("URL")
          const marks = node.node.getChildren("LinkMark")
          if (url && marks.length >= 2) {
            found.push(LINK.range(node.from, node.to))
            hide(node.from, node.from + 1)
            hide(marks[1]!.from, node.to)
          }
        } else if (name === "URL" && node.node.parent?.name !== "Link" && node.node.parent?.name !== "Image") {
          found.push(LINK.range(node.from, node.to))
        }
      },
    })
    const text = doc.sliceString(from, to)
    for (const match of text.matchAll(INLINE)) {
      const start = from + match.index
      const end = start + match[0].length
      if (codes.some(([low, high]) => start < high && end > low)) continue
      if (match[3] !== undefined) {
        found.push(TAG.range(start, end))
        continue
      }
      found.push(LINK.range(start, end))
      const open = match[0].startsWith("!") ? 3 : 2
      const shown = match[2]
      hide(start, shown === undefined ? start + open : end - 2 - shown.length)
      hide(end - 2, end)
    }
  }
  return Decoration.set(found, true)
}

/** Follows the link or the tag at this place. */
function followAt(view: EditorView, at: number, options: EditorOptions): boolean {
  const line = view.state.doc.lineAt(at)
  for (const match of line.text.matchAll(INLINE)) {
    if (at < line.from + match.index || at > line.from + match.index + match[0].length) continue
    if (match[3] !== undefined) options.onTag(match[3].toLowerCase())
    else options.onFollow(match[1]!.trim())
    return true
  }
  let node = syntaxTree(view.state).resolveInner(at, 1)
  while (node.parent && node.name !== "Link" && node.name !== "URL") node = node.parent
  const url = node.name === "URL" ? node : node.getChild("URL")
  if (!url) return false
  const words = /^\[([^\]]*)\]/.exec(view.state.sliceDoc(node.from, node.to))?.[1] ?? ""
  options.onOpen(view.state.sliceDoc(url.from, url.to), words)
  return true
}

class Checkbox extends WidgetType {
  constructor(
    readonly done: boolean,
    readonly at: number,
  ) {
    super()
  }

  override eq(other: Checkbox): boolean {
    return other.done === this.done && other.at === this.at
  }

  override toDOM(view: EditorView): HTMLElement {
    const box = document.createElement("input")
    box.type = "checkbox"
    box.checked = this.done
    box.setAttribute("aria-label", view.state.doc.lineAt(this.at).text.replace(/^[^\]]*\]\s*/, "") || "Done")
    box.addEventListener("change", () => {
      view.dispatch({ changes: { from: this.at + 1, to: this.at + 2, insert: this.done ? " " : "x" } })
    })
    return box
  }

  override ignoreEvent(): boolean {
    return true
  }
}

class Bullet extends WidgetType {
  override eq(): boolean {
    return true
  }

  override toDOM(): HTMLElement {
    const dot = document.createElement("span")
    dot.textContent = "•"
    dot.className = "cm-bullet"
    return dot
  }
}

class Picture extends WidgetType {
  constructor(
    readonly id: string,
    readonly words: string,
    readonly options: EditorOptions,
  ) {
    super()
  }

  override eq(other: Picture): boolean {
    return other.id === this.id && other.words === this.words
  }

  override toDOM(view: EditorView): HTMLElement {
    const place = document.createElement("span")
    place.className = "cm-picture"
    void this.options.picture(this.id).then((url) => {
      if (url) {
        const image = document.createElement("img")
        image.alt = this.words
        image.addEventListener("load", () => view.requestMeasure())
        image.addEventListener("error", () => {
          place.textContent = `${this.words || "Picture"} (this browser cannot show it)`
          view.requestMeasure()
        })
        image.src = url
        place.replaceChildren(image)
      } else {
        place.textContent = `${this.words || "Picture"} (not on this device)`
      }
      view.requestMeasure()
    })
    return place
  }
}

const STYLE = HighlightStyle.define([
  { tag: tags.strong, fontWeight: "700" },
  { tag: tags.emphasis, fontStyle: "italic" },
  { tag: tags.strikethrough, textDecoration: "line-through" },
  { tag: tags.monospace, fontFamily: "var(--mono)", fontSize: "0.92em" },
  { tag: [tags.processingInstruction, tags.meta], color: "var(--muted)" },
  { tag: tags.url, color: "var(--muted)" },
])

const THEME = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "transparent", fontSize: "1.0625rem" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--font)", lineHeight: "1.65", overflow: "visible" },
  ".cm-content": { padding: "0.25rem 0 4rem", caretColor: "var(--accent)", minHeight: "max(16rem, 100dvh - 21rem)" },
  ".cm-line": { padding: "0" },
  ".cm-cursor": { borderLeftColor: "var(--accent)" },
  ".cm-placeholder": { color: "var(--muted)" },
  ".cm-h1": { fontSize: "1.5rem", fontWeight: "700", lineHeight: "1.3" },
  ".cm-h2": { fontSize: "1.25rem", fontWeight: "700", lineHeight: "1.35" },
  ".cm-h3": { fontSize: "1.08rem", fontWeight: "700" },
  ".cm-quote": { borderLeft: "3px solid var(--line-strong)", paddingLeft: "0.75rem" },
  ".cm-code": { backgroundColor: "var(--sunken)", fontFamily: "var(--mono)", fontSize: "0.92em", padding: "0 0.5rem" },
  ".cm-rule": { borderBottom: "1px solid var(--line-strong)", height: "0.8em", marginBottom: "0.8em" },
  ".cm-link": { color: "var(--accent)", textDecoration: "underline", textUnderlineOffset: "0.2em", cursor: "pointer" },
  ".cm-tag": {
    color: "var(--accent)",
    backgroundColor: "var(--accent-soft)",
    borderRadius: "0.5em",
    cursor: "pointer",
  },
  ".cm-done": { color: "var(--muted)", textDecoration: "line-through" },
  ".cm-bullet": { color: "var(--muted)" },
  ".cm-picture img": { display: "block", maxWidth: "100%", maxHeight: "60vh", borderRadius: "9px", margin: "0.4rem 0" },
  "@media (pointer: coarse)": {
    "input[type=checkbox]": { width: "1.6em", height: "1.6em", margin: "0.55em 0.6em 0.55em 0" },
    ".cm-tooltip-autocomplete ul li": { padding: "0.75rem 0.7rem" },
  },
  "input[type=checkbox]": { width: "1.15em", height: "1.15em", verticalAlign: "-0.15em", accentColor: "var(--accent)" },
  ".cm-tooltip": {
    backgroundColor: "var(--surface)",
    color: "var(--text)",
    border: "1px solid var(--line-strong)",
    borderRadius: "9px",
    overflow: "hidden",
  },
  ".cm-tooltip-autocomplete ul li": { padding: "0.4rem 0.7rem" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-panels": { backgroundColor: "var(--sunken)", color: "var(--text)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": { backgroundColor: "var(--accent-soft)" },
})
