/** Types of the hub's API. */
import type { Schema, Values } from "../schema"

export type State =
  | "stopped"
  | "starting"
  | "ready"
  | "degraded"
  | "backoff"
  | "parked"
  | "stopping"
  | "held"
  | "asleep"

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

/** State of a module, in the list and in events. Times are ISO 8601. */
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
  isolation?: Isolation | null
  /** What its health response says is wrong with it. */
  reports?: string[]
  /** Lines of its log that read like failures while it started. */
  warnings?: string[]
  /** The other machine, for a module that does not run on this one. */
  elsewhere?: Elsewhere | null
}

/** What was seen last of another machine. Sizes in bytes. */
export interface Elsewhere {
  address: string
  /** Paired: the hub starts and stops the module there. */
  steered: boolean
  reach: "unknown" | "online" | "not answering" | "wrong certificate" | "refused"
  why: string
  version: string | null
  memory: number | null
  disk_free: number | null
}

/** A module's link to another machine. */
export interface ModuleLink {
  address: string
  kind: "host" | "upstream"
  /** It runs there. A paired one may still run here. */
  active: boolean
  trust: "pin" | "ca" | "system" | "none"
  pin: string | null
  made_at: string
  renewed_at: string | null
}

/** Whether its process is confined; `missing` lists what the kernel cannot restrict. */
export interface Isolation {
  state: "on" | "partly" | "off"
  missing: string[]
  why: string | null
}

/** What a module may reach beyond its own data and program. */
export interface Permissions {
  network: "any" | "none" | string[]
  folders: string[]
  programs: string[]
  /** In MiB. */
  memory: number | null
}

export interface Module extends Status {
  short: string
  package: string
  display_name: string
  tagline: string
  focus: string
  /** Of the hub's own reference modules, or of the published ones, which have the same names. */
  edition: "reference" | "published"
  available_to_install: boolean
  installed: boolean
  installed_version: string | null
  latest_version: string | null
  upgrade_available: boolean
  install_dir: string | null
  management_url: string | null
  config_ui_url: string | null
  /** Its picture, once that was seen to answer. */
  icon_url: string | null
  /** It installs packages itself. */
  fetches_packages: boolean
  /** Apps that it serves. */
  uis: { name: string; display_name: string; status: string | null }[]
  /** How many vaults it holds; null for every other module. */
  vaults: number | null
  /** Its settings page needs a token, which opening it from here allows. */
  settings_token: boolean
  memory_mb: number | null
  /** What it may use, and what it might if nothing was set: bytes, and percent of a processor. Null: no limit. */
  limits: { memory: number | null; cpu: number | null; usual_memory: number | null; usual_cpu: number | null }
  /** Listed in the catalog. */
  first_party: boolean
  /** How its port differs from the registered one; `heal-port` fixes it. */
  port_drift: "elsewhere" | "squatted" | "row" | null
  /** In services.json, and not installed by this hub: it runs once it is adopted. */
  found?: { package: string; folder: string | null } | null
  /** Its package is missing from the disk. */
  missing: boolean
  /** When its data was last copied before an update. The copy can be restored. */
  data_copy_at: string | null
  dependencies: { short: string; optional: boolean; known: boolean }[]
  /** What its author says about sleep. */
  idle?: { minutes: number | null; wake_for: string[] } | null
  permissions: Permissions
  settings: ModuleSettings
}

/** Settings that the hub keeps for a module. */
export interface ModuleSettings {
  /** "off" when the owner or its first start decided to run it unconfined. */
  isolation?: "on" | "off" | null
  /** Paths outside the hub's home that the owner has opened to it. */
  may_read?: string[]
  may_change?: string[]
  /** Keep this version. */
  pin: boolean
  updates: "tell" | "night" | "pin"
  /** Start with the hub. */
  autostart: boolean
  /** It gets the hub's registry credentials. */
  registry_keys: boolean
  /** 0: no limit; null: as usual. */
  memory_limit: number | null
  cpu_limit: number | null
  sleep_after: number | null
  /** The version to go back to. */
  previous: string | null
}

