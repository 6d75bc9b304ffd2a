// Asks whether the module is up, five times, and reloads the page when it is. Then the link is left to the person.
;(() => {
  const short = document.body.dataset.module
  const note = document.getElementById("note")
  let asked = 0
  const ask = async () => {
    asked += 1
    try {
      const answer = await (await fetch("/api/ready", { cache: "no-store" })).json()
      if (answer.ready || (answer.ready_modules || []).includes(short)) {
        location.reload()
        return
      }
    } catch {
      // The hub itself may be restarting; the next question finds out.
    }
    if (asked < 5) setTimeout(ask, 2000)
    else note.textContent = "This takes longer than usual."
  }
  setTimeout(ask, 2000)
})()
