// Tells pure noise from pictures: each of its pixels is independent of its neighbours. Mirrors
// reading/preprocessing/noise.py.

import { noise } from "../constants.js";

const { NOISE, ENOUGH_ROWS } = noise;

export function isNoise({ width, height, data }) {
  if (Math.min(width, height) < 2) return false;
  const green = (row, column) => data[3 * (row * width + column) + 1]; // makes most of the grey
  const step = Math.max(1, Math.floor(height / ENOUGH_ROWS));
  const rows = [];
  for (let row = 0; row < height - 1; row += step) rows.push(row);

  const [count, sums] = [rows.length * width, [0, 0]];
  for (const row of rows) {
    for (let column = 0; column < width; column++) {
      sums[0] += green(row, column);
      sums[1] += green(row + 1, column);
    }
  }
  const [mean, meanBelow] = sums.map((sum) => sum / count);
  let [beside, beneath, variance] = [0, 0, 0];
  for (const row of rows) {
    let previous = 0;
    for (let column = 0; column < width; column++) {
      const own = green(row, column) - mean;
      beside += column ? own * previous : 0;
      beneath += own * (green(row + 1, column) - meanBelow);
      variance += own ** 2;
      previous = own;
    }
  }
  beside /= rows.length * (width - 1);
  return (beside + beneath / count) / 2 < NOISE * (variance / count);
}
