/** What a module can reach on this machine. */
import { useState } from "preact/hooks"
import type { Module, ModuleSettings } from "../api/shapes"
import { hub, modules } from "../app"
import { looseness, reach } from "../words"
import { Button, Card, Field, More } from "./parts"

/** What it can do, and whether this machine makes sure of it. */
export function Reach({ module }: { module: Module }) {
  const loose = looseness(module.isolation)
  const separate = (isolation: "on" | "off") => async () => {
    await hub.call("PUT", `/api/modules/${module.short}/settings`, { isolation })
    await modules.refresh()
  }
  return (
    <Card title="What it can do">
      {loose && <p class="reason">{loose}</p>}
      {module.isolation?.state !== "off" && (
        <ul class="plain-list">
          {reach(module.permissions).map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
      <Opened module={module} />
      {module.settings.isolation === "off" && (
        <div class="row">
          <Button act={separate("on")}>Separate it from the rest of the hub</Button>
        </div>
      )}
      {module.settings.isolation !== "off" && module.isolation && module.isolation.state !== "off" && (
        <More label="Is something not working?">
          <p>
            Without separation {module.display_name} can read and change everything on this hub. Only do this if you
            trust it with all of it.
          </p>
          <Button kind="danger" act={separate("off")}>
            Run it without separation
          </Button>
        </More>
      )}
    </Card>
  )
}

/** Files and folders of this machine that the owner has opened to it. */
function Opened({ module }: { module: Module }) {
  const [path, setPath] = useState("")
  const { may_read = [], may_change = [] } = module.settings
  const set = (change: Partial<ModuleSettings>) => async () => {
    await hub.call("PUT", `/api/modules/${module.short}/settings`, change)
    setPath("")
    await modules.refresh()
  }
  const unusable = !path.trim().startsWith("/")
  const without = (paths: string[], one: string) => paths.filter((other) => other !== one)
  return (
    <>
      {(may_read.length > 0 || may_change.length > 0) && (
        <ul class="list">
          {may_change.map((one) => (
            <li class="list-row" key={one}>
              <p class="grow">
                You let it read and change <code>{one}</code>.
              </p>
              <Button act={set({ may_change: without(may_change, one) })}>Take it away</Button>
            </li>
          ))}
          {may_read.map((one) => (
            <li class="list-row" key={one}>
              <p class="grow">
                You let it read and run <code>{one}</code>.
              </p>
              <Button act={set({ may_read: without(may_read, one) })}>Take it away</Button>
            </li>
          ))}
        </ul>
      )}
      <More label="Let it use another folder or program">
        <Field label="Path on this machine" hint="The full path, for example /srv/notes">
          {(ids) => <input {...ids} value={path} onInput={(event) => setPath(event.currentTarget.value)} />}
        </Field>
        <div class="row">
          <Button act={set({ may_read: [...may_read, path.trim()] })} disabled={unusable}>
            Let it read and run this
          </Button>
          <Button act={set({ may_change: [...may_change, path.trim()] })} disabled={unusable}>
            Let it change this too
          </Button>
        </div>
      </More>
    </>
  )
}
