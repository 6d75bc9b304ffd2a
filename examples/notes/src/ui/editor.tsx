import { useComputed, useSignal } from "@preact/signals"
import { useEffect, useRef } from "preact/hooks"
import { blank, choose, type Fields, type Note } from "../core/note.ts"
import { Problem } from "../core/problem.ts"
import { backlinks, complete, entryOf, resolve, tagCounts, textTags, typedTags } from "../core/words.ts"
import { begin } from "../remote/oauth.ts"
import { Diff } from "./diff.tsx"
import { type EditorHandle, type EditorOptions, PlainEditor } from "./editing.ts"
import { Button, count, download, size } from "./parts.tsx"
import { attempt, desk, go, removeNote, say, search } from "./state.ts"
import { Typing } from "./typing.ts"
import { Versions } from "./versions.tsx"
import { openVoice } from "./voice.tsx"

/** The open editor's ways to be saved and to take text from elsewhere. */
export interface OpenEditor {
  id: string
  save: () => Promise<void>
  insert: (text: string) => void
}

let openEditor: OpenEditor | undefined

/** Saves what is typed, if a note is open. Never waits for the hub. */
export async function saveOpen(): Promise<void> {
  await openEditor?.save()
}

/** Puts text into the note, at the cursor when it is open. */
export async function insertInto(id: string, text: string): Promise<void> {
  if (openEditor?.id === id) return openEditor.insert(text)
  await desk.value!.library.append(id, text)
}

/** One note. Render it with the id as key. */
export function Editor({ id }: { id: string }) {
  const { library, engine } = desk.value!
  const note = useComputed(() => {
    library.version.value
    return library.notes.get(id)
  })
  if (!note.value || note.value.deleted) {
    if (!library.complete.value || !library.synced.value) return <p class="quiet">Opening…</p>
    return (
      <section id="editor" aria-label="Note">
        <Button class="back" onClick={() => go({ page: "list" })}>
          All notes
        </Button>
        <p>This note is not here. It may be in the trash.</p>
      </section>
    )
  }
  return <OpenNote id={id} note={note.value} sendNow={() => engine.now()} />
}

