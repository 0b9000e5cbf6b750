// The page network at work: an image comes in, its maps go out. Mirrors reading/page/maps.py.

import { maps } from "../constants.js";
import { clip, grid } from "../arrays.js";

const { GRAIN, FINE, MIDDLE, COARSE, SIZE_RANGE, HEIGHT_RANGE } = maps;

// Whether the network's maps of symbols are wanted: without them it takes two thirds of the time.
const [ON, OFF] = [1, 0].map((fine) => [Uint8Array.of(fine), []]);

export const sigmoid = (logit) => 0.5 * (1 + Math.tanh(0.5 * logit));

export function softmax(logits) {
  const most = Math.max(...logits);
  const powers = Float32Array.from(logits, (logit) => Math.exp(logit - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

// Returns the planes of a picture, its edges drawn out to multiples of GRAIN.
function batchOf({ width, height, data }) {
  const columns = GRAIN * Math.ceil(width / GRAIN);
  const rows = GRAIN * Math.ceil(height / GRAIN);
  const batch = new Uint8Array(3 * rows * columns);
  for (let y = 0, at = 0; y < rows; y++) {
    const row = 3 * width * Math.min(y, height - 1);
    for (let x = 0; x < columns; x++, at++) {
      const from = row + 3 * Math.min(x, width - 1);
      for (let c = 0; c < 3; c++) batch[c * rows * columns + at] = data[from + c];
    }
  }
  return [batch, [1, 3, rows, columns]];
}

// Runs the page network on an image of 3 channels of any size.
export async function pageMaps(network, image) {
  const found = await network([batchOf(image), ON]);
  const cut = cutTo(image);
  return {
    ink: cut(found.ink, FINE, sigmoid)[0],
    centre: cut(found.centre, FINE, sigmoid)[0],
    offset: cut(found.offset, FINE),
    size: cut(found.size, FINE, (logit) => 2 ** clip(logit, ...SIZE_RANGE)),
    kind: cut(found.kind, MIDDLE),
    ...ofWriting(found, cut),
  };
}

// Does as `pageMaps`, for the maps of writing alone.
export async function coarseMaps(network, image) {
  const found = await network([batchOf(image), OFF], ["writing", "height"]);
  return ofWriting(found, cutTo(image));
}

function ofWriting(found, cut) {
  return {
    writing: cut(found.writing, COARSE, sigmoid)[0],
    height: cut(found.height, COARSE, (logit) => 2 ** clip(logit, ...HEIGHT_RANGE))[0],
  };
}

// Returns what makes a grid of each channel of an output, without the cells beside the image.
function cutTo({ width, height }) {
  return ({ dims, data }, cell, value = (logit) => logit) => {
    const [fullRows, fullColumns] = dims.slice(-2);
    const channels = data.length / (fullRows * fullColumns);
    return Array.from({ length: channels }, (_, channel) => {
      const cells = grid(Math.ceil(height / cell), Math.ceil(width / cell));
      for (let row = 0, at = 0; row < cells.rows; row++) {
        const start = (channel * fullRows + row) * fullColumns;
        for (let i = start; i < start + cells.columns; i++) cells.data[at++] = value(data[i]);
      }
      return cells;
    });
  };
}
