// Keeps the progress of installations current without reloading. The page works without it.
const rows = document.querySelectorAll("[data-install]")

async function look() {
  const answer = await fetch("/admin/setup", { headers: { Accept: "application/json" } })
  if (!answer.ok) return
  const { operations = [] } = await answer.json()
  for (const row of rows) {
    const now = operations.find((operation) => operation.short === row.dataset.install)
    if (!now) continue
    // The server draws what one can do next: fetch its page when something came to an end.
    if (now.status !== row.dataset.status) return location.reload()
    row.querySelector("[data-step]").textContent = now.step
    const log = row.querySelector("pre")
    if (log) log.textContent = now.log.join("\n")
  }
}

async function again() {
  try {
    await look()
  } catch {
    // The hub restarts or the network is away: the next look will tell.
  }
  setTimeout(again, 1000)
}

if ([...rows].some((row) => row.dataset.status === "running" || row.dataset.status === "pending")) {
  setTimeout(again, 500)
}
