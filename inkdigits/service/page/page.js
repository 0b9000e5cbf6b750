// The draw page: strokes or a picture come in, a reader reads them, and the reading is shown. The
// reader asks the service (http.js), or is in the browser itself (local.js): a site has only the
// latter, and a service may offer both. Nothing is stored.
//
// A sheet is {width, height, strokes, picture} and never changes; the history is a list of sheets.
// Its units are the pixels of the picture, or those of the screen when the first stroke was drawn,
// so that turning a phone only moves it (see `view`).

import { $, children, imageOf, make, percent } from "./dom.js";
import { showInside } from "./inside.js";
import { isTable, showTable } from "./table.js";

const PAUSE = 150; // ms between a change and its reading
const REST = 500; // ms in which the pen and the chosen digit have to rest before the look inside
const SETTLED = 900; // ms without a new answer until the last one is spoken
const MARGIN = 24; // white pixels around what is sent, so that ink at the edge is whole
const PALM = 1_000; // ms after a pen was seen in which touches are those of the hand that holds it
const TAP = 4; // pixels that a finger may slip
const MAX_PICTURE = 32 * 2 ** 20; // bytes
const MAX_SHOWN = 1600; // pixels of the longer side on the screen; the whole file is sent

const LABELLED = 40; // pixels on the screen that digits are tall from which boxes show them
const HAS_FINGERS = matchMedia("(pointer: coarse)").matches; // nothing can be dropped there

const HINT = HAS_FINGERS ? "Write here" : "Write here, or drop a picture";
const UNSEEN = "This browser cannot show the picture; it is read all the same";
const LOCAL = "Read on this device; nothing is sent.";
const LOADING = "The reader is on its way; it stays on this device.";

const offers = document.body.dataset; // local, offersLocal, collects
let isLocal = "local" in offers;
let reader = await makeReader(isLocal);

async function makeReader(local) {
  return (await import(local ? "./local.js" : "./http.js")).makeReader();
}

const paper = $("paper");
const blank = { width: 0, height: 0, strokes: [], picture: null };

let history = [blank];
let at = 0; // history[at] is shown
let stroke = null; // the one under the pen: {points, width, pointer}
let penSeen = -Infinity;
let gaze = null; // the point whose digit is looked at; null means the last digit

// The reading of what is shown: {digits, signs, text, written, warnings, table}, with `picture`, what
// was read, and `place`, the index of the digit that is looked at.
let answer = null;

const shown = () => history[at];
const isEmpty = (drawn) => !drawn.picture && drawn.strokes.length === 0;

// ---- the sheet ----

// Returns where a sheet is on the screen: at x * scale + left, y * scale + top.
function view({ width, height } = shown()) {
  const { clientWidth, clientHeight } = paper;
  const scale = width ? Math.min(clientWidth / width, clientHeight / height) : 1;
  const drawnWidth = (width || clientWidth) * scale;
  const drawnHeight = (height || clientHeight) * scale;
  return { scale, left: (clientWidth - drawnWidth) / 2, top: (clientHeight - drawnHeight) / 2 };
}

// Returns where on the sheet an event happened.
function pointOf(event) {
  const { scale, left, top } = view(stroke?.sheet);
  const corner = paper.getBoundingClientRect();
  return [(event.clientX - corner.left - left) / scale, (event.clientY - corner.top - top) / scale];
}

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

// Returns the sheet with the stroke that is being drawn.
function current() {
  return stroke ? { ...stroke.sheet, strokes: [...stroke.sheet.strokes, stroke] } : shown();
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
  placeBoxes(scale, left, top);
}

// Draws what is on a sheet.
function paintOn(pen, { picture, width, height, strokes }) {
  pen.strokeStyle = getComputedStyle(paper).color;
  if (picture?.bitmap) pen.drawImage(picture.bitmap, 0, 0, width, height);
  strokes.forEach((one) => trace(pen, one));
}

let frame = 0;
function repaint() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    paint();
  });
}

