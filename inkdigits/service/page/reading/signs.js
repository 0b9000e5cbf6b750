// Signs beside digits: of what the page reader takes for separators, those that belong to a line.
// Mirrors reading/signs.py.

import { digits, signs } from "./constants.js";
import { argmax } from "./arrays.js";
import { SEPARATORS } from "./page/find.js";
import { inOriginal } from "./page/reader.js";

const { AWAY, BEYOND, LEAST_CONFIDENCE } = signs;

// Returns the signs of a page that stand beside accepted digits, in reading order.
export function signsBeside(page, found) {
  const accepted = found.filter((digit) => digit.accepted);
  return page.separators
    .map(({ chances, box, line }) => {
      const kind = argmax(chances);
      const sign = SEPARATORS[kind - digits.CLASSES];
      return { sign, confidence: chances[kind], box: inOriginal(page, box), line };
    })
    .filter(({ confidence }) => confidence > LEAST_CONFIDENCE)
    .filter((sign) => accepted.some((digit) => digit.line === sign.line && isNear(sign.box, digit)))
    .filter((sign, _, all) => !isHalfAColon(sign, all))
    .sort((one, other) => one.line - other.line || one.box[0] - other.box[0]);
}

// Tells whether a dot stands right above or below a colon, which has lost one of its two.
function isHalfAColon({ sign, line, box: [left, , right] }, all) {
  const middle = (left + right) / 2;
  const colons = all.filter((one) => one.sign === ":" && one.line === line);
  return sign === "." && colons.some(({ box }) => box[0] <= middle && middle <= box[2]);
}

function isNear(box, { box: [left, top, right, bottom] }) {
  const height = bottom - top;
  const gap = Math.max(left - box[2], box[0] - right);
  const middle = (box[1] + box[3]) / 2;
  const beyond = Math.max(top - middle, middle - bottom);
  return gap <= AWAY * height && beyond <= BEYOND * height;
}
