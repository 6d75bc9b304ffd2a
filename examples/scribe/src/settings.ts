// What a person can set: <home>/scribe/config.json, over the environment, over defaults.

import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { writeAtomically } from "./kit/files.ts"
import { asObject, Refused } from "./kit/http.ts"
import { commandOf, findWhisper } from "./whisper.ts"

/** JSON Schema draft-07; the hub makes a form of it. */
export const SCHEMA = {
  $schema: "http://json-schema.org/draft-07/schema#",
  type: "object",
  title: "Scribe",
  description: "How speech is turned into text.",
  additionalProperties: false,
  "x-test": true,
  properties: {
    provider: {
      type: "string",
      enum: ["openai", "command"],
      default: "openai",
      title: "Speech becomes text",
      "x-labels": { openai: "With a service on the internet", command: "With a program on this machine" },
      description: "A service needs a key and hears the recordings. A program keeps them here.",
    },
    openai_key: {
      type: "string",
      "x-group": "The service",
      "x-show-if": { provider: "openai" },
      title: "API key",
      description: "Key of the service. Leave empty to keep the stored key.",
      writeOnly: true,
    },
    openai_url: {
      type: "string",
      "x-group": "The service",
      "x-show-if": { provider: "openai" },
      format: "uri",
      default: "https://api.openai.com/v1",
      title: "Service address",
      description: "Any service with OpenAI's /audio/transcriptions API.",
    },
    openai_model: {
      type: "string",
      "x-group": "The service",
      "x-show-if": { provider: "openai" },
      default: "whisper-1",
      title: "Model",
    },
    command: {
      type: "string",
      "x-group": "The program",
      "x-show-if": { provider: "command" },
      default: "",
      title: "Program",
      description:
        "With arguments, for example: whisper-cli -nt -f {file}. {file} is replaced by the recording; the program " +
        'prints the text. A JSON list such as ["my program", "{file}"] allows spaces.',
    },
    command_seconds: {
      type: "integer",
      "x-group": "The program",
      "x-show-if": { provider: "command" },
      minimum: 1,
      maximum: 3600,
      default: 300,
      title: "Time limit in seconds",
    },
    openai_key_set: {
      type: "boolean",
      "x-group": "The service",
      "x-show-if": { provider: "openai" },
      title: "A key is stored",
      readOnly: true,
    },
  },
} as const

export interface Values {
  provider: "openai" | "command"
  openai_key: string
  openai_url: string
  openai_model: string
  command: string
  command_seconds: number
}

type Fault = { path: string; message: string }
type Stored = Partial<Values> & { auth?: { required_token?: string } }

export class Settings {
  readonly #path: string
  readonly #env: Record<string, string | undefined>
  /** Where models of whisper.cpp are looked for. */
  readonly #models: string

  constructor(path: string, env: Record<string, string | undefined>) {
    this.#path = path
    this.#env = env
    this.#models = join(dirname(path), "models")
  }

