// Which way up is a page? One that is read badly is tried on its sides and upside down. Mirrors
// reading/turning.py.

import { turning } from "./constants.js";
import { argsort, median, rint, sum } from "./arrays.js";
import { pixelsOf } from "./page/places.js";
import { resized } from "./page/survey.js";
import { originalSize, turnLeft } from "./preprocessing/picture.js";

const { TURNS, FEWEST_ON_TURNED_PAGE, MOST_TRIED, FEWEST_IN_LINE, CROWDED, MIDDLE } = turning;
const { FEWEST_IN_MIDDLE, SURELY_UPRIGHT } = turning;
const { CONFUSED_CONFIDENCE, SENSIBLE_CONFIDENCE, CLOSE_CONFIDENCE, SENSIBLE_SHARE } = turning;

// Reads a page as it stands, or as it makes sense. steps: the ways to read a picture as it stands:
// survey says where to look, read may be given what that said, and readPart reads so many symbols
// in a part of a picture, at its scale.
export async function traceWayUp(steps, picture) {
  const surveyed = await steps.survey(picture);
  if (isCrowded(surveyed)) {
    const [quarters, doubts] = await wayUp(steps.readPart, surveyed);
    const trace = await (quarters
      ? steps.read(turnLeft(picture, quarters))
      : steps.read(picture, surveyed));
    return { ...trace, reading: turnedBack(trace.reading, picture, quarters, doubts) };
  }

  const trace = await steps.read(picture, surveyed);
  return looksTurned(trace) ? turnIfSensible(steps, picture, trace) : trace;
}

const isCrowded = (surveyed) => surveyed !== null && surveyed.wanted > CROWDED;

// Returns by how many quarters to turn a crowded page to the left, and doubts about that. Its
// middle tells; if that makes no sense in any direction, the page is read as it stands.
async function wayUp(readPart, surveyed) {
  const middle = { image: middleOf(surveyed), scale: [1, 1] };
  const upright = await readPart(middle.image, MOST_TRIED);
  if (tells(upright) && meanConfidence(upright) > SURELY_UPRIGHT) return [0, []];

  const readings = { upright };
  let [quarters, best] = [0, tells(upright) ? upright : null];
  for (const [turned, direction] of TURNS) {
    const reading = await readPart(turnLeft(middle, turned).image, MOST_TRIED);
    readings[direction] = reading;
    const isSurer = !best || meanConfidence(reading) > meanConfidence(best);
    if (isSurer && tells(reading)) [quarters, best] = [turned, reading];
  }
  return [quarters, best ? otherWays(best, readings) : []];
}

// Tells whether the middle of a crowded page has digits enough that make sense.
const tells = (middle) => middle.digits.length >= FEWEST_IN_MIDDLE && makesSense(middle);

// Returns the middle of a page's largest place as it is looked at, MIDDLE pixels on a side.
function middleOf({ image, places, shrink }) {
  const place = places.reduce((most, one) => (pixelsOf(one) > pixelsOf(most) ? one : most));
  const scale = place.zoom * shrink;
  const side = MIDDLE / scale;
  const start = (low, high) => Math.max(0, rint((low + high - side) / 2));
  const [left, top] = [start(place.left, place.right), start(place.top, place.bottom)];
  return resized(cut(image, left, top, rint(left + side), rint(top + side)), scale);
}

// Returns the trace of a page turned by right angles if that makes sense, or `upright`. Of a page
// with many symbols a part is tried, and then only the best way up is read whole.
async function turnIfSensible(steps, picture, upright) {
  const part = partToTry(picture, upright.reading);
  let [best, bestQuarters] = [upright, 0];
  const readings = { upright: upright.reading };
  for (const [quarters, direction] of TURNS) {
    const trace = await tried(steps, turnLeft(part, quarters));
    readings[direction] = trace.reading;
    const isSurer = meanConfidence(trace.reading) > meanConfidence(best.reading);
    if (isSurer && makesSense(trace.reading)) [best, bestQuarters] = [trace, quarters];
  }

  const doubts = otherWays(best.reading, readings);
  if (bestQuarters && (!best.page || part !== picture)) {
    best = await steps.read(turnLeft(picture, bestQuarters));
  }
  if (bestQuarters && !makesSense(best.reading)) return upright;
  return { ...best, reading: turnedBack(best.reading, picture, bestQuarters, doubts) };
}

