// Sends requests to the hub with this browser's access.

import { type Problem, Refused, Unreachable } from "../core/problem.ts"
import { bearer, load } from "./session.ts"

const STARTING_TRIES = 8

/** The vault's address on this origin. */
export function vaultUrl(): string {
  return `/vault/${encodeURIComponent(load()?.vault ?? "default")}`
}

/** The answer of a request below the vault's address; rejects with `Refused` when it is not a success. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  return expectOk(await send(`${vaultUrl()}/${path}`, init))
}

export async function askJson<T>(path: string, method = "GET", body?: unknown): Promise<T> {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) }
  const response = await ask(path, init)
  // Something between here and the hub may answer in its place, with a page of its own.
  return response.json().catch(() => {
    throw new Unreachable()
  })
}

export async function expectOk(response: Response): Promise<Response> {
  if (response.ok) return response
  throw await refusal(response)
}

/** Sends with our token; renews it once, and waits while a module starts. */
export async function send(url: string, init: RequestInit = {}): Promise<Response> {
  let token = await bearer()
  let renewed = false
  for (let tries = 0; ; tries++) {
    const headers = new Headers(init.headers)
    headers.set("authorization", `Bearer ${token}`)
    const response = await reach(url, { ...init, headers })
    if (response.status === 401 && !renewed) {
      renewed = true
      token = await bearer(token)
    } else if (tries < STARTING_TRIES && (await isStarting(response))) {
      await new Promise((resolve) => setTimeout(resolve, 1000))
    } else {
      return response
    }
  }
}

/** The hub's own answer while a module is not up yet: the module has not seen the request. */
async function isStarting(response: Response): Promise<boolean> {
  if (response.status !== 503) return false
  const body = await response
    .clone()
    .json()
    .catch(() => ({}))
  return body.error === "upstream_starting"
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch (error) {
    if (init.signal?.aborted) throw error
    throw new Unreachable()
  }
}

async function refusal(response: Response): Promise<Problem> {
  const body = await response.json().catch(() => undefined)
  // Hub and vault speak JSON. Something else on the way can say no more than that a text is too large.
  if (!body && response.status !== 413) return new Unreachable()
  return new Refused(
    words(response.status, body ?? {}),
    response.status,
    typeof body?.code === "string" ? body.code : "",
    body ?? {},
    Number(response.headers.get("retry-after")) || 0,
  )
}

function words(status: number, body: Record<string, unknown>): string {
  if (status === 403) return "Notes may only read your vault. Connect again, and allow it to write."
  if (status === 404 && body["vault"]) {
    return `There is no vault "${body["vault"]}" on this hub. Disconnect, then choose another.`
  }
  const given = body["message"] ?? body["error_description"]
  return typeof given === "string" ? given : `Your hub answered ${status}. Try again later.`
}
