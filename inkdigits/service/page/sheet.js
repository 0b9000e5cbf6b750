// The sheet: what is drawn or photographed, its history, and how it is painted.
//
// A sheet is {width, height, strokes, picture} and never changes; the history is a list of sheets.
// Its units are the pixels of the picture, or those of the screen when the first stroke was drawn,
// so that turning a phone only moves it (see `view`).

import { $ } from "./dom.js";

const MARGIN = 24; // white pixels around what is sent, so that ink at the edge is whole
const HAS_FINGERS = matchMedia("(pointer: coarse)").matches; // nothing can be dropped there
const HINT = HAS_FINGERS ? "Write here" : "Write here, or drop a picture";
const UNSEEN = "This browser cannot show the picture; it is read all the same";

export const paper = $("paper");
export const blank = { width: 0, height: 0, strokes: [], picture: null };

let history = [blank];
let at = 0; // history[at] is shown
export let stroke = null; // the one under the pen: {points, width, sheet, pointer, moved}

export const shown = () => history[at];
export const isEmpty = (drawn) => !drawn.picture && drawn.strokes.length === 0;

// Returns the sheet with the stroke that is being drawn.
export function current() {
  return stroke ? { ...stroke.sheet, strokes: [...stroke.sheet.strokes, stroke] } : shown();
}

// Returns the number of the picture that is shown, from 1, and how many there are; null where there
// are not several.
export function pictureNumber() {
  const pictures = history.filter(({ picture }) => picture);
  const place = pictures.indexOf(shown());
  return place >= 0 && pictures.length > 1 ? [place + 1, pictures.length] : null;
}

// Sets the stroke under the pen; null lifts it.
export function drawing(one) {
  stroke = one;
}

// ---- what others do when something happens

const listeners = { change: [], paint: [] };

// Calls a function when another sheet is shown, or with (scale, left, top) when it is painted.
export function on(event, listen) {
  listeners[event].push(listen);
}

const tell = (event, ...what) => listeners[event].forEach((listen) => listen(...what));

// ---- history

function go(place) {
  at = Math.max(0, Math.min(place, history.length - 1));
  stroke = null;
  changed();
}

// Goes so many sheets on, or back.
export const step = (count) => go(at + count);

// Adds sheets, and shows the first of them.
export function put(...sheets) {
  history = [...history.slice(0, at + 1), ...sheets];
  go(at + 1);
}

export function clear() {
  if (!isEmpty(shown())) put(blank);
}

export function changed() {
  $("undo").disabled = at === 0;
  $("redo").disabled = at === history.length - 1;
  $("clear").disabled = isEmpty(shown());
  repaint();
  tell("change");
}

// ---- places

// Returns where a sheet is on the screen: at x * scale + left, y * scale + top.
export function view({ width, height } = shown()) {
  const { clientWidth, clientHeight } = paper;
  const scale = width ? Math.min(clientWidth / width, clientHeight / height) : 1;
  const drawnWidth = (width || clientWidth) * scale;
  const drawnHeight = (height || clientHeight) * scale;
  return { scale, left: (clientWidth - drawnWidth) / 2, top: (clientHeight - drawnHeight) / 2 };
}

// Returns where on the sheet an event happened.
export function pointOf(event) {
  const { scale, left, top } = view(stroke?.sheet);
  const corner = paper.getBoundingClientRect();
  return [(event.clientX - corner.left - left) / scale, (event.clientY - corner.top - top) / scale];
}

// ---- painting

// Draws a smooth line: curves from middle to middle of neighbouring points, bent towards them.
function trace(pen, { points, width }) {
  pen.lineWidth = width;
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(...points[0]);
  for (let i = 1; i < points.length - 1; i++) {
    const [[x, y], [nextX, nextY]] = [points[i], points[i + 1]];
    pen.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
  }
  pen.lineTo(...points.at(-1));
  pen.stroke();
}

// Draws what is on a sheet.
export function paintOn(pen, { picture, width, height, strokes }) {
  pen.strokeStyle = getComputedStyle(paper).color;
  if (picture?.bitmap) pen.drawImage(picture.bitmap, 0, 0, width, height);
  strokes.forEach((one) => trace(pen, one));
}

function paint() {
  const ratio = devicePixelRatio || 1;
  const width = Math.round(paper.clientWidth * ratio);
  const height = Math.round(paper.clientHeight * ratio);
  if (paper.width !== width || paper.height !== height) {
    paper.width = width;
    paper.height = height;
  }

  const drawn = current();
  const { scale, left, top } = view(drawn);
  const pen = paper.getContext("2d");
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.setTransform(scale * ratio, 0, 0, scale * ratio, left * ratio, top * ratio);
  paintOn(pen, drawn);

  const unseen = drawn.picture && !drawn.picture.bitmap;
  $("hint").textContent = isEmpty(drawn) ? HINT : unseen ? UNSEEN : "";
  tell("paint", scale, left, top);
}

let frame = 0;
export function repaint() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    paint();
  });
}

new ResizeObserver(repaint).observe(paper);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

// Returns what is read, and where the sheet's origin is in it: the picture's own file, or a canvas
// with all strokes that are in view, as dark ink on white in any colour scheme.
export function packed(drawn) {
  if (drawn.picture) return { picture: drawn.picture.file, origin: [0, 0] };
  const { scale, left, top } = view(drawn);
  const origin = [left / scale + MARGIN, top / scale + MARGIN];
  const canvas = document.createElement("canvas");
  canvas.width = paper.clientWidth / scale + 2 * MARGIN;
  canvas.height = paper.clientHeight / scale + 2 * MARGIN;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.translate(...origin);
  drawn.strokes.forEach((one) => trace(pen, one));
  return { picture: canvas, origin };
}
