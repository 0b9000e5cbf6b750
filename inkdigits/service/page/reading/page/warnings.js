// What may have gone wrong with a picture, told by its ink. Mirrors reading/page/warnings.py.

import { digits, look, maps, warnings } from "../constants.js";
import { argmax, mean, median, range, rint } from "../arrays.js";
import { SIGNS } from "./find.js";

export const { LIGHT_INK, SMALL } = warnings;
const { VERY_FAINT, BESIDE } = warnings;
const { FINE } = maps;
const RED_GREEN_BLUE = [0.299, 0.587, 0.114]; // in brightness, ITU-R BT.601

export function warningsFor(picture, finds) {
  const found = finds.filter((find) => find.isDigit);
  if (!found.length) return [];

  const told = [];
  const contrast = median(found.map(brightness).map(({ ink, paper }) => ink - paper));
  if (contrast > 0) told.push(LIGHT_INK);
  if (Math.abs(contrast) < VERY_FAINT * 255) told.push("very faint");

  const { width, height } = picture.image;
  const touches = ([left, top, right, bottom]) =>
    left <= 0 || top <= 0 || right >= width || bottom >= height;
  if (found.some(({ box }) => touches(box))) told.push("touches the border");

  const [x, y] = picture.scale;
  const longer = found.map(({ box }) => Math.max((box[2] - box[0]) * x, (box[3] - box[1]) * y));
  const smallest = rint(Math.min(...longer));
  if (smallest < SMALL) told.push(`upscaled from ${smallest} px`);
  return told;
}

// Names the signs between digits, without which a number is another one. finds: in reading order.
export function signsWarning(finds) {
  const isBetween = (find, i) => {
    const [before, after] = [finds[i - 1], finds[i + 1]];
    const inLine = before?.line === find.line && after?.line === find.line;
    return inLine && before.isDigit && find.isSign && after.isDigit;
  };
  const signs = finds
    .filter(isBetween)
    .map(({ chances }) => SIGNS[argmax(chances) - digits.CLASSES]);
  return signs.length ? [`signs left out: ${[...new Set(signs)].join(" ")}`] : [];
}

// Returns how bright a symbol's ink and its paper are, 0 to 255.
function brightness({ piece: { picture, maps: found }, symbol }) {
  const { rows, columns } = found.ink;
  const at = (row, column) => 3 * (row * FINE * picture.width + column * FINE);
  const grey = (from) =>
    RED_GREEN_BLUE.reduce((all, share, c) => all + share * picture.data[from + c], 0);

  const [left, top, right, bottom] = symbol.box.map((side) => Math.trunc(side / FINE));
  const margin = rint(BESIDE * Math.max(right - left, bottom - top)) + 1;
  const ink = mean(symbol.rows.map((row, i) => grey(at(row, symbol.columns[i]))));
  const paper = [];
  for (const row of range(rows).slice(Math.max(0, top - margin), bottom + margin)) {
    for (const column of range(columns).slice(Math.max(0, left - margin), right + margin)) {
      if (found.ink.data[row * columns + column] < look.PAPER) paper.push(grey(at(row, column)));
    }
  }
  return { ink, paper: paper.length ? mean(paper) : 255 - ink };
}