// Reads a page turned by right angles, or its middle alone, without a page, if it is crowded: what
// is no writing as it stands may be much of it in another direction.
async function tried(steps, turned) {
  const surveyed = await steps.survey(turned);
  if (!isCrowded(surveyed)) return steps.read(turned, surveyed);
  return { reading: await steps.readPart(middleOf(surveyed), MOST_TRIED) };
}

const meanConfidence = ({ digits }) =>
  sum(digits.map(({ confidence }) => confidence)) / Math.max(1, digits.length);

// Tells whether a page may be on its side: digits are then hard to read, or to find at all.
export function looksTurned({ reading, page }) {
  const { digits } = reading;
  if (!digits.some((digit) => digit.accepted)) return page.pieces.length > 0;
  return digits.length >= FEWEST_ON_TURNED_PAGE && meanConfidence(reading) < CONFUSED_CONFIDENCE;
}

// Tells whether nearly all candidates are accepted, in rows, with high confidence.
function makesSense(reading) {
  const accepted = reading.digits.filter((digit) => digit.accepted);
  const lines = new Set(accepted.map(({ line }) => line)).size;
  const share = SENSIBLE_SHARE * reading.digits.length;
  const enough = Math.max(FEWEST_ON_TURNED_PAGE, FEWEST_IN_LINE * lines, share);
  return accepted.length >= enough && meanConfidence(reading) > SENSIBLE_CONFIDENCE;
}

// Returns a warning for each direction in which a page reads otherwise, and nearly as surely.
function otherWays(best, readings) {
  const least = meanConfidence(best) - CLOSE_CONFIDENCE;
  const isOther = ([, reading]) =>
    makesSense(reading) && meanConfidence(reading) > least && reading.text !== best.text;
  return Object.entries(readings)
    .filter(isOther)
    .map(([direction]) => `might be ${direction}`);
}

// Returns the middle of a page with MOST_TRIED symbols, or the whole page if it has no more.
function partToTry(picture, { digits }) {
  if (digits.length <= MOST_TRIED) return picture;
  const boxes = digits.map(({ box }) => box.map((side, i) => side / picture.scale[i % 2]));
  const centres = boxes.map((box) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]);
  const middle = [0, 1].map((i) => median(centres.map((centre) => centre[i])));
  const away = centres.map((centre) =>
    Math.max(...centre.map((at, i) => Math.abs(at - middle[i]))),
  );
  const nearest = argsort(away)
    .slice(0, MOST_TRIED)
    .map((number) => boxes[number]);
  const side = (i, of) => of(...nearest.map((box) => box[i]));
  const [left, top] = [0, 1].map((i) => Math.max(0, Math.floor(side(i, Math.min))));
  const [right, bottom] = [2, 3].map((i) => Math.ceil(side(i, Math.max)));
  return { ...picture, image: cut(picture.image, left, top, right, bottom) };
}

function cut(image, left, top, right, bottom) {
  const width = Math.min(right, image.width) - left;
  const height = Math.min(bottom, image.height) - top;
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    const start = 3 * ((top + y) * image.width + left);
    data.set(image.data.subarray(start, start + 3 * width), 3 * y * width);
  }
  return { ...image, width, height, data };
}

// Returns a reading of a picture turned left by quarters with boxes where they are in it.
function turnedBack(reading, picture, quarters, doubts) {
  const direction = TURNS.find(([turned]) => turned === quarters)?.[1];
  const warnings = [...reading.warnings, ...(quarters ? [`read ${direction}`] : []), ...doubts];
  if (!quarters) return { ...reading, warnings };
  const back = (symbol) => ({
    ...symbol,
    box: turnBack(symbol.box, quarters, originalSize(picture)),
  });
  return { ...reading, digits: reading.digits.map(back), signs: reading.signs.map(back), warnings };
}

// Returns where a box is in a picture of a size that was turned left by quarters to find it.
function turnBack([left, top, right, bottom], quarters, [width, height]) {
  if (quarters === 1) return [rint(width - bottom), left, rint(width - top), right];
  if (quarters === 3) return [top, rint(height - right), bottom, rint(height - left)];
  return [rint(width - right), rint(height - bottom), rint(width - left), rint(height - top)];
}
