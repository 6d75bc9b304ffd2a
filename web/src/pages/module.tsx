/** One module: state, log, settings, updates, technical details. */
import { useEffect, useState } from "preact/hooks"
import type { Job, Module, ModuleSettings } from "../api/shapes"
import { hub, modules, overview } from "../app"
import { ago, bytes, duration, exactly, moment, percent, sentence } from "../format"
import { go } from "../router"
import type { Values } from "../schema"
import { isOver, reports, warnings } from "../state/modules"
import { useResource } from "../state/resource"
import { confirm } from "../ui/dialog"
import { Past } from "../ui/gauges"
import { LogView } from "../ui/logview"
import { say } from "../ui/notices"
import { Opener, openSettings } from "../ui/opener"
import { Badge, Button, Card, Empty, Facts, Field, Head, More, Ready, Waiting } from "../ui/parts"
import { Install, Progress } from "../ui/progress"
import { SchemaForm } from "../ui/schemaform"
import { looseness, portRemedy, reach, wording } from "../words"

const MEMORY_EVERY = 5_000

export function ModulePage({ short }: { short: string }) {
  const module = modules.find(short)
  if (!modules.loaded.value)
    return (
      <>
        <Head title={short} />
        <Waiting lines={8} />
      </>
    )
  const told = modules.tellingOf(short)
  if (!module)
    return (
      <>
        <Head
          title={told ? short : "Module not found"}
          lead={told ? "This module is not installed." : `There is no module called ${short}.`}
        >
          <a class="button" href="/admin/modules">
            See all modules
          </a>
        </Head>
        {told && (
          <Card>
            <Progress job={told} />
          </Card>
        )}
      </>
    )
  return (
    <>
      <Head title={module.display_name} lead={sentence(module.tagline)}>
        <Badge tone={wording(module).tone}>{wording(module).label}</Badge>
      </Head>
      <Current module={module} told={told} />
      <Companions module={module} />
      {module.installed && (
        <>
          <Card title="Log">
            <LogView path={`/api/modules/${encodeURIComponent(short)}/logs`} name={module.display_name} />
          </Card>
          {module.pid && <Memory module={module} />}
          <Configuration module={module} />
          <Reach module={module} />
          {!modules.jobOf(short) && <Keeping module={module} />}
          <Detail module={module} />
          {!modules.jobOf(short) && <Leaving module={module} />}
        </>
      )}
      {!module.installed && <Before module={module} />}
      {!module.installed && <Traces module={module} />}
    </>
  )
}

function Current({ module, told }: { module: Module; told: Job | undefined }) {
  const { tone } = wording(module)
  const begin = (kind: string) => () => modules.begin(module.short, kind)
  const working = told && !isOver(told)
  const remedy = portRemedy(module)
  const memory = overview.value?.memory.modules.find(({ short }) => short === module.short)
  const share = overview.value?.processor.modules.find(({ short }) => short === module.short)?.share
  const since = moment(module.since)
  const broken = module.supervisor_start_error
  return (
    <Card>
      {module.reason && tone !== "good" && <p class="reason">{module.reason}</p>}
      {broken?.install && <Install install={broken.install} />}
      {tone === "good" && (
        <p>
          Running{since ? ` for ${duration((Date.now() - since) / 1000)}` : ""}
          {memory ? `, using ${bytes(memory.bytes)} of memory` : ""}
          {memory && share !== undefined ? ` and ${percent(share)} of a processor` : ""}.
        </p>
      )}
      <Says module={module} />
      {module.installed && !working && (
        <div class="row">
          <Opener module={module} kind="primary" />
          {tone === "off" || tone === "bad" ? (
            <Button kind="primary" act={begin("start")}>
              Start
            </Button>
          ) : (
            <>
              <Button act={begin("restart")}>Restart</Button>
              <Button act={begin("stop")}>Stop</Button>
            </>
          )}
          {module.upgrade_available && <Button act={begin("upgrade")}>Update to {module.latest_version}</Button>}
          {remedy && <Button act={begin("heal-port")}>{remedy}</Button>}
        </div>
      )}
      {!module.installed && !working && (
        <Button kind="primary" act={begin("install")}>
          Install
        </Button>
      )}
      {told && <Progress job={told} />}
    </Card>
  )
}

