// JSON API of the fake hub: the real types with made-up data.
import type { Answers, PackageFacts, Person, ReachState } from "../src/api/shapes"
import type { Pretended } from "./state"

// The longest that the hub accepts; they must fit 320 pixels.
const LONG_NAME = "W".repeat(64)
const LONG_VAULT = "w".repeat(32)

const REACH: ReachState = {
  open: null,
  busy: false,
  doing: "",
  problem: "Your tailnet does not allow this yet. Open the link, allow it, then try again.",
  remedy: `https://login.tailscale.com/f/serve?node=${LONG_VAULT}`,
  reachable: null,
  finding: "",
}

type Answer = [status: number, body: unknown]

const now = Date.now()
const iso = (hours: number) => new Date(now - hours * 3_600_000).toISOString()

export interface Asked {
  method: string
  path: string
  body: Record<string, unknown>
  proof: string | null
}

export function answers(hub: Pretended, { method, path, body, proof }: Asked): Answer {
  const [, , noun, name, verb] = path.split("/")
  if (path === "/api/me")
    return [
      200,
      { hasSession: true, csrf: "c", two_factor_enabled: false, user: { id: "1", displayName: "sam", role: "admin" } },
    ]
  if (path === "/api/modules") return [200, hub.list()]
  if (path === "/api/modules/operations") return [200, { operations: [...hub.jobs.values()] }]
  if (path === "/api/overview") return [200, hub.overview()]
  if (path.startsWith("/api/overview/memory/")) return [200, past(path.split("/").at(-1) ?? "")]
  if (path === "/api/modules/disk") return [200, hub.overview().disk]
  if (path === "/api/modules/install") return stranger(hub, body)
  if (path.endsWith("/config/test")) {
    const ok = CONFIG.values.provider === "command"
    return [
      200,
      { ok, message: ok ? "It works." : "The transcription service refused the API key (401). Check the key." },
    ]
  }
  if (noun === "modules" && name && verb && method === "POST") return operation(hub, name, verb, body)
  if (noun === "modules" && verb === "config") {
    if (method === "PUT") CONFIG.values = { ...CONFIG.values, ...body }
    return [200, CONFIG]
  }
  if (method === "POST" && path === "/api/account/step-up")
    return body["password"] === PASSWORD
      ? [200, { proof: "p" }]
      : [401, refused("invalid_credentials", "That is not correct.")]
  if (path === "/api/auth/mint-token") return proof ? [200, MINTED] : [403, STEP_UP]
  if (method === "POST" && path === "/api/modules/disk/clear") return [200, { freed: 62 * 1024 * 1024 }]
  if (path === "/api/problems") return [200, hub.problems()]
  if (path === "/api/problems/dismiss" || path === "/api/problems/restore") {
    hub.dismiss(String(body["key"]), path.endsWith("dismiss"))
    return [200, hub.problems()]
  }
  if (path === "/api/apps/disconnect") return taken("/api/apps", "apps", "client_id", body["client_id"])
  if (path === "/api/auth/revoke-token") return taken("/api/auth/tokens", "tokens", "jti", body["jti"])
  if (method === "DELETE" && noun === "invites") return taken("/api/invites", "invites", "id", name)
  if (path === "/api/backups") return [200, hub.backups()]
  if (path.startsWith("/api/packages/")) return [200, FACTS]
  if (path.startsWith("/api/links/")) return [200, { short: path.split("/").at(-1) ?? "", link: null }]
  if (path === "/api/notices") return [200, hub.notices()]
  const fixed = FIXED[path as keyof Answers]
  return fixed ? [200, fixed] : [404, refused("not_found", "not found")]
}

const PASSWORD = "correct-horse-battery"
const STEP_UP = { error: "step_up_required", error_description: "Confirm with your password.", operation: "token.mint" }
const MINTED = { jti: "j", token: `eyJ.made.up.${"x".repeat(700)}`, expires_at: iso(-720), scope: "vault:default:read" }
const refused = (error: string, text: string) => ({ error, error_description: text })

