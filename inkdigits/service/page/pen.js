// Pen, finger and mouse on the sheet: strokes, and taps on digits.

import { $ } from "./dom.js";
import { digitAt, gazeAt, look } from "./answer.js";
import { blank, changed, drawing, paper, pointOf, put, repaint } from "./sheet.js";
import { shown, stroke, view } from "./sheet.js";

const PALM = 1_000; // ms after a pen was seen in which touches are those of the hand that holds it
const TAP = 4; // pixels that a finger may slip

let penSeen = -Infinity;

// Follows the pen. onMove: called while a stroke is being drawn.
export function followPen(onMove) {
  paper.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "pen") penSeen = event.timeStamp;
    const palm = event.pointerType === "touch" && event.timeStamp - penSeen < PALM;
    if (event.button !== 0 || palm || (stroke && event.pointerType !== "pen")) return;
    event.preventDefault();
    paper.setPointerCapture(event.pointerId);
    begin(event);
  });

  paper.addEventListener("pointermove", (event) => {
    if (event.pointerType === "pen") penSeen = event.timeStamp;
    if (stroke?.pointer !== event.pointerId) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const part of events.length ? events : [event]) stroke.points.push(pointOf(part));
    const [[firstX, firstY], [x, y]] = [stroke.points[0], stroke.points.at(-1)];
    gazeAt([x, y]);
    stroke.moved ||= Math.hypot(x - firstX, y - firstY) > TAP;
    if (!stroke.moved) return;
    repaint();
    onMove();
  });

  paper.addEventListener("pointerup", (event) => {
    if (stroke?.pointer !== event.pointerId) return;
    const { sheet, points, width, moved } = stroke;
    drawing(null);
    const touched = moved ? -1 : digitAt(pointOf(event));
    if (touched >= 0) look(touched); // a tap on a digit looks at it; elsewhere it is a dot
    else put({ ...sheet, strokes: [...sheet.strokes, { points, width }] });
  });

  paper.addEventListener("pointercancel", (event) => {
    if (stroke?.pointer !== event.pointerId) return;
    drawing(null);
    changed();
  });
}

// Begins a stroke. A picture is not drawn on: the pen takes a new sheet, and undo brings the
// picture back.
function begin(event) {
  const { width, height, strokes } = shown().picture ? blank : shown();
  const sheet = {
    width: width || paper.clientWidth,
    height: height || paper.clientHeight,
    strokes,
    picture: null,
  };
  drawing({
    sheet,
    pointer: event.pointerId,
    width: $("width").valueAsNumber / view(sheet).scale,
    points: [],
    moved: false,
  });
  stroke.points.push(pointOf(event));
}
