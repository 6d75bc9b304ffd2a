// State of a fake hub for developing the pages.
import type {
  Backups,
  Fix,
  Job,
  Module,
  ModuleSettings,
  NoticeSettings,
  Overview,
  Problem,
  Problems,
  State,
} from "../src/api/shapes"

const MB = 1024 * 1024
const HOUR = 3_600_000

export type Scenario = "fresh" | "well" | "trouble"

const CATALOG: [string, string, string, number][] = [
  ["vault", "Vault", "Keeps your notes, and answers for them to apps such as Claude.", 60],
  ["notes", "Notes", "A place to write, on every device.", 32],
  ["scribe", "Scribe", "Turns speech into text.", 55],
  ["hello", "Hello", "Says hello: the smallest module there is.", 30],
]
const STEP_MS = 350
const STEPS = ["check", "fetch", "verify", "switch", "start", "prove"]
const INSTALLED = ["vault", "notes", "scribe"]

/** All that a module may ask for, and paths that are as long as real ones. */
const REACHING: Partial<Module> = {
  isolation: { state: "partly", missing: ["connections to other modules", "what it may run"], why: null },
  permissions: {
    network: ["api.speech-provider.example.com", "api.openai.com", "huggingface.co"],
    folders: ["/media/recordings-of-the-last-ten-years/voice-memos-from-phones"],
    programs: ["ffmpeg", "whisper-cli"],
    memory: 2048,
  },
}
const OPENED: Partial<ModuleSettings> = {
  may_read: ["/opt/speech/models/large-v3-turbo-quantized-for-small-machines.bin"],
  may_change: ["/srv/recordings/incoming-from-the-telephone-of-the-office"],
}

/** What a module that runs says of itself. */
const UNWELL: Partial<Module> = {
  reports: ["dependencies: missing bwrap, rg, socat, claude"],
  warnings: ["[app] bootstrap: could not install @openparachute/notes-ui (fetch_failed)"],
}

function problem(
  key: string,
  severity: Problem["severity"],
  title: string,
  text: string,
  more: Partial<Problem>,
): Problem {
  const clears = "It goes away by itself once that is so."
  return {
    key,
    severity,
    title,
    text,
    detail: "",
    clears,
    fixes: [],
    since: "2026-01-02T12:00:00Z",
    dismissed: false,
    ...more,
  }
}

const page = (label: string, path: string): Fix => ({ label, page: path, request: null })
const click = (label: string, path: string): Fix => ({
  label,
  page: null,
  request: { method: "POST", path, body: null },
})

const TROUBLE: readonly Problem[] = [
  problem("module-state:scribe", "error", "Scribe keeps crashing", "It stopped and will not restart by itself.", {
    detail: "ffmpeg is not installed. Install it, then start Scribe again.",
    fixes: [click("Start again", "/api/modules/scribe/start"), page("Details", "/admin/modules/scribe")],
  }),
  problem("disk-space", "error", "The disk is almost full", "40 MB of 1.0 GB are left.", {
    fixes: [
      page("Show disk use", "/admin/settings"),
      { label: "Delete what you do not need, or enlarge the disk.", page: null, request: null },
    ],
  }),
  problem("module-reports:notes", "error", "Notes reports a problem", "It runs, but a part of it does not work.", {
    detail: "dependencies: missing bwrap, rg, socat, claude.",
    fixes: [page("Show the log", "/admin/modules/notes")],
  }),
  problem("update:notes", "info", "Update for Notes", "Version 0.4.0 is out; you have 0.3.8.", {
    fixes: [click("Update", "/api/modules/notes/upgrade"), page("Details", "/admin/modules/notes")],
  }),
]

const iso = (at: number) => new Date(at).toISOString()

