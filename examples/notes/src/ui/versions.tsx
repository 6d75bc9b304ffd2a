import { useSignal } from "@preact/signals"
import { useEffect } from "preact/hooks"
import type { Note } from "../core/note.ts"
import { type OldVersion, versions } from "../remote/vault.ts"
import { Diff } from "./diff.tsx"
import { Button, moment, size } from "./parts.tsx"
import { attempt, desk, say } from "./state.ts"

/** Earlier texts of a note, with what changed since, and a way back. */
export function Versions({ note }: { note: Note }) {
  const { library } = desk.value!
  const list = useSignal<OldVersion[] | undefined>(undefined)
  const chosen = useSignal<{ version: number; content: string } | undefined>(undefined)
  useEffect(() => {
    void attempt(async () => (list.value = note.base ? await versions.list(note.id) : []))
  }, [note.id, note.base?.updatedAt])
  const show = async (version: number) => {
    chosen.value = { version, content: (await versions.read(note.id, version)).content }
  }
  const restore = async (content: string) => {
    await library.change(note.id, { content })
    chosen.value = undefined
    say("Restored. What you had before is in the history.")
  }
  return (
    <section class="history" aria-labelledby="history-title">
      <h2 id="history-title">History</h2>
      {list.value === undefined ? (
        <p class="quiet">Your hub keeps the history. It is shown when the hub answers.</p>
      ) : list.value.length === 0 ? (
        <p class="quiet">No earlier versions yet.</p>
      ) : (
        <ul>
          {list.value.map((old) => (
            <li key={old.version}>
              <Button pressed={chosen.value?.version === old.version} onClick={() => show(old.version)}>
                {moment(old.updatedAt)} <small>{size(old.bytes)}</small>
              </Button>
            </li>
          ))}
        </ul>
      )}
      {chosen.value && (
        <>
          <Diff before={chosen.value.content} after={note.mine.content} />
          <div class="bar">
            <Button class="primary" onClick={() => restore(chosen.value!.content)}>
              Restore this version
            </Button>
            <Button onClick={() => (chosen.value = undefined)}>Close</Button>
          </div>
        </>
      )}
    </section>
  )
}
