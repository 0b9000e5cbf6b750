// From a picture to the symbols written in it, in reading order, with what each of them may be:
// survey (pieces with maps) -> decoding (symbols) -> look -> lines. Mirrors
// reading/page/reader.py.

import { digits, look as lookSizes, maps as mapSizes, reader } from "../constants.js";
import { argmax, argsort, clip, range, rint, sum } from "../arrays.js";
import { isNoise } from "../preprocessing/noise.js";
import { areaOf, findSymbols, sharedArea } from "./decoding.js";
import { Find, SLASH } from "./find.js";
import { lookAt, survey } from "./survey.js";
import { findLines } from "./lines.js";
import { looks, nearViews } from "./look.js";
import { pageMaps, softmax } from "./maps.js";
import { signsWarning, warningsFor } from "./warnings.js";

const { LEAST_DIGIT, MOST_LOOKS, LOOKS_AT_ONCE, SAME, INSIDE, MAY_BE_DIGIT, LIKELIER_ALONE } =
  reader;
const { CLASSES } = digits;
const { FINE } = mapSizes;

const digitsOf = (chances) => chances.subarray(0, CLASSES);

// Finds where to look in an upright picture; null if it is noise.
export const surveyPage = async (networks, { image }) =>
  isNoise(image) ? null : survey(networks.page, image);

// Finds the digits in a part of an image that has the scale of a piece, but for those at its edges,
// which may be cut; `most` at the most, the nearest to its middle. Returns as `readPage` does.
export async function readPart(networks, image, most) {
  const { width, height } = image;
  const maps = await pageMaps(networks.page, image);
  const piece = { picture: image, left: 0, top: 0, scale: 1, maps };
  const isInner = ({ box: [left, top, right, bottom] }) =>
    Math.min(left, top) >= FINE && right <= width - FINE && bottom <= height - FINE;
  const away = ({ box: [left, top, right, bottom] }) =>
    Math.max(Math.abs((left + right - width) / 2), Math.abs((top + bottom - height) / 2));
  const symbols = findSymbols(maps).filter(isInner);
  const nearest = argsort(symbols.map(away)).slice(0, most);
  const places = nearest.map((number) => ({ piece, symbol: symbols[number] }));
  const { finds } = await findIn(networks, [piece], places, image);
  const candidates = finds.filter((find) => !find.isSign);
  const picture = { image, scale: [1, 1], warnings: [] };
  return { picture, pieces: [piece], candidates, signs: [], warnings: [] };
}

// Finds the symbols in an upright picture: {picture, pieces, candidates, signs, warnings}.
// networks: {page, look}; single: whether it holds at most one digit, then the only candidate;
// surveyed: what surveyPage says of it, if it was asked before.
export async function readPage(networks, picture, single = false, surveyed = null) {
  const found = surveyed ?? (await surveyPage(networks, picture));
  const pieces = found ? await lookAt(networks.page, found) : [];
  const places = pieces.flatMap((piece) =>
    findSymbols(piece.maps).map((symbol) => ({ piece, symbol })),
  );
  const { finds, once } = await findIn(networks, pieces, places, picture.image);
  let signs = finds.filter((find) => find.isSign);
  let candidates = finds.filter((find) => !find.isSign);
  if (single && finds.length) {
    const alone = finds.map(ifAlone);
    candidates = [alone[argmax(alone.map(({ chances }) => Math.max(...digitsOf(chances))))]];
    signs = [];
  }

  const warnings = [
    ...picture.warnings,
    ...warningsFor(picture, candidates),
    ...signsWarning(single ? [] : finds),
    ...(once ? [`crowded: ${once} symbols were looked at once only`] : []),
  ];
  return { picture, pieces, candidates, signs, warnings };
}

// Returns a box of a page in pixels of the upright original.
export function inOriginal({ picture: { scale } }, box) {
  return box.map((side, i) => rint(side * scale[i % 2]));
}

// Returns the symbols of all pieces, each once, in reading order, and how many that may be digits
// were looked at once only, since there are so many.
// places: each symbol with its piece.
async function findIn(networks, pieces, places, image) {
  if (!places.length) return { finds: [], once: 0 };

  const chances = places.map(({ symbol }) => softmax(symbol.kind));
  const worth = worthALook(chances);
  const asked = worth.slice(0, MOST_LOOKS);
  const seen = seenBy(looks, pieces, places, asked);
  const near = seenBy(nearViews, pieces, places, worth.slice(MOST_LOOKS));
  for (let start = 0; start < asked.length; start += LOOKS_AT_ONCE) {
    const numbers = asked.slice(start, start + LOOKS_AT_ONCE);
    const answers = await lookAgain(
      networks.look,
      numbers.map((number) => [seen.get(number), places[number].symbol.kind]),
    );
    numbers.forEach((number, i) => (chances[number] = answers[i]));
  }

  const finds = places.map(
    ({ piece, symbol }, i) =>
      new Find(boxOf(piece, symbol, image), chances[i], piece, symbol, seen.get(i) ?? near.get(i)),
  );
  return { finds: inReadingOrder(distinct(finds)), once: worth.length - asked.length };
}

