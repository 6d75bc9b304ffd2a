// Goes on by itself once the phone has opened the link. Without this the person presses the button.
const { link } = document.getElementById("phone-code").dataset

async function look() {
  try {
    const answer = await fetch(`/api/phone-links/${link}`, { headers: { Accept: "application/json" } })
    const told = await answer.json()
    if (answer.ok ? told.state !== "waiting" : answer.status < 500) return location.replace(`/account/phone/${link}`)
  } catch {
    // The network was away for a moment.
  }
  setTimeout(look, 1000)
}

setTimeout(look, 1000)
