/** The shapes that the hub's API sends (modules.md 5.4 and 5.7, issue 9.1, identity.md 4). */

export type State = "stopped" | "starting" | "ready" | "degraded" | "backoff" | "parked" | "stopping" | "held"

export interface StartError {
  error_type: string
  error_description: string
  install?: { linux?: string; generic?: string; darwin?: string }
  docs_url?: string | null
}

export interface LastExit {
  code: number | null
  signal: string | null
  oom: boolean
  at: string
}

/** What the supervisor says of a module; comes with the list and by events. Times are ISO 8601. */
export interface Status {
  state?: State | null
  reason?: string | null
  since?: string | null
  restarts?: number
  next_retry_at?: string | null
  pid?: number | null
  port?: number | null
  last_exit?: LastExit | null
  supervisor_status?: string | null
  supervisor_start_error?: StartError | null
}

export interface Module extends Status {
  short: string
  package: string
  display_name: string
  tagline: string
  focus: string
  available_to_install: boolean
  installed: boolean
  installed_version: string | null
  latest_version: string | null
  upgrade_available: boolean
  install_dir: string | null
  management_url: string | null
  config_ui_url: string | null
  memory_mb: number | null
  /** Of the catalog, not a stranger's package. */
  first_party: boolean
  /** Its program is gone from the disk. */
  missing: boolean
  dependencies: { short: string; optional: boolean; known: boolean }[]
  settings: ModuleSettings
}

/** The hub's own settings of a module. */
export interface ModuleSettings {
  /** Stay at this version. */
  pin: boolean
  /** Start with the hub. */
  autostart: boolean
  memory_limit: number | null
  /** The version to go back to. */
  previous: string | null
}

export interface ModuleList {
  modules: Module[]
  supervisor_available: boolean
  module_install_channel: "latest" | "rc"
}

export interface Step {
  name: string
  /** `running`, `done`, or how the operation ended in it. */
  state: string
  seconds: number | null
  bytes: number | null
}

export interface Job {
  id: string
  kind: string
  short: string
  status: "pending" | "running" | "succeeded" | "failed"
  outcome?: string | null
  /** By an event only the newest lines. */
  log: string[]
  steps: Step[]
  undone: string[]
  error?: string | null
  error_detail?: StartError | null
  startedAt: string
  finishedAt?: string | null
}

/** Bytes throughout; null where this machine cannot tell. */
export interface Overview {
  memory: {
    limit: number | null
    used: number | null
    hub: number | null
    modules: { short: string; bytes: number }[]
  }
  disk: { total: number | null; free: number | null; owners: { name: string; kind: string; bytes: number }[] }
}

export interface Vault {
  name: string
  url: string
  mcp_url: string
  version: string
  bytes: number | null
}
