// Symbols in the order in which they are read: rows from the top, each from left to right. Mirrors
// reading/page/lines.py.

import { lines } from "../constants.js";
import { argmin, argsort, clip, mean, median, range } from "../arrays.js";

const { NEIGHBOUR, BESIDE, AS_HIGH, CANDIDATES, FEWEST_PAIRS, STEEPEST, SAME_WORD, GAP } = lines;
const { SAME_ROW, SPACING, OVERLAP, SKEW, FOLLOWING, LEAST_HEIGHT, WIDE } = lines;

// Groups boxes into rows of writing: their indices, row by row, from left to right in each.
export function findLines(boxes) {
  if (!boxes.length) return [];
  const x = boxes.map(([left, , right]) => (left + right) / 2);
  const y = boxes.map(([, top, , bottom]) => (top + bottom) / 2);
  let tall = boxes.map(([left, top, right, bottom]) =>
    Math.max(bottom - top, WIDE * (right - left)),
  );
  const typical = median(tall);
  tall = tall.map((height) => Math.max(height, LEAST_HEIGHT * typical));
  const steepness = slope(x, y, tall);
  const level = y.map((value, i) => value - steepness * x[i]);

  const words = wordsOf(
    boxes,
    level,
    tall.map((height) => (height + typical) / 2),
  );
  const rows = rowsOf(words, boxes, level, typical);
  const order = argsort(rows.map((row) => mean(row.map((number) => level[number]))));
  return order.map((row) => argsort(rows[row].map((number) => x[number])).map((i) => rows[row][i]));
}

// Groups symbols that stand close beside each other. level: how low each one stands.
function wordsOf(boxes, level, tall) {
  const words = [];
  for (const number of argsort(boxes.map(([left, , right]) => left + right))) {
    const [left, , right] = boxes[number];
    const height = tall[number];
    const distances = words.map(({ leads, end }) =>
      left - end > GAP * height ? Infinity : Math.abs(leads - level[number]),
    );
    const best = words[argmin(distances)];
    if (!words.length || Math.min(...distances) > SAME_WORD * height) {
      words.push({ symbols: [number], leads: level[number], end: right });
      continue;
    }
    best.symbols.push(number);
    best.leads += FOLLOWING * (level[number] - best.leads);
    best.end = Math.max(best.end, right);
  }
  return words.map(({ symbols }) => symbols);
}

// Joins words to rows, those first that are near and most alike in height above the page's foot.
function rowsOf(words, boxes, level, typical) {
  const levels = words.map((word) => word.map((number) => level[number]));
  const starts = words.map((word) => Math.min(...word.map((number) => boxes[number][0])));
  const ends = words.map((word) => Math.max(...word.map((number) => boxes[number][2])));
  const first = levels.map((all) => mean(all.slice(0, 2)));
  const last = levels.map((all) => mean(all.slice(-2)));

  const isBeside = ends.map((end) => starts.map((start) => start > end - OVERLAP * typical));
  const near = Math.min(SAME_ROW * typical, SPACING * spacing(first, last, isBeside));
  const pairs = [];
  for (const one of range(words.length)) {
    for (const other of range(words.length)) {
      const apart = Math.abs(last[one] - first[other]);
      if (!isBeside[one][other] || apart >= near) continue;
      pairs.push({ one, other, doubt: apart + SKEW * Math.max(starts[other] - ends[one], 0) });
    }
  }
  const order = argsort(pairs.map(({ doubt }) => doubt));
  const rows = joined(
    order.map((i) => pairs[i]),
    isBeside,
  );
  return rows.map((row) => row.flatMap((number) => words[number]));
}

// Joins words pair by pair, unless that would put one above another one in the same row.
function joined(pairs, isBeside) {
  const rowOf = range(isBeside.length).map((number) => [number]);
  for (const { one, other } of pairs) {
    const [here, there] = [rowOf[one], rowOf[other]];
    if (here === there || !isBesideAll(isBeside, here, there)) continue;
    here.push(...there);
    for (const number of there) rowOf[number] = here;
  }
  return [...new Set(rowOf)];
}

// Returns the usual distance from a word to the next one above or below; infinite without any.
function spacing(first, last, isBeside) {
  const middle = first.map((level, i) => (level + last[i]) / 2);
  const nearest = middle.map((level, one) => {
    const isOther = (_, other) => one !== other && !isBeside[one][other] && !isBeside[other][one];
    return Math.min(...middle.filter(isOther).map((other) => Math.abs(level - other)));
  });
  const found = nearest.filter(Number.isFinite);
  return found.length ? median(found) : Infinity;
}

function isBesideAll(isBeside, here, there) {
  return here.every((one) => there.every((other) => isBeside[one][other] || isBeside[other][one]));
}

// Returns how far the lines fall a pixel to the right: the median over pairs of neighbours.
function slope(x, y, tall) {
  const order = argsort(x);
  const slopes = [];
  order.forEach((number, place) => {
    const height = tall[number];
    let closest = { distance: Infinity };
    for (const right of order.slice(place + 1, place + 1 + CANDIDATES)) {
      const [across, down] = [x[right] - x[number], y[right] - y[number]];
      const isBeside = across > BESIDE * height && across < NEIGHBOUR * height;
      const distance = across + 2 * Math.abs(down);
      if (!isBeside || Math.abs(down) >= AS_HIGH * height || distance >= closest.distance) continue;
      closest = { distance, slope: down / across };
    }
    if (closest.distance < Infinity) slopes.push(closest.slope);
  });
  return slopes.length < FEWEST_PAIRS ? 0 : clip(median(slopes), -STEEPEST, STEEPEST);
}
