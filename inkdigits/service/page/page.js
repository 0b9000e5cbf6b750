// The draw page: strokes or a picture in, POST /v1/read, and what the network made of it out. Stores nothing here.
//
// A sheet is {width, height, strokes, picture} and never changes; the history is a list of sheets. Its units are pixels of the
// picture, or those of the screen when the first stroke was drawn, so that turning the phone only moves it (see view()).

import { $, bytesOf, children, imageOf, make, percent } from "./dom.js";
import { showInside } from "./inside.js";

const PAUSE = 150; // ms between a change and its reading
const PATIENCE = 10_000; // ms for an answer
const AGAIN = 2_000; // ms until the next try where the service is away or busy
const REST = 500; // ms without a move of the pen or another digit, then the network is looked into again
const SETTLED = 900; // ms without a new answer, then it is spoken
const MARGIN = 24; // white around what is sent: ink that reaches the edge of the sheet is whole nevertheless
const PALM = 1_000; // ms after a pen was seen in which touches are the hand that holds it
const TAP = 4; // pixels that a finger may slip
const LARGEST = 32 * 2 ** 20; // bytes of a picture
const SHOWN = 1600; // pixels of a picture's longer side that are kept to show it; what is sent is the file

const HINT = "Write here, or drop a picture";
const UNSEEN = "This browser cannot show the picture; it is read nevertheless";

const paper = $("paper");
const blank = { width: 0, height: 0, strokes: [], picture: null };

let history = [blank];
let at = 0; // what is shown is history[at]
let stroke = null; // the one under the pen: {points, width, pointer}
let penSeen = -Infinity;
let gaze = null; // the point of the sheet whose digit is looked into; the last digit where it is null
let answer = null; // {digits, text, warnings} of what is shown; body: what was sent; place: of the digit that is looked into

const shown = () => history[at];
const isEmpty = (drawn) => !drawn.picture && drawn.strokes.length === 0;

// ---- the sheet ----

// From the sheet's units to the screen's: x * scale + left, y * scale + top.
function view({ width, height } = shown()) {
  const { clientWidth, clientHeight } = paper;
  const scale = width ? Math.min(clientWidth / width, clientHeight / height) : 1;
  const [drawnWidth, drawnHeight] = [(width || clientWidth) * scale, (height || clientHeight) * scale];
  return { scale, left: (clientWidth - drawnWidth) / 2, top: (clientHeight - drawnHeight) / 2 };
}

function pointOf(event) {
  const { scale, left, top } = view(stroke?.sheet);
  const corner = paper.getBoundingClientRect();
  return [(event.clientX - corner.left - left) / scale, (event.clientY - corner.top - top) / scale];
}

// A smooth line: curves from middle to middle of neighbouring points, which bend towards the points themselves.
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

// The sheet with the stroke that is being drawn.
function current() {
  return stroke ? { ...stroke.sheet, strokes: [...stroke.sheet.strokes, stroke] } : shown();
}

function paint() {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [Math.round(paper.clientWidth * ratio), Math.round(paper.clientHeight * ratio)];
  if (paper.width !== width || paper.height !== height) [paper.width, paper.height] = [width, height];
  const drawn = current();
  const { scale, left, top } = view(drawn);
  const pen = paper.getContext("2d");
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.setTransform(scale * ratio, 0, 0, scale * ratio, left * ratio, top * ratio);
  pen.strokeStyle = getComputedStyle(paper).color;
  if (drawn.picture?.bitmap) pen.drawImage(drawn.picture.bitmap, 0, 0, drawn.width, drawn.height);
  drawn.strokes.forEach((one) => trace(pen, one));
  $("hint").textContent = isEmpty(drawn) ? HINT : drawn.picture && !drawn.picture.bitmap ? UNSEEN : "";
  placeBoxes(scale, left, top);
}

let frame = 0;
function repaint() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    paint();
  });
}

// What is sent, and where the sheet's origin is in it: the picture's own bytes, or all strokes that are in view as dark ink on
// white, whatever the page's colours.
function packed(drawn) {
  if (drawn.picture) return { body: drawn.picture.file, origin: [0, 0] };
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
  // Not toBlob: it waits for the browser to be idle, which takes 0.3 to 1 s while somebody draws.
  return { body: new Blob([bytesOf(canvas.toDataURL("image/png").split(",")[1])], { type: "image/png" }), origin };
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
  const base = { width: width || paper.clientWidth, height: height || paper.clientHeight, strokes, picture: null };
  stroke = { sheet: base, pointer: event.pointerId, width: $("width").valueAsNumber / view(base).scale, points: [], moved: false };
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
  lookInside(); // not yet: the pen does not rest
});