// Returns what is read, and where the sheet's origin is in it: the picture's own file, or a canvas
// with all strokes that are in view, as dark ink on white in any colour scheme.
function packed(drawn) {
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

// ---- history ----

function go(place) {
  at = Math.max(0, Math.min(place, history.length - 1));
  gaze = null;
  stroke = null;
  changed();
}

function put(drawn) {
  history = [...history.slice(0, at + 1), drawn];
  at++;
  changed();
}

function clear() {
  if (isEmpty(shown())) return;
  gaze = null;
  put(blank);
}

function changed() {
  $("undo").disabled = at === 0;
  $("redo").disabled = at === history.length - 1;
  $("clear").disabled = isEmpty(shown());
  repaint();
  if (!isEmpty(shown())) return readSoon();
  show(null);
  say("");
}

// ---- pen, finger, mouse ----

paper.addEventListener("pointerdown", (event) => {
  if (event.pointerType === "pen") penSeen = event.timeStamp;
  const palm = event.pointerType === "touch" && event.timeStamp - penSeen < PALM;
  if (event.button !== 0 || palm || (stroke && event.pointerType !== "pen")) return;
  event.preventDefault();
  paper.setPointerCapture(event.pointerId);

  // A picture is not drawn on: the pen takes a new sheet, and undo brings the picture back.
  const { width, height, strokes } = shown().picture ? blank : shown();
  const base = {
    width: width || paper.clientWidth,
    height: height || paper.clientHeight,
    strokes,
    picture: null,
  };
  stroke = {
    sheet: base,
    pointer: event.pointerId,
    width: $("width").valueAsNumber / view(base).scale,
    points: [],
    moved: false,
  };
  stroke.points.push(pointOf(event));
});

paper.addEventListener("pointermove", (event) => {
  if (event.pointerType === "pen") penSeen = event.timeStamp;
  if (stroke?.pointer !== event.pointerId) return;
  const events = event.getCoalescedEvents?.() ?? [];
  for (const part of events.length ? events : [event]) stroke.points.push(pointOf(part));
  gaze = stroke.points.at(-1);
  stroke.moved ||= Math.hypot(gaze[0] - stroke.points[0][0], gaze[1] - stroke.points[0][1]) > TAP;
  if (!stroke.moved) return;
  repaint();
  readSoon();
  lookInside(); // not yet, since the pen does not rest
});

paper.addEventListener("pointerup", (event) => {
  if (stroke?.pointer !== event.pointerId) return;
  const { sheet: base, points, width, moved } = stroke;
  stroke = null;
  const touched = moved ? -1 : digitAt(pointOf(event));
  if (touched >= 0) look(touched); // a tap on a digit looks at it; elsewhere it is a dot
  else put({ ...base, strokes: [...base.strokes, { points, width }] });
});

paper.addEventListener("pointercancel", (event) => {
  if (stroke?.pointer !== event.pointerId) return;
  stroke = null;
  changed();
});

// ---- pictures ----

// Opens files, a sheet each, and shows the first of them; redo shows the next.
async function openAll(files) {
  if (!files.length) return open();
  const first = at + 1;
  for (const file of files) await open(file);
  if (files.length > 1) go(first);
}

async function open(file) {
  if (!file) return say("That was no picture. Drop, paste or choose a picture file.");
  if (file.size > MAX_PICTURE) {
    return say(`The file is too large: at most ${MAX_PICTURE >> 20} MB are read.`);
  }

  // The service reads some formats that the browser does not.
  const whole = await createImageBitmap(file).catch(() => null);
  const { width, height } = whole ?? blank;
  const share = Math.min(1, MAX_SHOWN / Math.max(width, height));
  const size = {
    resizeWidth: Math.ceil(width * share),
    resizeHeight: Math.ceil(height * share),
    resizeQuality: "medium",
  };
  const bitmap = whole && (await createImageBitmap(whole, size));
  whole?.close();
  gaze = null;
  put({ width, height, strokes: [], picture: { file, bitmap } });
}

for (const id of ["picture", "photo"]) {
  $(id).addEventListener("change", (event) => {
    const files = [...event.target.files];
    event.target.value = ""; // so that the same file can be chosen again
    if (files.length) openAll(files);
  });
}

// Tells whether keys and pasted text are meant for a text field.
const isTyping = ({ target }) => target.matches?.("input[type=text]");

addEventListener("paste", (event) => {
  if (!isTyping(event)) openAll([...event.clipboardData.files]);
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    $("sheet").classList.toggle("target", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") openAll([...event.dataTransfer.files]);
  });
}

// ---- tools and keys ----

$("undo").addEventListener("click", () => go(at - 1));
$("redo").addEventListener("click", () => go(at + 1));
$("clear").addEventListener("click", clear);
addEventListener("keydown", (event) => {
  if (isTyping(event)) return;
  const key = event.key.toLowerCase();
  const command = (event.ctrlKey || event.metaKey) && !event.altKey;
  if (command && key === "z") go(at + (event.shiftKey ? 1 : -1));
  else if (command && key === "y") go(at + 1);
  else if (key === "delete" && !command) clear();
  else return;
  event.preventDefault();
});

// ---- reading: one picture at a time, and the latest drawing wins ----

let timer = 0;
let busy = false;
let newer = false;
let isReady = false;
prepare();

// Waits for the reader, which has to load its networks if it is local.
async function prepare() {
  const waitingFor = reader;
  isReady = !isLocal;
  const { message } = (await waitingFor.ready) ?? {};
  if (reader !== waitingFor) return;
  isReady = !message;
  if ($("message").textContent === LOADING) say("");
}

const readers = { [isLocal]: reader }; // by whether they are local

$("device").hidden = !("offersLocal" in offers);
$("on-device").checked = false; // some browsers keep it when a page is loaded again
$("on-device").addEventListener("change", async ({ target }) => {
  isLocal = target.checked;
  reader = readers[isLocal] ??= await makeReader(isLocal);
  prepare();
  sayStoring();
  if (!isEmpty(shown())) readSoon();
});

function readSoon(wait = PAUSE) {
  timer ||= setTimeout(() => {
    timer = 0;
    read();
  }, wait);
}

async function read() {
  if (busy) return void (newer = true);
  const drawn = current();
  if (isEmpty(drawn)) return;

  const base = shown();
  busy = true;
  newer = false;
  if (!isReady) say(LOADING);
  const result = await ask(drawn);
  busy = false;

  const same = base === shown() && !isEmpty(current()); // not cleared or undone meanwhile
  if (same) result();
  if (newer) readSoon();
}

// Lets a sheet be read. Returns what is to be done with the answer.
async function ask(drawn) {
  const { picture, origin } = packed(drawn);
  const { content, message, again } = await reader.read(picture);
  if (content) return () => show(content, origin, picture);
  return again ? () => retry(message, again) : () => refuse(message);
}

function retry(message, wait) {
  say(`${message} Trying again …`);
  readSoon(wait);
}

function refuse(message) {
  show(null);
  say(message);
  $("sure").textContent = "Not read.";
}

function say(message) {
  if ($("message").textContent !== message) $("message").textContent = message;
}

// ---- the answer ----

// Shows a reading; null shows that there is none.
function show(reading, origin, picture) {
  const onSheet = (box) => box.map((edge, side) => edge - origin[side % 2]);
  const placed = (digit) => ({ ...digit, box: onSheet(digit.box), sentBox: digit.box });
  const digits = reading?.digits.map(placed);
  const table = reading?.table?.map((row) =>
    row.map((cell) => cell && { ...cell, box: onSheet(cell.box) }),
  );
  answer = reading && { ...reading, digits, table, picture };
  if (answer) say("");
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
  $("spoken").textContent = answer ? `${answer.text || "No digit"}. ${summary()}` : "";
}

function summary() {
  if (!answer) return isEmpty(current()) ? "Write one digit, or several." : "";
  const accepted = answer.digits.filter((digit) => digit.accepted);
  const refused = answer.digits.length - accepted.length;
  const least = percent(Math.min(...accepted.map((digit) => digit.confidence)));
  const sure = accepted.length > 1 ? `Each at least ${least} sure` : `${least} sure`;
  const hasMore = answer.signs?.length && !isTabular();
  const written = hasMore && `written ${answer.written.replaceAll("\n", " | ")}`;
  const parts = [which(), accepted.length && sure, written, refused && `${refused} not accepted`];
  return parts.filter(Boolean).join("; ") || "No digit found";
}

// Names the picture that is shown, if there are several.
function which() {
  const pictures = history.filter(({ picture }) => picture);
  const place = pictures.indexOf(shown());
  return place >= 0 && pictures.length > 1 && `Picture ${place + 1} of ${pictures.length}`;
}

// ---- the answer as a table ----

let asTable = false;
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
  gaze = [(left + right) / 2, (top + bottom) / 2];
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

// Returns the distance from a point to a digit's box, 0 inside.
function distance([x, y], { box: [left, top, right, bottom] }) {
  return Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom));
}

