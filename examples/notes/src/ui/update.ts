// Registers the service worker, and knows when a new version of the app waits.

import { signal } from "@preact/signals"

/** Switches to the new version and loads it; absent while there is none. */
export const updateReady = signal<(() => void) | undefined>(undefined)

export async function register(): Promise<void> {
  const workers = navigator.serviceWorker
  if (!workers) return
  let controlled = Boolean(workers.controller)
  workers.addEventListener("controllerchange", () => {
    // The first worker of a page changes nothing; a later one was chosen here or in another tab.
    if (controlled) updateReady.value = () => location.reload()
    controlled = true
  })
  const registration = await workers.register("/notes/sw.js", { scope: "/notes/" })
  const offer = () => {
    const waiting = registration.waiting
    if (!waiting || !workers.controller) return
    updateReady.value = () => {
      workers.addEventListener("controllerchange", () => location.reload(), { once: true })
      waiting.postMessage("use")
    }
  }
  offer()
  registration.addEventListener("updatefound", () => {
    registration.installing?.addEventListener("statechange", offer)
  })
  if (!controlled) await workers.ready
}
