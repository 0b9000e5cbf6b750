// A first reading of a drawing while the reader is still arriving: digits that stand well apart,
// each read by a small classifier. All else waits for the reader: photos, signs, digits that touch.

import { recogniser } from "./reading/constants.js";
import { argmax, range, rint } from "./reading/arrays.js";
import { toField } from "./reading/preprocessing/fields.js";
import { makeReading } from "./reading/reading.js";
import { loadSmall } from "./reading/small.js";

const INK = 128; // of 255, the darkness from which a pixel is ink

// In heights of the tallest piece. What is lower is a dot, a dash, or a part of a digit; what is
// wider is likely several digits that touch: of MNIST's 5,000 validation digits 5 % are so wide.
const LEAST_TALL = 0.5;
const WIDEST = 1.2;

// Loads the classifier. Returns what makes a reading of a canvas with dark ink on white, or null
// where the ink does not stand apart.
export async function makeFirst() {
  const classify = await loadSmall();
  return (canvas) => {
    const ink = inkOf(canvas);
    const pieces = piecesOf(ink);
    const tallest = Math.max(...pieces.map(heightOf));
    const isApart = (piece) =>
      heightOf(piece) >= LEAST_TALL * tallest && widthOf(piece) <= WIDEST * tallest;
    if (!pieces.length || !pieces.every(isApart)) return null;
    return makeReading(pieces.map((piece) => digitOf(piece, ink, classify)));
  };
}

const widthOf = ({ left, right }) => right - left;
const heightOf = ({ top, bottom }) => bottom - top;

// Returns the darkness of a canvas, {width, height, data}.
function inkOf(canvas) {
  const { width, height } = canvas;
  const { data: colours } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const data = Uint8Array.from({ length: width * height }, (_, at) => 255 - colours[4 * at]);
  return { width, height, data };
}

// Returns pieces of ink, {left, top, right, bottom, line}, that white rows and then white columns
// part, in reading order.
function piecesOf({ width, height, data }) {
  const isInked = (left, top, right, bottom) => {
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) if (data[y * width + x] >= INK) return true;
    }
    return false;
  };
  const rows = runs(range(height).map((y) => isInked(0, y, width, y + 1)));
  return rows.flatMap(([top, bottom], line) =>
    runs(range(width).map((x) => isInked(x, top, x + 1, bottom))).map(([left, right]) => {
      const inLine = range(bottom - top).map((i) => top + i);
      const own = inLine.filter((y) => isInked(left, y, right, y + 1));
      return { left, top: own[0], right, bottom: own.at(-1) + 1, line };
    }),
  );
}

// Returns the runs of flags that are set, [first, last + 1] each.
function runs(flags) {
  const starts = range(flags.length).filter((i) => flags[i] && !flags[i - 1]);
  const ends = range(flags.length).filter((i) => flags[i] && !flags[i + 1]);
  return starts.map((start, i) => [start, ends[i] + 1]);
}

function digitOf({ left, top, right, bottom, line }, ink, classify) {
  const [width, height] = [right - left, bottom - top];
  const pixelAt = (x, y) => ink.data[(top + y) * ink.width + left + x];
  const data = Uint8Array.from({ length: width * height }, (_, at) =>
    pixelAt(at % width, Math.floor(at / width)),
  );
  const field = toField({ width, height, channels: 1, data });
  const probabilities = classify(field);
  const digit = argmax(probabilities);
  const confidence = probabilities[digit];
  const accepted = confidence >= recogniser.DEFAULT_THRESHOLD;
  const reason = accepted ? null : `too doubtful: ${rint(100 * confidence)}% sure of ${digit}`;
  const box = [left, top, right, bottom];
  return { digit, confidence, accepted, box, reason, line, probabilities, field };
}
