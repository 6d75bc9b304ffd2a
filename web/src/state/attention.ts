/** What needs a person's attention, most serious first. */
import type { Backups, Job, Module, Overview } from "../api/shapes"
import { bytes, moment } from "../format"
import { fullness, jobTitle, type Tone, wording } from "../words"
import { BACKUP } from "./backups"
import { FAILED_FOR, reports, warnings } from "./modules"

export interface Concern {
  key: string
  tone: Tone
  title: string
  text: string
  href?: string
  /** The button's label. With `act`: the operation it starts on module `short`. */
  action?: string
  short?: string
  act?: string
}

export function attention(
  modules: readonly Module[],
  jobs: readonly Job[],
  overview: Overview | null,
  backups: Backups | null,
  now: number = Date.now(),
): Concern[] {
  const installed = modules.filter((module) => module.installed)
  return [
    ...installed.filter((module) => wording(module).tone === "bad").map(troubled),
    ...installed.filter((module) => reports(module).length > 0).map(unwell),
    ...installed.filter((module) => module.vaults === 0 && module.state === "ready").map(empty),
    ...installed.flatMap((module) => (module.uis ?? []).filter(({ status }) => status === "failing").map(part(module))),
    ...(overview ? short(overview) : []),
    ...(backups?.problems ?? []).map(unsaved),
    ...failed(jobs, modules, now),
    ...installed.filter((module) => reports(module).length === 0 && warnings(module).length > 0).map(grumbling),
    ...installed.filter((module) => module.upgrade_available).map(outdated),
  ]
}

function troubled(module: Module): Concern {
  const reason = module.reason || "It stopped and will not restart by itself."
  return {
    key: `state-${module.short}`,
    tone: "bad",
    title: `${module.display_name}: ${wording(module).label.toLowerCase()}`,
    text: reason,
    href: `/admin/modules/${module.short}`,
    action: "Start again",
    short: module.short,
    act: "start",
  }
}

/** It runs, and its health response says that a part of it does not work. */
function unwell(module: Module): Concern {
  return {
    key: `reports-${module.short}`,
    tone: "bad",
    title: `${module.display_name} reports a problem`,
    text: `${reports(module).join("; ")}.`,
    href: `/admin/modules/${module.short}`,
    action: "Details",
  }
}

/** It runs, and wrote of failures while it started. */
function grumbling(module: Module): Concern {
  const [first, ...more] = warnings(module)
  return {
    key: `warnings-${module.short}`,
    tone: "busy",
    title: `${module.display_name} may not work fully`,
    text: `When it started, it wrote: ${first}${more.length > 0 ? ` (and ${more.length} more)` : ""}`,
    href: `/admin/modules/${module.short}`,
    action: "Details",
  }
}

/** An app that the module itself reports as failing. */
function part(module: Module) {
  return ({ name, display_name }: { name: string; display_name: string }): Concern => ({
    key: `part-${module.short}-${name}`,
    tone: "bad",
    title: `${display_name} does not work`,
    text: `${module.display_name}, which serves it, reports that it fails. Its log may say why.`,
    href: `/admin/modules/${module.short}`,
    action: "Details",
  })
}

function empty(module: Module): Concern {
  return {
    key: `empty-${module.short}`,
    tone: "busy",
    title: `${module.display_name} has no vault yet`,
    text: "It is running, but there is nowhere to keep notes. Create your first vault.",
    href: "/admin/vaults",
    action: "Create a vault",
  }
}

function unsaved({ key, text }: Backups["problems"][number]): Concern {
  return { key, tone: "bad", title: "Backups", text, href: "/admin/backups", action: "Show backups" }
}

function outdated(module: Module): Concern {
  return {
    key: `upgrade-${module.short}`,
    tone: "busy",
    title: `Update for ${module.display_name}`,
    text:
      `Version ${module.latest_version} is out; you have ${module.installed_version}. ` +
      "If it does not start, the hub goes back to the old version.",
    action: "Update",
    short: module.short,
    act: "upgrade",
  }
}

/** Considers only the newest operation of each module: a later success settles an earlier failure. */
function failed(jobs: readonly Job[], modules: readonly Module[], now: number): Concern[] {
  const seen = new Set<string>()
  const concerns: Concern[] = []
  for (const job of jobs) {
    // The hub itself lists what is wrong with its backups.
    if (job.short === BACKUP || seen.has(job.short)) continue
    seen.add(job.short)
    const ended = moment(job.finishedAt) ?? now
    if (job.status !== "failed" || job.outcome === "cancelled" || now - ended > FAILED_FOR) continue
    const name = modules.find((module) => module.short === job.short)?.display_name ?? job.short
    concerns.push({
      key: `job-${job.id}`,
      tone: "bad",
      title: jobTitle(job, name),
      text: job.error ?? "See the details for the reason.",
      href: `/admin/modules/${job.short}`,
      action: "Details",
    })
  }
  return concerns
}

function short({ memory, disk }: Overview): Concern[] {
  const concerns: Concern[] = []
  if (fullness(memory.used, memory.limit) === "bad")
    concerns.push({
      key: "memory",
      tone: "bad",
      title: "Memory is almost full",
      text: `${bytes(memory.used)} of ${bytes(memory.limit)}. Stop a module you do not need, or add memory.`,
      href: "/admin/modules",
      action: "Modules",
    })
  const used = disk.total !== null && disk.free !== null ? disk.total - disk.free : null
  if (fullness(used, disk.total) === "bad")
    concerns.push({
      key: "disk",
      tone: "bad",
      title: "The disk is almost full",
      text: `${bytes(disk.free)} left. Delete what you do not need, or enlarge the disk.`,
      href: "/admin/settings",
      action: "Show disk use",
    })
  return concerns
}
