// A live figure: draw a digit, and see what each layer of the digit classifier makes of it.

import { canvasOf, inWords, inkOf, live, make, onDrag, reader, showBytes, soon } from "./common.js";
import { digitChoice, drawDigit } from "./strokes.js";

const SIDE = 168; // pixels of the sheet: six of them are one of the field
const PEN = { lineWidth: 13, lineCap: "round", lineJoin: "round" };
const FIRST = 3; // the digit that is shown before anybody draws
const MOST = 16; // feature maps of a layer
const ACROSS = 8; // of them in a row
const CELL = 56; // pixels of a map on its canvas, whatever it has itself
const GAP = 4;

const sheet = canvasOf(SIDE, SIDE, "Sheet to draw a digit on; by keyboard, choose a digit below", "sheet");
const field = canvasOf(28, 28, "The 28 by 28 pixels that the network sees", "field");
const answer = make("p", { role: "status" });
const layers = make("div", { className: "layers" });
const choice = digitChoice(FIRST, showExample);
const clear = make("button", { type: "button", textContent: "Clear" });
const pen = sheet.getContext("2d", { willReadFrequently: true });
let tools = null; // the reader
let last = null; // the end of the stroke so far
let isExample = true;

live("inside", reader, (loaded) => {
  tools = loaded;
  clear.addEventListener("click", wipe);
  onDrag(sheet, draw);
  showExample(FIRST);
  const left = make("div", { className: "sheets" }, sheet, choice, clear);
  const right = make("div", {}, field, answer);
  return [make("div", { className: "row" }, left, right), layers];
});

function draw([x, y], isFirst) {
  if (isFirst && isExample) wipe();
  const place = [x * SIDE, y * SIDE];
  Object.assign(pen, PEN);
  pen.beginPath();
  pen.moveTo(...(isFirst ? place : last));
  pen.lineTo(...place);
  pen.stroke();
  last = place;
  look();
}

function showExample(digit) {
  pen.clearRect(0, 0, SIDE, SIDE);
  drawDigit(sheet, digit, { pen: PEN.lineWidth });
  isExample = true;
  look();
}

function wipe() {
  pen.clearRect(0, 0, SIDE, SIDE);
  isExample = false;
  look();
}

const look = soon(async () => {
  const ink = inkOf(sheet);
  const seen = ink ? tools.toField(ink) : new Uint8Array(28 * 28);
  const [said] = await tools.recogniser.answer([seen]);
  const { layers: found } = await tools.recogniser.inside(seen);
  showBytes(field, seen);
  found.filter(({ shape }) => shape[1] > 1).forEach(showLayer); // single numbers are no pictures
  answer.textContent = ink ? inWords(said) : "Draw a digit.";
});

// Draws the maps of a layer side by side, each as a square of the same size.
function showLayer({ name, shape: [count, height, width], maps }, place) {
  if (!layers.children[place]) {
    layers.append(make("figure", {}, make("figcaption"), canvasOf(1, 1, "")));
  }
  const [caption, canvas] = layers.children[place].children;
  const shown = Math.min(MOST, count);
  const some = shown < count ? `, ${shown} of them` : "";
  caption.textContent = `${name}: ${count} maps of ${width}x${height}${some}`;
  canvas.ariaLabel = `What ${name} makes of it`;

  canvas.width = ACROSS * (CELL + GAP) - GAP;
  canvas.height = Math.ceil(shown / ACROSS) * (CELL + GAP) - GAP;
  const paper = canvas.getContext("2d");
  paper.imageSmoothingEnabled = false;
  const one = canvasOf(width, height, "");
  for (let map = 0; map < shown; map++) {
    const values = maps.subarray(map * width * height, (map + 1) * width * height);
    showBytes(one, values.map((value) => Math.sqrt(255 * value))); // most are near black
    const [column, row] = [map % ACROSS, Math.floor(map / ACROSS)];
    paper.drawImage(one, column * (CELL + GAP), row * (CELL + GAP), CELL, CELL);
  }
}
