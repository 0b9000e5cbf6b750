// What a picture holds: digits and signs in lines, with spaces between. Mirrors reading/symbols.py.

import { symbols } from "./constants.js";
import { clip, median } from "./arrays.js";

const { SPACE, WIDER, FEWEST_GAPS, INDEPENDENCE } = symbols;

// Returns the probability that all candidates are judged rightly.
export function confidenceOf(digits) {
  const sure = digits.map(({ confidence, accepted }) => (accepted ? confidence : 1 - confidence));
  return Math.min(...sure, sure.reduce((product, share) => product * share, 1) ** INDEPENDENCE);
}

// Returns the accepted digits, lines of writing separated by line feeds.
export function textOf(digits) {
  const lines = new Map();
  for (const { digit, line, accepted } of digits) {
    if (accepted) lines.set(line, (lines.get(line) ?? "") + digit);
  }
  return [...lines.values()].join("\n");
}

// Returns accepted digits and the signs of their lines, line by line, from left to right.
export function linesOf(digits, signs) {
  const lines = new Map();
  for (const symbol of [...digits, ...signs]) {
    lines.set(symbol.line, [...(lines.get(symbol.line) ?? []), symbol]);
  }
  const middle = ({ box }) => box[0] + box[2];
  return [...lines.values()].map((line) => line.sort((one, other) => middle(one) - middle(other)));
}

// Returns the characters of a line, and a space where the gap between two is wide.
export function withSpaces(line) {
  const character = ({ digit, sign }) => `${digit ?? sign}`;
  return inParts(line)
    .map((part) => part.map(character).join(""))
    .join(" ");
}

// Returns the symbols of a line in parts, between which the gap is a space. wider: by how much that
// is wider than the usual gap; with 0, digits that stand in boxes of their own are apart as well.
export function inParts(line, wider = WIDER) {
  const gaps = line.slice(1).map(({ box }, i) => box[0] - line[i].box[2]);
  const tall = median(line.filter((symbol) => "digit" in symbol).map(({ box }) => box[3] - box[1]));
  const usual = gaps.length >= FEWEST_GAPS ? lowerQuartile(gaps) : 0;
  const least = Math.max(SPACE * tall, wider * usual);
  const parts = [];
  line.forEach((symbol, i) => {
    if (i === 0 || gaps[i - 1] > least) parts.push([]);
    parts.at(-1).push(symbol);
  });
  return parts;
}

// Returns the box around some boxes.
export function around(boxes) {
  return [Math.min, Math.min, Math.max, Math.max].map((of, i) => of(...boxes.map((box) => box[i])));
}

// Returns what statistics.quantiles(values, n=4)[0] does, of two values at the least.
function lowerQuartile(values) {
  const ordered = values.slice().sort((one, other) => one - other);
  const place = (values.length + 1) / 4;
  const below = clip(Math.floor(place), 1, values.length - 1);
  return ordered[below - 1] + (ordered[below] - ordered[below - 1]) * (place - below);
}
