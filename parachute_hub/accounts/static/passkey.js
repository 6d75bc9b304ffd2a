// Passkeys on the hub's own pages. Where the browser has none, or without this script, there is the password.
const key = () => {
  try {
    return localStorage.getItem("parachute_hub_key")
  } catch {
    return null
  }
}
const able = isSecureContext && !!globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON
// Not `form.action`: a button of that name would hide it.
const pathOf = (form) => new URL(form.getAttribute("action") ?? "", location.href).pathname
const csrfOf = (form) => form.querySelector('input[name="__csrf"]').value

async function send(path, csrf, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json", "X-Parachute-CSRF": csrf }
  if (key()) headers["X-Parachute-Key"] = key()
  let answer
  let told
  try {
    answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) })
    told = await answer.json()
  } catch {
    throw new Error("The hub does not answer. Try again in a moment.")
  }
  if (!answer.ok) throw new Error(told.error_description ?? "That did not work. Try again.")
  return told
}

// What the person pressed, as text for the hub. Null if they closed the browser's dialog.
async function credential(make) {
  try {
    return JSON.stringify((await make()).toJSON())
  } catch (failure) {
    if (failure.name === "InvalidStateError") throw new Error("This device has a passkey for this account already.")
    if (failure.name === "NotAllowedError" || failure.name === "AbortError") return null
    throw failure
  }
}

const signed = (options, more) =>
  credential(() =>
    navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options), ...more }),
  )

function complain(form, failure) {
  let line = form.querySelector(".message.bad")
  if (!line) {
    line = document.createElement("p")
    line.className = "message bad"
    line.setAttribute("role", "alert")
    form.prepend(line)
  }
  line.textContent = failure.message
}

function submit(form, name, value) {
  const field = form.querySelector(`input[name="${name}"]`) ?? document.createElement("input")
  field.type = "hidden"
  field.name = name
  field.value = value
  form.append(field)
  form.requestSubmit()
}

// Signing in: by a button, and among the suggestions of the browser for the username.
function offer(form, path) {
  let current = new AbortController()
  // The browser takes one request at a time: a new one ends the one before. True if the person closed its dialog.
  const ask = async (mediation) => {
    current.abort()
    const own = new AbortController()
    current = own
    const found = await signed(await send(path, csrfOf(form), {}), { mediation, signal: own.signal })
    if (found) submit(form, "passkey", found)
    return !found && !own.signal.aborted
  }
  const suggest = async () => {
    if (form.dataset.passkey !== "sign-in") return
    const before = current
    if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return
    // The button may have been pressed meanwhile.
    if (current !== before) return
    // A challenge lasts five minutes, a page longer.
    const again = setTimeout(suggest, 240_000)
    try {
      await ask("conditional")
    } catch {
      // The hub restarts, or the network is away: the button says so.
    }
    clearTimeout(again)
  }
  form.addEventListener("submit", async (event) => {
    if (form.querySelector('input[name="passkey"]').value) return
    event.preventDefault()
    event.stopImmediatePropagation()
    try {
      if (await ask("optional")) suggest()
    } catch (failure) {
      complain(form, failure)
    }
  })
  form.hidden = false
  suggest()
}

// A new passkey: with the password, or with one that is there.
function add(form) {
  form.querySelector("[data-passkey-missing]").hidden = true
  const button = form.querySelector('button[type="submit"]')
  button.hidden = false
  // What the hub gave for the password or the proof, until it is used: whoever closes the browser's dialog tries again.
  let options = null
  form.addEventListener("submit", async (event) => {
    event.preventDefault()
    button.disabled = true
    const field = (name) => form.querySelector(`input[name="${name}"]`)?.value
    try {
      const proof = field("__proof")
      const secret = proof ? { __proof: proof } : { password: field("password") }
      options ??= await send("/api/account/passkeys/start", csrfOf(form), secret)
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options)
      const made = await credential(() => navigator.credentials.create({ publicKey }))
      if (!made) throw new Error("Nothing was added. Try again.")
      options = null
      await send("/api/account/passkeys", csrfOf(form), { credential: made, name: field("name") })
      location.assign("/account/passkeys")
    } catch (failure) {
      complain(form, failure)
      if (!options) form.dispatchEvent(new Event("unproven"))
    }
    button.disabled = false
  })
}

// Wherever a signed-in person types the password, a passkey does, too.
async function confirmInstead(form, password) {
  const path = pathOf(form)
  const button = document.createElement("button")
  button.type = "button"
  button.className = "instead"
  button.textContent = "Use a passkey instead"
  button.addEventListener("click", async () => {
    try {
      const operation = `page:${path}`
      const found = await signed(await send("/api/account/step-up/options", csrfOf(form), { operation }))
      if (!found) return
      const { proof } = await send("/api/account/step-up", csrfOf(form), { operation, passkey: found })
      password.required = false
      const field = document.createElement("input")
      field.type = "hidden"
      field.name = "__proof"
      field.value = proof
      form.append(field)
      const done = document.createElement("p")
      done.className = "message good"
      done.setAttribute("role", "status")
      done.textContent = "Confirmed with your passkey."
      const block = password.closest("div")
      const before = [...block.childNodes]
      block.replaceChildren(done)
      // A proof works once.
      const again = () => {
        field.remove()
        block.replaceChildren(...before)
        password.required = true
      }
      form.addEventListener("unproven", again, { once: true })
      const buttons = [...form.querySelectorAll('button[type="submit"]')]
      if (buttons.length === 1) form.requestSubmit(buttons[0])
      else buttons[0]?.focus()
    } catch (failure) {
      complain(form, failure)
    }
  })
  password.after(button)
}

if (able) {
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (form.dataset.passkey === "sign-in") offer(form, "/login/passkey/options")
    else if (form.dataset.passkey === "second") offer(form, "/login/2fa/options")
    else add(form)
  }
  const password = document.querySelector('form input[autocomplete="current-password"]')
  const form = password?.form
  if (form && form.method === "post" && pathOf(form) !== "/login") {
    const answer = await fetch("/api/me", { headers: { Accept: "application/json" } })
    if ((await answer.json()).passkeys) confirmInstead(form, password)
  }
}
