/** Links to a module's own pages. */
import type { Module } from "../api/shapes"
import { hub } from "../app"
import { wording } from "../words"
import { Button } from "./parts"

/** Opens the module's page; for the vault, the page that shows how to connect apps. */
export function Opener({ module, kind }: { module: Module; kind?: "primary" }) {
  const { tone } = wording(module)
  const url = module.management_url ?? (module.short === "vault" ? "/account/connect" : null)
  if (url === null || (tone !== "good" && tone !== "busy")) return null
  const word = module.management_url ? "Open" : "Connect"
  const name = <span class="unseen"> {module.display_name}</span>
  if (module.settings_token && url === module.config_ui_url)
    return (
      <Button kind={kind} act={() => openSettings(module)}>
        {word}
        {name}
      </Button>
    )
  return (
    <a class={`button ${kind ?? ""}`} href={url}>
      {word}
      {name}
    </a>
  )
}

/** Opens the module's own settings page. If that page needs tokens, it can fetch them for ten minutes. */
export async function openSettings(module: Module, vaults: string[] = []): Promise<void> {
  if (module.settings_token) await hub.call("POST", "/api/auth/open-settings", { module: module.short, vaults })
  if (module.config_ui_url) location.assign(module.config_ui_url)
}
