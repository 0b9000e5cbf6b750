// From a picture that was enlarged by repeating pixels to the small one that it was. Mirrors
// reading/preprocessing/repeated.py.

import { repeated } from "../constants.js";
import { range, rint } from "../arrays.js";

const { SMALLEST_IN_BLOCKS, LARGEST_IN_BLOCKS, ROUNDING, OFFSETS } = repeated;

// Returns a picture before it was enlarged so, as small as it can have been.
export function inOwnPixels(picture) {
  const { width, height } = picture.image;
  const shorter = Math.min(height, width);
  if (shorter < 2 * SMALLEST_IN_BLOCKS || Math.max(height, width) > LARGEST_IN_BLOCKS)
    return picture;

  const changes = [];
  for (const [count, step, across, beside] of [
    [height, width, width, 1],
    [width, 1, height, width],
  ]) {
    const found = changesOf(picture.image.data, count, step, across, beside);
    if (found.some((place, i) => place - found[i - 1] < 2)) return picture; // repeated: there twice
    changes.push(found);
  }
  for (let count = SMALLEST_IN_BLOCKS; count <= Math.floor(shorter / 2); count++) {
    const rows = placesOf(changes[0], height, rint((height * count) / shorter));
    const columns = rows && placesOf(changes[1], width, rint((width * count) / shorter));
    if (columns) return takenAt(picture, rows, columns);
  }
  return picture;
}

// Returns the lines that differ from the one before. step: pixels from one line to the next;
// across: pixels in a line; beside: pixels from one of these to the next.
function changesOf(data, count, step, across, beside) {
  const differs = (line) => {
    for (let i = 0; i < across; i++) {
      const at = 3 * (line * step + i * beside);
      for (let c = at; c < at + 3; c++) if (data[c] !== data[c - 3 * step]) return true;
    }
    return false;
  };
  return range(count).filter((line) => line && differs(line));
}

// Returns where each of `count` lines was repeated; null if a change is elsewhere.
function placesOf(changes, length, count) {
  if (changes.length >= count) return null;
  for (const offset of OFFSETS) {
    const at = (rounding) =>
      range(count).map((i) => Math.ceil((i * length) / count - offset + rounding));
    const last = at(ROUNDING);
    const possible = new Set([...at(-ROUNDING), ...last]);
    if (changes.every((place) => possible.has(place))) return last;
  }
  return null;
}

// Returns the pixels at some rows and columns, which stand for the whole picture.
function takenAt(picture, rows, columns) {
  const {
    image,
    scale: [x, y],
  } = picture;
  const pixels = rows.flatMap((row) => columns.map((column) => 3 * (row * image.width + column)));
  const data = Uint8Array.from(pixels.flatMap((at) => [...image.data.subarray(at, at + 3)]));
  const scale = [(x * image.width) / columns.length, (y * image.height) / rows.length];
  return {
    ...picture,
    image: { width: columns.length, height: rows.length, channels: 3, data },
    scale,
  };
}