function module([short, name, tagline, memory]: [string, string, string, number], scenario: Scenario): Module {
  const installed = scenario !== "fresh" && INSTALLED.includes(short)
  const parked = scenario === "trouble" && short === "scribe"
  const state: State = parked ? "parked" : scenario === "trouble" && short === "vault" ? "backoff" : "ready"
  return {
    short,
    package: `@openparachute/${short}`,
    display_name: name,
    tagline,
    focus: "core",
    available: true,
    edition: "published",
    available_to_install: true,
    installed,
    installed_version: installed ? "0.3.8" : null,
    latest_version: short === "notes" ? "0.4.0" : "0.3.8",
    upgrade_available: installed && short === "notes",
    install_dir: installed ? `/parachute/modules/node_modules/@openparachute/${short}` : null,
    management_url: installed && short !== "vault" ? `/${short}` : null,
    config_ui_url: null,
    icon_url: installed && short === "notes" ? "/admin/icon.svg" : null,
    settings_token: false,
    vaults: null,
    fetches_packages: false,
    uis: [],
    memory_mb: memory,
    limits: { memory: null, cpu: null, usual_memory: null, usual_cpu: null },
    first_party: true,
    port_drift: null,
    data_copy_at: short === "notes" ? iso(Date.now() - 30 * HOUR) : null,
    missing: false,
    isolation: installed ? { state: "on", missing: [], why: null } : null,
    permissions: { network: short === "notes" ? "none" : "any", folders: [], programs: [], memory: null },
    ...(scenario === "trouble" && short === "notes" ? UNWELL : { reports: [], warnings: [] }),
    ...(parked ? REACHING : {}),
    dependencies:
      short === "notes"
        ? [
            { short: "vault", optional: false, known: true },
            { short: "hello", optional: true, known: true },
          ]
        : [],
    settings: {
      pin: false,
      updates: "tell",
      autostart: true,
      registry_keys: false,
      memory_limit: null,
      cpu_limit: null,
      sleep_after: null,
      previous: short === "notes" ? "0.3.7" : null,
      ...(parked ? OPENED : {}),
    },
    pid: installed && !parked ? 4000 + short.length : null,
    port: installed ? 1940 : null,
    state: installed ? state : null,
    reason: parked
      ? "It crashed 5 times in 2 minutes: ffmpeg is not installed. The hub tries again every 5 minutes."
      : state === "backoff"
        ? "It ended with exit code 1; the hub starts it again in 4 s."
        : installed
          ? "It answers."
          : null,
    since: iso(Date.now() - 3 * HOUR),
    restarts: parked ? 5 : 0,
    last_exit: parked ? { code: 1, signal: null, oom: false, at: iso(Date.now() - 60_000) } : null,
  } as Module
}

export class Pretended {
  modules: Module[]
  jobs = new Map<string, Job>()
  #sent: { id: number; text: string }[] = []
  #count = 0
  #listeners = new Set<(text: string) => void>()

  readonly #dismissed = new Set<string>()
  #waiting: (() => void)[] = []

  /** While it is `held`, no operation gets past its last step. */
  constructor(
    readonly scenario: Scenario,
    private held = false,
  ) {
    this.modules = CATALOG.map((entry) => module(entry, scenario))
  }

  list() {
    return {
      modules: this.modules,
      supervised: [],
      supervisor_available: true,
      module_install_channel: "latest",
      module_install_channel_fixed: this.scenario === "trouble",
    }
  }

