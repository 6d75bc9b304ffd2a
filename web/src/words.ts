/** Plain words for states, operations and problems. */
import type { Isolation, Job, Module, Permissions, Problem, State, Status } from "./api/shapes"
import { list } from "./format"

/** `good`: fine. `busy`: resolves itself. `bad`: needs a person. `off`: switched off on purpose. */
export type Tone = "good" | "busy" | "bad" | "off"

interface Wording {
  tone: Tone
  label: string
}

const STATES: Record<State, Wording> = {
  ready: { tone: "good", label: "Running" },
  degraded: { tone: "busy", label: "Not responding well" },
  starting: { tone: "busy", label: "Starting" },
  backoff: { tone: "busy", label: "Restarting" },
  parked: { tone: "bad", label: "Keeps crashing" },
  stopping: { tone: "busy", label: "Stopping" },
  held: { tone: "bad", label: "Blocked" },
  asleep: { tone: "good", label: "Asleep" },
  stopped: { tone: "off", label: "Off" },
}

/** For a module on another machine that cannot be used. */
const AWAY: Partial<Record<NonNullable<Status["elsewhere"]>["reach"], string>> = {
  online: "Stopped there",
  "not answering": "Machine not answering",
  "wrong certificate": "Wrong certificate",
  refused: "Hub refused",
}

export function wording(module: Module): Wording {
  if (!module.installed) return { tone: "off", label: "Not installed" }
  const state = module.state ?? fromStatus(module.supervisor_status)
  const away = module.elsewhere && AWAY[module.elsewhere.reach]
  if (away && (state === "backoff" || state === "parked")) return { tone: "bad", label: away }
  return STATES[state] ?? STATES.stopped
}

/** The state for an older `supervisor_status`, when the API sends no `state`. */
function fromStatus(status: string | null | undefined): State {
  const states: Record<string, State> = {
    running: "ready",
    starting: "starting",
    restarting: "backoff",
    crashed: "parked",
  }
  return states[status ?? ""] ?? "stopped"
}

const DRIFTS = {
  elsewhere: "Use the port it listens on",
  squatted: "Assign a new port",
  row: "Restart it on its new port",
}

/** Label of the button that repairs a module's port; null when the port is fine. */
export function portRemedy({ port_drift }: Pick<Module, "port_drift">): string | null {
  return port_drift && DRIFTS[port_drift]
}

export interface Summary {
  tone: Tone
  title: string
  text: string
}

/** The headline on Home: green only when nothing is wrong. `problems` is null while the hub does not tell. */
export function summary(
  modules: readonly Module[],
  problems: readonly Pick<Problem, "severity" | "title">[] | null,
  complete = true,
): Summary {
  const installed = modules.filter((module) => module.installed)
  const names = (tone: Tone) => installed.filter((m) => wording(m).tone === tone).map((m) => m.display_name)
  const [busy, good] = [names("busy"), names("good")]
  const grave = (problems ?? []).filter(({ severity }) => severity === "error")
  if (grave.length > 0)
    return {
      tone: "bad",
      title: grave.length === 1 ? (grave[0]?.title ?? "") : `${grave.length} things need your attention`,
      text: "See what happened and what to do below.",
    }
  if (installed.length === 0)
    return {
      tone: "off",
      title: "Nothing is installed yet",
      text: "Write in Notes, keep it in Vault, dictate with Scribe. Each installs in seconds.",
    }
  if (busy.length > 0)
    return {
      tone: "busy",
      title: `${list(busy)} ${plural(busy, "is", "are")} not ready yet`,
      text: "This usually takes only a moment.",
    }
  const count = problems?.length ?? 0
  if (count > 0)
    return {
      tone: "busy",
      title: count === 1 ? "One thing to look at" : `${count} things to look at`,
      text: "Nothing is broken. See below when you have a moment.",
    }
  if (problems === null || !complete)
    return { tone: "busy", title: "Looking for problems", text: "The hub has just started. This takes a moment." }
  if (good.length === 0) return { tone: "off", title: "Everything is off", text: "Start a module when you need it." }
  return { tone: "good", title: "All is well", text: `${list(good)} ${plural(good, "is", "are")} running.` }
}

function plural(names: readonly string[], one: string, many: string): string {
  return names.length > 1 ? many : one
}

const DOING: Record<string, string> = {
  install: "Installing",
  upgrade: "Updating",
  uninstall: "Removing",
  restart: "Restarting",
  rollback: "Rolling back",
  "restore-data": "Restoring the earlier data of",
  "restore-backup": "Restoring data of",
  "delete-data": "Deleting the data of",
  move: "Moving",
}
const DONE: Record<string, string> = {
  install: "installed",
  upgrade: "updated",
  uninstall: "removed",
  restart: "restarted",
  rollback: "rolled back",
  "restore-data": "back to its earlier data",
  "restore-backup": "running with the data from the backup",
  move: "moved with its data",
}
const FAILED: Record<string, string> = {
  rollback: "could not be rolled back",
  "restore-data": "could not restore its earlier data",
  "restore-backup": "could not take the data from the backup",
  "delete-data": "could not delete its data",
  move: "could not be moved, and is where it was",
}

/** Operations on the whole hub: running, succeeded, failed, cancelled. */
const WHOLE: Record<string, readonly [string, string, string, string]> = {
  backup: ["Making a backup", "The backup was made and checked", "The backup failed", "The backup was cancelled"],
  verify: [
    "Checking a backup",
    "The backup can be restored",
    "The backup could not be checked",
    "The check was cancelled",
  ],
}

