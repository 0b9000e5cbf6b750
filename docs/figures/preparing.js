// A live figure: move, resize and thicken a digit, and see what the network gets of it, with and
// without being prepared.

import { canvasOf, inWords, inkOf, live, make, onDrag, reader } from "./common.js";
import { showBytes, slider, soon } from "./common.js";
import { digitChoice, drawDigit } from "./strokes.js";

const SIDE = 168; // pixels of the sheet: BLOCK x BLOCK of them are one of the field
const BLOCK = SIDE / 28;
const START = { digit: 4, x: 0.34, y: 0.38, size: 0.32, pen: 5 }; // shares of the sheet; pixels

const state = { ...START };
const sheet = canvasOf(SIDE, SIDE, "The digit on its sheet; drag it, or use the sliders", "sheet");
const fields = ["only made small", "prepared"].map((name) => ({
  canvas: canvasOf(28, 28, `28 by 28 pixels: ${name}`, "field"),
  answer: make("p", { role: "status" }),
  name,
}));
const sliders = {
  x: slider("to the right", { min: 0.1, max: 0.9, step: 0.01, value: START.x }, change("x")),
  y: slider("down", { min: 0.1, max: 0.9, step: 0.01, value: START.y }, change("y")),
  size: slider("size", { min: 0.12, max: 0.95, step: 0.01, value: START.size }, change("size")),
  pen: slider("pen", { min: 2, max: 30, step: 1, value: START.pen }, change("pen")),
};
let tools = null; // the reader
let grip = null; // from the pointer to the middle of the digit

live("preparing", reader, (loaded) => {
  tools = loaded;
  onDrag(sheet, drag);
  show();
  const controls = Object.values(sliders).map(({ element }) => element);
  const choice = digitChoice(START.digit, change("digit"));
  const left = make("div", { className: "controls" }, sheet, choice, ...controls);
  const both = fields.map(({ name, canvas, answer }) =>
    make("figure", {}, make("figcaption", { textContent: name }), canvas, answer),
  );
  const right = make("div", { className: "row" }, ...both);
  return [make("div", { className: "row" }, left, right)];
});

function change(key) {
  return (value) => {
    state[key] = value;
    show();
  };
}

function drag([x, y], isFirst) {
  if (isFirst) grip = [state.x - x, state.y - y];
  for (const [key, at] of [
    ["x", x + grip[0]],
    ["y", y + grip[1]],
  ]) {
    sliders[key].input.value = at; // which keeps it in its limits
    state[key] = Number(sliders[key].input.value);
  }
  show();
}

const show = soon(async () => {
  sheet.getContext("2d", { willReadFrequently: true }).clearRect(0, 0, SIDE, SIDE);
  drawDigit(sheet, state.digit, state);
  const ink = inkOf(sheet);
  if (!ink) return; // a pen so fine that nothing is left
  const seen = [madeSmall(ink), tools.toField(ink)];
  const answers = await tools.recogniser.answer(seen);
  fields.forEach(({ canvas, answer }, i) => {
    showBytes(canvas, seen[i]);
    answer.textContent = inWords(answers[i]);
  });
});

// Averages blocks of pixels, as any program does that makes a picture small.
function madeSmall({ data }) {
  const small = new Float32Array(28 * 28);
  data.forEach((value, at) => {
    const [x, y] = [at % SIDE, Math.floor(at / SIDE)];
    small[Math.floor(y / BLOCK) * 28 + Math.floor(x / BLOCK)] += value / BLOCK ** 2;
  });
  return Uint8Array.from(small, Math.round);
}
