// The pretended hub's JSON API: the shapes of the real one, with made-up contents.
import type { Pretended } from "./state"

type Answer = [status: number, body: unknown]

const now = Date.now()
const iso = (hours: number) => new Date(now - hours * 3_600_000).toISOString()

export function answers(hub: Pretended, method: string, path: string, body: Record<string, unknown>): Answer {
  const [, , noun, name, verb] = path.split("/")
  if (path === "/api/me")
    return [200, { hasSession: true, csrf: "c", two_factor_enabled: false, user: { id: "1", displayName: "sam" } }]
  if (path === "/api/modules") return [200, hub.list()]
  if (path === "/api/modules/operations") return [200, { operations: [...hub.jobs.values()] }]
  if (path === "/api/overview") return [200, hub.overview()]
  if (noun === "modules" && name && verb && method === "POST") return operation(hub, name, verb)
  if (noun === "modules" && verb === "config") return [200, CONFIG]
  if (method === "POST" && path === "/api/account/step-up")
    return body["password"] === "right" ? [200, { proof: "p" }] : [401, refused("invalid_credentials", "That is not it.")]
  const fixed = FIXED[path]
  return fixed ? [200, fixed] : [404, refused("not_found", "not found")]
}

const refused = (error: string, text: string) => ({ error, error_description: text })

function operation(hub: Pretended, short: string, verb: string): Answer {
  if (["install", "upgrade", "uninstall"].includes(verb)) return [202, { operation_id: hub.job(short, verb).id }]
  if (verb === "stop") hub.set(short, { state: "stopped", reason: "You switched it off.", pid: null })
  else hub.set(short, { state: "ready", reason: "It answers." })
  return [200, { short }]
}

const CONFIG = {
  schema: {
    type: "object",
    required: ["provider"],
    properties: {
      provider: { type: "string", enum: ["openai", "command"], description: "Who turns speech into text." },
      api_key: { type: "string", writeOnly: true, description: "The key of your provider." },
      time_limit: { type: "integer", default: 120, description: "Seconds that one recording may take." },
      keep_audio: { type: "boolean", description: "Keep recordings after they became text." },
    },
  },
  values: { provider: "openai", time_limit: 120, keep_audio: true },
}

const FIXED: Record<string, unknown> = {}
void iso
