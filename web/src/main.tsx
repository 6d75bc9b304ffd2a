import { render } from "preact"
import { begin } from "./app"
import { listen } from "./router"
import { Shell } from "./shell"
import "./styles/page.css"
import "./styles/parts.css"
import "./styles/forms.css"
import "./styles/modules.css"

const root = document.getElementById("app")
if (root) {
  listen()
  render(<Shell />, root)
  begin().catch(() => setTimeout(() => location.reload(), 3000))
}
