/** Client-side routing below /admin. */
import { computed, signal } from "@preact/signals"

const BASE = "/admin"
/** Pages below /admin that the server renders. */
const SERVERS = /^\/admin\/(setup|approve-client|login|logout|config)(\/|$)|-token(\/|$)/

const address = signal(location.pathname)

/** Path segments after /admin: `/admin/modules/vault` is `["modules", "vault"]`. */
export const route = computed(() => address.value.slice(BASE.length).split("/").filter(Boolean).map(decode))

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

export function go(to: string): void {
  if (to === location.pathname) return
  history.pushState(null, "", to)
  arrive()
}

/** Handles clicks on links to pages of this app. */
export function listen(): void {
  addEventListener("popstate", arrive)
  document.addEventListener("click", (event) => {
    const link = (event.target as Element | null)?.closest?.("a")
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey
    if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) return
    const url = new URL(link.href, location.href)
    const ours = url.pathname === BASE || url.pathname.startsWith(`${BASE}/`)
    if (url.origin !== location.origin || !ours || SERVERS.test(url.pathname)) return
    event.preventDefault()
    go(url.pathname)
  })
}

/** True after the first navigation within the app. On the first page the browser keeps the focus. */
export let moved = false

function arrive(): void {
  moved = true
  address.value = location.pathname
  scrollTo(0, 0)
}
