// The answer to what is on the sheet: its text, how sure it is, and a box, a button and the reasons
// for each digit.

import { $, children, imageOf, make, percent } from "./dom.js";
import { current, isEmpty, on, paintOn, pictureNumber, repaint, shown } from "./sheet.js";
import { isTable, showTable } from "./table.js";

const SETTLED = 900; // ms without a new answer until the last one is spoken
const LABELLED = 40; // pixels on the screen that digits are tall from which boxes show them

// The reading of what is shown: {digits, signs, text, written, warnings, table}, with `picture`,
// what was read, `place`, the index of the digit that is looked at, and `isFirst` of a first reading.
export let answer = null;

let gaze = null; // the point whose digit is looked at; null means the last digit
let asTable = false;
let choose = () => {};

// Calls a function with the digit that is looked at, or null, whenever that is shown.
export function onChosen(listen) {
  choose = listen;
}

// Shows a reading; null shows that there is none.
export function show(reading, origin, picture) {
  const onSheet = (box) => box.map((edge, side) => edge - origin[side % 2]);
  const placed = (digit) => ({ ...digit, box: onSheet(digit.box), sentBox: digit.box });
  const digits = reading?.digits.map(placed);
  const table = reading?.table?.map((row) =>
    row.map((cell) => cell && { ...cell, box: onSheet(cell.box) }),
  );
  answer = reading && { ...reading, digits, table, picture };
  $("text").textContent = answer?.text ?? "";
  // Small enough that a second line of writing does not move the sheet under the pen.
  $("text").classList.toggle("long", /.{11}|\n/.test($("text").textContent));
  $("warnings").replaceChildren(...(answer?.warnings ?? []).map((warning) => make("li", warning)));
  showDigits();
  arrange();
  repaint();
  clearTimeout(show.spoken);
  show.spoken = setTimeout(speak, SETTLED);
}

function speak() {
  const kind = answer?.isFirst ? "A first reading: " : "";
  $("spoken").textContent = answer ? `${kind}${answer.text || "No digit"}. ${summary()}` : "";
}

function summary() {
  if (!answer) return isEmpty(current()) ? "Write one digit, or several." : "";
  const accepted = answer.digits.filter((digit) => digit.accepted);
  const refused = answer.digits.length - accepted.length;
  const least = percent(Math.min(...accepted.map((digit) => digit.confidence)));
  const sure = accepted.length > 1 ? `Each at least ${least} sure` : `${least} sure`;
  const hasMore = answer.signs?.length && !isTabular();
  const parts = [
    pictureNumber() && `Picture ${pictureNumber().join(" of ")}`,
    accepted.length && sure,
    hasMore && `written ${answer.written.replaceAll("\n", " | ")}`,
    refused && `${refused} not accepted`,
  ];
  return parts.filter(Boolean).join("; ") || "No digit found";
}

// ---- the answer as a table

$("as-table").addEventListener("click", () => {
  asTable = !asTable;
  arrange();
});

const isTabular = () => asTable && isTable(answer?.table);

// Shows the table if there is one, and if it is asked for.
function arrange() {
  const tabular = isTabular();
  $("as-table").hidden = !isTable(answer?.table);
  $("as-table").setAttribute("aria-pressed", tabular);
  $("table").hidden = !tabular;
  document.querySelector("main").classList.toggle("tabular", tabular);
  $("sure").textContent = summary();
  if (tabular) showTable(answer.table, shown(), answer.picture, lookAt);
}

// Looks at a part of the sheet, which is shown large.
function lookAt(box) {
  const [left, top, right, bottom] = box;
  gaze = middleOf(box);
  showDigits();
  repaint();

  const drawn = shown();
  $("crop").hidden = Boolean(drawn.picture && !drawn.picture.bitmap);
  const { clientWidth, clientHeight } = $("crop");
  const ratio = devicePixelRatio || 1;
  Object.assign($("crop"), { width: clientWidth * ratio, height: clientHeight * ratio });
  const room = (bottom - top) / 2;
  const { width, height } = $("crop");
  const scale = Math.min(height / (bottom - top + 2 * room), width / (right - left + 2 * room));
  const pen = $("crop").getContext("2d");
  pen.setTransform(scale, 0, 0, scale, width / 2 - gaze[0] * scale, height / 2 - gaze[1] * scale);
  paintOn(pen, drawn);
}

