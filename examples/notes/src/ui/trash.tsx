import { useSignal } from "@preact/signals"
import { useEffect } from "preact/hooks"
import { pulled } from "../core/note.ts"
import { entryOf } from "../core/words.ts"
import { type Trashed, trash } from "../remote/vault.ts"
import { Button, day } from "./parts.tsx"
import { attempt, desk, go, restoreNote } from "./state.ts"

/** Deleted notes: those that the hub knows, and those that wait to be deleted there. */
export function Trash() {
  const { library } = desk.value!
  const remote = useSignal<Trashed[] | undefined>(undefined)
  const sure = useSignal(false)
  const load = async () => {
    remote.value = await trash.list(0)
  }
  useEffect(() => void attempt(load), [])
  library.version.value
  const waiting = [...library.notes.values()].filter((note) => note.deleted)
  return (
    <section id="trash" aria-labelledby="trash-title">
      <Button class="back" onClick={() => go({ page: "list" })}>
        All notes
      </Button>
      <h2 id="trash-title">Trash</h2>
      <p class="quiet">Notes leave the trash for good after 30 days.</p>
      <ul class="cards">
        {waiting.map((note) => (
          <li key={note.id}>
            <strong>{entryOf(note).title || "Untitled"}</strong>
            <span class="detail">Not on your hub yet</span>
            <Button onClick={() => restoreNote(note.id)}>Restore</Button>
          </li>
        ))}
        {remote.value?.map((note) => (
          <li key={note.id}>
            <strong>{entryOf(pulled(undefined, note)).title || "Untitled"}</strong>
            <span class="detail">
              Deleted {day(note.deletedAt)}, gone for good {day(note.purgeAt)}
            </span>
            <span class="bar">
              <Button onClick={() => restoreNote(note.id)}>Restore</Button>
              <Button
                class="danger"
                onClick={async () => {
                  await trash.purge(note.id)
                  await load()
                }}
              >
                Delete for good
              </Button>
            </span>
          </li>
        ))}
      </ul>
      {remote.value?.length === 0 && waiting.length === 0 && <p>The trash is empty.</p>}
      {(remote.value?.length ?? 0) > 0 &&
        (sure.value ? (
          <div class="trouble" role="alert">
            <p>All notes in the trash are deleted for good. This cannot be undone.</p>
            <div class="bar">
              <Button
                class="danger"
                onClick={async () => {
                  await trash.empty()
                  sure.value = false
                  await load()
                }}
              >
                Delete all
              </Button>
              <Button onClick={() => (sure.value = false)}>Keep them</Button>
            </div>
          </div>
        ) : (
          <Button class="danger" onClick={() => (sure.value = true)}>
            Empty the trash
          </Button>
        ))}
    </section>
  )
}