/** What is known of a module on offer. In bytes, without dependencies; null when unknown. */
export interface PackageFacts {
  version: string
  download: number | null
  unpacked: number | null
  dependencies: number
  releases: { version: string; at: string }[]
  changes_url: string | null
  /** It came with the hub: nothing is downloaded. */
  included: boolean
}

export interface ModuleList {
  modules: Module[]
  /** How this machine keeps a new module to what it may do. */
  isolation?: Isolation
  supervisor_available: boolean
  module_install_channel: "latest" | "rc"
  /** Set by the environment, so it cannot be changed here. */
  module_install_channel_fixed: boolean
}

export interface Step {
  name: string
  /** `running`, `done`, or how it ended: `failed`, `cancelled`, `interrupted`. */
  state: string
  startedAt: string
  seconds: number | null
  bytes: number | null
  /** With it, `bytes` of `total` are done. */
  total: number | null
}

export interface Job {
  id: string
  kind: string
  short: string
  status: "pending" | "running" | "succeeded" | "failed"
  outcome?: string | null
  /** In events, only the newest lines. */
  log: string[]
  steps: Step[]
  undone: string[]
  /** False when it is over, or when only cleaning up is left. */
  cancellable: boolean
  error?: string | null
  error_detail?: (Partial<StartError> & Record<string, unknown>) | null
  startedAt: string
  finishedAt?: string | null
}

/** KiB, oldest first: the last hour every two seconds, the last day as the peak of each minute. */
export interface MemoryPast {
  short: string
  recent_kib: number[]
  minutes_kib: number[]
}

/** In bytes; null when unknown. */
export interface Overview {
  memory: {
    limit: number | null
    used: number | null
    hub: number | null
    modules: { short: string; bytes: number }[]
  }
  /** Shares of one processor: 0.5 is half of it. */
  processor: { modules: { short: string; share: number }[] }
  disk: { total: number | null; free: number | null; owners: { name: string; kind: string; bytes: number }[] }
}

export interface Vault {
  name: string
  url: string
  mcp_url: string
  version: string
  bytes: number | null
  /** The name of the person whose vault it is. */
  owner: string | null
  /** In bytes; 0 for no limit. */
  quota: number
  deletion: Deletion | null
}

/** A vault that will be deleted. `failure` says why the last try failed. */
export interface Deletion {
  due_at: string
  asked_at: string
  asked_by: string
  whose: string | null
  failure: string | null
}

export interface Token {
  jti: string
  /** What its maker called it. */
  name: string
  user_id: string | null
  subject: string | null
  client_id: string
  scopes: string[]
  created_at: string
  expires_at: string
  revoked_at: string | null
  created_via: string
  last_used_at: string | null
}

export interface Minted {
  /** Added by the page. */
  name?: string
  token: string
  expires_at: string
  scope: string
}

export interface Made {
  name: string
  token?: string
}

export interface Act {
  number: number
  at: string
  actor: string
  action: string
  subject: string
  outcome: string
  address: string
  /** session, token, command, page or hub. */
  means: string
  why: string
}

export interface Page {
  acts: Act[]
  next_before: number | null
}

export type Role = "read" | "write"

export interface Person {
  id: string
  username: string
  display_name: string
  role: "admin" | "member"
  password_changed: boolean
  second_factor: boolean
  passkeys: number
  vaults: Record<string, Role>
  own_vaults: string[]
  /** Bytes that their own vaults may take together; 0 for no limit. */
  quota: number
  created_at: string
}

export interface Invite {
  id: string
  status: "pending" | "redeemed" | "expired" | "revoked"
  name: string
  note: string
  username: string | null
  own_vault: boolean
  vaults: Record<string, Role>
  expires_at: string
}

