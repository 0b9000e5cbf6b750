// A reader of pictures that reads on this device, in a worker, so that the pen need not wait.
// Its answers are those of http.js. A service worker keeps a site, so that it works offline.

import { $, make, sentence } from "./dom.js";

export function makeReader() {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let asked = 0;

  function ask(kind, given) {
    const number = asked++;
    worker.postMessage({ number, kind, given });
    return new Promise((answered) => waiting.set(number, answered));
  }

  worker.addEventListener("message", ({ data: { number, content, message } }) => {
    waiting.get(number)(content === undefined ? { message: sentence(message) } : { content });
    waiting.delete(number);
  });
  worker.addEventListener("error", (event) => {
    const message = "The reader could not be loaded. Reload the page to try again.";
    for (const answered of waiting.values()) answered({ message });
    waiting.clear();
    event.preventDefault();
  });

  if ("local" in document.body.dataset) keepOffline();
  return {
    ready: ask("load"),
    read: (picture) => ask("read", picture instanceof Blob ? picture : pixelsOf(picture)),
    inside: (field) => ask("inside", field), // and the page of the latest reading
  };
}

function pixelsOf(canvas) {
  return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
}

// Lets a service worker keep the site's files, and offers a newer version once it is there.
async function keepOffline() {
  if (!navigator.serviceWorker || window !== window.top) return; // a page around it keeps nothing
  const registration = await navigator.serviceWorker.register("sw.js").catch(() => null);
  if (!registration) return;

  const offer = () =>
    registration.waiting && navigator.serviceWorker.controller && offerUpdate(registration);
  offer();
  registration.addEventListener("updatefound", () => {
    registration.installing?.addEventListener("statechange", offer);
  });
}

function offerUpdate(registration) {
  if ($("update")) return;
  const button = make("button", "Use the new version");
  button.id = "update";
  button.type = "button";
  button.addEventListener("click", () => {
    navigator.serviceWorker.addEventListener("controllerchange", () => location.reload());
    registration.waiting.postMessage("update");
  });
  document.querySelector("footer").append(" ", button);
}