function OpenNote({ id, note, sendNow }: { id: string; note: Note; sendNow: () => void }) {
  const { library, files } = desk.value!
  const title = useSignal(note.mine.path)
  const tags = useSignal(note.mine.tags.join(" "))
  const typing = useRef<Typing>(undefined)
  const editor = useRef<EditorHandle>(undefined)
  const field = useRef<HTMLTextAreaElement>(null)
  const host = useRef<HTMLDivElement>(null)
  const rich = useSignal(false)
  const history = useSignal(false)

  typing.current ??= new Typing(
    id,
    note.mine,
    (of, from, to) => library.edit(of, from, to),
    (fields) => show(fields),
  )
  const show = (fields: Fields) => {
    editor.current?.set(fields.content)
    if (title.value.trim() !== fields.path) title.value = fields.path
    tags.value = tagsShown(tags.value, fields.tags)
  }
  typing.current.stored(note.mine)

  useEffect(() => {
    const type = typing.current!
    const before = entryOf(library.notes.get(id)!).name
    const options: EditorOptions = {
      text: type.current.content,
      onChange: (content) => type.type({ content }),
      onBlur: () => void save(),
      onFiles: (chosen) => void attempt(() => attach(id, chosen)),
      onFollow: (name) => void attempt(() => followLink(name)),
      onTag: (tag) => showTag(tag),
      onOpen: (address, words) => void attempt(() => openAddress(address, words)),
      links: (prefix) => complete(library.notes.values(), prefix).map(({ name }) => name),
      tags: (prefix) =>
        tagCounts(library.notes.values())
          .map(([tag]) => tag)
          .filter((tag) => tag.startsWith(prefix.toLowerCase()) && tag !== prefix)
          .slice(0, 20),
      picture: (attachment) => files.url(attachment),
    }
    const save = async () => {
      await type.save()
      await moveLinks()
    }
    /** When a note has a new title, links that lead to the old one are moved. */
    let linked = before
    const moveLinks = async () => {
      const now = library.notes.get(id)
      if (!now || now.mine.path || linked === "") return
      const title = entryOf(now).name
      if (title === linked || title === "") return
      const led = [...library.notes.values()].some(
        (other) => other.id !== id && other.mine.content.toLowerCase().includes(`[[${linked.toLowerCase()}`),
      )
      if (led) await library.retitle(id, linked)
      linked = title
    }
    const flush = () => void save()
    openEditor = { id, save, insert: (text) => editor.current?.insert(text) }
    addEventListener("pagehide", flush)
    document.addEventListener("visibilitychange", flush)
    const plain = new PlainEditor(field.current!, options)
    editor.current = plain
    let gone = false
    import("./codemirror.ts").then(
      async ({ createEditor }) => {
        await plain.composed()
        if (gone) return
        const focused = document.activeElement === field.current
        const { selection } = plain
        plain.destroy()
        rich.value = true
        editor.current = createEditor(host.current!, { ...options, text: type.current.content })
        if (focused) editor.current.focus(...selection)
      },
      () => {}, // Without the editor the plain field goes on.
    )
    if (before === "" && !note.base) document.getElementById("title")?.focus()
    return () => {
      gone = true
      void save().then(() => {
        const left = library.notes.get(id)
        // A note in which nothing was written leaves nothing behind.
        if (left && blank(left) && !files.waiting.value.some(({ note }) => note === id)) return library.remove(id)
      })
      if (openEditor?.id === id) openEditor = undefined
      removeEventListener("pagehide", flush)
      document.removeEventListener("visibilitychange", flush)
      editor.current?.destroy()
    }
  }, [id])

  const commitTitle = () => {
    typing.current!.type({ path: title.value.trim() })
    void typing.current!.save()
  }
  const saveNow = async () => {
    typing.current!.type({ path: title.value.trim(), tags: typedTags(tags.value) })
    await typing.current!.save()
    sendNow()
  }
  return (
    <section id="editor" aria-label="Note" data-save>
      <div class="bar tools">
        <Button class="back" onClick={() => go({ page: "list" })}>
          <Short whole="All notes" short="←" />
        </Button>
        <Button
          label={note.mine.pinned ? "Unpin" : "Pin"}
          pressed={note.mine.pinned}
          onClick={() => library.change(id, { pinned: !note.mine.pinned })}
        >
          {note.mine.pinned ? "★" : "☆"}
        </Button>
        <Button onClick={() => openVoice(id)}>Speak</Button>
        <label class="button">
          <Short whole="Add a file" short="File" />
          <input
            type="file"
            multiple
            class="unseen"
            onChange={({ currentTarget }) => {
              const chosen = [...(currentTarget.files ?? [])]
              currentTarget.value = ""
              void attempt(() => attach(id, chosen))
            }}
          />
        </label>
        <Button pressed={history.value} onClick={() => (history.value = !history.value)}>
          History
        </Button>
        <Button
          class="danger"
          onClick={async () => {
            await typing.current!.save()
            await removeNote(id)
          }}
        >
          Delete
        </Button>
      </div>
      <Troubles note={note} typing={typing.current} />
      <label for="title" class="unseen">
        Title
      </label>
      <input
        id="title"
        maxLength={500}
        autocomplete="off"
        placeholder="Title"
        value={title.value}
        onInput={({ currentTarget }) => {
          title.value = currentTarget.value
          typing.current!.type({ path: currentTarget.value.trim() }, true)
        }}
        onBlur={commitTitle}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.isComposing) return
          event.preventDefault()
          commitTitle()
          editor.current?.focus()
        }}
      />
      <label for="text" class="unseen" hidden={rich.value}>
        Text
      </label>
      <textarea id="text" ref={field} rows={12} hidden={rich.value} />
      <div ref={host} class="host" />
      <Uploads id={id} />
      <div class="foot">
        <label for="tags">Tags</label>
        <input
          id="tags"
          autocomplete="off"
          autocapitalize="none"
          placeholder="Separated by spaces"
          value={tags.value}
          onInput={({ currentTarget }) => {
            tags.value = currentTarget.value
            typing.current!.type({ tags: typedTags(currentTarget.value) }, true)
          }}
          onBlur={() => void typing.current!.save()}
        />
      </div>
      <TextTags content={note.mine.content} />
      <button
        type="button"
        class="unseen"
        id="save"
        onClick={() => void attempt(saveNow)}
        tabIndex={-1}
        aria-hidden="true"
      >
        Save
      </button>
      {history.value && <Versions note={note} />}
      <Backlinks note={note} />
    </section>
  )
}

/** What a button says, and what is seen of it where there is no room. */
function Short({ whole, short }: { whole: string; short: string }) {
  return (
    <>
      <span class="whole">{whole}</span>
      <span class="short" aria-hidden="true">
        {short}
      </span>
    </>
  )
}

function TextTags({ content }: { content: string }) {
  const found = textTags(content)
  if (found.length === 0) return null
  return (
    <p class="quiet">
      In the text:{" "}
      {found.map((tag) => (
        <Button key={tag} class="tag" onClick={() => showTag(tag)}>
          #{tag}
        </Button>
      ))}
    </p>
  )
}

