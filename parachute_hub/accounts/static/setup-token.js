// The link in the hub's log has the setup token behind its #, which no server sees. It goes into the form, and out of
// the address and the history. Without this script it is typed.
const PREFIX = "parachute-bootstrap-"
const field = document.querySelector("#bootstrap_token, #setup_token")

function take() {
  const token = location.hash.slice(1)
  if (!field || !token.startsWith(PREFIX)) return
  history.replaceState(null, "", location.pathname + location.search)
  field.value = token
  document.querySelector("#password, #identity")?.focus()
}

take()
addEventListener("hashchange", take)
// The other pages of the set-up that ask for it get it the same way.
for (const link of document.querySelectorAll("a[href^='/admin/setup']"))
  link.addEventListener("click", () => {
    const token = field?.value.trim() ?? ""
    if (token.startsWith(PREFIX)) link.hash = token
  })
