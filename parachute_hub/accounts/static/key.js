// Over plain http a browser sends cookies to every port of this machine. This key stays here: localStorage belongs to
// one port. Forms send it along; without this script they ask for the password. The page waits for it, so that nobody
// can be faster.
const NAME = "parachute_hub_key"

function kept() {
  try {
    return localStorage.getItem(NAME)
  } catch {
    return null
  }
}

document.addEventListener(
  "submit",
  (event) => {
    const key = kept()
    const form = event.target
    if (!key || form.method !== "post") return
    const field = form.querySelector('input[name="__key"]') ?? document.createElement("input")
    field.type = "hidden"
    field.name = "__key"
    field.value = key
    form.append(field)
  },
  true,
)

document.addEventListener("DOMContentLoaded", () => {
  // After signing in the key is behind the # of the address, which no server sees.
  const next = document.querySelector("[data-key-next]")
  if (next && location.hash.length > 1) {
    try {
      localStorage.setItem(NAME, location.hash.slice(1))
    } catch {
      // Storage is off: forms ask for the password.
    }
    location.replace(next.href)
  }
  if (document.querySelector('input[autocomplete="current-password"], [data-passkey]')) import("/static/hub/passkey.js")
})
