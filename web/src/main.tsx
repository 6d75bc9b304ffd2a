import { render } from "preact"
import { begin, contact } from "./app"
import { listen } from "./router"
import { Shell } from "./shell"
import "./styles/page.css"
import "./styles/parts.css"
import "./styles/forms.css"
import "./styles/modules.css"
import "./styles/backups.css"

const RELOAD_AFTER = 3000
const root = document.getElementById("app")
if (root) {
  listen()
  render(<Shell />, root)
  begin().catch(() => {
    contact.value = "away"
    setTimeout(() => location.reload(), RELOAD_AFTER)
  })
}
