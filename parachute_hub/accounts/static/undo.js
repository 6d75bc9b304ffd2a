// Forms that take something away wait ten seconds, so that it can be undone. Without this they act at once.
const UNDO_FOR = 10_000

const bar = document.createElement("div")
bar.setAttribute("role", "status")
document.querySelector("h1").parentElement.after(bar)

let waiting = null
let sending = false

const post = (form) =>
  fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), keepalive: true })

/** Another act begins, or the page is left: the request outlives it. */
function send() {
  const act = take()
  if (act) post(act.form).catch(() => undefined)
}

/** The time is over. The page that comes back shows what is true. */
async function commit() {
  const act = take()
  if (!act) return
  try {
    const answer = await post(act.form)
    if (answer.ok) return location.reload()
  } catch {
    act.row.hidden = false
    return say("The hub did not answer, so nothing was changed. Try again in a moment.")
  }
  // It asks for something, such as the password: that is a page.
  sending = true
  act.form.requestSubmit()
}

/** One line below the heading. */
function say(...words) {
  const line = document.createElement("p")
  line.className = "message busy undo"
  line.append(...words)
  bar.replaceChildren(line)
}

function undo() {
  const { row, form } = take()
  row.hidden = false
  form.querySelector("button").focus()
  bar.replaceChildren()
}

function take() {
  const act = waiting
  waiting = null
  if (act) clearTimeout(act.timer)
  return act
}

function begin(form) {
  const row = form.closest("li")
  const button = document.createElement("button")
  button.type = "button"
  button.className = "small"
  button.textContent = "Undo"
  button.addEventListener("click", undo)
  say(form.dataset.undo, button)
  row.hidden = true
  button.focus()
  waiting = { form, row, timer: setTimeout(commit, UNDO_FOR) }
}

// key.js has added this browser's key by now: it listens while the event is on its way down.
document.addEventListener("submit", (event) => {
  const form = event.target
  if (!form.dataset.undo || sending) return
  event.preventDefault()
  send()
  begin(form)
})

addEventListener("pagehide", send)