/** What somebody wants to know before installing it. */
function Before({ module }: { module: Module }) {
  const loose = looseness(modules.isolation.value)
  return (
    <Card title="Before you install it">
      {loose && <p class="reason">{loose}</p>}
      {modules.isolation.value?.state !== "off" && (
        <ul class="plain-list">
          {reach(module.permissions).map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
      <Facts
        rows={[
          ["Version", module.latest_version],
          ["Memory", module.memory_mb ? `about ${module.memory_mb} MB while it runs` : null],
          ["Package", <code>{module.package}</code>],
          [
            "From",
            module.first_party ? "this hub's own list of modules" : "somebody else: install it only if you trust them",
          ],
        ]}
      />
    </Card>
  )
}

/** What it says is wrong with itself while it runs. */
function Says({ module }: { module: Module }) {
  const [wrong, wrote] = [reports(module), warnings(module)]
  return (
    <>
      {wrong.length > 0 && (
        <div class="reason">
          <p>It reports that something is wrong:</p>
          <ul>
            {wrong.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        </div>
      )}
      {wrote.length > 0 && (
        <div>
          <p>It wrote this when it started, so a part of it may not work:</p>
          <ul>
            {wrote.map((text) => (
              <li key={text}>
                <code>{text}</code>
              </li>
            ))}
          </ul>
        </div>
      )}
      {module.vaults === 0 && module.state === "ready" && (
        <p class="reason">
          It has no vault yet, so there is nowhere to keep notes. <a href="/admin/vaults">Create a vault</a>
        </p>
      )}
    </>
  )
}

/** Modules it depends on, with a button for those that are missing. */
function Companions({ module }: { module: Module }) {
  if (!module.installed || module.dependencies.length === 0) return null
  return (
    <Card title="Works with">
      {module.dependencies.map(({ short, optional }) => {
        const other = modules.find(short)
        const name = other?.display_name ?? short
        const need = optional ? "can do more with it" : "needs it"
        return (
          <div class="row" key={short}>
            <p>
              {other?.installed ? (
                <a href={`/admin/modules/${short}`}>{name} (installed)</a>
              ) : (
                `${name}: ${module.display_name} ${need}.${other ? "" : " It is not available here."}`
              )}
            </p>
            {other && !other.installed && other.available_to_install && (
              <Button act={() => modules.begin(short, "install")}>Install {name}</Button>
            )}
          </div>
        )
      })}
    </Card>
  )
}

/** Loaded on demand: the module itself answers, which can take a while. */
function Configuration({ module }: { module: Module }) {
  const [open, setOpen] = useState(false)
  return (
    <Card title="Configuration">
      <details class="more" onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>Show settings of {module.display_name}</summary>
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
  return (
    <Ready of={[config]}>
      {() =>
        config.data && Object.keys(config.data.schema.properties ?? {}).length > 0 ? (
          <SchemaForm {...config.data} save={save} />
        ) : (
          <Empty title="Nothing to configure" />
        )
      }
    </Ready>
  )
}

function Memory({ module }: { module: Module }) {
  const past = useResource(`/api/overview/memory/${module.short}` as const)
  const { reload } = past
  useEffect(() => {
    const timer = setInterval(() => void reload(), MEMORY_EVERY)
    return () => clearInterval(timer)
  }, [reload])
  return (
    <Card title="Memory">
      <Past past={past.data} name={module.display_name} />
    </Card>
  )
}

/** What it can do, and whether this machine makes sure of it. */
function Reach({ module }: { module: Module }) {
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

/** Start with the hub, updates, earlier versions and data. */
const UPDATES = [
  ["tell", "Only tell me"],
  ["night", "Install at night"],
  ["pin", "Keep this version"],
] as const

function updateWords(updates: ModuleSettings["updates"], version: string | null): string {
  if (updates === "pin") return `Stays at version ${version}. Updates are not offered.`
  if (updates === "night")
    return "Updates are installed between 3 and 5 at night, with a copy of its data. If one does not work, the hub goes back."
  return "Updates are offered when they come out."
}

const SLEEPS = [5, 15, 60] as const

/** Whether the module stops while nobody uses it, which frees its memory. */
function Sleep({
  minutes,
  save,
}: {
  minutes: number | null
  save: (change: Partial<ModuleSettings>) => () => Promise<void>
}) {
  const words =
    minutes === null
      ? "Runs all the time."
      : `Goes to sleep when nobody has used it for ${duration(minutes * 60)}. The next visit wakes it in a moment.`
  return (
    <li class="list-row">
      <p class="grow">{words}</p>
      {SLEEPS.filter((choice) => choice !== minutes).map((choice) => (
        <Button key={choice} act={save({ sleep_after: choice })}>
          Sleep after {choice} min
        </Button>
      ))}
      {minutes !== null && <Button act={save({ sleep_after: null })}>Always run</Button>}
    </li>
  )
}

function Keeping({ module }: { module: Module }) {
  const { updates, autostart, previous, registry_keys, sleep_after } = module.settings
  const set = (change: Partial<ModuleSettings>) => async () => {
    await hub.call("PUT", `/api/modules/${module.short}/settings`, change)
    await modules.refresh()
  }
  const restore = async () => {
    const sure = await confirm(
      `Restore the earlier data of ${module.display_name}?`,
      `Everything added or changed since ${exactly(module.data_copy_at)} will be lost.`,
      "Restore",
    )
    if (sure) await modules.begin(module.short, "restore-data")
  }
  return (
    <Card title="Start and updates">
      <ul class="list">
        <li class="list-row">
          <p class="grow">{autostart ? "Starts together with the hub." : "Starts only when you start it."}</p>
          <Button act={set({ autostart: !autostart })}>
            {autostart ? "Start only manually" : "Start with the hub"}
          </Button>
        </li>
        <Sleep minutes={sleep_after} save={set} />
        <li class="list-row">
          <p class="grow">{updateWords(updates, module.installed_version)}</p>
          {UPDATES.filter(([kind]) => kind !== updates).map(([kind, label]) => (
            <Button key={kind} act={set({ updates: kind })}>
              {label}
            </Button>
          ))}
        </li>
        {module.fetches_packages && (
          <li class="list-row">
            <p class="grow">
              {registry_keys
                ? "Installs packages itself and may use your keys to the package registry."
                : "Installs packages itself, without your keys to the package registry."}
            </p>
            <Button act={set({ registry_keys: !registry_keys })}>
              {registry_keys ? "Take the keys back" : "Let it use the keys"}
            </Button>
          </li>
        )}
        {previous && (
          <li class="list-row">
            <p class="grow">Version {previous} is still here in case the current one causes trouble.</p>
            <Button act={() => modules.begin(module.short, "rollback")}>Go back to {previous}</Button>
          </li>
        )}
        {module.data_copy_at && (
          <li class="list-row">
            <p class="grow" title={exactly(module.data_copy_at)}>
              A copy of its data from before the last update ({ago(module.data_copy_at)}) is still here.
            </p>
            <Button kind="danger" act={restore}>
              Restore that data
            </Button>
          </li>
        )}
      </ul>
    </Card>
  )
}

function Detail({ module }: { module: Module }) {
  const exit = module.last_exit
  const how = exit && (exit.oom ? "the machine ran out of memory" : (exit.signal ?? `exit code ${exit.code}`))
  return (
    <Card>
      <More label="Technical details">
        <Facts
          rows={[
            ["State", module.state],
            ["Since", module.since ? `${ago(module.since)} (${exactly(module.since)})` : null],
            ["Version", module.installed_version],
            ["Newest version", module.latest_version],
            ["Package", module.package],
            ["Port", module.port],
            ["Process", module.pid],
            ["Restarts after crashes", module.restarts],
            ["Last exit", exit ? `${how}, ${ago(exit.at)}` : null],
            ["Next restart", module.next_retry_at ? ago(module.next_retry_at) : null],
            ["Folder", module.install_dir && <code>{module.install_dir}</code>],
          ]}
        />
      </More>
    </Card>
  )
}

function Leaving({ module }: { module: Module }) {
  const remove = async () => {
    const sure = await confirm(
      `Remove ${module.display_name}?`,
      "This removes the program. Your data stays on the disk for when you install it again.",
      "Remove",
    )
    if (!sure) return
    await modules.begin(module.short, "uninstall")
    say(`${module.display_name} was removed`)
    go("/admin/modules")
  }
  return (
    <Card>
      <div class="list-row">
        <div class="grow">
          <h2>Remove</h2>
          <p class="quiet">Removes the program and keeps your data.</p>
        </div>
        <Button kind="danger" act={remove}>
          Remove {module.display_name}
        </Button>
      </div>
    </Card>
  )
}

/** Data that an uninstalled module left behind. */
function Traces({ module }: { module: Module }) {
  const remove = async () => {
    const sure = await confirm(
      `Delete the data of ${module.display_name}?`,
      "All of its data will be deleted. This cannot be undone.",
      "Delete permanently",
    )
    if (sure) await modules.begin(module.short, "delete-data")
  }
  const owned = (overview.value?.disk.owners ?? []).filter(({ name, kind }) => name === module.short && kind === "data")
  const size = owned.reduce((sum, owner) => sum + owner.bytes, 0)
  if (size === 0) return null
  return (
    <Card title="Earlier data">
      <div class="list-row">
        <p class="grow">{bytes(size)} from an earlier installation. Install the module again to use it.</p>
        <Button kind="danger" act={remove}>
          Delete data
        </Button>
      </div>
    </Card>
  )
}
