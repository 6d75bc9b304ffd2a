import { render } from "preact"
import { finish, isCallback } from "./remote/oauth.ts"
import { load, save } from "./remote/session.ts"
import { App } from "./ui/app.tsx"
import { takeShared } from "./ui/shared.ts"
import { askedForNew, attempt, openDesk } from "./ui/state.ts"
import { register } from "./ui/update.ts"
import { loadRecordings } from "./ui/voice.tsx"

const place = document.getElementById("app")!
place.replaceChildren()
askedForNew()

await attempt(async () => {
  if (!isCallback()) return
  try {
    save({ kind: "hub", ...(await finish()) })
  } finally {
    history.replaceState(null, "", "/notes/")
  }
})
render(<App />, place)
await attempt(async () => {
  if (!load()) return
  await openDesk()
  await loadRecordings()
  await takeShared()
  void navigator.storage?.persist?.()
})
void register().catch(() => {}) // Without a service worker the app needs a connection to open.
