/** One module: state, log, settings, updates, technical details. */
import { useEffect } from "preact/hooks"
import type { Job, Module, ModuleSettings } from "../api/shapes"
import { hub, modules, overview } from "../app"
import { ago, bytes, duration, exactly, list, moment, percent, sentence } from "../format"
import { go } from "../router"
import { isOver, reports, warnings } from "../state/modules"
import { useResource } from "../state/resource"
import { Before } from "../ui/beforeinstall"
import { confirm } from "../ui/dialog"
import { Past } from "../ui/gauges"
import { Limits } from "../ui/limits"
import { LogView } from "../ui/logview"
import { Configuration } from "../ui/modulesettings"
import { say } from "../ui/notices"
import { Opener } from "../ui/opener"
import { OtherPlace } from "../ui/otherplace"
import { Badge, Button, Card, Facts, Head, More, Waiting } from "../ui/parts"
import { Install, Progress } from "../ui/progress"
import { Reach } from "../ui/reach"
import { portRemedy, wording } from "../words"

const MEMORY_EVERY = 5_000

/** With `configures`, its settings are open and in view. */
export function ModulePage({ short, configures }: { short: string; configures: boolean }) {
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
          {module.elsewhere?.steered !== false && <Consumption module={module} />}
          {!module.elsewhere && <Configuration module={module} wanted={configures} />}
          {!module.elsewhere && <Reach module={module} />}
          {!modules.jobOf(short) && <OtherPlace module={module} key={module.elsewhere?.address} />}
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
          {module.elsewhere ? "Running on another machine" : "Running"}
          {since ? ` for ${duration((Date.now() - since) / 1000)}` : ""}
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
          {module.upgrade_available && module.elsewhere?.steered !== false && (
            <Button act={begin("upgrade")}>Update to {module.latest_version}</Button>
          )}
          {remedy && <Button act={begin("heal-port")}>{remedy}</Button>}
        </div>
      )}
      {!module.installed && !working && (
        <div class="row">
          <Button kind="primary" act={begin("install")}>
            Install
          </Button>
        </div>
      )}
      {told && <Progress job={told} />}
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

function Consumption({ module }: { module: Module }) {
  return (
    <Card title="Memory and processor">
      {module.pid && <Memory module={module} />}
      <Limits module={module} />
    </Card>
  )
}

function Memory({ module }: { module: Module }) {
  const past = useResource(`/api/overview/memory/${module.short}` as const)
  const { reload } = past
  useEffect(() => {
    const timer = setInterval(() => void reload(), MEMORY_EVERY)
    return () => clearInterval(timer)
  }, [reload])
  return <Past past={past.data} name={module.display_name} />
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

/** The vault asks scribe without the hub, which would not see its use. */
const isUsedDirectly = (short: string) => short === "scribe" && modules.find("vault")?.installed

const SLEEPS = [5, 15, 60] as const

/** Whether the module stops while nobody uses it, which frees its memory. */
function Sleep({
  minutes,
  hint,
  save,
}: {
  minutes: number | null
  hint: Module["idle"]
  save: (change: Partial<ModuleSettings>) => () => Promise<void>
}) {
  const words =
    minutes === null
      ? "Runs all the time."
      : `Goes to sleep when nobody has used it for ${duration(minutes * 60)}. The next visit wakes it in a moment.`
  return (
    <li class="list-row">
      <p class="grow">
        {words}
        {hint?.wake_for.length ? ` It stays awake for ${list(hint.wake_for)}.` : ""}
      </p>
      {(hint?.minutes ? [hint.minutes] : SLEEPS)
        .filter((choice) => choice !== minutes)
        .map((choice) => (
          <Button key={choice} act={save({ sleep_after: choice })}>
            Sleep after {duration(choice * 60)}
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
        {module.elsewhere?.steered !== false && !isUsedDirectly(module.short) && (
          <Sleep minutes={sleep_after} hint={module.idle} save={set} />
        )}
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
        {module.data_copy_at && !module.elsewhere && (
          <li class="list-row">
            <p class="grow" title={exactly(module.data_copy_at)}>
              A copy of its earlier data ({ago(module.data_copy_at)}) is still here.
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
