// Lets the app open without a connection. Notes themselves are never cached here.

declare const APP_VERSION: string
const worker = self as unknown as ServiceWorkerGlobalScope

const CACHE = `notes-${APP_VERSION}`
const SHELL = ["/notes/", "/notes/main.js", "/notes/app.css", "/notes/icon.svg", "/notes/manifest.webmanifest"]

worker.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)))
  void worker.skipWaiting()
})

worker.addEventListener("activate", (event) => {
  event.waitUntil(removeOthers().then(() => worker.clients.claim()))
})

worker.addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url)
  const path = event.request.mode === "navigate" ? "/notes/" : pathname
  if (event.request.method === "GET" && origin === worker.location.origin && SHELL.includes(path)) {
    event.respondWith(newestOf(event.request, path))
  }
})

/** The hub's answer, else the kept one. */
async function newestOf(request: Request, path: string): Promise<Response> {
  try {
    return await fetch(request)
  } catch (error) {
    const kept = await caches.match(path, { cacheName: CACHE })
    if (kept) return kept
    throw error
  }
}

async function removeOthers(): Promise<void> {
  const names = await caches.keys()
  const old = names.filter((name) => name.startsWith("notes-") && name !== CACHE)
  await Promise.all(old.map((name) => caches.delete(name)))
}
