// From a picture to a Reading: its digits, how sure each one is, and why a candidate was refused.
// Mirrors reading/recogniser.py, for the model `default`.

import { digits as classes, recogniser } from "./constants.js";
import { argmax, argsort, median, range, rint, sum } from "./arrays.js";
import { loadNetwork } from "./networks.js";
import { LIGHT_INK, SMALL } from "./page/warnings.js";
import { inOriginal, readPage } from "./page/reader.js";
import { asIs } from "./preprocessing/fields.js";
import { openPicture, turnLeft } from "./preprocessing/picture.js";
import { inOwnPixels } from "./preprocessing/repeated.js";
import { fromTiny } from "./preprocessing/tiny.js";
import { makeReading } from "./reading.js";
import { signsBeside } from "./signs.js";

const { TURNS, FEWEST_ON_TURNED_PAGE, MOST_TRIED, FEWEST_IN_LINE, threshold } = recogniser;
const { CONFUSED_CONFIDENCE, SENSIBLE_CONFIDENCE, CLOSE_CONFIDENCE, SENSIBLE_SHARE } = recogniser;
const { REFUSED_BY_NETWORK } = recogniser;
const { CLASSES, NOT_A_DIGIT, SIDE } = classes;

export class Recogniser {
  // Loads the page reader's two networks; the digit classifier is loaded when a tiny picture comes.
  static async load() {
    const [page, look] = await Promise.all(["page.onnx", "look.onnx"].map(loadNetwork));
    return Object.assign(new Recogniser(), { networks: { page, look } });
  }

  // Reads the digits in one picture: a Blob, an ImageBitmap or ImageData.
  async read(source, { single = false } = {}) {
    return (await this.trace(source, single)).reading;
  }

  // Reads as `read` does, and keeps what led to the reading: {reading, page}.
  async trace(source, single = false) {
    const picture = inOwnPixels(await openPicture(source));
    const asItIs = asIs(picture.image);
    if (asItIs) return { reading: await this.readField(asItIs, picture) };
    const tiny = fromTiny(picture.image);
    if (tiny) return { reading: await this.readTiny(tiny, picture) };

    const trace = await this.traceUpright(picture, single);
    return single || !looksTurned(trace) ? trace : this.turnIfSensible(picture, trace);
  }

  // Reads a picture that has MNIST's geometry as it is, or after it was inverted.
  readField({ field, isLight }, { scale, warnings }) {
    const inked = range(field.length).filter((at) => field[at]);
    const rows = inked.map((at) => Math.floor(at / SIDE));
    const columns = inked.map((at) => at % SIDE);
    const box = [
      Math.min(...columns),
      Math.min(...rows),
      Math.max(...columns) + 1,
      Math.max(...rows) + 1,
    ];
    const inPicture = box.map((side, i) => rint(side * scale[i % 2]));
    return this.readOne(field, inPicture, isLight ? [...warnings, LIGHT_INK] : warnings);
  }

  // Reads a picture of a few pixels as one digit.
  readTiny({ field, isLight }, picture) {
    const [width, height] = originalSize(picture);
    const longest = rint(Math.max(width, height));
    const warnings = [...picture.warnings];
    if (longest < SMALL) warnings.push(`upscaled from ${longest} px`);
    if (isLight) warnings.push(LIGHT_INK);
    return this.readOne(field, [0, 0, rint(width), rint(height)], warnings);
  }

  // Reads the one digit of a picture.
  async readOne(field, box, warnings) {
    this.classifier ??= loadNetwork("default.onnx");
    const { probabilities } = await (await this.classifier)([[field, [1, SIDE, SIDE]]]);
    const doubt = probabilities.data[NOT_A_DIGIT];
    const chances = probabilities.data.slice(0, CLASSES).map((chance) => Math.max(chance, 1e-30));
    const shares = chances.map((chance) => chance / sum(chances));
    const digit = argmax(shares);
    const confidence = shares[digit] * (1 - doubt);

    let reason = null;
    if (doubt > 0.5) reason = REFUSED_BY_NETWORK;
    else if (confidence < threshold) {
      reason = `too doubtful: ${rint(100 * confidence)}% sure of ${digit}`;
    }
    const accepted = reason === null;
    const one = { digit, confidence, accepted, box, reason, line: 0, probabilities: shares, field };
    return makeReading([one], warnings);
  }

  async traceUpright(picture, single = false) {
    const page = await readPage(this.networks, picture, single);
    const digits = page.candidates.map((find) => ({
      ...digitOf(find),
      box: inOriginal(page, find.box),
    }));
    return { reading: makeReading(digits, page.warnings, signsBeside(page, digits)), page };
  }

  // Returns the trace of a page turned by right angles if that makes sense, or `upright`. Of a page
  // with many symbols a part is tried, and then only the best way up is read whole.
  async turnIfSensible(picture, upright) {
    const part = partToTry(picture, upright.reading);
    let [best, bestQuarters] = [upright, 0];
    const readings = { upright: upright.reading };
    for (const [quarters, direction] of TURNS) {
      const trace = await this.traceUpright(turnLeft(part, quarters));
      readings[direction] = trace.reading;
      const isSurer = meanConfidence(trace.reading) > meanConfidence(best.reading);
      if (isSurer && makesSense(trace.reading)) [best, bestQuarters] = [trace, quarters];
    }

    const doubts = otherWays(best.reading, readings);
    if (bestQuarters && part !== picture)
      best = await this.traceUpright(turnLeft(picture, bestQuarters));
    if (bestQuarters && !makesSense(best.reading)) return upright;
    return { ...best, reading: turnedBack(best.reading, picture, bestQuarters, doubts) };
  }
}

// Returns the digit that the page reader takes a find for.
function digitOf(find) {
  const chances = find.chances.slice(0, CLASSES);
  const digit = argmax(chances);
  const accepted = find.isDigit;
  const probabilities = chances.map((chance) => chance / sum(chances));
  const reason = accepted ? null : REFUSED_BY_NETWORK;
  return {
    digit,
    confidence: chances[digit],
    accepted,
    reason,
    line: find.line,
    probabilities,
    field: find.image,
  };
}

const originalSize = ({ image, scale }) => [image.width * scale[0], image.height * scale[1]];

const meanConfidence = ({ digits }) =>
  sum(digits.map(({ confidence }) => confidence)) / Math.max(1, digits.length);

// Tells whether a page may be on its side: digits are then hard to read, or to find at all.
function looksTurned({ reading, page }) {
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