paper.addEventListener("pointerup", (event) => {
  if (stroke?.pointer !== event.pointerId) return;
  const { sheet: base, points, width, moved } = stroke;
  stroke = null;
  const touched = moved ? -1 : digitAt(pointOf(event));
  if (touched >= 0) look(touched); // a tap on a digit asks about it; elsewhere it is a dot
  else put({ ...base, strokes: [...base.strokes, { points, width }] });
});

paper.addEventListener("pointercancel", (event) => {
  if (stroke?.pointer !== event.pointerId) return;
  stroke = null;
  changed();
});

// ---- pictures ----

async function open(file) {
  if (!file) return say("That was no picture. Drop, paste or choose a picture file.");
  if (file.size > LARGEST) return say(`The file is too large: at most ${LARGEST >> 20} MB are read.`);
  const whole = await createImageBitmap(file).catch(() => null); // the service reads some formats that the browser does not
  const { width, height } = whole ?? blank;
  const share = Math.min(1, SHOWN / Math.max(width, height));
  const size = { resizeWidth: Math.ceil(width * share), resizeHeight: Math.ceil(height * share), resizeQuality: "medium" };
  const bitmap = whole && (await createImageBitmap(whole, size));
  whole?.close();
  gaze = null;
  put({ width, height, strokes: [], picture: { file, bitmap } });
}

for (const id of ["picture", "photo"]) {
  $(id).addEventListener("change", (event) => {
    if (event.target.files.length) open(event.target.files[0]);
    event.target.value = ""; // so that the same file can be chosen again
  });
}

addEventListener("paste", (event) => open(event.clipboardData.files[0]));
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    $("sheet").classList.toggle("target", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") open(event.dataTransfer.files[0]);
  });
}

// ---- tools and keys ----

$("undo").addEventListener("click", () => go(at - 1));
$("redo").addEventListener("click", () => go(at + 1));
$("clear").addEventListener("click", clear);
addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  const command = (event.ctrlKey || event.metaKey) && !event.altKey;
  if (command && key === "z") go(at + (event.shiftKey ? 1 : -1));
  else if (command && key === "y") go(at + 1);
  else if (key === "delete" && !command) clear();
  else return;
  event.preventDefault();
});

// ---- reading: one request at a time, and the latest drawing wins ----

let timer = 0;
let busy = false;
let newer = false;

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
  [busy, newer] = [true, false];
  const result = await ask(drawn);
  busy = false;
  if (base === shown() && !isEmpty(current())) result(); // else the sheet was cleared or undone meanwhile
  if (newer) readSoon();
}

// Sends a sheet; returns what is to be done with the answer.
async function ask(drawn) {
  const { body, origin } = packed(drawn);
  const { content, status, message, after } = await post("v1/read?explain=true", body);
  if (content) return () => show(content, origin, body);
  return status && status !== 503 ? () => refuse(message) : () => retry(message, after);
}

// Returns the content of the answer, or else a message that says why there is none; status 0: nobody answered.
async function post(path, body) {
  let status = 0;
  try {
    const headers = { "Content-Type": body.type.startsWith("image/") ? body.type : "application/octet-stream" };
    const response = await fetch(path, { method: "POST", body, headers, signal: AbortSignal.timeout(PATIENCE) });
    status = response.status;
    if (status === 503) return { status, message: "The service is busy.", after: Number(response.headers.get("Retry-After")) };
    const content = await response.json();
    if (response.ok) return { content };
    if (status < 500 || status === 501 || status === 507) return { status, message: sentence(content.error.message) };
  } catch {
    if (!status) return { status, message: "The service does not answer. Is it still running?" };
  }
  return { status, message: `The service failed (${status}).` };
}

const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? "" : ".");

