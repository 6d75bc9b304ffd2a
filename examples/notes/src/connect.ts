// The page before there is a vault: connect through the hub, or with a key.

import { attempt, byId, onClick, Problem } from "./dom.ts"
import { begin } from "./oauth.ts"
import { save } from "./session.ts"

export function showConnect(): void {
  byId("desk").hidden = true
  byId("disconnect").hidden = true
  byId("connect").hidden = false
}

/** Makes the page work. `connected` is called when a key was given; the hub's way reloads the app. */
export function bindConnect(connected: () => Promise<void>): void {
  onClick("connect-hub", async () => {
    try {
      await begin()
    } catch (problem) {
      byId<HTMLDetailsElement>("key-part").open = true
      throw problem
    }
  })
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault()
    void attempt(() => {
      useKey()
      return connected()
    })
  })
}

function useKey(): void {
  const field = byId<HTMLInputElement>("key")
  const key = field.value.trim()
  if (!key.startsWith("pvt_")) throw new Problem("A key of the vault begins with pvt_. Copy the whole key.")
  save({ kind: "key", vault: byId<HTMLInputElement>("key-vault").value.trim(), key })
  field.value = ""
}