  problems(): Problems {
    const told = this.scenario === "trouble" ? TROUBLE.filter(({ key }) => this.#stands(key)) : []
    const problems = told.map((one) => ({ ...one, dismissed: this.#dismissed.has(one.key) }))
    return { problems, complete: true }
  }

  dismiss(key: string, dismissed: boolean): void {
    if (dismissed) this.#dismissed.add(key)
    else this.#dismissed.delete(key)
  }

  /** Scribe's problem is over once somebody has started it. */
  #stands(key: string): boolean {
    return (
      key !== "module-state:scribe" || this.modules.some(({ short, state }) => short === "scribe" && state === "parked")
    )
  }

  backups(): Backups {
    const schedule = { hour: 3, daily: true, programs: false }
    if (this.scenario === "fresh") return { places: [], key: null, schedule, problems: [] }
    const made = Date.now() / 1000 - 30 * 3600
    const error = "The folder /mnt/disk is not there. Is the disk connected?"
    const trouble = this.scenario === "trouble"
    const copies = Array.from({ length: 9 }, (_, day) => ({
      name: `parachute-1c2d3e4f-${day}.tar.zst.age`,
      madeAt: made - day * 86_400,
      seconds: 12.4 + day,
      size: 91 * MB,
      stored: (34 - day) * MB,
      files: 1240 - day,
      verifiedAt: day === 1 && trouble ? null : made - day * 86_400 + 20,
      decryptedAt: day === 1 && trouble ? null : made - day * 86_400 + 20,
      warnings: day === 1 ? ["vault/audio/long-recording.webm changed while it was read."] : [],
    }))
    return {
      places: [
        {
          id: "p1",
          kind: "folder",
          label: "/mnt/disk",
          path: "/mnt/disk",
          endpoint: "",
          bucket: "",
          error: trouble ? error : null,
          unpackedAt: made - 3 * 86_400,
          backups: copies,
        },
        {
          id: "p2",
          kind: "s3",
          label: "notes at s3.eu-central-1.amazonaws.com",
          path: "",
          endpoint: "https://s3.eu-central-1.amazonaws.com",
          bucket: "notes",
          error: null,
          unpackedAt: null,
          backups: [],
        },
      ],
      key: { madeAt: made - 900_000, confirmedAt: made - 899_000, kept: true },
      schedule,
      problems: trouble ? [{ key: "backup-failed-p1", text: `The last backup to /mnt/disk failed. ${error}` }] : [],
    }
  }

  notices(): NoticeSettings {
    const error = this.scenario === "trouble" ? "ntfy.sh answered 500." : null
    const place = { private: false, addedAt: 0, sentAt: Date.now() / 1000 - 7200 }
    return {
      destinations: [
        { id: "d1", kind: "push", label: "Firefox on Android", error: null, ...place },
        { id: "d2", kind: "ntfy", label: "ntfy at ntfy.sh", error, ...place },
      ],
      least: "warning",
      quiet: { from: "22:00", to: "07:00", zone: "Europe/Berlin" },
    } as NoticeSettings
  }

  overview(): Overview {
    const used = this.modules.filter((one) => one.installed)
    const tight = this.scenario === "trouble"
    return {
      processor: { modules: [{ short: "vault", share: 0.02 }] },
      memory: {
        limit: this.scenario === "fresh" ? null : 512 * MB,
        used: (tight ? 489 : 236) * MB,
        hub: 66 * MB,
        modules: used.map(({ short, memory_mb }) => ({ short, bytes: (memory_mb ?? 40) * MB })),
      },
      disk: {
        total: 1024 * MB,
        free: (tight ? 40 : 610) * MB,
        owners: [
          { name: "vault", kind: "data", bytes: 84 * MB },
          { name: "vault", kind: "module", bytes: 131 * MB },
          { name: "bun", kind: "cache", bytes: 62 * MB },
        ],
      },
    } as Overview
  }

  listen(from: number, send: (text: string) => void): () => void {
    for (const { id, text } of this.#sent) if (id > from) send(text)
    this.#listeners.add(send)
    return () => this.#listeners.delete(send)
  }

  emit(name: string, data: unknown): void {
    this.#count += 1
    const text = `id: ${this.#count}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`
    this.#sent = [...this.#sent.slice(-100), { id: this.#count, text }]
    for (const send of this.#listeners) send(text)
  }

  set(short: string, change: Partial<Module>): void {
    this.modules = this.modules.map((one) => (one.short === short ? { ...one, ...change } : one))
    this.emit("module", { short, status: change })
  }

  letGo(): void {
    this.held = false
    for (const end of this.#waiting.splice(0)) end()
  }

  /** Runs the steps of an operation on a timer. */
  job(short: string, kind: string, error?: string): Job {
    const job: Job = {
      id: crypto.randomUUID(),
      kind,
      short,
      status: "running",
      log: [`${kind} ${short}`],
      steps: [{ name: "check", state: "running", startedAt: iso(Date.now()), seconds: null, bytes: null, total: null }],
      undone: [],
      cancellable: true,
      startedAt: iso(Date.now()),
    }
    this.jobs.set(job.id, job)
    this.emit("job", { job })
    this.#step(job, 0, error)
    return job
  }

  /** An installation that ended with a reason. */
  refuse(short: string, error: string, error_detail: object): Job {
    const at = iso(Date.now())
    const ended = { status: "failed", outcome: "failed", cancellable: false, startedAt: at, finishedAt: at } as const
    const job = { id: crypto.randomUUID(), kind: "install", short, log: [], steps: [], undone: [], ...ended } as Job
    this.jobs.set(job.id, { ...job, error, error_detail: error_detail as NonNullable<Job["error_detail"]> })
    return job
  }

  /** With `error` it fails at the end. */
  #step(job: Job, place: number, error?: string): void {
    const over = place >= STEPS.length
    const steps = STEPS.slice(0, place + 1).map((name, at) => ({
      name,
      state: at < place ? "done" : "running",
      startedAt: job.startedAt,
      seconds: at < place ? STEP_MS / 1000 : null,
      bytes: name === "fetch" && at < place ? 2_400_000 : null,
      total: null,
    }))
    const next: Job = {
      ...job,
      steps,
      log: [...job.log, over ? "all done" : `bun: ${STEPS[place]} …`],
      status: over ? (error ? "failed" : "succeeded") : "running",
      cancellable: !over,
      ...(over && error ? { error, outcome: "failed" as const } : {}),
      ...(over ? { finishedAt: iso(Date.now()) } : {}),
    }
    this.jobs.set(job.id, next)
    if (over && !error) {
      const installed = job.kind !== "uninstall"
      this.set(job.short, {
        installed,
        installed_version: installed ? "0.4.0" : null,
        upgrade_available: false,
        state: installed ? "ready" : null,
        management_url: installed ? `/${job.short}` : null,
      })
    }
    this.emit("job", { job: next })
    if (over) return
    const goOn = () => this.#step(next, place + 1, error)
    if (this.held && place + 1 === STEPS.length) this.#waiting.push(goOn)
    else setTimeout(goOn, STEP_MS)
  }
}