/** Takes an entry out of a list. */
function taken(path: keyof Answers, list: string, key: string, value: unknown): Answer {
  const told = FIXED[path] as Record<string, Record<string, unknown>[]> | undefined
  if (told?.[list]) told[list] = told[list].filter((entry) => entry[key] !== value)
  return [200, {}]
}

/** Two hours of fluctuating memory use. */
function past(short: string): Answers[`/api/overview/memory/${string}`] {
  const wave = (at: number) => 18_000 + Math.round(2_000 * Math.sin(at / 7))
  return {
    short,
    recent_kib: Array.from({ length: 1800 }, (_, at) => wave(at / 30)),
    minutes_kib: Array.from({ length: 120 }, (_, at) => wave(at)),
  }
}

/** A package that is new, and then wants to run a command of its own. */
function stranger(hub: Pretended, body: Asked["body"]): Answer {
  const short = String(body["package"]).split("/").at(-1) ?? ""
  const more = { package: body["package"], chosen: { ...body, package: undefined } }
  const job = !body["allow_new"]
    ? hub.refuse(short, "It was published less than three days ago.", { error_type: "too_new", ...more })
    : body["init"] === undefined
      ? hub.refuse(short, "It wants to run a command: clock wind.", { error_type: "init_command", ...more })
      : hub.job(short, "install")
  return [202, { operation_id: job.id }]
}

function operation(hub: Pretended, short: string, verb: string, body: Asked["body"]): Answer {
  if (verb === "install" && hub.scenario === "trouble" && !body["without_optional"]) {
    const detail = { error_type: "disk_full", fits_without_optional: true, chosen: body }
    return [202, { operation_id: hub.refuse(short, "It takes about 475 MB, and 40 MB are free.", detail).id }]
  }
  if (verb === "upgrade" && hub.scenario === "trouble")
    return [202, { operation_id: hub.job(short, verb, "The new version did not answer within 60 s.").id }]
  if (["install", "upgrade", "uninstall"].includes(verb)) return [202, { operation_id: hub.job(short, verb).id }]
  if (verb === "stop") hub.set(short, { state: "stopped", reason: "You switched it off.", pid: null })
  else hub.set(short, { state: "ready", reason: "It answers." })
  return [200, { short }]
}

const FACTS: PackageFacts = {
  version: "0.4.0",
  download: 180_000,
  unpacked: 720_000,
  dependencies: 2,
  releases: ["0.4.0", "0.3.11", "0.3.10"].map((version, at) => ({ version, at: iso(24 + at * 200) })),
  changes_url: "https://github.com/example/hello/releases",
  included: false,
}

const CONFIG = {
  schema: {
    type: "object",
    "x-test": true,
    required: ["provider"],
    properties: {
      provider: {
        type: "string",
        enum: ["openai", "command"],
        "x-labels": { openai: "A service on the internet", command: "A program on this machine" },
        description: "Who turns speech into text.",
      },
      api_key: {
        type: "string",
        writeOnly: true,
        "x-group": "The service",
        "x-show-if": { provider: "openai" },
        description: "The key of your provider.",
      },
      key_set: {
        type: "boolean",
        readOnly: true,
        "x-group": "The service",
        "x-show-if": { provider: "openai" },
        title: "A key is stored",
      },
      command: { type: "string", "x-group": "The program", "x-show-if": { provider: "command" }, title: "Program" },
      time_limit: { type: "integer", default: 120, description: "Seconds that one recording may take." },
      keep_audio: { type: "boolean", description: "Keep recordings after they became text." },
    },
  },
  values: { provider: "openai", key_set: true, time_limit: 120, keep_audio: true },
  writable: true,
}

