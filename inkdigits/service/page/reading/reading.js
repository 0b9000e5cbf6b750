// What comes out of a picture: its text, the line as it stands, and how sure all of it is. Mirrors
// reading/reading.py.

import { confidenceOf, linesOf, textOf, withSpaces } from "./symbols.js";

// Makes a Reading, as `read --json` prints one. digits: every candidate in reading order.
export function makeReading(digits, warnings = [], signs = []) {
  const accepted = digits.filter((digit) => digit.accepted);
  const text = textOf(digits);
  const isPlain = digits.length <= 1 && !signs.length;
  const written = isPlain ? text : linesOf(accepted, signs).map(withSpaces).join("\n");
  const confidence = accepted.length ? confidenceOf(digits) : null;
  return { text, digits, warnings, error: null, written, signs, confidence };
}