function retry(message, seconds) {
  say(`${message} Trying again …`);
  readSoon(seconds > 0 ? Math.min(seconds * 1000, 4 * AGAIN) : AGAIN);
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

function show(reading, origin, body) {
  const onSheet = (box) => box.map((edge, side) => edge - origin[side % 2]);
  const digits = reading?.digits.map((digit) => ({ ...digit, box: onSheet(digit.box), sentBox: digit.box }));
  answer = reading && { ...reading, digits, body };
  if (answer) say("");
  $("text").textContent = answer?.text ?? "";
  $("text").classList.toggle("long", $("text").textContent.length > 10);
  $("sure").textContent = summary();
  $("warnings").replaceChildren(...(answer?.warnings ?? []).map((warning) => make("li", warning)));
  showDigits();
  repaint();
  clearTimeout(show.spoken);
  show.spoken = setTimeout(() => ($("spoken").textContent = answer ? `${answer.text || "No digit"}. ${summary()}` : ""), SETTLED);
}

function summary() {
  if (!answer) return isEmpty(current()) ? "Write one digit, or several." : "";
  const accepted = answer.digits.filter((digit) => digit.accepted);
  const refused = answer.digits.length - accepted.length;
  const least = percent(Math.min(...accepted.map((digit) => digit.confidence)));
  const sure = accepted.length > 1 ? `${accepted.length} digits, each at least ${least} sure` : `${least} sure`;
  return [accepted.length && sure, refused && `${refused} not accepted`].filter(Boolean).join("; ") || "No digit found";
}

// Distance from a point to a digit's box; 0 inside.
function distance([x, y], { box: [left, top, right, bottom] }) {
  return Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom));
}

function digitAt(point) {
  return answer && current().width ? answer.digits.findIndex((digit) => distance(point, digit) === 0) : -1;
}

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
  document.querySelector(".reasons").hidden = !answer || (digits.length === 0 && answer.warnings.length === 0);
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
    button.setAttribute("aria-label", `${digit}, ${accepted ? `${percent(confidence)} sure` : `not accepted: ${reason}`}`);
  });
  $("digits").hidden = digits.length < 2;
  $("verdict").hidden = document.querySelector(".seen").hidden = place < 0;
  $("correction").hidden = !collects || place < 0;
  $("inside").hidden = place < 0;
  if (place < 0) return;
  explain(digits[place]);
  offerCorrection(digits[place]);
  lookInside();
}

function explain({ digit, confidence, accepted, reason, probabilities, field }) {
  $("verdict").textContent = accepted ? `${digit}, ${percent(confidence)} sure` : `Not accepted: ${reason}`;
  $("verdict").className = accepted ? "" : "refused";
  const pixels = bytesOf(field);
  $("field").getContext("2d").putImageData(imageOf(28, 28, (i) => [pixels[i], pixels[i], pixels[i]]), 0, 0);
  const bars = children($("bars"), 10, (label) => {
    const bar = make("li");
    bar.append(make("span", label), make("i"), make("span"));
    bar.children[1].append(make("b"));
    return bar;
  });
  bars.forEach((bar, label) => {
    bar.className = label === digit ? (accepted ? "best" : "best refused") : "";
    bar.children[1].firstElementChild.style.transform = `translateX(${100 * (probabilities[label] - 1)}%)`;
    bar.children[2].textContent = percent(probabilities[label]);
  });
}

// ---- teaching it, where the service collects ----

const collects = "collects" in document.body.dataset;
if (collects) $("storing").textContent = "What you correct is stored by whoever runs this service; nothing else is.";

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
  const { body, digits, place } = answer;
  const digit = digits[place];
  const { content, message } = await post(`v1/feedback?${new URLSearchParams({ label, box: digit.sentBox })}`, body);
  if (content) digit.label = label;
  digit.said = content ? "Thank you. It is a" : `Not stored: ${message}`;
  if (answer?.digits === digits) showDigits();
  $("spoken").textContent = content ? `Thank you. It is stored as a ${label}.` : digit.said;
}

// ---- looking inside ----

let insideOf = ""; // the field whose inside is shown
let rest = 0;
const fieldNow = () => answer?.digits[answer.place]?.field;

$("inside").addEventListener("toggle", () => lookInside(0));

function lookInside(wait = REST) {
  clearTimeout(rest);
  const field = fieldNow();
  if (!field || !$("inside").open || field === insideOf) return;
  rest = setTimeout(async () => {
    const { content, message } = await post("v1/inside", new Blob([bytesOf(field)]));
    if (field !== fieldNow()) return; // another digit is looked at meanwhile, and will be looked into
    insideOf = content ? field : "";
    if (content) showInside(content, bytesOf(field));
    else $("insight").textContent = message;
  }, wait);
}

function placeBoxes(scale, left, top) {
  const digits = current().width ? (answer?.digits ?? []) : []; // without a width nobody knows where they are
  $("boxes").classList.toggle("over-picture", Boolean(current().picture));
  const boxes = children($("boxes"), digits.length, () => make("i"));
  boxes.forEach((box, index) => {
    const { digit, accepted, box: [x, y, right, bottom] } = digits[index];
    box.dataset.digit = accepted ? digit : `${digit}?`;
    box.className = `${accepted ? "" : "refused"} ${index === answer.place ? "chosen" : ""}`;
    const [spare, room] = [7, 26]; // around the ink, and above it for the digit
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
