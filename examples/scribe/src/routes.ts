// Which function answers which path. The hub takes /scribe off before it forwards a request.

import { rm } from "node:fs/promises"
import { join } from "node:path"
import manifest from "../.parachute/module.json"
import { version } from "../package.json"
import { need, type Scope } from "./auth.ts"
import { Refused, readJson } from "./kit/http.ts"
import type { HubTokens } from "./kit/hub-token.ts"
import { silence, transcribe } from "./providers.ts"
import { SCHEMA, type Settings } from "./settings.ts"
import { receive } from "./upload.ts"

const ICON = join(import.meta.dir, "..", ".parachute", "icon.svg")
const CONFIG_LIMIT = 64 * 1024
/** A small machine takes its time to load a speech model; the hub waits 75 s. */
const TEST_SECONDS = 60

const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET, POST, PUT, OPTIONS",
  "access-control-allow-headers": "Content-Type, Authorization",
}

interface Surroundings {
  settings: Settings
  tokens: HubTokens
  /** Where recordings lie while they are turned into text. */
  folder: string
}

export class Routes {
  readonly #around: Surroundings

  constructor(around: Surroundings) {
    this.#around = around
  }

  /** Answers a request; never throws. */
  async answer(request: Request): Promise<Response> {
    let response: Response
    try {
      response = await this.#route(request, new URL(request.url).pathname)
    } catch (error) {
      if (error instanceof Refused) {
        response = error.answer()
      } else {
        console.error("request failed:", error)
        response = Response.json({ error: "internal_error" }, { status: 500 })
      }
    }
    for (const [name, value] of Object.entries(CORS)) response.headers.set(name, value)
    return response
  }

  async #route(request: Request, path: string): Promise<Response> {
    if (request.method === "OPTIONS") return new Response(null, { status: 204 })
    switch (`${request.method === "HEAD" ? "GET" : request.method} ${path}`) {
      case "GET /health":
        return Response.json({ ok: true })
      case "GET /.parachute/info":
        return Response.json(info())
      case "GET /.parachute/icon.svg":
        return new Response(Bun.file(ICON), { headers: { "cache-control": "public, max-age=3600" } })
      case "GET /.parachute/config/schema":
        return Response.json(SCHEMA)
      case "GET /.parachute/config":
        await this.#need("scribe:admin", request)
        return Response.json(this.#around.settings.shown())
      case "PUT /.parachute/config":
        await this.#need("scribe:admin", request)
        this.#around.settings.replace(await readJson(request, CONFIG_LIMIT))
        return Response.json(this.#around.settings.shown())
      case "POST /.parachute/config/test":
        await this.#need("scribe:admin", request)
        return Response.json(await this.#test(request.signal))
      case "GET /v1/models":
        await this.#need("scribe:transcribe", request)
        return Response.json(this.#models())
      case "POST /v1/audio/transcriptions":
        await this.#need("scribe:transcribe", request)
        return this.#transcribe(request)
      default:
        throw new Refused(404, { error: "not_found" })
    }
  }

  #need(scope: Scope, request: Request): Promise<void> {
    return need(scope, request, this.#around.settings.requiredToken(), this.#around.tokens)
  }

  /** The model in use; none, and why, while nothing can be turned into text. */
  #models(): object {
    const { settings } = this.#around
    const message = settings.missing()
    if (message) return { object: "list", data: [], message }
    const { provider, openai_model } = settings.values()
    return { object: "list", data: [{ id: provider === "openai" ? openai_model : provider, object: "model" }] }
  }

  /** Turns a second of silence into text with the settings that hold: whether that works, and what is wrong. */
  async #test(signal: AbortSignal): Promise<object> {
    const { settings, folder } = this.#around
    const message = settings.missing()
    if (message) return { ok: false, message }
    const path = join(folder, `${crypto.randomUUID()}.wav`)
    await Bun.write(path, silence())
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(TEST_SECONDS * 1000)])
      await transcribe({ path, name: "test.wav", fields: {} }, settings.values(), limit)
      return { ok: true, message: "It works: a second of silence was turned into text." }
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return { ok: false, message: error.message }
    } finally {
      await rm(path, { force: true })
    }
  }

  /** The Whisper API: multipart `file`, and `{"text"}` or, with response_format=text, the bare text. */
  async #transcribe(request: Request): Promise<Response> {
    const values = this.#around.settings.values()
    const message = this.#around.settings.missing()
    if (message) throw new Refused(503, { error: "not_configured", message })
    const upload = await receive(request, this.#around.folder)
    try {
      const text = await transcribe(upload, values, request.signal)
      return upload.fields.response_format === "text" ? new Response(`${text}\n`) : Response.json({ text })
    } finally {
      await rm(upload.path, { force: true })
    }
  }
}

function info(): object {
  const { manifestName: name, displayName, tagline, paths } = manifest
  return { name, displayName, tagline, version, iconUrl: `${paths[0]}/.parachute/icon.svg` }
}
