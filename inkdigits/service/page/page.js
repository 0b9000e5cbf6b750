// The draw page: strokes or a picture come in, a reader reads them, and the reading is shown. The
// reader asks the service (http.js), or is in the browser itself (local.js): a site has only the
// latter, and a service may offer both. Nothing is stored.

import { $ } from "./dom.js";
import { answer, gazeAt, onChosen, show } from "./answer.js";
import { offerCorrection } from "./corrections.js";
import { isTyping, takePictures } from "./files.js";
import { lookInside } from "./inside.js";
import { followPen } from "./pen.js";
import { changed, clear, current, isEmpty, on, packed, shown, step } from "./sheet.js";

const PAUSE = 150; // ms between a change and its reading
const LOCAL = "Read on this device; nothing is sent.";

const offers = document.body.dataset; // local, offersLocal, collects
let isLocal = "local" in offers;
const readers = {}; // by whether they are local
let reader = null;
let isReady = false;
let arrived = 0; // the share of the reader that is here, 0 to 1

// ---- the reader

// Takes a reader, and waits for it: a local one has to load its networks.
async function use(local) {
  isLocal = local;
  const taken = await (readers[local] ??= makeReader(local));
  if (local !== isLocal) return;
  reader = taken;
  isReady = !local;
  sayStoring();
  if (!isEmpty(shown())) readSoon();
  await taken.ready;
  if (reader !== taken) return;
  isReady = true;
  sayArriving();
  if (local && !isEmpty(shown())) readSoon(0);
}

async function makeReader(local) {
  const { makeReader: make } = await import(local ? "./local.js" : "./http.js");
  return make(tell);
}

function tell(share) {
  arrived = share;
  sayArriving();
}

// Says how much of the reader has arrived, while something waits for it.
function sayArriving() {
  const waits = isLocal && !isReady && !isEmpty(current());
  $("arriving").hidden = !waits;
  if (!waits) return;
  const share = `${Math.floor(100 * arrived)} %`;
  $("arrived").value = arrived;
  $("arriving-said").textContent = answer?.isFirst
    ? `A first reading; the reader is arriving: ${share}`
    : `Waits for the reader, which is arriving: ${share}`;
}

const collects = () => "collects" in offers && Boolean(reader.correct);

function sayStoring() {
  let said = "Nothing is stored.";
  if (isLocal) said = "offersLocal" in offers ? "Nothing is sent." : LOCAL;
  else if (collects()) {
    said = "What you correct is stored by those who run this service; nothing else is.";
  }
  $("storing").textContent = said;
}

// ---- reading: one picture at a time, and the latest drawing wins

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
  if (!reader) return; // `use` reads what is there once it has one
  const drawn = current();
  if (isEmpty(drawn)) return;

  const base = shown();
  busy = true;
  newer = false;
  const result = await (isReady ? ask(drawn) : askFirst(drawn));
  busy = false;

  const same = base === shown() && !isEmpty(current()); // not cleared or undone meanwhile
  if (same) result();
  if (newer) readSoon();
}

// Lets a sheet be read. Returns what is to be done with the answer.
async function ask(drawn) {
  const { picture, origin } = packed(drawn);
  const { content, message, again } = await reader.read(picture);
  if (content) return () => answerWith(content, origin, picture);
  return again ? () => retry(message, again) : () => refuse(message);
}

// Lets a drawing be read while the reader is still arriving; a picture waits.
async function askFirst(drawn) {
  const { picture, origin } = packed(drawn);
  const content = drawn.picture ? null : await reader.first(picture);
  return () => {
    if (isReady) return; // it has arrived meanwhile, and reads next
    show(content && { ...content, isFirst: true }, origin, picture);
    sayArriving();
  };
}

function answerWith(content, origin, picture) {
  say("");
  show(content, origin, picture);
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

// ---- tools and keys

function go(count) {
  gazeAt(null);
  step(count);
}

function clearSheet() {
  gazeAt(null);
  clear();
}

$("undo").addEventListener("click", () => go(-1));
$("redo").addEventListener("click", () => go(1));
$("clear").addEventListener("click", clearSheet);
addEventListener("keydown", (event) => {
  if (isTyping(event)) return;
  const key = event.key.toLowerCase();
  const command = (event.ctrlKey || event.metaKey) && !event.altKey;
  if (command && key === "z") go(event.shiftKey ? 1 : -1);
  else if (command && key === "y") go(1);
  else if (key === "delete" && !command) clearSheet();
  else return;
  event.preventDefault();
});

$("device").hidden = !("offersLocal" in offers);
$("on-device").checked = false; // some browsers keep it when a page is loaded again
$("on-device").addEventListener("change", ({ target }) => use(target.checked));

// ---- what happens on the sheet

const lookInsideNow = (wait) => lookInside(reader, isLocal, wait);

on("change", () => {
  sayArriving();
  if (!isEmpty(shown())) return readSoon();
  show(null);
  say("");
});
onChosen((digit) => {
  $("correction").hidden = !digit || !collects();
  $("inside").hidden = !digit || !reader.inside || answer.isFirst;
  if (!digit) return;
  offerCorrection(digit, reader);
  lookInsideNow();
});
followPen(() => {
  readSoon();
  lookInsideNow(); // not yet, since the pen does not rest
});
takePictures(say);
$("inside").addEventListener("toggle", () => lookInsideNow(0));

// ---- in a frame of another page of this site: no title, and no higher than it needs

const frame = window.frameElement; // null where there is no page around, or one of another site
if (frame) {
  document.documentElement.classList.add("framed");
  const fit = () => (frame.style.height = `${document.body.offsetHeight}px`);
  new ResizeObserver(fit).observe(document.body);
}

changed();
use(isLocal);
