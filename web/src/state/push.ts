/** Push messages in this browser: whether they can be had, and the subscription. */
import { hub } from "../app"

const WORKER = "/admin/push.js"

/** Why this browser cannot take notices; null if it can. */
export function obstacle(): string | null {
  if (!window.isSecureContext) return "Browsers take notices only from hubs whose address begins with https."
  if (!("serviceWorker" in navigator && "PushManager" in window && "Notification" in window))
    return "This browser takes no notices. On an iPhone or iPad, add this page to the home screen first."
  if (Notification.permission === "denied")
    return "You have blocked notices of this page. Allow them in the browser's settings for this page."
  return null
}

/** Asks for permission, subscribes, and gives what the hub needs to send. */
export async function subscribe(): Promise<object> {
  if ((await Notification.requestPermission()) !== "granted")
    throw new Error("The browser did not allow notices. Nothing was changed.")
  const { key } = await hub.get("/api/notices/key")
  const registration = await navigator.serviceWorker.register(WORKER)
  await navigator.serviceWorker.ready
  // A subscription with another key, of an earlier hub at this address, would get nothing.
  await (await registration.pushManager.getSubscription())?.unsubscribe()
  const subscription = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key })
  return { subscription: subscription.toJSON(), browser: browserName(navigator.userAgent) }
}

const BROWSERS = ["Edg", "OPR", "Firefox", "Chrome", "Safari"]
const SYSTEMS = ["iPhone", "iPad", "Android", "Windows", "Mac OS", "Linux"]
const NAMES: Record<string, string> = { Edg: "Edge", OPR: "Opera", "Mac OS": "a Mac" }

/** `Firefox on Android`, from a browser's User-Agent. */
export function browserName(agent: string): string {
  const find = (words: string[]) => words.find((word) => agent.includes(word))
  const [browser, system] = [find(BROWSERS), find(SYSTEMS)].map((word) => word && (NAMES[word] ?? word))
  return [browser ?? "A browser", system].filter(Boolean).join(" on ")
}