/** `Installing Vault`, `Vault is installed`, `Vault could not be updated`. */
export function jobTitle(job: Job, name: string): string {
  const whole = WHOLE[job.kind]
  if (whole) {
    const [running, succeeded, failed, cancelled] = whole
    if (job.status === "failed") return job.outcome === "cancelled" ? cancelled : failed
    return job.status === "succeeded" ? succeeded : running
  }
  if (job.status === "succeeded" && job.kind === "delete-data") return `Data of ${name} deleted`
  if (job.status === "succeeded") return `${name} is ${DONE[job.kind] ?? "done"}`
  if (job.status === "failed" && job.outcome === "cancelled")
    return `${DOING[job.kind] ?? "Work on"} ${name} was cancelled`
  if (job.status === "failed") return `${name} ${FAILED[job.kind] ?? `could not be ${DONE[job.kind] ?? "changed"}`}`
  return `${DOING[job.kind] ?? "Working on"} ${name}`
}

/** What a person may choose after a refusal: the button's label, and what it adds to the request. */
export function choices({ kind, error_detail: detail }: Job): [label: string, choice: object][] {
  switch (detail?.error_type) {
    case "more_permissions":
      return [["Allow it and try again", { permissions: detail["permissions"] }]]
    case "init_command":
      return [
        ["Run it and install", { init: true }],
        ["Install without running it", { init: false }],
      ]
    case "too_new":
      return [["Install it anyway", { allow_new: true }]]
    case "disk_full":
      return kind === "install" && detail["fits_without_optional"]
        ? [["Install without optional parts", { without_optional: true }]]
        : []
    default:
      return []
  }
}

const WEIGHTY: [RegExp, string][] = [
  [/^install:(.+)@[^/@]+$/, "install a certain version of $1"],
  [/^install:(.+)$/, "install $1, which is not in the catalog"],
  [/^adopt:(.+)$/, "run $1, which this hub did not install"],
  [/^uninstall:(.+)$/, "remove $1"],
  [/^link:(.+)$/, "change which machine $1 runs on"],
  [/^move:(.+)$/, "move $1 with its data"],
  [/^downgrade:(.+)$/, "go back to an earlier version of $1"],
  [/^vault\.create:(.+)$/, "create the vault $1"],
  [/^vault\.delete:(.+)$/, "delete the vault $1 in 30 days"],
  [/^token\.revoke/, "revoke somebody else's token"],
  [/^token\.mint/, "create a token"],
  [/^settings\.open:([^,]+)$/, "let the settings page of $1 make changes for ten minutes"],
  [/^settings\.open:([^,]+),(.+)$/, "let the settings page of $1 make changes for ten minutes, including in vaults"],
  [/^configure:(.+)$/, "change the settings of $1"],
  [/^delete-data:(.+)$/, "delete the data of $1"],
  [/^restore-data:(.+)$/, "restore the earlier data of $1"],
  [/^hub\.origin$/, "change the public address"],
  [/^reach\.open/, "let other devices reach this hub"],
  [/^reach\.close$/, "close the way to this hub"],
  [/^phone\.link$/, "let a phone use your notes"],
  [/^user\.invite$/, "invite someone"],
  [/^user\.delete/, "remove someone"],
  [/^user\.reset-password/, "reset someone's password"],
  [/^user\.second-factor/, "turn off someone's second factor"],
  [/^user\./, "change what someone can do"],
  [/^client\.approve/, "approve an app"],
  [/^backup\.key$/, "change the recovery key of your backups"],
  [/^backup\.place$/, "change where backups go"],
  [/^backup\.download$/, "download a backup of everything on this hub"],
  [/^backup\.restore$/, "replace everything on this hub with a backup"],
]

/** A step-up operation in words: `hub.origin` -> `change the public address`. */
export function weighty(operation: string): string {
  for (const [pattern, words] of WEIGHTY) {
    const found = pattern.exec(operation)
    if (found) return words.replace("$1", found[1] ?? "")
  }
  return "do this"
}

const ROOM = 5 * 1024 ** 3

/** `bad` when memory or disk is almost used up: a large share, unless gigabytes are left. */
export function fullness(used: number | null, of: number | null): Tone {
  if (!used || !of) return "off"
  const share = used / of
  if (of - used > ROOM) return "good"
  return share > 0.92 ? "bad" : share > 0.8 ? "busy" : "good"
}

/** What a module can do, a line each. */
export function reach({ network, folders, programs, memory }: Permissions): string[] {
  return [
    "Keeps data of its own, and sees no other data on this hub.",
    network === "any"
      ? "Can use the internet."
      : network === "none"
        ? "Cannot use the internet."
        : `Can reach ${list(network)} on the internet, and nothing else there.`,
    ...folders.map((folder) => `Can read and change files in ${folder}.`),
    ...(programs.length > 0 ? [`Uses ${list(programs)} if installed on this machine.`] : []),
    ...(memory === null ? [] : [`Uses up to ${memory} MB of memory.`]),
  ]
}

/** A warning when a running module is not, or not fully, kept to what it may do; null when it is. */
export function looseness(isolation: Isolation | null | undefined): string | null {
  if (!isolation || isolation.state === "on") return null
  if (isolation.state === "partly")
    return `This machine cannot restrict ${list(isolation.missing)}. Everything else is restricted.`
  return `${isolation.why ?? ""} It can read and change everything on this hub.`.trim()
}
