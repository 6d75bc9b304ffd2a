// Access of this browser to a vault, in local storage.

import { Ended } from "../core/problem.ts"
import { renew, type Tokens } from "./oauth.ts"

interface Access {
  /** The hub has ended the access. The notes stay readable, and are sent after connecting again. */
  ended?: true
}

interface KeySession extends Access {
  kind: "key"
  vault: string
  key: string
}

interface HubSession extends Tokens, Access {
  kind: "hub"
}

export type Session = KeySession | HubSession

export const PLACE = "parachute-notes:session"

export function load(): Session | undefined {
  try {
    return JSON.parse(localStorage.getItem(PLACE) ?? "null") ?? undefined
  } catch {
    return undefined
  }
}

export function save(session: Session): void {
  localStorage.setItem(PLACE, JSON.stringify(session))
}

export function forget(): void {
  localStorage.removeItem(PLACE)
}

function ended(): Ended {
  const session = load()
  if (session) save({ ...session, ended: true })
  return new Ended()
}

/** The bearer token. `rejected` was just refused, so it is refreshed. */
export async function bearer(rejected?: string): Promise<string> {
  const session = load()
  if (!session || session.ended) throw ended()
  if (session.kind === "key") {
    if (session.key !== rejected) return session.key
    throw ended()
  }
  const soon = Date.now() + 30_000
  if (session.access !== rejected && session.expires > soon) return session.access
  // One tab refreshes for all, because a refresh token works once.
  return navigator.locks.request(PLACE, async () => {
    const latest = load()
    if (latest?.kind !== "hub") throw ended()
    if (latest.access !== rejected && latest.expires > soon) return latest.access
    const tokens = await renew(latest)
    if (!tokens) throw ended()
    save({ kind: "hub", ...tokens })
    return tokens.access
  })
}

export function mayTranscribeAtScribe(): boolean {
  const session = load()
  return session?.kind === "hub" && session.scope.split(" ").includes("scribe:transcribe")
}
