// The ten digits as strokes, for who cannot or will not draw: paths in a square of 100 units.

import { make } from "./common.js";

const PATHS = [
  "M52 14C28 14 22 40 24 58 26 78 38 87 50 86 68 85 76 64 75 46 74 26 66 14 50 14",
  "M34 30 54 14V86",
  "M28 32C32 10 68 8 71 30 73 48 42 62 28 84 40 80 56 86 74 82",
  "M30 22C42 10 68 12 67 30 66 42 54 47 44 48 58 48 72 54 71 68 69 88 40 90 27 76",
  "M58 14C48 34 38 48 26 62H76M62 40V88",
  "M70 16H38L34 46C50 38 72 44 71 64 70 86 42 92 28 78",
  "M62 12C42 24 28 46 29 66 30 84 44 90 56 86 72 80 74 60 60 54 48 50 34 58 30 68",
  "M26 18H74C62 38 52 60 46 88M36 52H66",
  "M64 24C54 10 32 16 35 32 38 46 68 52 67 70 66 90 32 90 33 70 34 52 66 44 66 28",
  "M68 32C64 14 36 12 33 32 31 52 60 56 68 36 69 56 66 72 58 88",
];

// Draws a digit. x, y: its middle, as fractions of the canvas; size: its height, likewise; pen: the
// width of the stroke in pixels of the canvas.
export function drawDigit(canvas, digit, { x = 0.5, y = 0.5, size = 0.7, pen }) {
  const paper = canvas.getContext("2d");
  const side = (size * canvas.height) / 74; // the paths are 74 units high
  paper.save();
  paper.translate(x * canvas.width, y * canvas.height);
  paper.scale(side, side);
  paper.translate(-50, -50);
  Object.assign(paper, { lineWidth: pen / side, lineCap: "round", lineJoin: "round" });
  paper.stroke(new Path2D(PATHS[digit]));
  paper.restore();
}

// Makes a choice of a digit to be drawn.
export function digitChoice(first, chosen) {
  const options = PATHS.map((_, digit) => make("option", { value: digit, textContent: digit }));
  const choice = make("select", {}, ...options);
  choice.value = first;
  choice.addEventListener("change", () => chosen(Number(choice.value)));
  return make("label", {}, make("span", { textContent: "Draw me a" }), choice);
}
