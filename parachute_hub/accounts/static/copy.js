// Adds a Copy button to each text that is there to be copied. Without this the text can be selected.
function write(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  // Plain http from another machine has no clipboard interface.
  const area = document.createElement("textarea")
  area.value = text
  document.body.append(area)
  area.select()
  const done = document.execCommand("copy")
  area.remove()
  return done ? Promise.resolve() : Promise.reject(new Error("not copied"))
}

for (const text of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button")
  button.type = "button"
  button.className = "small"
  button.textContent = "Copy"
  if (text.dataset.copy) button.setAttribute("aria-label", `Copy: ${text.dataset.copy}`)
  const said = document.createElement("span")
  said.className = "hint"
  said.setAttribute("role", "status")
  button.addEventListener("click", async () => {
    try {
      await write(text.textContent.trim())
      said.textContent = "Copied"
    } catch {
      said.textContent = "Your browser does not allow it. Select the text and copy it."
    }
    button.focus()
  })
  const row = document.createElement("div")
  row.className = "actions"
  row.append(button, said)
  text.after(row)
}
