// A look inside: asks a reader for it once the pen rests, and draws the pixels that mattered, the
// feature maps of each layer, and, if the reader is in the browser, what the page network saw in
// the whole picture.

import { $, children, imageOf, make, percent } from "./dom.js";
import { answer } from "./answer.js";

const REST = 500; // ms in which the pen and the chosen digit have to rest before
const MAPS_ACROSS = 8; // maps in a row
const UNITS_ACROSS = 32; // maps of a single pixel in a row
const WIDTH = 448; // pixels of a row
const HEAT = [255, 120, 40]; // the red, green and blue of ink that matters most
const LEAST_FALL = 0.005; // of the probability; below, no pixel matters

let insideOf = null; // that for which the inside is shown: a field, or with its whole reading
let rest = 0;

const fieldNow = () => answer?.digits[answer.place]?.field;
const subject = (isLocal) => (isLocal && fieldNow() ? [answer, fieldNow()] : fieldNow());
const isSame = (one, other) =>
  one === other || one?.every?.((value, i) => value === other?.[i]) === true;

// Looks inside for the digit that is looked at, if that is open and after a rest.
export function lookInside(reader, isLocal, wait = REST) {
  clearTimeout(rest);
  const of = subject(isLocal);
  const isOpen = $("inside").open && !answer?.isFirst;
  if (!reader.inside || !of || !isOpen || isSame(of, insideOf)) return;
  rest = setTimeout(async () => {
    const field = fieldNow();
    const { content, message } = await reader.inside(field);
    if (!isSame(of, subject(isLocal))) return; // something else is looked at by now
    insideOf = content ? of : null;
    if (content) showInside(content, field);
    else $("insight").textContent = message;
  }, wait);
}

function showInside({ probabilities, occlusion, layers, views = [] }, pixels) {
  showOcclusion(probabilities, occlusion.flat(), pixels);
  const figures = children($("layers"), views.length + layers.length, () => {
    const figure = make("figure");
    figure.append(make("figcaption"), make("canvas"));
    figure.lastChild.role = "img";
    return figure;
  });
  [...views, ...layers].forEach((part, place) => {
    const show = "maps" in part ? showLayer : showView;
    show(part, ...figures[place].children);
  });
}

function showView({ name, image }, caption, canvas) {
  caption.textContent = `the page network: ${name}`;
  canvas.ariaLabel = name;
  Object.assign(canvas, { width: image.width, height: image.height });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function showOcclusion(probabilities, falls, pixels) {
  const sure = Math.max(...probabilities);
  const best = probabilities.indexOf(sure);
  const most = Math.max(...falls, LEAST_FALL);

  const colour = (i) => {
    const heat = Math.max(0, falls[i] / most);
    return HEAT.map((value) => pixels[i] * (1 + (value / 255 - 1) * heat));
  };
  $("mattered")
    .getContext("2d")
    .putImageData(imageOf(28, 28, colour), 0, 0);

  const [from, to] = [percent(sure), percent(Math.max(0, sure - most))];
  $("insight").textContent =
    most > LEAST_FALL
      ? `Cover the coloured part, and the ${best} falls from ${from} to ${to}` +
        " for the digit classifier."
      : `No part of it matters alone: whichever is covered, it stays a ${best}.`;
}

function showLayer({ name, shape: [count, height, width], shown, maps }, caption, canvas) {
  const what = width * height > 1 ? `${count} maps of ${width}x${height}` : `${count} units`;
  caption.textContent = `${name}: ${what}${shown < count ? `, the first ${shown}` : ""}`;
  canvas.ariaLabel = `What ${name} makes of it`;

  // Each pixel of a map becomes a square of whole pixels; the browser would blur it otherwise.
  const [across, gap] = width > 1 ? [MAPS_ACROSS, 4] : [UNITS_ACROSS, 2];
  const cell = Math.max(1, Math.floor(WIDTH / across / width)) * width;
  const cellHeight = (cell * height) / width;
  canvas.width = across * (cell + gap) - gap;
  canvas.height = Math.ceil(shown / across) * (cellHeight + gap) - gap;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingEnabled = false;

  // Most values are so small that they would be black: the square root brightens them.
  const values = maps.map((value) => Math.sqrt(255 * value));
  const one = Object.assign(document.createElement("canvas"), { width, height });
  for (let map = 0; map < shown; map++) {
    const first = map * width * height;
    const grey = imageOf(width, height, (i) => Array(3).fill(values[first + i]));
    one.getContext("2d").putImageData(grey, 0, 0);

    const x = (map % across) * (cell + gap);
    const y = Math.floor(map / across) * (cellHeight + gap);
    pen.drawImage(one, x, y, cell, cellHeight);
  }
}
