// Shows push messages of the hub. It answers no request and keeps nothing.
self.addEventListener("push", (event) => {
  const told = event.data ? event.data.json() : {}
  const options = { body: told.body, tag: told.tag, icon: "/admin/icon-192.png", data: { link: told.link } }
  event.waitUntil(self.registration.showNotification(told.title || "Parachute", options))
})

self.addEventListener("notificationclick", (event) => {
  event.notification.close()
  event.waitUntil(self.clients.openWindow(event.notification.data?.link || "/admin/"))
})
