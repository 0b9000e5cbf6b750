// What the live figures share: the browser reader, which lies beside the docs, a few elements, and
// canvases for ink. A figure is a static picture in its page; a script replaces it when it works.

const READER = new URL("../try/page/reading/inkdigits.js", import.meta.url).href;


let loading = null;

// Loads the browser reader's digit classifier once: {recogniser, toField}.
export function reader() {
  loading ??= import(READER).then(async ({ Recogniser, toField }) => {
    const recogniser = new Recogniser();
    await recogniser.answer([new Uint8Array(28 * 28)]); // its network arrives with the first question
    return { recogniser, toField };
  });
  return loading;
}

// Starts a live figure when it comes into view: with what `load` returns, in place of its static
// picture. If that does not arrive, the picture stays, and the caption says so.
export function live(name, load, start) {
  const figure = document.querySelector(`figure[data-live=${name}]`);
  const watcher = new IntersectionObserver(async (seen) => {
    if (!seen.some(({ isIntersecting }) => isIntersecting)) return;
    watcher.disconnect();
    try {
      const parts = start(await load());
      figure.querySelectorAll(":scope > :not(figcaption)").forEach((part) => part.remove());
      figure.prepend(...parts);
      figure.classList.add("running");
    } catch {
      figure.querySelector("figcaption").append(" It does not run here: its files did not load.");
    }
  });
  watcher.observe(figure);
}

// Makes an element with properties and children.
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Makes a labelled slider; `changed` is told of each new value.
export function slider(label, { min, max, value, step = 1 }, changed) {
  const input = make("input", { type: "range", min, max, step });
  input.value = value; // after the limits, which would clip it
  input.addEventListener("input", () => changed(Number(input.value)));
  return { input, element: make("label", {}, make("span", { textContent: label }), input) };
}

// Makes a canvas that says what it shows. className: "sheet" to draw on, "field" for 28x28 pixels.
export function canvasOf(width, height, label, className = "") {
  return make("canvas", { width, height, className, role: "img", ariaLabel: label });
}

// Shows bytes as greys, black to white, on a canvas of that many pixels.
export function showBytes(canvas, bytes) {
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(canvas.width, canvas.height);
  bytes.forEach((value, at) => image.data.set([value, value, value, 255], 4 * at));
  pen.putImageData(image, 0, 0);
}

// Returns the ink on a canvas that is transparent otherwise; null if there is none.
export function inkOf(canvas) {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const ink = Uint8Array.from({ length: width * height }, (_, at) => data[4 * at + 3]);
  return ink.some((value) => value > 127) ? { width, height, channels: 1, data: ink } : null;
}

// Makes a function that has `work` done soon, never twice at a time: of several calls meanwhile, one
// counts.
export function soon(work) {
  let [busy, asked] = [false, false];
  return async () => {
    asked = true;
    if (busy) return;
    busy = true;
    while (asked) {
      asked = false;
      await new Promise(requestAnimationFrame);
      await work().catch(console.error);
    }
    busy = false;
  };
}

// Tells where in an element a pointer is, each as a fraction from 0 to 1.
export function placeIn(element, event) {
  const { left, top, width, height } = element.getBoundingClientRect();
  return [(event.clientX - left) / width, (event.clientY - top) / height];
}

// Lets a pointer drag in an element: `moved` is told of each place, and whether it is the first.
export function onDrag(element, moved) {
  element.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    element.setPointerCapture(event.pointerId);
    moved(placeIn(element, event), true);
    event.preventDefault();
  });
  element.addEventListener("pointermove", (event) => {
    if (!element.hasPointerCapture(event.pointerId)) return;
    const steps = event.getCoalescedEvents?.() ?? [];
    for (const step of steps.length ? steps : [event]) moved(placeIn(element, step), false);
  });
}

export function percent(share) {
  if (share < 1 && share > 0.9999) return "over 99.99 %"; // and not 100
  return `${(100 * share).toFixed(share > 0.99 && share < 1 ? 2 : 1)} %`;
}

// Says what the digit classifier answers.
export function inWords({ shares, doubt }) {
  const digit = shares.indexOf(Math.max(...shares));
  const sure = shares[digit] * (1 - doubt);
  if (doubt > 0.5) return `no digit, ${percent(doubt)} sure`;
  return sure < 0.5 ? `refused: a ${digit}, ${percent(sure)} sure` : `${digit}, ${percent(sure)} sure`;
}