// ---- the digit that is looked at

const middleOf = ([left, top, right, bottom]) => [(left + right) / 2, (top + bottom) / 2];

// Returns the distance from a point to a digit's box, 0 inside.
function distance([x, y], { box: [left, top, right, bottom] }) {
  return Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom));
}

export function digitAt(point) {
  if (!answer || !current().width) return -1;
  return answer.digits.findIndex((digit) => distance(point, digit) === 0);
}

// Sets the point to look at, of which the next answer takes note; null means the last digit.
export function gazeAt(point) {
  gaze = point;
}

// Looks at one of the digits.
export function look(index) {
  gaze = middleOf(answer.digits[index].box);
  showDigits();
  repaint();
}

// Returns the index of the digit that is looked at: the one nearest to the gaze.
function chosen() {
  const { digits } = answer;
  if (!gaze) return digits.length - 1;
  const distances = digits.map((digit) => distance(gaze, digit));
  return distances.indexOf(Math.min(...distances));
}

export function showDigits() {
  const digits = answer?.digits ?? [];
  const nothing = !answer || (digits.length === 0 && answer.warnings.length === 0);
  document.querySelector(".reasons").hidden = nothing;
  const place = digits.length ? chosen() : -1;
  if (answer) answer.place = place;
  const buttons = children($("digits"), digits.length, (index) => {
    const button = make("button");
    button.type = "button";
    button.addEventListener("click", () => look(index));
    return button;
  });
  buttons.forEach((button, index) => {
    const { digit, confidence, accepted, reason } = digits[index];
    button.textContent = accepted ? digit : `${digit}?`;
    button.className = accepted ? "" : "refused";
    button.setAttribute("aria-pressed", index === place);
    const verdict = accepted ? `${percent(confidence)} sure` : `not accepted: ${reason}`;
    button.setAttribute("aria-label", `${digit}, ${verdict}`);
  });
  $("digits").hidden = digits.length < 2;
  $("verdict").hidden = document.querySelector(".seen").hidden = place < 0;
  if (place >= 0) explain(digits[place]);
  choose(digits[place] ?? null);
}

function explain({ digit, confidence, accepted, reason, probabilities, field }) {
  const sure = `${digit}, ${percent(confidence)} sure`;
  $("verdict").textContent = accepted ? sure : `Not accepted: ${reason}`;
  $("verdict").className = accepted ? "" : "refused";

  const grey = imageOf(28, 28, (i) => [field[i], field[i], field[i]]);
  $("field").getContext("2d").putImageData(grey, 0, 0);

  const bars = children($("bars"), 10, (label) => {
    const bar = make("li");
    bar.append(make("span", label), make("i"), make("span"));
    bar.children[1].append(make("b"));
    return bar;
  });
  bars.forEach((bar, label) => {
    bar.className = label === digit ? (accepted ? "best" : "best refused") : "";
    const probability = probabilities[label];
    bar.children[1].firstElementChild.style.transform = `translateX(${100 * (probability - 1)}%)`;
    bar.children[2].textContent = percent(probability);
  });
}

// ---- boxes on the sheet

on("paint", (scale, left, top) => {
  const digits = current().width ? (answer?.digits ?? []) : []; // without a width there is no place
  $("boxes").classList.toggle("over-picture", Boolean(current().picture));
  const boxes = children($("boxes"), digits.length, () => make("i"));

  // The median counts. In the photo of a page a label would hide the line above.
  const heights = digits.map(({ box }) => box[3] - box[1]).sort((one, other) => one - other);
  const labelled = heights[heights.length >> 1] * scale >= LABELLED;
  boxes.forEach((box, index) => {
    const { digit, accepted } = digits[index];
    const [x, y, right, bottom] = digits[index].box;
    const [spare, room] = labelled ? [7, 26] : [2, 2]; // pixels around the ink, and above it
    box.dataset.digit = labelled ? (accepted ? digit : `${digit}?`) : "";
    box.className = `${accepted ? "" : "refused"} ${index === answer.place ? "chosen" : ""}`;
    Object.assign(box.style, {
      left: `${x * scale + left - spare}px`,
      top: `${y * scale + top - room}px`,
      width: `${(right - x) * scale + 2 * spare}px`,
      height: `${(bottom - y) * scale + room + spare}px`,
    });
  });
});
