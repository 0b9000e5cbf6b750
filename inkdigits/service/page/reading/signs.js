// Signs beside digits: of what the page reader takes for one, those that belong to a line.
// Mirrors reading/signs.py.

import { digits, signs } from "./constants.js";
import { argmax } from "./arrays.js";
import { SIGNS } from "./page/find.js";
import { inOriginal } from "./page/reader.js";
import { around } from "./symbols.js";

const { AWAY, BEYOND, LEAST_CONFIDENCE } = signs;

// Returns the signs of a page that stand beside accepted digits, in reading order.
export function signsBeside(page, found) {
  const accepted = found.filter((digit) => digit.accepted);
  const likely = page.signs
    .map(({ chances, box, line }) => {
      const kind = argmax(chances);
      const sign = SIGNS[kind - digits.CLASSES];
      return { sign, confidence: chances[kind], box: inOriginal(page, box), line };
    })
    .filter(({ confidence }) => confidence > LEAST_CONFIDENCE)
    .filter((sign) => accepted.some((digit) => digit.line === sign.line && isNear(sign.box, digit)))
    .sort((one, other) => one.line - other.line || one.box[0] - other.box[0]);

  const whole = [];
  for (const sign of likely) {
    const before = whole.at(-1);
    if (before && isInPlaceOf(sign, before)) whole[whole.length - 1] = asOne(before, sign);
    else whole.push(sign);
  }
  return whole;
}

// Tells whether a sign has no room of its own beside the one before it, so that both are one.
function isInPlaceOf({ line, box: [left] }, before) {
  return line === before.line && left <= before.box[2];
}

// Returns the one sign that two in the same place are parts of. Where one stands above the other,
// it is a colon, whose dots were found one by one.
function asOne(sign, other) {
  const above = sign.box[3] <= other.box[1] || other.box[3] <= sign.box[1];
  const isColon = [sign, other].map((one) => Number(one.sign === ":"));
  const isLess = isColon[0] - isColon[1] || sign.confidence - other.confidence;
  const likelier = isLess < 0 ? other : sign;
  return { ...likelier, sign: above ? ":" : likelier.sign, box: around([sign.box, other.box]) };
}

function isNear(box, { box: [left, top, right, bottom] }) {
  const height = bottom - top;
  const gap = Math.max(left - box[2], box[0] - right);
  const middle = (box[1] + box[3]) / 2;
  const beyond = Math.max(top - middle, middle - bottom);
  return gap <= AWAY * height && beyond <= BEYOND * height;
}
