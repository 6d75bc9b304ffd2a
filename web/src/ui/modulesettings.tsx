/** A module's settings: the form made of its schema, and its own settings page. */
import { useEffect, useRef, useState } from "preact/hooks"
import type { Module } from "../api/shapes"
import { hub, modules } from "../app"
import type { Values } from "../schema"
import { reports, warnings } from "../state/modules"
import { useResource } from "../state/resource"
import { openSettings } from "./opener"
import { Button, Card, Empty, More, Ready } from "./parts"
import { SchemaForm, type Tested } from "./schemaform"

/** Loaded on demand: the module itself answers, which can take a while. `wanted` is who came for them. */
export function Configuration({ module, wanted }: { module: Module; wanted: boolean }) {
  const [open, setOpen] = useState(wanted)
  const summary = useRef<HTMLElement>(null)
  useEffect(() => {
    if (wanted) summary.current?.focus()
  }, [wanted])
  return (
    <Card title="Configuration">
      <details class="more" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary ref={summary}>Show settings of {module.display_name}</summary>
        <div class="more-body">{open && <Settings short={module.short} />}</div>
      </details>
      {module.config_ui_url && <OwnSettings module={module} />}
    </Card>
  )
}

/** The module's own settings page, and which vaults that page may change. */
function OwnSettings({ module }: { module: Module }) {
  const listed = useResource("/api/users/vaults")
  const [named, setNamed] = useState<string[]>([])
  const vaults = module.settings_token && module.short !== "vault" ? (listed.data?.vaults ?? []) : []
  const toggle = (vault: string) =>
    setNamed(named.includes(vault) ? named.filter((other) => other !== vault) : [...named, vault])
  return (
    <div class="stack">
      {vaults.length > 0 && (
        <More label={`Let the settings page of ${module.display_name} change vaults too`}>
          {vaults.map((vault) => (
            <label class="switch" key={vault}>
              <input type="checkbox" checked={named.includes(vault)} onChange={() => toggle(vault)} />
              <span>{vault}</span>
            </label>
          ))}
        </More>
      )}
      <div class="row">
        <Button act={() => openSettings(module, named)}>Open the settings page of {module.display_name}</Button>
      </div>
      {module.settings_token && (
        <p class="quiet">You confirm with your password. The page can then make changes for ten minutes.</p>
      )}
    </div>
  )
}

function Settings({ short }: { short: string }) {
  const path = `/api/modules/${encodeURIComponent(short)}/config` as const
  const config = useResource(path)
  const save = async (changed: Values) => {
    await hub.call("PUT", path, changed)
    await config.reload()
  }
  const test = config.data?.schema["x-test"]
    ? { label: "Test", act: () => hub.call<Tested>("POST", `${path}/test`, {}) }
    : { label: "Restart and test", act: () => restarted(short) }
  return (
    <Ready of={[config]}>
      {() =>
        config.data && Object.keys(config.data.schema.properties ?? {}).length > 0 ? (
          <SchemaForm {...config.data} save={save} test={test} />
        ) : (
          <Empty title="Nothing to configure" />
        )
      }
    </Ready>
  )
}

/** For a module without a test of its own: whether it starts, and what it says of itself then. */
async function restarted(short: string): Promise<Tested> {
  await modules.begin(short, "restart")
  const module = modules.find(short)
  if (module?.state !== "ready") return { ok: false, message: module?.reason ?? "It does not run." }
  const wrong = [...reports(module), ...warnings(module)]
  return wrong.length > 0
    ? { ok: false, message: `It runs, and says: ${wrong.join(" ")}` }
    : { ok: true, message: "It runs and reports no problem." }
}
