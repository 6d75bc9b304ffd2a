import { signal, useComputed, useSignalEffect } from "@preact/signals"
import { useEffect, useRef } from "preact/hooks"
import { databaseName } from "../local/database.ts"
import { forgetJournal } from "../local/journal.ts"
import { revoke } from "../remote/oauth.ts"
import { forget, load as loadSession } from "../remote/session.ts"
import { exportAll, importFile } from "../remote/vault.ts"
import { Connect } from "./connect.tsx"
import { Editor, saveOpen } from "./editor.tsx"
import { List } from "./list.tsx"
import { Button, count, Dialog, download } from "./parts.tsx"
import { attempt, closeDesk, desk, go, newNote, online, problem, route, say, toast } from "./state.ts"
import { Trash } from "./trash.tsx"
import { notStored, typed } from "./typing.ts"
import { updateReady } from "./update.ts"
import { openVoice, recordings, Voice } from "./voice.tsx"

export function App() {
  const open = desk.value
  const connected = open && !open.engine.ended.value
  useShortcuts()
  return (
    <>
      <header>
        <h1>
          <a href="#/">Notes</a>
        </h1>
        <Status />
        {open && <Menu />}
      </header>
      {problem.value && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      {notStored.value && (
        <p class="problem" role="alert">
          What you typed is not stored yet. {notStored.value}
        </p>
      )}
      {open?.engine.replaced.value && (
        <p class="hint" role="status">
          Your vault has older data than this device; it was probably restored from a backup. Nothing was deleted here:
          notes that are newer on this device are sent to it again.{" "}
          <Button onClick={() => (open.engine.replaced.value = false)}>Close</Button>
        </p>
      )}
      {updateReady.value && (
        <p class="hint" role="status">
          A new version of Notes is ready.{" "}
          <Button
            onClick={async () => {
              await saveOpen()
              updateReady.value!()
            }}
          >
            Use it now
          </Button>
        </p>
      )}
      <main>
        {!connected && <Reconnect ended={open?.engine.ended.value ?? false} />}
        {open && <Desk />}
      </main>
      <Voice />
      {open && leaving.value && <Leave onClose={() => (leaving.value = false)} />}
      {route.value.page === "keys" && <Keys />}
      {toast.value && (
        <div class="toast" role="status">
          {toast.value.text}
          {toast.value.action && <Button onClick={toast.value.action.run}>{toast.value.action.label}</Button>}
        </div>
      )}
    </>
  )
}

function Reconnect({ ended }: { ended: boolean }) {
  const waiting = desk.value?.library.unsent().length ?? 0
  return (
    <>
      {ended && (
        <p class="problem" role="alert">
          Your hub has ended the access of Notes. Connect again; what you wrote is kept on this device.
        </p>
      )}
      <Connect waiting={waiting} />
    </>
  )
}

function Desk() {
  const { page } = route.value
  return (
    <div id="desk" data-page={page === "keys" ? "list" : page}>
      <List />
      {route.value.page === "note" ? (
        <Editor key={route.value.id} id={route.value.id} />
      ) : page === "trash" ? (
        <Trash />
      ) : (
        <p class="quiet blank">Choose a note, or write a new one.</p>
      )}
    </div>
  )
}

/** What is not on the hub yet, always; and why, when it waits. */
function Status() {
  const open = desk.value
  const sentOnce = useRef(false)
  const waiting = useComputed(() => {
    open?.library.version.value
    return open
      ? open.library.unsent().filter((note) => note.deleted || note.base || note.mine.content || note.mine.path)
      : []
  })
  if (!open) return <p id="status" role="status" />
  // A file that was refused is shown with its note; without the note nobody could do anything about it.
  const files = open.files.waiting.value.filter(({ note, problem: refused }) => {
    const its = open.library.notes.get(note)
    return !refused || (its && !its.deleted)
  }).length
  const number = waiting.value.length
  if (number > 0) sentOnce.current = true
  const missing = [number > 0 && count(number, "note"), files > 0 && count(files, "file")].filter(Boolean).join(" and ")
  const reason = online.value ? open.engine.problem.value : "You are offline. What you write is kept on this device."
  const words = missing ? `${missing} not on your hub yet` : typed.value ? "Saving…" : sentOnce.current ? "Saved" : ""
  return (
    <>
      <p id="status" role="status">
        {words}
      </p>
      {reason && !open.engine.ended.value && (
        <p class="reason" role="note">
          {reason} {online.value && <Button onClick={() => open.engine.now()}>Try now</Button>}
        </p>
      )}
    </>
  )
}

const leaving = signal(false)

function Menu() {
  const details = useRef<HTMLDetailsElement>(null)
  const close = () => details.current?.removeAttribute("open")
  return (
    <details
      class="menu"
      ref={details}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return
        close()
        details.current?.querySelector("summary")?.focus()
      }}
    >
      <summary>More</summary>
      <div class="sheet">
        {recordings.value.length > 0 && (
          <Button
            onClick={() => {
              close()
              openVoice()
            }}
          >
            {count(recordings.value.length, "recording")} to turn into text
          </Button>
        )}
        <Button
          onClick={() => {
            close()
            go({ page: "trash" })
          }}
        >
          Trash
        </Button>
        <Button
          onClick={() => {
            close()
            go({ page: "keys" })
          }}
        >
          Keyboard shortcuts
        </Button>
        <label class="button">
          Import notes
          <input
            type="file"
            class="unseen"
            accept=".zip,.json,.ndjson,.tar,.gz,.md"
            onChange={({ currentTarget }) => {
              const [file] = currentTarget.files ?? []
              currentTarget.value = ""
              close()
              if (file) void attempt(() => bringIn(file))
            }}
          />
        </label>
        <Button
          onClick={async () => {
            close()
            const url = URL.createObjectURL(await exportAll())
            download(url, `notes-${new Date().toISOString().slice(0, 10)}.zip`)
            setTimeout(() => URL.revokeObjectURL(url), 60_000)
          }}
        >
          Download all notes
        </Button>
        <Button
          class="danger"
          onClick={() => {
            close()
            leaving.value = true
          }}
        >
          Disconnect
        </Button>
      </div>
    </details>
  )
}

