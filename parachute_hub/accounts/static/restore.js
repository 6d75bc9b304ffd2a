// Restores a backup on an empty hub: proves the setup token, sends or names the archive, shows the plan, applies it.
const BASE = "/admin/setup/restore"
const $ = (id) => document.getElementById(id)
const FIELDS = ["endpoint", "bucket", "prefix", "region", "key_id", "secret", "path"]
let restore = null

async function call(method, path, body, headers = {}) {
  const isBytes = body instanceof Blob
  const answer = await fetch(BASE + path, {
    method,
    body: body === undefined ? undefined : isBytes ? body : JSON.stringify(body),
    headers: {
      Accept: "application/json",
      "Content-Type": isBytes ? "application/octet-stream" : "application/json",
      ...(restore ? { Authorization: `Bearer ${restore.ticket}` } : {}),
      ...headers,
    },
  })
  const told = await answer.json().catch(() => ({}))
  if (answer.ok) return told
  throw Object.assign(new Error(told.error_description || "The hub did not answer as expected. Try again."), told)
}

function show(part) {
  for (const id of ["ask", "work", "plan"]) $(id).hidden = id !== part
}

function complain(error) {
  $("problem").textContent = error ? error.message : ""
  $("problem").hidden = !error
  if (error) $("problem").scrollIntoView({ block: "nearest" })
}

const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds))

function source() {
  const told = { kind: chosen("from"), private: $("private").checked }
  for (const name of FIELDS) told[name] = $(name).value
  return told
}

async function begin() {
  const told = { setup_token: $("setup_token").value, identity: $("identity").value }
  if (chosen("from") === "upload") {
    const file = $("file").files[0]
    if (!file) throw new Error("Choose the backup file first.")
    restore = await call("POST", "", told)
    show("work")
    await upload(file)
  } else {
    const from = source()
    if ($("archives").hidden) return offer(from, told)
    restore = await call("POST", "", { ...told, from, name: $("archive").value })
    show("work")
  }
  await follow()
}

async function offer(from, told) {
  const { archives } = await call("POST", "/archives", { ...told, from })
  if (!archives.length) throw new Error("There is no backup at this place.")
  $("archive").replaceChildren(
    ...archives.map((one) => new Option(`${when(one.madeAt)}, ${megabytes(one.size)}`, one.name)),
  )
  $("archives").hidden = false
  $("archive").focus()
}

// How far something is that began at `began` (in Unix milliseconds), and how long it takes yet.
function far(doing, done, of, began) {
  const passed = (Date.now() - began) / 1000
  const seconds = done > 0 && passed > 3 ? Math.round((passed * (of - done)) / done) : 0
  const words = seconds < 90 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`
  const left = seconds > 1 ? `, about ${words} left` : ""
  $("doing").textContent = `${doing}: ${megabytes(done)} of ${megabytes(of)}${left}`
  $("progress").value = Math.min(1, done / of)
}

// Parts can be sent again: the hub says how much it has, so a short loss of the network costs nothing.
async function upload(file) {
  const began = Date.now()
  let sent = 0
  let failures = 0
  while (sent < file.size) {
    try {
      const part = file.slice(sent, sent + restore.chunk)
      sent = (await call("PUT", `/${restore.id}/parts/${sent}`, part)).received
      failures = 0
    } catch (error) {
      if (error.error === "wrong_offset" && Number.isInteger(error.received)) sent = error.received
      else if (error.error || ++failures > 20) throw error
      await pause(1000)
    }
    far("Sending the backup", sent, file.size, began)
  }
  await call("POST", `/${restore.id}/end`)
}

async function follow() {
  const began = Date.now()
  for (;;) {
    const state = await call("GET", `/${restore.id}`)
    if (state.phase === "failed") throw new Error(state.error)
    if (state.phase === "ready") return plan(state)
    const { bytes = 0, of = 0 } = state.progress
    if (of) far("Checking the backup", bytes, of, began)
    else $("doing").textContent = "Reading the backup…"
    await pause(500)
  }
}

function plan(state) {
  const { backup, result } = state
  const modules = backup.modules.map((one) => (one.version ? `${one.short} ${one.version}` : one.short))
  const facts = [
    ["Made", when(backup.created_at)],
    ["At", backup.origin],
    ["Modules", modules.join(", ") || "none"],
    ["Holds", `${result.files} files, ${megabytes(result.size)}`],
  ]
  $("facts").replaceChildren(
    ...facts.flatMap(([name, value]) => {
      const [term, text] = [document.createElement("dt"), document.createElement("dd")]
      term.textContent = name
      text.textContent = value
      return [term, text]
    }),
  )
  if (result.apps.length) $("apps").textContent = result.apps.join(", ")
  $("moved").hidden = backup.origin === location.origin
  show("plan")
  $("apply").focus()
}

async function apply() {
  $("apply").disabled = true
  await call("POST", `/${restore.id}/apply`, { mode: chosen("mode") })
  show("work")
  $("cancel").hidden = true
  $("doing").textContent = "The hub restarts with the restored backup…"
  $("progress").removeAttribute("value")
  for (;;) {
    await pause(1000)
    const health = await fetch("/health").then(
      (answer) => answer.json(),
      () => null,
    )
    if (health && health.phase === "up") {
      const setup = await fetch("/admin/setup", { headers: { Accept: "application/json" } }).catch(() => null)
      if (setup && (await setup.json()).hasAdmin) return location.replace("/login")
    }
  }
}

async function giveUp() {
  const gone = restore
  if (gone) await call("DELETE", `/${gone.id}`).catch(() => null)
  restore = null
  show("ask")
}

const when = (seconds) => new Date(seconds * 1000).toLocaleString()
const megabytes = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} KB` : `${(bytes / 1e6).toFixed(1)} MB`)

function guarded(act) {
  return async (event) => {
    event.preventDefault()
    complain(null)
    try {
      await act()
    } catch (error) {
      complain(error)
      await giveUp()
    }
  }
}

for (const choice of document.querySelectorAll("input[name=from]"))
  choice.addEventListener("change", () => {
    for (const part of document.querySelectorAll("[data-from]")) part.hidden = part.dataset.from !== chosen("from")
    $("archives").hidden = true
  })
$("restore").addEventListener("submit", guarded(begin))
$("apply").addEventListener("click", guarded(apply))
for (const id of ["cancel", "back"]) $(id).addEventListener("click", guarded(giveUp))