export interface App {
  client_id: string
  name: string | null
  /** Verified, unlike the name, which the app chose. */
  domain: string | null
  same_hub: boolean
  redirect_host: string | null
  vaults: string[]
  scopes: string[]
  first_used: number | string | null
  last_used: number | string | null
  active: boolean
  /** Its processes, each with its own tokens, last used first. */
  branches: { first_used: number; last_used: number; address: string }[]
  /** When and why the hub itself ended its latest connection. */
  ended: { at: number; why: string } | null
}

export interface Client {
  client_id: string
  client_name: string | null
  redirect_uris: string[]
  status: string
}

/** Which way from other devices is open, and what is happening to it. */
export interface ReachState {
  open: {
    way: string
    title: string
    audience: string
    stage: "opening" | "open" | "closing"
    origin: string
    since: string
    fingerprint: string | null
  } | null
  busy: boolean
  doing: string
  problem: string
  remedy: string
  reachable: boolean | null
  finding: string
}

/** One way, and what it would do on this machine. */
export interface ReachWay {
  id: string
  title: string
  text: string
  audience: string
  program: string
  get: string
  fields: { name: string; label: string; hint: string; value: string }[]
  origin: string
  commands: string[]
  config: string
  by_hand: boolean
  runs_already: boolean
  public: string[]
  refused: string
  remedy: string
  wrong: string
}

/** A link that a phone opens. */
export interface PhoneLink {
  id: string
  url: string
  qr_data_url: string
  expires_in: number
  interval: number
}

export interface PhoneLinkState {
  state: "waiting" | "opened" | "allowed" | "refused"
  number: string
  device: string
  address: string
}

export interface Origin {
  hub_origin: string | null
  resolved_issuer: string
  source: string
  /** Addresses that were given up, and until when the hub answers there. */
  former: { origin: string; answers_until: string }[]
}

/** What a change of the address would mean. */
export interface AddressPlan {
  from: string
  to: string
  from_answers_until: string | null
  unreachable: string | null
  renew: { apps: string[]; invitations: number }
  /** Whose passkeys belong to the present address. */
  passkeys: { person: { id: string; name: string }; passkeys: string[]; all: boolean; locked_out: boolean }[]
}

/** What each log may take, in megabytes. */
export interface LogSize {
  megabytes: number
  sizes: number[]
}

/** What takes room. A quota of 0 is no limit. */
export interface Space {
  free: number
  total: number
  /** False if the vaults are on another machine that does not tell how large they are. */
  vaults_counted: boolean
  vaults: SpaceOfVault[]
  people: SpaceOfPerson[]
  leftovers: Leftover[]
}

export interface SpaceOfVault {
  name: string
  owner: string | null
  bytes: number
  files_bytes: number
  quota: number
}

export interface SpaceOfPerson {
  id: string
  name: string
  username: string
  vaults: string[]
  bytes: number
  quota: number
}

/** Something that can be cleared. `since` is the time of its oldest part. */
export interface Leftover {
  what: string
  bytes: number
  since: string | null
}

export interface Room {
  total: number
  free: number
  owners: { name: string; kind: string; bytes: number }[]
}

export interface HubFacts {
  version: string
  started_at: string
  uptime_ms: number
  source: string
  [fact: string]: string | number
}

/** The version that runs, and whether the installed one may take over now. */
export interface Restart {
  version: string
  state: string
  problem: string | null
  possible: boolean
  why: string | null
}

export interface Health {
  version: string
  instance: string
}

export interface Me {
  hasSession: boolean
  csrf?: string
  two_factor_enabled?: boolean
  /** How many passkeys work at this address. */
  passkeys?: number
  user?: { id: string; displayName: string; role: "admin" | "member" }
  password_change_required?: boolean
}

export interface Config {
  schema: Schema
  values: Values
  writable: boolean
}