async function bringIn(file: File): Promise<void> {
  say(`Importing ${file.name}…`)
  const done = await importFile(file)
  const parts = [
    done.created > 0 && count(done.created, "new note"),
    done.skipped > 0 && `${done.skipped} left as they are, because you have changed them`,
    done.unchanged > 0 && `${done.unchanged} were here already`,
    done.attachments > 0 && count(done.attachments, "file"),
    done.problems.length > 0 &&
      `${done.problems.length} could not be read, the first one ${done.problems[0]!.name}: ${done.problems[0]!.message}`,
  ]
  say(`Imported: ${parts.filter(Boolean).join("; ") || "nothing new"}.`, {
    label: "Close",
    run: () => (toast.value = undefined),
  })
}

function Leave({ onClose }: { onClose: () => void }) {
  const { library } = desk.value!
  library.version.value
  const lost = library.unsent().length
  const leave = async () => {
    const session = loadSession()
    if (session?.kind === "hub") await revoke(session).catch(() => {})
    closeDesk()
    forgetJournal()
    forget()
    if (session) indexedDB.deleteDatabase(databaseName(session.vault))
    location.replace("/notes/")
  }
  return (
    <Dialog title="Disconnect from your vault?" onClose={onClose}>
      <p>
        {lost > 0
          ? `${count(lost, "note is", "notes are")} not on your hub yet and would be lost. Wait until everything is saved, or copy the text first.`
          : "Your notes stay in the vault. They are removed from this device."}
      </p>
      <div class="bar">
        <Button class="danger" onClick={leave}>
          {lost > 0 ? "Disconnect and lose them" : "Disconnect"}
        </Button>
        <Button onClick={onClose}>Stay connected</Button>
      </div>
    </Dialog>
  )
}

const KEYS: [string, string][] = [
  ["n", "New note"],
  ["/", "Search"],
  ["s", "Speak"],
  ["j, k", "Next note, previous note"],
  ["Ctrl S", "Save now"],
  ["Ctrl Enter", "Follow the link at the cursor"],
  ["Ctrl F", "Find in the note"],
  ["Ctrl Z", "Undo"],
  ["Ctrl ], Ctrl [", "Indent, indent less"],
  ["Esc", "Back to all notes"],
  ["?", "This page"],
]

function Keys() {
  return (
    <Dialog title="Keyboard shortcuts" onClose={() => go({ page: "list" })}>
      <dl class="keys">
        {KEYS.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p class="quiet">On a Mac, use ⌘ instead of Ctrl.</p>
      <Button onClick={() => go({ page: "list" })}>Close</Button>
    </Dialog>
  )
}

function useShortcuts(): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (!desk.value || event.isComposing) return
      if ((event.ctrlKey || event.metaKey) && event.key === "s") {
        event.preventDefault()
        document.getElementById("save")?.click()
        return
      }
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return
      if (event.key === "Escape" && route.value.page !== "list") {
        if (editorIsAsking()) return
        void saveOpen()
        go({ page: "list" })
        return
      }
      if (isTyping(event)) return
      const action = ACTIONS[event.key]
      if (!action) return
      event.preventDefault()
      void attempt(action)
    }
    // Before the editor, which closes its own lists and panels with the same key.
    addEventListener("keydown", pressed, { capture: true })
    return () => removeEventListener("keydown", pressed, { capture: true })
  }, [])
  // A note that is left is saved; a list that is returned to has the focus.
  const before = useRef(route.value.page)
  useSignalEffect(() => {
    const { page } = route.value
    if (before.current === "note" && page === "list") {
      setTimeout(() => document.querySelector<HTMLElement>("#list .primary")?.focus())
    }
    before.current = page
  })
}

const ACTIONS: Record<string, () => unknown> = {
  n: newNote,
  s: () => openVoice(),
  "/": () => document.getElementById("words")?.focus(),
  "?": () => go({ page: "keys" }),
  j: () => step(1),
  k: () => step(-1),
}

function step(by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>("#notes button")]
  const at = rows.findIndex((row) => row.getAttribute("aria-current") === "true")
  const next = rows[at < 0 ? 0 : at + by]
  if (next?.dataset["id"]) go({ page: "note", id: next.dataset["id"] })
  next?.scrollIntoView({ block: "nearest" })
}

/** Whether the editor shows something that Escape closes. */
function editorIsAsking(): boolean {
  return Boolean(document.querySelector(".host")?.shadowRoot?.querySelector(".cm-tooltip, .cm-panel"))
}

function isTyping(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0] as HTMLElement
  return target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName)
}
