// Keeps the frame of the pages (styles, fonts, pictures) for when there is no network, and says so then.
// Nothing that anybody has or is asked is ever kept: pages go to the network and nowhere else.
"use strict";
const KEPT = "wantong-space-1";
self.addEventListener("install", event => event.waitUntil(self.skipWaiting()));
self.addEventListener("activate", event => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name !== KEPT && name.startsWith("wantong-space-")) await caches.delete(name);
  await self.clients.claim();
})()));
self.addEventListener("fetch", event => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  if (url.pathname.startsWith("/static/")) {
    event.respondWith((async () => {
      const kept = await caches.open(KEPT);
      const found = await kept.match(event.request);
      if (found) return found;
      const fresh = await fetch(event.request);
      if (fresh.ok) await kept.put(event.request, fresh.clone());
      return fresh;
    })());
  } else if (event.request.mode === "navigate") {
    event.respondWith(fetch(event.request).catch(() => new Response(
      "<!doctype html><html lang=zh-Hans><meta charset=utf-8><meta name=viewport content='width=device-width'><title>离线 · Offline</title>" +
      "<body style='font:18px/1.6 system-ui;margin:2rem'><p>目前没有网络。 · 目前沒有網絡。 · You are offline. · Sem ligação à rede.</p></body></html>",
      {status: 503, headers: {"Content-Type": "text/html; charset=utf-8"}})));
  }
});