function digitAt(point) {
  if (!answer || !current().width) return -1;
  return answer.digits.findIndex((digit) => distance(point, digit) === 0);
}

// Returns the index of the digit that is looked at: the one nearest to the gaze.
function chosen() {
  const { digits } = answer;
  if (!gaze) return digits.length - 1;
  const distances = digits.map((digit) => distance(gaze, digit));
  return distances.indexOf(Math.min(...distances));
}

function look(index) {
  const [left, top, right, bottom] = answer.digits[index].box;
  gaze = [(left + right) / 2, (top + bottom) / 2];
  showDigits();
  repaint();
}

function showDigits() {
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
  $("correction").hidden = !collects() || place < 0;
  $("inside").hidden = !reader.inside || place < 0;
  if (place < 0) return;
  explain(digits[place]);
  offerCorrection(digits[place]);
  lookInside();
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

// ---- corrections, if the service stores them ----

const collects = () => "collects" in offers && Boolean(reader.correct);
sayStoring();

function sayStoring() {
  let said = "Nothing is stored.";
  if (isLocal) said = "offersLocal" in offers ? "Nothing is sent." : LOCAL;
  else if (collects()) {
    said = "What you correct is stored by those who run this service; nothing else is.";
  }
  $("storing").textContent = said;
}

function offerCorrection({ label, said = "Wrong? It is a" }) {
  $("wrong").textContent = said;
  const buttons = children($("labels"), 10, (number) => {
    const button = make("button", number);
    button.type = "button";
    button.addEventListener("click", () => correct(number));
    return button;
  });
  buttons.forEach((button, number) => button.setAttribute("aria-pressed", number === label));
}

async function correct(label) {
  const { picture, digits, place } = answer;
  const digit = digits[place];
  const { content, message } = await reader.correct(picture, label, digit.sentBox);
  if (content) digit.label = label;
  digit.said = content ? "Thank you. It is a" : `Not stored: ${message}`;
  if (answer?.digits === digits) showDigits();
  $("spoken").textContent = content ? `Thank you. It is stored as a ${label}.` : digit.said;
}

// ---- looking inside ----

let insideOf = null; // that for which the inside is shown: a field, or with its whole reading
let rest = 0;
const fieldNow = () => answer?.digits[answer.place]?.field;
const subject = () => (isLocal && fieldNow() ? [answer, fieldNow()] : fieldNow());
const isSame = (one, other) =>
  one === other || one?.every?.((value, i) => value === other?.[i]) === true;

$("inside").addEventListener("toggle", () => lookInside(0));

function lookInside(wait = REST) {
  clearTimeout(rest);
  const of = subject();
  if (!reader.inside || !of || !$("inside").open || isSame(of, insideOf)) return;
  rest = setTimeout(async () => {
    const field = fieldNow();
    const { content, message } = await reader.inside(field);
    if (!isSame(of, subject())) return; // something else is looked at by now
    insideOf = content ? of : null;
    if (content) showInside(content, field);
    else $("insight").textContent = message;
  }, wait);
}

function placeBoxes(scale, left, top) {
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
}

new ResizeObserver(repaint).observe(paper);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
changed();
