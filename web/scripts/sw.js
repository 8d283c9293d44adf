// Keeps the site for offline use: the page itself is asked for first, what has a hash in its name comes from the cache.
// Nothing else is touched; an overlay's answers are never kept.
const VERSION = "__VERSION__";
const FILES = __FILES__;
const known = new Set(FILES.map((file) => new URL(file, self.registration.scope).href));
const page = new URL("./", self.registration.scope).href;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(VERSION).then((cache) => cache.addAll([page, ...known])).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const old = (names) => Promise.all(names.filter((name) => name !== VERSION).map((name) => caches.delete(name)));
  event.waitUntil(caches.keys().then(old).then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = request.url.split("#")[0];
  if (request.method !== "GET") return;
  if (url === page) event.respondWith(fetch(request).catch(() => caches.match(page)));
  else if (known.has(url)) event.respondWith(caches.match(url).then((kept) => kept ?? fetch(request)));
});