function Troubles({ note, typing }: { note: Note; typing: Typing }) {
  const { library, engine } = desk.value!
  const copyText = async () => {
    await toClipboard(typing.current.content)
    say("Copied.")
  }
  if (note.theirs) {
    const pick = (choice: "mine" | "theirs" | "both") => async () => {
      await typing.save()
      await library.resolve(note.id, (now) => choose(now, choice, Date.now()))
      engine.now()
    }
    return (
      <div class="trouble" role="alert">
        <p>
          <strong>This note was changed somewhere else, too.</strong> Both versions are kept until you choose.
        </p>
        <div class="bar">
          <Button onClick={pick("mine")}>Keep mine</Button>
          <Button onClick={pick("theirs")}>Keep the other</Button>
          <Button onClick={pick("both")}>Keep both</Button>
        </div>
        <div class="sides">
          <div>
            <h2>Yours</h2>
            <pre tabIndex={0}>{note.mine.content}</pre>
          </div>
          <div>
            <h2>The other</h2>
            <pre tabIndex={0}>{note.theirs.content}</pre>
          </div>
        </div>
        <details>
          <summary>What differs</summary>
          <Diff before={note.theirs.content} after={note.mine.content} />
        </details>
      </div>
    )
  }
  const { trouble } = note
  if (!trouble) return null
  if (trouble.kind === "title") {
    return (
      <div class="trouble" role="alert">
        <p>Another note has this title. Choose another one; the text is saved meanwhile.</p>
      </div>
    )
  }
  return (
    <div class="trouble" role="alert">
      <p>
        <strong>{trouble.message}</strong> What you wrote is kept on this device.
      </p>
      <div class="bar">
        {/* Where this note alone is refused, a new one may be taken; a text that is too large has to be cut first. */}
        <Button
          class={trouble.kind === "too_large" || trouble.kind === "forbidden" ? "" : "primary"}
          onClick={async () => {
            await typing.save()
            const fresh = await library.saveAsNew(note.id)
            if (fresh) go({ page: "note", id: fresh.id })
          }}
        >
          Save as a new note
        </Button>
        {trouble.kind === "forbidden" && <Button onClick={begin}>Connect again</Button>}
        {trouble.kind === "forbidden" && (
          <Button
            onClick={async () => {
              await library.resolve(note.id, (now) => ({ ...now, trouble: undefined }))
              engine.now()
            }}
          >
            Try again
          </Button>
        )}
        <Button onClick={copyText}>Copy the text</Button>
        <Button
          class="danger"
          onClick={async () => {
            await library.discard(note.id)
            go({ page: "list" })
          }}
        >
          {note.base && trouble.kind !== "gone" ? "Discard my changes" : "Discard"}
        </Button>
      </div>
    </div>
  )
}

function Uploads({ id }: { id: string }) {
  const { files } = desk.value!
  const mine = files.waiting.value.filter((file) => file.note === id)
  if (mine.length === 0) return null
  return (
    <ul class="uploads" aria-label="Files on their way">
      {mine.map((file) => (
        <li key={file.id}>
          <span>
            {file.name} ({size(file.size)})
          </span>
          {file.problem ? (
            <>
              <em class="mark bad">{file.problem}</em>
              <Button onClick={() => files.retry(file.id)}>Try again</Button>
              <Button onClick={() => files.forget(file.id)}>Remove</Button>
            </>
          ) : (
            <progress value={file.sent} max={file.size} aria-label={`${file.name} is sent to your hub`} />
          )}
        </li>
      ))}
    </ul>
  )
}

function Backlinks({ note }: { note: Note }) {
  const { library } = desk.value!
  library.version.value
  const found = backlinks(library.notes.values(), note)
  if (found.length === 0) return null
  return (
    <nav aria-labelledby="backlinks-title" class="backlinks">
      <h2 id="backlinks-title">{count(found.length, "note links", "notes link")} here</h2>
      <ul>
        {found.map(({ entry, lines }) => (
          <li key={entry.note.id}>
            <a href={`#/note/${entry.note.id}`}>{entry.title || "Untitled"}</a>
            <span class="quiet">{lines[0]}</span>
          </li>
        ))}
      </ul>
    </nav>
  )
}

/** Opens the note that the link means, or begins one with this title. */
async function followLink(name: string): Promise<void> {
  const { library } = desk.value!
  await saveOpen()
  const found = resolve(library.notes.values(), name) ?? (await library.create({ path: name }))
  go({ page: "note", id: found.id })
}

function showTag(tag: string): void {
  search.value = `#${tag}`
  go({ page: "list" })
}

/** Keeps files for a note, and puts them into its text. */
async function attach(id: string, chosen: File[]): Promise<void> {
  for (const file of chosen) await insertInto(id, `${await desk.value!.files.add(id, file)}\n`)
}

/** The tags of a note in the field that the person may be typing in: what was typed stays at the end. */
function tagsShown(typed: string, tags: string[]): string {
  const words = typedTags(typed)
  if (words.length === tags.length && words.every((word) => tags.includes(word))) return typed
  return [...tags.filter((tag) => !words.includes(tag)), ...words.filter((word) => tags.includes(word))].join(" ")
}

async function toClipboard(text: string): Promise<void> {
  // Without https there is no clipboard for pages.
  if (!navigator.clipboard) throw new Problem("Copying needs https here. Select the text and copy it by hand.")
  await navigator.clipboard.writeText(text)
}

/** Saves a file of the vault, or opens an address in a new tab; other kinds than web and mail are not followed. */
async function openAddress(address: string, words: string): Promise<void> {
  const file = /^attachments\/([A-Za-z0-9_-]+)$/.exec(address)?.[1]
  if (file) {
    const kept = await desk.value!.files.url(file)
    if (!kept) throw new Problem("This file is not on this device, and your hub does not send it now.")
    return download(kept, words || "file")
  }
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:/i.test(address) ? address : `https://${address}`)
  if (url && ["http:", "https:", "mailto:"].includes(url.protocol)) open(url.href, "_blank", "noopener,noreferrer")
}
