// Opens a link from another device: its secret is behind the # of the address, which no server sees before the person
// taps. Then it waits until the other device lets this browser in.
const $ = (id) => document.getElementById(id)
const csrf = document.querySelector('input[name="__csrf"]').value

// Nothing came back: the phone slept, or lost its network for a moment.
class Away extends Error {}

async function send(path, told) {
  const asked = {
    method: "POST",
    body: JSON.stringify({ __csrf: csrf, ...told }),
    headers: { Accept: "application/json", "Content-Type": "application/json" },
  }
  const answer = await fetch(path, asked).catch(() => {
    throw new Away("The hub does not answer. Try again in a moment.")
  })
  const body = await answer.json().catch(() => ({}))
  if (answer.ok) return body
  throw new Error(body.error_description || "The hub did not answer as expected. Try again.")
}

function show(part, problem) {
  for (const id of ["ask", "wait"]) $(id).hidden = id !== part
  $("problem").hidden = !problem
  $("problem").textContent = problem ?? ""
}

async function follow(told) {
  show("wait")
  $("number").textContent = told.number
  $("person").textContent = told.person
  while (told.state !== "allowed") {
    await new Promise((done) => setTimeout(done, 1000))
    try {
      told = await send("/login/phone/wait", {})
    } catch (error) {
      if (!(error instanceof Away)) throw error
    }
  }
  location.replace(told.next)
}

async function open() {
  const token = location.hash.slice(1)
  $("go").disabled = true
  try {
    const told = await send("/login/phone", { token })
    history.replaceState(null, "", location.pathname)
    await follow(told)
  } catch (error) {
    show(error instanceof Away ? "ask" : "", error.message)
    $("go").disabled = false
  }
}

$("go").addEventListener("click", open)
// Reloaded while it waits.
if (location.hash.length < 2) {
  send("/login/phone/wait", {})
    .then(follow)
    .catch((error) => show("", error.message))
}
