import { batch, type Signal, useComputed, useSignal } from "@preact/signals"
import { useEffect, useRef } from "preact/hooks"
import { unsent } from "../core/note.ts"
import { type Entry, matching, type Sort, sorted, tagCounts } from "../core/words.ts"
import { Button, day } from "./parts.tsx"
import { desk, go, newNote, route, search, sort } from "./state.ts"
import { openVoice } from "./voice.tsx"

/** Rows that are drawn at first, and with each step of scrolling. */
const STEP = 40

export function List() {
  const { library } = desk.value!
  const all = useComputed(() => {
    library.version.value
    return sorted(library.notes.values(), sort.value)
  })
  const shown = useSignal(STEP)
  // One more than is shown tells whether there are more.
  const found = useComputed(() => matching(all.value, search.value, shown.value + 1))
  return (
    <section id="list" aria-labelledby="list-title">
      <h2 id="list-title" class="unseen">
        All notes
      </h2>
      <div class="bar thumb">
        <Button class="primary" onClick={newNote}>
          New note
        </Button>
        <Button onClick={() => openVoice()}>Speak</Button>
      </div>
      <form role="search" onSubmit={(event) => event.preventDefault()}>
        <label for="words" class="unseen">
          Search notes
        </label>
        <input
          id="words"
          type="search"
          placeholder="Search"
          autocomplete="off"
          value={search.value}
          onInput={({ currentTarget }) =>
            batch(() => {
              search.value = currentTarget.value
              shown.value = STEP
            })
          }
        />
        <label for="sort" class="unseen">
          Sort by
        </label>
        <select
          id="sort"
          value={sort.value}
          onChange={({ currentTarget }) => (sort.value = currentTarget.value as Sort)}
        >
          <option value="updated">Last changed</option>
          <option value="created">Newest</option>
          <option value="title">Title</option>
        </select>
      </form>
      <Tags />
      <Rows found={found.value} shown={shown} />
    </section>
  )
}

function Tags() {
  const { library } = desk.value!
  const all = useSignal(false)
  const counted = useComputed(() => {
    library.version.value
    return tagCounts(library.notes.values())
  })
  const tags = counted.value
  if (tags.length === 0) return null
  const chosen = search.value
    .split(/\s+/)
    .filter((word) => word.startsWith("#"))
    .map((word) => word.slice(1).toLowerCase())
  const shown = all.value ? tags : tags.slice(0, 8)
  return (
    <ul class="tags" aria-label="Tags">
      {shown.map(([tag, notes]) => (
        <li key={tag}>
          <Button class="tag" pressed={chosen.includes(tag)} onClick={() => toggleTag(tag)}>
            #{tag} <small>{notes}</small>
          </Button>
        </li>
      ))}
      {tags.length > shown.length && (
        <li>
          <Button class="tag" onClick={() => (all.value = true)}>
            All tags
          </Button>
        </li>
      )}
    </ul>
  )
}

/** Adds a tag to the search, or takes it out. */
export function toggleTag(tag: string): void {
  const words = search.value.split(/\s+/).filter(Boolean)
  const without = words.filter((word) => word.toLowerCase() !== `#${tag}`)
  search.value = (without.length < words.length ? without : [...words, `#${tag}`]).join(" ")
}

function Rows({ found, shown }: { found: Entry[]; shown: Signal<number> }) {
  const { library } = desk.value!
  const end = useRef<HTMLLIElement>(null)
  useEffect(() => {
    const watcher = new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting) shown.value += STEP
    })
    if (end.current) watcher.observe(end.current)
    return () => watcher.disconnect()
  }, [found.length > shown.value])
  if (found.length === 0) {
    const searched = search.value.trim() !== ""
    if (!library.ready.value || (!searched && !(library.complete.value && library.synced.value)))
      return <p class="quiet">Opening your notes…</p>
    return <p id="empty">{searched ? "No note has these words." : "No notes yet. Write the first one."}</p>
  }
  return (
    <ul id="notes">
      {found.slice(0, shown.value).map((entry) => (
        <Row key={entry.note.id} entry={entry} />
      ))}
      {found.length > shown.value && <li ref={end} class="quiet" />}
    </ul>
  )
}

function Row({ entry }: { entry: Entry }) {
  const { note, title, preview, tags } = entry
  const current = route.value.page === "note" && route.value.id === note.id
  return (
    <li>
      <button
        type="button"
        data-id={note.id}
        aria-current={current ? "true" : undefined}
        onClick={() => go({ page: "note", id: note.id })}
      >
        <strong>
          {note.mine.pinned && (
            <span class="pin" role="img" aria-label="Pinned">
              ★
            </span>
          )}
          {title || "Untitled"}
        </strong>
        {preview && <span class="preview">{preview}</span>}
        <span class="detail">
          {[day(note.updatedAt), ...tags.slice(0, 4).map((tag) => `#${tag}`)].join(" · ")}
          <Mark note={note} />
        </span>
      </button>
    </li>
  )
}

function Mark({ note }: { note: Entry["note"] }) {
  if (note.theirs) return <em class="mark bad">Two versions</em>
  if (note.trouble) return <em class="mark bad">Cannot be saved</em>
  return unsent(note) ? <em class="mark">Not on your hub yet</em> : null
}
