// Brings a picture of a few pixels to MNIST's geometry. Mirrors reading/preprocessing/tiny.py.

import { digits, tiny } from "../constants.js";
import { mean, median, rint } from "../arrays.js";
import { toField } from "./fields.js";
import { isNoise } from "./noise.js";
import { greysOf } from "./picture.js";

// Returns the one digit of a tiny picture, {field, isLight}; null where the picture is larger than
// an image of MNIST's, blank, or noise.
export function fromTiny(image) {
  const { width, height } = image;
  if (Math.max(width, height) > digits.SIDE || isNoise(image)) return null;

  const grey = greysOf(image);
  const rows = [...grey.subarray(0, width), ...grey.subarray(-width)];
  const columns = [...grey].filter((_, at) => at % width === 0);
  const opposite = [...grey].filter((_, at) => at % width === width - 1);
  const paper = median([...rows, ...columns, ...opposite]);
  const strokes = Array.from(grey, (value) => Math.abs(value - paper));
  const strongest = Math.max(...strokes);
  if (strongest < tiny.LEAST_CONTRAST) return null;

  const data = Uint8Array.from(strokes, (value) => rint((255 / strongest) * value));
  return { field: toField({ width, height, channels: 1, data }), isLight: mean([...grey]) > paper };
}
