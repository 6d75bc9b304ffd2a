/** Creates the app's objects and connects them to the hub. */
import { effect, signal } from "@preact/signals"
import type { EventSourceMessage } from "eventsource-parser"
import { Hub } from "./api/hub"
import { keptKey } from "./api/key"
import type { Health, Job, Me, Overview, Problem, Status } from "./api/shapes"
import { type Contact, Feed } from "./live/feed"
import { isOver, Modules } from "./state/modules"
import { prove } from "./ui/dialog"
import { report, say, tell, undo } from "./ui/notices"
import { jobTitle } from "./words"

export const hub = new Hub({ prove, leave: (to) => location.assign(to), key: keptKey })
export const modules = new Modules(hub)
export const me = signal<Me | null>(null)
export const overview = signal<Overview | null>(null)
/** True after the first measurement attempt. */
export const measured = signal(false)
export const contact = signal<Contact | null>(null)
/** The version that took over while this page was open, whose own files are of the former one. */
export const newer = signal<string | null>(null)
/** Increases when the hub reports a change; live resources reload. */
export const news = signal(0)

const TEND_EVERY = 15_000
const NEWS_EVERY = 500
const HIDDEN_FOR = 30_000

async function refresh(): Promise<void> {
  await Promise.all([modules.refresh(), recognise()])
  newsSoon()
}

let known: Health | null = null

/** Whether it is still the hub that this page came from. */
async function recognise(): Promise<void> {
  const now = await hub.get("/health")
  const before = known
  known = now
  if (!before || before.instance === now.instance) return
  if (before.version !== now.version) newer.value = now.version
  else say("The hub has restarted.")
}

let waiting: ReturnType<typeof setTimeout> | undefined

/** Limits reloads: an installation sends many events. */
function newsSoon(): void {
  if (waiting !== undefined) return
  waiting = setTimeout(() => {
    waiting = undefined
    news.value += 1
  }, NEWS_EVERY)
}

export async function measure(): Promise<void> {
  try {
    overview.value = await hub.get("/api/overview")
  } catch {
    // Keep the last values. The feed reports that the hub is away.
  }
  measured.value = true
}

function heard(message: EventSourceMessage): void {
  const told = JSON.parse(message.data) as Record<string, unknown>
  switch (message.event) {
    case "module":
      modules.changed(String(told["short"]), told["status"] as Status)
      break
    case "job":
      moved(told["job"] as Job)
      break
    case "log":
      modules.said(String(told["short"]), String(told["text"]))
      break
    case "problem":
      appeared(String(told["change"]), told["problem"] as Problem)
      break
    case "registry":
      void modules.refresh().catch(() => undefined)
      break
  }
  if (message.event !== "tick" && message.event !== "log") newsSoon()
}

/** Announces an operation that has just ended, on whatever page the person is. */
function moved(job: Job): void {
  const watched = modules.running.value.some(({ id }) => id === job.id)
  modules.moved(job)
  if (!watched || !isOver(job)) return
  const title = jobTitle(job, modules.name(job.short))
  if (job.status === "succeeded") say(title)
  else if (job.outcome === "cancelled") tell(title)
  else report(new Error(title))
}

/** Announces a problem that needs a person, on whatever page they are; Home shows the rest. */
function appeared(change: string, { severity, title }: Problem): void {
  if (change === "appeared" && severity === "error") tell(title)
}

const feed = new Feed({
  open: (headers, signal) => hub.stream("/api/events", headers, signal),
  refresh,
  onMessage: heard,
  onContact: (now) => (contact.value = now),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
})

/** Where to send a person who may not use this app now; null to stay. */
function door({ hasSession, password_change_required, user }: Me): string | null {
  const here = encodeURIComponent(location.pathname)
  if (!hasSession) return `/login?next=${here}`
  if (password_change_required) return `/account/change-password?next=${here}`
  return user?.role === "admin" ? null : "/"
}

/** Starts with the existing session, and follows the hub while the page is visible. */
export async function begin(): Promise<void> {
  const found = await hub.me()
  const elsewhere = door(found)
  if (elsewhere) return location.assign(elsewhere)
  me.value = found
  feed.start()
  void measure()
  let leaving: ReturnType<typeof setTimeout> | undefined
  document.addEventListener("visibilitychange", () => {
    clearTimeout(leaving)
    // A phone may end a hidden page without another word.
    hub.leaving = document.hidden
    if (document.hidden) {
      void undo.complete()
      leaving = setTimeout(() => feed.stop(), HIDDEN_FOR)
    } else feed.start()
  })
  addEventListener("pagehide", () => {
    hub.leaving = true
    void undo.complete()
  })
  addEventListener("pageshow", () => (hub.leaving = false))
  const tend = () => Promise.all([modules.refresh(), measure()]).catch(() => undefined)
  // Bounds the age of what the page shows when no events arrive.
  setInterval(() => document.hidden || void tend(), TEND_EVERY)
  // A finished operation has changed versions and disk use.
  let busy = 0
  effect(() => {
    const now = modules.running.value.length
    if (now < busy) void tend()
    busy = now
  })
}