  /** Why nothing can be turned into text yet, and what to do; undefined when it can be tried. */
  missing(): string | undefined {
    const values = this.values()
    const lacks = values.provider === "command" ? words(values.command).length === 0 : lacksKey(values)
    if (!lacks) return undefined
    const whisper = findWhisper(this.#models, this.#env.PATH)
    const program = whisper
      ? `whisper.cpp is on this machine and needs a model: put one (ggml-base.bin, for example) into ${this.#models}, ` +
        "or enter the API key of a transcription service"
      : "it needs the API key of a transcription service, or a program on this machine such as whisper.cpp"
    return `Scribe cannot turn speech into text yet: ${program}. Set it on the hub under Modules, Scribe, Configure.`
  }

  /** What holds now. Read from the disk each time, so that an edited file works at once. */
  values(): Values {
    const stored = this.#read()
    const pick = <T>(value: T | undefined, name: string, otherwise: T) =>
      value ?? ((this.#env[name] || undefined) as T | undefined) ?? otherwise
    const defaults = SCHEMA.properties
    // Without a key, a whisper.cpp that is there is used without asking.
    const keyless = !stored.openai_key && !this.#env.OPENAI_API_KEY && !stored.openai_url && !this.#env.OPENAI_BASE_URL
    const found = keyless && !stored.command ? commandOf(findWhisper(this.#models, this.#env.PATH)) : ""
    return {
      provider: pick(stored.provider, "TRANSCRIBE_PROVIDER", found ? "command" : defaults.provider.default),
      openai_key: pick(stored.openai_key, "OPENAI_API_KEY", ""),
      openai_url: pick(stored.openai_url, "OPENAI_BASE_URL", defaults.openai_url.default),
      openai_model: pick(stored.openai_model, "OPENAI_MODEL", defaults.openai_model.default),
      command: pick(stored.command, "TRANSCRIBE_COMMAND", found),
      command_seconds: stored.command_seconds ?? defaults.command_seconds.default,
    }
  }

  /** The same without secrets, as GET /.parachute/config shows it. */
  shown(): object {
    const { openai_key, ...open } = this.values()
    return { ...open, openai_key_set: openai_key !== "" }
  }

  /** Stores a form: what is left out returns to its default, but a secret left out or empty is kept. */
  replace(form: unknown): void {
    const fields = asObject(form, "The configuration")
    const faults = check(fields)
    if (faults.length > 0) {
      const message = `Not saved: ${faults.map((fault) => fault.message).join(" ")}`
      throw new Refused(400, { error: "validation_failed", message, errors: faults })
    }
    const stored = this.#read() as Record<string, unknown>
    for (const name of Object.keys(SCHEMA.properties)) {
      if (name === "openai_key" && !fields.openai_key) continue
      if (name === "openai_key_set" || fields[name] === undefined) delete stored[name]
      else stored[name] = fields[name]
    }
    writeAtomically(this.#path, `${JSON.stringify(stored, null, 2)}\n`)
  }

  /** The secret that callers other than the hub's users must know; empty when none is set. */
  requiredToken(): string {
    return this.#env.SCRIBE_AUTH_TOKEN || this.#read().auth?.required_token || ""
  }

  #read(): Stored {
    if (!existsSync(this.#path)) return {}
    try {
      return asObject(JSON.parse(readFileSync(this.#path, "utf8")), this.#path)
    } catch {
      const message = `${this.#path} is not a JSON object. Correct it, or remove it and configure scribe again.`
      throw new Refused(500, { error: "configuration_damaged", message })
    }
  }
}

/** A service elsewhere may work without a key; OpenAI's own does not. */
function lacksKey(values: Values): boolean {
  return !values.openai_key && /^https:\/\/[^/]*openai\.com(\/|$)/.test(values.openai_url)
}

/** The words of a command: a JSON list of texts, or parted by spaces. Empty when there is none. */
export function words(command: string): string[] {
  if (!command.trimStart().startsWith("[")) return command.split(/\s+/).filter(Boolean)
  try {
    const list: unknown = JSON.parse(command)
    return Array.isArray(list) && list.every((word) => typeof word === "string") ? list : []
  } catch {
    return []
  }
}

function check(fields: Record<string, unknown>): Fault[] {
  const faults: Fault[] = []
  for (const [name, value] of Object.entries(fields)) {
    const rule = Object.entries(SCHEMA.properties).find(([known]) => known === name)?.[1]
    const fault = rule ? faultOf(name, value, rule) : "is not known here."
    if (fault) faults.push({ path: name, message: `${name} ${fault}` })
  }
  if (fields.provider === "command" && !fields.command) {
    faults.push({ path: "command", message: "command must name the program." })
  }
  return faults
}

interface Rule {
  readonly type: string
  readonly readOnly?: boolean
  readonly minimum?: number
  readonly maximum?: number
  readonly enum?: readonly string[]
  readonly format?: string
}

function faultOf(name: string, value: unknown, rule: Rule): string | undefined {
  if (rule.readOnly) return undefined // A form may send back what it was shown.
  if (rule.type === "integer") {
    const { minimum = -Infinity, maximum = Infinity } = rule
    const fits = Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum
    return fits ? undefined : `must be a whole number from ${minimum} to ${maximum}.`
  }
  if (typeof value !== "string") return "must be text."
  if (rule.enum && !rule.enum.includes(value)) return `must be one of ${rule.enum.join(", ")}.`
  if (rule.format === "uri" && !/^https?:\/\/[^\s/]/.test(value)) return "must be an http or https address."
  if (
    name === "command" &&
    value !== "" &&
    !words(value)
      .slice(1)
      .some((word) => word.includes("{file}"))
  ) {
    return "must be a program with {file} among its arguments."
  }
  return undefined
}
