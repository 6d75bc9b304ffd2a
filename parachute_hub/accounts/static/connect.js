// Shows when the assistant is connected: that happens in another window. The page works without it.
const sign = document.querySelector("[data-sign]")

async function look() {
  const answer = await fetch(sign.dataset.sign, { headers: { Accept: "application/json" } })
  if (!answer.ok) return
  const { connected, text } = await answer.json()
  const [state, words] = sign.children
  if (words.textContent === text) return
  state.textContent = connected ? "Connected" : "Waiting"
  state.className = `state state-${connected ? "ready" : "pending"}`
  words.textContent = text
}

async function again() {
  try {
    if (!document.hidden) await look()
  } catch {
    // The hub restarts or the network is away: the next look will tell.
  }
  setTimeout(again, 3000)
}

if (sign) setTimeout(again, 3000)
