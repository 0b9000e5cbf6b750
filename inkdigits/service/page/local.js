// A reader of pictures that reads on this device, in a worker, so that the pen need not wait.
// Its answers are those of http.js. A service worker keeps a site, so that it works offline.

import { $, make, sentence } from "./dom.js";

// tell: called with the share of the reader that has arrived, 0 to 1, again and again.
export function makeReader(tell) {
  // On a first visit, the little that a first reading needs arrives before the large rest.
  let small = null;
  const firstReader = () => (small ??= import("./first.js").then(({ makeFirst }) => makeFirst()));
  const isKept = Boolean(navigator.serviceWorker?.controller);
  const begun = isKept ? Promise.resolve() : firstReader().catch(() => {});
  const asking = begun.then(() => startWorker(tell));
  const ask = async (kind, given) => (await asking)(kind, given);

  const ready = ask("load");
  if ("local" in document.body.dataset) ready.then(({ content }) => content && keepOffline());
  return {
    ready,
    first: (canvas) => firstReader().then((read) => read(canvas), () => null),
    read: (picture) => ask("read", picture instanceof Blob ? picture : pixelsOf(picture)),
    inside: (field) => ask("inside", field), // and the page of the latest reading
  };
}

// Starts the worker; returns what asks it, {content} or {message} each time.
function startWorker(tell) {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let asked = 0;
  let failed = null;

  worker.addEventListener("message", ({ data: { number, content, message, arrived } }) => {
    if (arrived !== undefined) return tell(arrived);
    waiting.get(number)(content === undefined ? { message: sentence(message) } : { content });
    waiting.delete(number);
  });
  worker.addEventListener("error", (event) => {
    failed = { message: "The reader could not be loaded. Reload the page to try again." };
    for (const answered of waiting.values()) answered(failed);
    waiting.clear();
    event.preventDefault();
  });

  return (kind, given) => {
    if (failed) return failed;
    const number = asked++;
    worker.postMessage({ number, kind, given });
    return new Promise((answered) => waiting.set(number, answered));
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
