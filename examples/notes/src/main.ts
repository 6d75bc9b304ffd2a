// Notes: a small app for a Parachute vault. Begins here, and decides which page is shown.

import { bindConnect, showConnect } from "./connect.ts"
import { attempt, byId, complain, onClick, tell } from "./dom.ts"
import * as drafts from "./drafts.ts"
import { Editor } from "./editor.ts"
import { NoteList } from "./list.ts"
import { finish, isCallback, revoke } from "./oauth.ts"
import { ENDED, forget, load, save } from "./session.ts"
import { Voice } from "./voice.ts"

const list = new NoteList(
  (note) =>
    void attempt(async () => {
      await editor.save()
      editor.open(note)
      list.mark(note.id)
    }),
)
const editor = new Editor({
  saved: (note) => list.put(note),
  removed: (id) => list.drop(id),
  closed: () => {
    list.mark()
    byId("new").focus()
  },
})
const voice = new Voice((text) => {
  editor.append(text)
  void attempt(() => editor.save())
})

onClick("new", async () => {
  await editor.save()
  editor.open()
  list.mark()
})
onClick("speak", async () => {
  await editor.save()
  editor.open()
  voice.open()
})
onClick("dictate", () => voice.open())
onClick("disconnect", async () => {
  await attempt(() => editor.save())
  const session = load()
  forget()
  if (session?.kind === "hub") await revoke(session).catch(() => undefined)
  location.assign("/notes/")
})

bindConnect(show)
window.addEventListener(ENDED, showConnect)

async function show(): Promise<void> {
  if (!load()) return showConnect()
  byId("connect").hidden = true
  byId("desk").hidden = false
  byId("disconnect").hidden = false
  complain()
  tell("")
  const draft = drafts.kept()
  if (draft) editor.reopen(draft)
  await list.load()
}

void attempt(async () => {
  if (isCallback()) {
    try {
      save({ kind: "hub", ...(await finish()) })
    } finally {
      history.replaceState(null, "", "/notes/")
      if (!load()) showConnect()
    }
  }
  await show()
})

if ("serviceWorker" in navigator) void navigator.serviceWorker.register("/notes/sw.js").catch(() => undefined)