const FIXED: { [path in keyof Answers]?: Answers[path] } = {
  "/vaults": {
    vaults: ["default", "work"].map((name, at) => ({
      name,
      url: `https://hub.example.com/vault/${name}`,
      mcp_url: `https://hub.example.com/vault/${name}/mcp`,
      version: "0.3.8",
      bytes: at ? null : 84 * 1024 * 1024,
      owner: at ? null : LONG_NAME,
      quota: at ? 0 : 100 * 1024 * 1024,
      deletion: at
        ? {
            due_at: iso(-600),
            asked_at: iso(120),
            asked_by: "sam",
            whose: LONG_NAME,
            failure: "The vault did not answer.",
          }
        : null,
    })),
  },
  "/api/space": {
    free: 3_000_000_000,
    total: 10_000_000_000,
    vaults_counted: true,
    vaults: [
      {
        name: "default",
        owner: LONG_NAME,
        bytes: 84 * 1024 * 1024,
        files_bytes: 60 * 1024 * 1024,
        quota: 100 * 1024 * 1024,
      },
      { name: LONG_VAULT, owner: null, bytes: 4096, files_bytes: 0, quota: 2048 },
    ],
    people: [
      { id: "kim", name: LONG_NAME, username: "kim", vaults: ["default"], bytes: 84 * 1024 * 1024, quota: 500_000_000 },
    ],
    leftovers: [
      { what: "downloads", bytes: 62 * 1024 * 1024, since: null },
      { what: "copies", bytes: 90 * 1024 * 1024, since: iso(900) },
      { what: "logs", bytes: 0, since: null },
    ],
  },
  "/api/hub": {
    version: "0.1.0",
    started_at: iso(30),
    uptime_ms: 30 * 3_600_000,
    source: "container",
    python: "3.13.1",
  },
  "/api/auth/tokens": {
    tokens: [
      token("a1", ["vault:default:read"], "cli_mint", "Backup script on the old laptop in the kitchen"),
      token("b2", ["vault:work:read", "vault:work:write"], "cli_mint", ""),
      token("c3", ["hub:admin"], "operator_mint", ""),
    ],
    next_cursor: null,
  },
  "/api/users": {
    users: [person("sam", "admin", {}), person("kim", "member", { default: "read", [LONG_VAULT]: "write" }, LONG_NAME)],
  },
  "/api/hub/restart": { version: "0.1.0", state: "idle", problem: null, possible: true, why: null },
  "/health": { version: "0.1.0", instance: "00000000-0000-4000-8000-000000000000" },
  "/api/hub/logs/size": { megabytes: 2, sizes: [1, 2, 5, 10] },
  "/api/reach": REACH,
  "/api/reach/ways": {
    ...REACH,
    ways: ["tailscale-serve", "lan", "caddy"].map((id) => ({
      id,
      title: id === "lan" ? "At home, by a local name" : LONG_VAULT,
      text: "Your phone and this computer join your own private network. Nobody else can reach the hub.",
      audience: id === "caddy" ? "internet" : "network",
      program: "tailscale",
      get: "https://tailscale.com/download",
      fields:
        id === "lan" ? [{ name: "name", label: "Name in your network", hint: "Ends with .local", value: "x" }] : [],
      origin: "",
      commands: [],
      config: "",
      by_hand: false,
      runs_already: false,
      public: [],
      refused: id === "caddy" ? `Not every owner has a second factor: ${LONG_NAME}.` : "",
      remedy: id === "caddy" ? "/account/2fa" : "",
      wrong: "",
    })),
  },
  "/api/settings/hub-origin": {
    hub_origin: "https://hub.example.com",
    resolved_issuer: "https://hub.example.com",
    source: "settings",
    former: [{ origin: "https://notes.example.com", answers_until: "2026-12-24T18:00:00Z" }],
  },
  "/api/apps": {
    apps: [
      {
        client_id: "https://claude.ai/oauth/mcp.json",
        name: "Claude",
        domain: "claude.ai",
        same_hub: false,
        redirect_host: "claude.ai",
        vaults: ["default"],
        scopes: ["vault:default:read", "vault:default:write"],
        first_used: now / 1000 - 90_000,
        last_used: now / 1000 - 300,
        active: true,
        branches: [],
        ended: null,
      },
      {
        client_id: "dcr-6f0c2b7e-5b8a-4a43-9f4f-0e9a4a1c7a55",
        name: "Team notebook",
        domain: null,
        same_hub: false,
        redirect_host: "127.0.0.1",
        vaults: ["work"],
        scopes: ["vault:work:read"],
        first_used: now / 1000 - 900_000,
        last_used: now / 1000 - 60,
        active: true,
        branches: [
          { first_used: now / 1000 - 90_000, last_used: now / 1000 - 60, address: "192.0.2.7" },
          {
            first_used: now / 1000 - 90_000,
            last_used: now / 1000 - 7_200,
            address: "2001:db8:85a3:1f0b:a2c4:8a2e:1370:7334",
          },
        ],
        ended: null,
      },
      {
        client_id: "dcr-0a4be1c9-2f0e-4f7f-8d8b-bb3f6c5d0e11",
        name: null,
        domain: null,
        same_hub: false,
        redirect_host: "notes.example.net",
        vaults: ["default"],
        scopes: ["vault:default:read"],
        first_used: now / 1000 - 900_000,
        last_used: now / 1000 - 80_000,
        active: false,
        branches: [],
        ended: { at: now / 1000 - 80_000, why: "A token was used twice, so someone may have copied it." },
      },
    ],
  },
  "/api/oauth/clients": {
    clients: [
      { client_id: "c9", client_name: "Note taker", redirect_uris: ["http://127.0.0.1:33418/cb"], status: "pending" },
    ],
  },
  "/api/audit": {
    acts: [
      {
        number: 4,
        at: iso(0.01),
        actor: "sam",
        action: "module-install",
        subject: "no-such-package",
        outcome: "failed",
        address: "127.0.0.1",
        means: "command",
        why: "There is no package of this name.",
      },
      {
        number: 3,
        at: iso(0.02),
        actor: "sam",
        action: "sign-in",
        subject: "",
        outcome: "ok",
        address: "192.0.2.7",
        means: "session",
        why: "",
      },
      {
        number: 2,
        at: iso(0.2),
        actor: "kim",
        action: "sign-in",
        subject: "",
        outcome: "refused",
        address: "192.0.2.9",
        means: "page",
        why: "",
      },
      {
        number: 1,
        at: iso(3),
        actor: "sam",
        action: "user-created",
        subject: "kim",
        outcome: "ok",
        address: "192.0.2.7",
        means: "session",
        why: "",
      },
    ],
    next_before: null,
  },
  "/api/users/vaults": { vaults: ["default", "work"] },
  "/api/invites": {
    invites: [
      {
        id: "i1",
        status: "pending",
        name: "Jürgen 🌷",
        note: "",
        username: null,
        own_vault: true,
        vaults: { work: "read" },
        expires_at: iso(-100),
      },
    ],
  },
}

function token(jti: string, scopes: string[], via: string, name: string) {
  const dates = { created_at: iso(50), expires_at: iso(-500), revoked_at: null, last_used_at: name ? iso(2) : null }
  return {
    jti,
    name,
    user_id: "1",
    subject: "sam",
    client_id: "c",
    scopes,
    created_via: via,
    permissions: null,
    ...dates,
  }
}

function person(username: string, role: Person["role"], vaults: Person["vaults"], display_name = "") {
  const access = { vaults, assigned_vaults: Object.keys(vaults), second_factor: role === "admin", passkeys: 1 }
  return {
    id: username,
    username,
    display_name,
    role,
    password_changed: true,
    email: null,
    created_at: iso(900),
    own_vaults: role === "member" ? ["default"] : [],
    quota: 0,
    ...access,
  }
}
