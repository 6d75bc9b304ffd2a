// Lets the app open without a connection, at once, in the version that is on this device; and takes what is shared
// with it. Notes themselves are kept in IndexedDB by the pages.

declare const APP_VERSION: string
declare const APP_FILES: string[]
const worker = self as unknown as ServiceWorkerGlobalScope

const CACHE = `notes-app-${APP_VERSION}`
const SHARED = "notes-shared"
const SHELL = ["/notes/", ...APP_FILES.map((name) => `/notes/${name}`)]

worker.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)))
})

worker.addEventListener("message", ({ data }) => {
  if (data === "use") void worker.skipWaiting()
})

worker.addEventListener("activate", (event) => {
  event.waitUntil(removeOthers().then(() => worker.clients.claim()))
})

worker.addEventListener("fetch", (event) => {
  const { request } = event
  const { pathname, origin } = new URL(request.url)
  if (origin !== worker.location.origin) return
  if (request.method === "POST" && pathname === "/notes/share") return event.respondWith(keepShared(request))
  if (request.method !== "GET") return
  const path = request.mode === "navigate" ? "/notes/" : pathname
  if (SHELL.includes(path)) event.respondWith(keptOf(request, path))
})

/** The kept copy, else the hub's answer. */
async function keptOf(request: Request, path: string): Promise<Response> {
  return (await caches.match(path, { cacheName: CACHE })) ?? fetch(request)
}

/** Keeps what was shared until the app has made a note of it. */
async function keepShared(request: Request): Promise<Response> {
  const form = await request.formData()
  const cache = await caches.open(SHARED)
  const files = form.getAll("files").filter((file) => file instanceof File)
  for (const [index, file] of files.entries()) await cache.put(`/notes/shared/${index}`, new Response(file))
  const word = (name: string) => (typeof form.get(name) === "string" ? form.get(name) : "")
  const about = { title: word("title"), text: word("text"), url: word("url"), names: files.map(({ name }) => name) }
  await cache.put("/notes/shared/about", Response.json(about))
  return Response.redirect("/notes/", 303)
}

async function removeOthers(): Promise<void> {
  const names = await caches.keys()
  const old = names.filter((name) => name.startsWith("notes-") && name !== CACHE && name !== SHARED)
  await Promise.all(old.map((name) => caches.delete(name)))
}
