// Forms that take something away wait ten seconds, so that it can be undone. Without this they act at once.
const UNDO_FOR = 10_000
const NO_ANSWER = "The hub did not answer, so nothing was changed. Try again in a moment."

const bar = document.createElement("div")
bar.setAttribute("role", "status")
document.querySelector("h1").parentElement.after(bar)

let waiting = null
let sending = false

const post = (form) =>
  fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), keepalive: true })

/** Another act begins, or the page is left or hidden: the request outlives it. */
async function send() {
  const act = take()
  if (!act) return
  bar.replaceChildren()
  const answer = await post(act.form).catch(() => null)
  if (answer?.ok) return
  act.row.hidden = false
  bar.append(line(answer ? "The hub did not do this, so nothing was changed. Try it again." : NO_ANSWER))
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
    return bar.replaceChildren(line(NO_ANSWER))
  }
  // It asks for something, such as the password: that is a page.
  sending = true
  act.form.requestSubmit()
}

/** A line below the heading. */
function line(...words) {
  const made = document.createElement("p")
  made.className = "message busy undo"
  made.append(...words)
  return made
}

function undo() {
  const act = take()
  if (!act) return location.reload()
  const { row, form } = act
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
  bar.replaceChildren(line(form.dataset.undo, button))
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
// A phone may end a hidden page without another word.
document.addEventListener("visibilitychange", () => document.hidden && send())