/** One backup at one destination. Times are in Unix seconds. */
export interface BackupCopy {
  name: string
  madeAt: number
  seconds: number
  /** Of its content, in bytes. */
  size: number
  /** What it takes at the destination, in bytes. */
  stored: number
  files: number
  /** When it was last read back; null until then. */
  verifiedAt: number | null
  /** When it was last decrypted and every file in it checked. */
  decryptedAt: number | null
  warnings: string[]
}

export interface BackupPlace {
  id: string
  kind: "folder" | "s3"
  label: string
  path: string
  endpoint: string
  bucket: string
  /** Why the last backup to it failed. */
  error: string | null
  /** When a backup from it was last unpacked completely, to try it out. */
  unpackedAt: number | null
  /** Newest first. */
  backups: BackupCopy[]
}

export interface BackupKey {
  madeAt: number
  confirmedAt: number | null
  /** False when only the recovery sheet has it. */
  kept: boolean
}

export interface BackupSchedule {
  /** 0 to 23, UTC. */
  hour: number
  daily: boolean
  /** The modules' programs go along. */
  programs: boolean
}

export interface Backups {
  places: BackupPlace[]
  key: BackupKey | null
  schedule: BackupSchedule
  problems: { key: string; text: string }[]
}

/** Where notices go. Its address is never shown. */
export interface NoticeDestination {
  id: string
  kind: "ntfy" | "webhook" | "email" | "push" | "apprise" | "ping"
  label: string
  private: boolean
  addedAt: number
  sentAt: number | null
  error: string | null
}

export interface NoticeSettings {
  destinations: NoticeDestination[]
  least: "error" | "warning" | "info"
  quiet: { from: string; to: string; zone: string } | null
}

/** One way out of a problem: words, a page, or a request. */
export interface Fix {
  label: string
  page: string | null
  request: { method: "POST" | "PUT" | "DELETE"; path: string; body: Record<string, unknown> | null } | null
}

export interface Problem {
  key: string
  severity: "error" | "warning" | "info"
  title: string
  text: string
  /** What somebody else said about it. */
  detail: string
  /** How it goes away. */
  clears: string
  fixes: Fix[]
  since: string
  dismissed: boolean
}

export interface Problems {
  problems: Problem[]
  /** False until every check has looked once. */
  complete: boolean
}

/** Response of GET, by path. A test checks it against a running hub. */
export interface Answers {
  "/api/me": Me
  "/api/modules": ModuleList
  "/api/modules/operations": { operations: Job[] }
  "/api/modules/disk": Room
  [config: `/api/modules/${string}/config`]: Config
  "/api/overview": Overview
  [facts: `/api/packages/${string}`]: PackageFacts
  [memory: `/api/overview/memory/${string}`]: MemoryPast
  "/health": Health
  [link: `/api/links/${string}`]: { short: string; link: ModuleLink | null }
  "/api/hub": HubFacts
  "/api/hub/restart": Restart
  "/api/users": { users: Person[] }
  "/api/users/vaults": { vaults: string[] }
  "/api/invites": { invites: Invite[] }
  "/api/apps": { apps: App[] }
  "/api/oauth/clients": { clients: Client[] }
  "/api/auth/tokens": { tokens: Token[]; next_cursor: string | null }
  "/api/settings/hub-origin": Origin
  "/api/reach": ReachState
  "/api/reach/ways": ReachState & { ways: ReachWay[] }
  "/api/hub/logs/size": LogSize
  "/api/audit": Page
  "/api/backups": Backups
  "/api/notices": NoticeSettings
  "/api/notices/key": { key: string }
  "/api/problems": Problems
  "/api/space": Space
  "/vaults": { vaults: Vault[] }
}

/** A path, with or without a query string. */
export type Path = keyof Answers | `${keyof Answers}?${string}`
export type AnswerTo<P extends Path> = P extends keyof Answers
  ? Answers[P]
  : P extends `${infer Bare extends keyof Answers}?${string}`
    ? Answers[Bare]
    : never
