// From maps to symbols: peaks of the centre map are symbols, and cells of ink vote for their own.
// Mirrors reading/page/decoding.py.

import { decoding, maps } from "../constants.js";
import { argsort, clip, grid, median, rint } from "../arrays.js";

const { LEAST_CENTRE, LEAST_INK, MOST_OVERLAP, LEAST_RADIUS, NOBODY } = decoding;
const { FINE, MIDDLE } = maps;

// Returns the symbols, the surest first: {score, box, rows, columns, kind}.
export function findSymbols(found) {
  const sizes = found.size.map(({ data }) => data);
  const peaks = distinct(
    peaksOf(found.centre).map(({ row, column, at }) => {
      const [width, height] = sizes.map((values) => Math.max(values[at], 1));
      return { row, column, at, width, height };
    }),
  );
  return gather(found, ownersOf(found, peaks), peaks);
}

// Returns the local maxima of the centre map, the highest first.
function peaksOf({ rows, columns, data }) {
  const peaks = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = row * columns + column;
      if (data[at] > LEAST_CENTRE && isHighest(data, rows, columns, row, column)) {
        peaks.push({ row, column, at });
      }
    }
  }
  return argsort(peaks.map(({ at }) => -data[at])).map((number) => peaks[number]);
}

function isHighest(data, rows, columns, row, column) {
  const own = data[row * columns + column];
  for (let y = Math.max(0, row - 1); y <= Math.min(rows - 1, row + 1); y++) {
    for (let x = Math.max(0, column - 1); x <= Math.min(columns - 1, column + 1); x++) {
      if (data[y * columns + x] > own) return false;
    }
  }
  return true;
}

// Returns the peaks that are not the same symbol as a higher one, which is looked for nearby.
function distinct(peaks) {
  const tile = Math.max(2, median(peaks.flatMap(({ width, height }) => [width, height])) || 0);
  const tiles = new Map();
  return peaks.filter((peak) => {
    const box = boxOf(peak);
    const [tileRow, tileColumn] = [Math.floor(peak.row / tile), Math.floor(peak.column / tile)];
    for (let row = tileRow - 1; row <= tileRow + 1; row++) {
      for (let column = tileColumn - 1; column <= tileColumn + 1; column++) {
        const rivals = tiles.get(`${row},${column}`) ?? [];
        if (rivals.some((rival) => overlaps(box, rival))) return false;
      }
    }
    const place = `${tileRow},${tileColumn}`;
    tiles.set(place, [...(tiles.get(place) ?? []), box]);
    return true;
  });
}

// Returns the box around a peak, in cells; a narrow symbol gets half its height in width.
function boxOf({ row, column, width, height }) {
  const least = 0.5 * Math.max(width, height);
  const [across, down] = [Math.max(width, least) / 2, Math.max(height, least) / 2];
  return [column - across, row - down, column + across, row + down];
}

export const areaOf = ([left, top, right, bottom]) => (right - left) * (bottom - top);

export function sharedArea(one, other) {
  const across = Math.min(one[2], other[2]) - Math.max(one[0], other[0]);
  const down = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  return Math.max(across, 0) * Math.max(down, 0);
}

function overlaps(box, other) {
  const shared = sharedArea(box, other);
  return shared > MOST_OVERLAP * (areaOf(box) + areaOf(other) - shared);
}

// Returns for every cell the symbol that it is ink of, or NOBODY: that in whose territory its vote
// falls.
function ownersOf({ ink, offset }, peaks) {
  const { rows, columns } = ink;
  const nearest = territories(rows, columns, peaks);
  const owner = new Int32Array(rows * columns).fill(NOBODY);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at++) {
      if (ink.data[at] <= LEAST_INK) continue;
      const x = clip(rint(column + offset[0].data[at]), 0, columns - 1);
      const y = clip(rint(row + offset[1].data[at]), 0, rows - 1);
      owner[at] = nearest[y * columns + x];
    }
  }
  return owner;
}

// Returns for every cell the symbol whose centre a vote for it means, or NOBODY: around each peak
// lies an ellipse of its size, and where several meet, the nearest in terms of its size counts.
function territories(rows, columns, peaks) {
  const nearest = new Int32Array(rows * columns).fill(NOBODY);
  const distance = grid(rows, columns).data.fill(Infinity);
  peaks.forEach(({ row, column, width, height }, number) => {
    const [across, down] = [width, height].map((side) => Math.max(side / 2, LEAST_RADIUS));
    const bottom = Math.min(rows, Math.trunc(row + down) + 1);
    const right = Math.min(columns, Math.trunc(column + across) + 1);
    for (let y = Math.max(0, Math.trunc(row - down)); y < bottom; y++) {
      for (let x = Math.max(0, Math.trunc(column - across)); x < right; x++) {
        const here = ((y - row) / down) ** 2 + ((x - column) / across) ** 2;
        const at = y * columns + x;
        if (here > 1 || here >= distance[at]) continue;
        distance[at] = here;
        nearest[at] = number;
      }
    }
  });
  return nearest;
}

// Returns the symbols that have any ink, with it.
function gather({ centre, kind }, owner, peaks) {
  const cells = peaks.map(() => ({ rows: [], columns: [] }));
  owner.forEach((number, at) => {
    if (number === NOBODY) return;
    cells[number].rows.push(Math.floor(at / centre.columns));
    cells[number].columns.push(at % centre.columns);
  });
  return peaks.flatMap(({ row, column, at }, number) => {
    const { rows, columns } = cells[number];
    if (!rows.length) return [];
    const place =
      Math.trunc((row * FINE) / MIDDLE) * kind[0].columns + Math.trunc((column * FINE) / MIDDLE);
    const logits = Float32Array.from(kind, ({ data }) => data[place]);
    return [{ score: centre.data[at], box: inkBox(rows, columns), rows, columns, kind: logits }];
  });
}

// Returns left, top, right, bottom of cells, in pixels.
function inkBox(rows, columns) {
  let [left, right] = [Infinity, 0];
  for (const column of columns) {
    left = Math.min(left, column);
    right = Math.max(right, column + 1);
  }
  return [left, rows[0], right, rows.at(-1) + 1].map((side) => FINE * side); // rows are in order
}
