// Keeps the whole site on the device: once installed, every file comes from the cache, of one
// version. `inkdigits web` writes VERSION and FILES above.

const PREFIX = `inkdigits ${registration.scope} `; // other sites of this origin have their own
const CACHE = PREFIX + VERSION;

addEventListener("install", (event) => {
  const requests = FILES.map((file) => new Request(file, { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)));
});

addEventListener("activate", (event) => {
  const forget = async () => {
    const names = await caches.keys();
    const old = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
    await Promise.all(old.map((name) => caches.delete(name)));
    await clients.claim();
  };
  event.waitUntil(forget());
});

addEventListener("message", ({ data }) => {
  if (data === "update") skipWaiting();
});

addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(registration.scope)) return;
  const find = async () => (await caches.open(CACHE)).match(request, { ignoreSearch: true });
  event.respondWith(find().then((kept) => kept ?? fetch(request)));
});
