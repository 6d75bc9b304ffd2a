/** Modules and operations, as reported by the hub. */
import { batch, computed, signal } from "@preact/signals"
import type { Hub } from "../api/hub"
import type { Job, Module, ModuleList, Status } from "../api/shapes"
import { moment } from "../format"
import { BACKUP } from "./backups"

const LOG_KEPT = 1000
/** How long a failed operation is shown. */
export const FAILED_FOR = 24 * 3600 * 1000

/** A pending request, with events that arrived since it was sent and may be newer than its answer. */
interface Reading {
  number: number
  statuses: Map<string, Status>
  jobs: Set<string>
}

export class Modules {
  readonly #list = signal<ModuleList | null>(null)
  readonly #jobs = signal<ReadonlyMap<string, Job>>(new Map())
  readonly #said = signal<ReadonlyMap<string, string>>(new Map())
  readonly #readings = new Set<Reading>()
  #asked = 0
  #shown = 0

  readonly loaded = computed(() => this.#list.value !== null)
  readonly all = computed<readonly Module[]>(() => this.#list.value?.modules ?? [])
  readonly installed = computed(() => this.all.value.filter((module) => module.installed))
  readonly found = computed(() => this.all.value.filter((module) => module.found))
  readonly offered = computed(() =>
    this.all.value.filter((module) => !module.installed && !module.found && module.available_to_install),
  )
  readonly supervised = computed(() => this.#list.value?.supervisor_available ?? true)
  /** How this machine keeps a new module to what it may do. */
  readonly isolation = computed(() => this.#list.value?.isolation)
  readonly channel = computed(() => this.#list.value?.module_install_channel ?? "latest")
  readonly channelFixed = computed(() => this.#list.value?.module_install_channel_fixed ?? false)
  /** Newest first. */
  readonly jobs = computed(() => [...this.#jobs.value.values()].sort((a, b) => b.startedAt.localeCompare(a.startedAt)))
  readonly running = computed(() => this.jobs.value.filter((job) => !isOver(job)))

  constructor(private readonly hub: Hub) {}

  /** Reloads everything. Newer events win, and an answer to an older request is dropped. */
  async refresh(): Promise<void> {
    const reading: Reading = { number: (this.#asked += 1), statuses: new Map(), jobs: new Set() }
    this.#readings.add(reading)
    try {
      const [modules, jobs] = await Promise.all([this.hub.get("/api/modules"), this.hub.get("/api/modules/operations")])
      if (reading.number < this.#shown) return
      this.#shown = reading.number
      this.#show(modules, jobs.operations, reading)
    } finally {
      this.#readings.delete(reading)
    }
  }

  #show(list: ModuleList, operations: readonly Job[], { statuses, jobs }: Reading): void {
    const modules = list.modules.map((module) => ({ ...module, ...statuses.get(module.short) }))
    const known = this.#jobs.value
    const kept = [...jobs].flatMap((id) => known.get(id) ?? [])
    const read = operations.map((job) => further(job, known.get(job.id)))
    batch(() => {
      this.#list.value = { ...list, modules }
      this.#jobs.value = new Map([...kept, ...read].map((job) => [job.id, job]))
    })
  }

  find(short: string): Module | undefined {
    return this.all.value.find((module) => module.short === short)
  }

  name(short: string): string {
    return this.find(short)?.display_name ?? short
  }

  /** The running operation of a module, if any. */
  jobOf(short: string): Job | undefined {
    return this.running.value.find((job) => job.short === short)
  }

  /** The operation to show for a module: the running one, or the newest if it failed. */
  tellingOf(short: string): Job | undefined {
    const newest = this.jobs.value.find((job) => job.short === short)
    const worthTelling = newest && (!isOver(newest) || (newest.status === "failed" && newest.outcome !== "cancelled"))
    return worthTelling ? newest : undefined
  }

  /** Operations on packages that are not in the list: being installed, or failed. */
  strangers(now: number = Date.now()): Job[] {
    const shorts = new Set(this.jobs.value.map(({ short }) => short).filter((short) => short !== BACKUP))
    return [...shorts]
      .filter((short) => !this.find(short))
      .flatMap((short) => this.tellingOf(short) ?? [])
      .filter((job) => !isOver(job) || now - (moment(job.finishedAt) ?? now) < FAILED_FOR)
  }

  /** Event: a module's state changed. */
  changed(short: string, status: Status): void {
    for (const { statuses } of this.#readings) statuses.set(short, { ...statuses.get(short), ...status })
    const list = this.#list.value
    if (!list) return
    const modules = list.modules.map((module) => (module.short === short ? { ...module, ...status, short } : module))
    this.#list.value = { ...list, modules }
  }

  /** The newest log line received for a module. */
  lastLine(short: string): string | undefined {
    return this.#said.value.get(short)
  }

  /** Event: a module wrote a log line. */
  said(short: string, line: string): void {
    this.#said.value = new Map(this.#said.value).set(short, line)
  }

  /** Event: an operation progressed. */
  moved(job: Job): void {
    for (const reading of this.#readings) reading.jobs.add(job.id)
    const jobs = new Map(this.#jobs.value)
    jobs.set(job.id, { ...job, log: joined(jobs.get(job.id)?.log ?? [], job.log) })
    this.#jobs.value = jobs
  }

  /** Starts an operation. Progress arrives by events or polling. */
  async begin(short: string, kind: string, body?: unknown): Promise<void> {
    await this.hub.call("POST", `/api/modules/${encodeURIComponent(short)}/${kind}`, body ?? {})
    await this.refresh()
  }

  /** Updates every module that has a newer version. */
  async beginAll(): Promise<void> {
    await this.hub.call("POST", "/api/modules/upgrade-all")
    await this.refresh()
  }

  /** Installs an npm package by name, after step-up. */
  async install(name: string, more?: object): Promise<void> {
    await this.hub.call("POST", "/api/modules/install", { package: name, ...more })
    await this.refresh()
  }
}

/** What a running module says is wrong with itself. */
export function reports({ state, reports = [] }: Module): string[] {
  return state === "ready" || state === "degraded" ? reports : []
}

/** What a running module wrote of failures while it started. */
export function warnings({ state, warnings = [] }: Module): string[] {
  return state === "ready" || state === "degraded" ? warnings : []
}

export function isOver(job: Job): boolean {
  return job.status === "succeeded" || job.status === "failed"
}

/** The more advanced of two reports of one operation: operations never go back. */
function further(read: Job, told: Job | undefined): Job {
  const far = (job: Job) => [Number(isOver(job)), job.steps.length, job.log.length] as const
  if (!told) return read
  const [mine, other] = [far(read), far(told)]
  const at = mine.findIndex((value, place) => value !== other[place])
  return at >= 0 && mine[at]! < other[at]! ? told : read
}

/** Appends the newest lines to a log, without repeating an overlap. */
export function joined(known: readonly string[], newest: readonly string[]): string[] {
  for (let shared = Math.min(known.length, newest.length); shared > 0; shared -= 1) {
    const end = known.slice(-shared)
    if (end.every((line, at) => line === newest[at])) return [...known, ...newest.slice(shared)].slice(-LOG_KEPT)
  }
  return [...known, ...newest].slice(-LOG_KEPT)
}
