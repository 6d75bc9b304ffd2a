// The link in the hub's log has the setup token behind its #, which no server sees. It goes into the form, and out of
// the address and the history. Without this script it is typed.
const field = document.getElementById("bootstrap_token")

function take() {
  const token = location.hash.slice(1)
  if (!field || !token.startsWith("parachute-bootstrap-")) return
  history.replaceState(null, "", location.pathname + location.search)
  field.value = token
  document.getElementById("password")?.focus()
}

take()
addEventListener("hashchange", take)