// Returns the chances by the second network. shown: looks and what the first network says of them.
async function lookAgain(network, shown) {
  const [size, kinds] = [shown[0][0].length, shown[0][1].length];
  const side = lookSizes.SIDE;
  const planes = new Uint8Array(shown.length * size);
  const logits = new Float32Array(shown.length * kinds);
  shown.forEach(([look, kind], i) => {
    planes.set(look, i * size);
    logits.set(kind, i * kinds);
  });
  const { probabilities } = await network([
    [planes, [shown.length, size / side ** 2, side, side]],
    [logits, [shown.length, kinds]],
  ]);
  return shown.map((_, i) => probabilities.data.slice(i * kinds, (i + 1) * kinds));
}

// Views some symbols, a piece at a time. views: `looks` or `nearViews`.
function seenBy(views, pieces, places, numbers) {
  const seen = new Map();
  for (const piece of pieces) {
    const here = numbers.filter((number) => places[number].piece === piece);
    const taken = views(
      piece,
      here.map((number) => places[number].symbol),
    );
    here.forEach((number, i) => seen.set(number, taken[i]));
  }
  return seen;
}

// Returns a find as if it stood alone: it is no slash, but may be a 1, and what is a digit is one
// more surely than among all that stands on pages.
function ifAlone(find) {
  const chances = find.chances.slice();
  chances[SLASH] = 0;
  if (sum(chances) <= 0) return find.with({ line: 0 });

  const shares = () => chances.map((chance) => chance / sum(chances));
  const alone = find.with({ chances: shares(), line: 0 });
  if (!alone.isDigit) return alone;

  for (let digit = 0; digit < CLASSES; digit++) chances[digit] *= LIKELIER_ALONE;
  return alone.with({ chances: shares() });
}

// Returns which symbols may well be digits, the least sure first.
function worthALook(chances) {
  const worth = range(chances.length).filter(
    (number) => sum(digitsOf(chances[number])) > LEAST_DIGIT,
  );
  return argsort(worth.map((number) => Math.max(...chances[number]))).map((i) => worth[i]);
}

// Returns the box of a symbol in whole pixels of an image.
function boxOf(piece, symbol, { width, height }) {
  const size = [width, height];
  const corner = [piece.left, piece.top];
  const box = symbol.box.map((side, i) => rint(side / piece.scale + corner[i % 2]));
  const low = [0, 1].map((i) => clip(box[i], 0, size[i] - 1));
  const high = [0, 1].map((i) => clip(box[i + 2], low[i] + 1, size[i]));
  return [...low, ...high];
}

// Returns finds without those that are the same symbol as a surer one, or a part of a symbol.
function distinct(finds) {
  const boxes = finds.map(({ box: [left, top, right, bottom], piece: { scale } }) => {
    const half = mapSizes.FINE / scale / 2; // a box is known to a cell of its piece
    return [left - half, top - half, right + half, bottom + half];
  });
  const doubts = finds.map(({ symbol, chances }) => -(symbol.score + Math.max(...chances)));
  const mayBeDigit = finds.map(({ digitChance }) => digitChance > MAY_BE_DIGIT);
  const areas = boxes.map(areaOf);

  let kept = [];
  for (const number of argsort(doubts)) {
    const shared = (other) => sharedArea(boxes[number], boxes[other]);
    const areAlike = (other) =>
      (mayBeDigit[number] && mayBeDigit[other]) ||
      (finds[number].isSign && finds[other].isSign);
    const isSame = (other) => shared(other) > SAME * (areas[number] + areas[other] - shared(other));
    const isInside = (other) => areAlike(other) && shared(other) > INSIDE * areas[number];
    const holds = (other) => areAlike(other) && shared(other) > INSIDE * areas[other];
    if (kept.some((other) => isSame(other) || isInside(other))) continue;
    if (kept.filter(holds).length > 1) continue;
    kept = [...kept.filter((other) => !holds(other)), number];
  }
  return kept.map((number) => finds[number]);
}

// Returns finds line by line, each with the number of its line. Lines are those of the digits; all
// else stands in the line of the nearest digit.
function inReadingOrder(finds) {
  const found = finds.filter((find) => find.isDigit);
  const leading = found.length ? found : finds;
  const placed = findLines(leading.map(({ box }) => box)).flatMap((numbers, line) =>
    numbers.map((number) => leading[number].with({ line })),
  );

  const centre = ({ box }) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  const centres = placed.map(centre);
  for (const other of finds.filter((find) => !leading.includes(find))) {
    const [x, y] = centre(other);
    const near = centres.map(([otherX, otherY]) => -(Math.abs(otherX - x) + Math.abs(otherY - y)));
    placed.push(other.with({ line: placed[argmax(near)].line }));
  }
  return placed.sort((one, other) => one.line - other.line || one.box[0] - other.box[0]);
}
