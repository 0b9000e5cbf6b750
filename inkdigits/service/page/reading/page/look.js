// The second look: each symbol with its surroundings, as the classifier takes it: three planes of
// greys from paper to ink, of its own ink, and of the ink of others; and the same three from further
// away. Mirrors reading/page/look.py.

import { look, maps } from "../constants.js";
import { clip, grid, median, rint } from "../arrays.js";
import { BILINEAR, resize } from "../resampling.js";

const { SIDE, PLANES, AROUND, FAR, LOWEST, PAPER, LEAST_PAPER, SOLID, LEAST_CONTRAST } = look;
const { COARSE, FINE } = maps;
const PIXELS = SIDE * SIDE;

// Returns what a view of a symbol shows, left, top, right, bottom in pixels of the piece.
function windowOf(symbol, height, around, widest) {
  const [left, top, right, bottom] = symbol.box;
  const size = Math.max(right - left, bottom - top, LOWEST * height);
  const half = Math.min(around * size, widest) / 2;
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  return [x - half, y - half, x + half, y + half];
}

// Takes a look at each symbol of a piece: (2 * PLANES, SIDE, SIDE) bytes each.
export function looks(piece, symbols) {
  const [near, far] = [AROUND, FAR].map((around) => viewsOf(piece, symbols, around));
  return near.map((view, i) => joined(view, far[i]));
}

// Returns the first three planes of the looks at symbols, in half the time.
export function nearViews(piece, symbols) {
  return viewsOf(piece, symbols, AROUND);
}

function joined(near, far) {
  const look = new Uint8Array(2 * PLANES * PIXELS);
  look.set(near);
  look.set(far, PLANES * PIXELS);
  return look;
}

// Returns what is around each symbol, `around` sizes wide: (PLANES, SIDE, SIDE) bytes each.
function viewsOf(piece, symbols, around) {
  if (!symbols.length) return [];
  const windows = windowsOf(piece, symbols, around);
  const cells = cellsAround(windows);
  const [left, top] = cells;
  const ink = padded(piece.maps.ink, cells);
  const only = { ...ink, data: new Float32Array(ink.data.length) }; // the ink of one at a time
  const colours = continued(
    piece.picture,
    cells.map((side) => side * FINE),
  );

  return symbols.map(({ rows, columns }, number) => {
    const box = windows[number].map((side, i) => side - [left, top][i % 2] * FINE);
    const inCells = box.map((side) => side / FINE);
    const colour = sampled(colours, box);
    const every = sampled(ink, inCells);
    const places = rows.map((row, i) => (row - top) * ink.width + columns[i] - left);
    places.forEach((place) => (only.data[place] = ink.data[place]));
    const own = sampledPart(only, inCells);
    places.forEach((place) => (only.data[place] = 0));

    const planes = new Uint8Array(PLANES * PIXELS);
    const grey = greysOf(colour, every, own);
    for (let i = 0; i < PIXELS; i++) {
      planes[i] = rint(grey[i] * 255);
      planes[PIXELS + i] = rint(own[i] * 255);
      planes[2 * PIXELS + i] = rint(clip(every[i] - own[i], 0, 1) * 255);
    }
    return planes;
  });
}

// Returns what each view shows, `around` times the piece at the most.
function windowsOf(piece, symbols, around) {
  const longest = Math.max(piece.picture.width, piece.picture.height);
  const widest = 2 * Math.floor(Math.trunc(longest * around) / 2);
  return symbols.map((symbol) => windowOf(symbol, heightAt(piece, symbol), around, widest));
}

// Returns left, top, right, bottom of the fine cells that all windows are sampled from.
function cellsAround(windows) {
  const widest = Math.max(...windows.map(([left, , right]) => right - left));
  const beside = widest / (FINE * SIDE) + 1; // a sampled pixel's reach
  const side = (i, of) => of(...windows.map((box) => box[i] / FINE));
  const low = [0, 1].map((i) => Math.floor(side(i, Math.min) - beside));
  const high = [2, 3].map((i) => Math.ceil(side(i, Math.max) + beside));
  return [...low, ...high];
}

// Returns the cells in a box as an image, 0 where it goes beyond them.
function padded(cells, [left, top, right, bottom]) {
  const [width, height] = [right - left, bottom - top];
  const { data } = grid(height, width);
  const [first, last] = [Math.max(0, left), Math.min(cells.columns, right)];
  for (let row = Math.max(0, top); row < Math.min(cells.rows, bottom); row++) {
    const inside = cells.data.subarray(row * cells.columns + first, row * cells.columns + last);
    data.set(inside, (row - top) * width + first - left);
  }
  return { width, height, channels: 1, data };
}

// Returns the part of an image in a box, with its edges drawn out beyond it.
function continued(image, [left, top, right, bottom]) {
  const [width, height] = [right - left, bottom - top];
  const data = new Uint8Array(3 * width * height);
  for (let y = top, at = 0; y < bottom; y++) {
    const row = clip(y, 0, image.height - 1) * image.width;
    for (let x = left; x < right; x++) {
      const from = 3 * (row + clip(x, 0, image.width - 1));
      for (let c = 0; c < 3; c++) data[at++] = image.data[from + c];
    }
  }
  return { width, height, channels: 3, data };
}

// Returns how tall the writing is around a symbol, in pixels of the piece.
function heightAt({ maps: { height } }, { box: [left, top, right, bottom] }) {
  const row = Math.min(height.rows - 1, Math.trunc((top + bottom) / 2 / COARSE));
  const column = Math.min(height.columns - 1, Math.trunc((left + right) / 2 / COARSE));
  return height.data[row * height.columns + column];
}

// Returns a part of an image as SIDE x SIDE values, area-averaged; it is cut at the edges.
function sampled(image, [left, top, right, bottom]) {
  const box = [
    Math.max(left, 0),
    Math.max(top, 0),
    Math.min(right, image.width),
    Math.min(bottom, image.height),
  ];
  return resize(image, SIDE, SIDE, BILINEAR, box).data;
}

// Does as `sampled`, of the values around the box alone.
function sampledPart(image, box) {
  const [left, top] = box.map((side) => Math.max(Math.floor(side) - 1, 0));
  const width = Math.min(image.width, Math.ceil(box[2]) + 1) - left;
  const height = Math.min(image.height, Math.ceil(box[3]) + 1) - top;
  const data = new Float32Array(width * height);
  for (let row = 0; row < height; row++) {
    const start = (top + row) * image.width + left;
    data.set(image.data.subarray(start, start + width), row * width);
  }
  return sampled(
    { width, height, channels: 1, data },
    box.map((side, i) => side - [left, top][i % 2]),
  );
}

// Projects colours on the axis from local paper, 0, to the symbol's ink, 1.
function greysOf(colour, every, own) {
  const paper = paperColour(colour, every);
  const ink = [0, 0, 0];
  let total = 0;
  own.forEach((chance, i) => {
    const weight = chance ** 2 + 1e-6;
    total += weight;
    for (let c = 0; c < 3; c++) ink[c] += colour[3 * i + c] * weight;
  });
  const axis = ink.map((value, c) => value / total - paper[c]);
  const length = Math.max(
    axis.reduce((all, value) => all + value ** 2, 0),
    LEAST_CONTRAST,
  );
  return own.map((_, i) => {
    const along = axis.reduce((all, value, c) => all + (colour[3 * i + c] - paper[c]) * value, 0);
    return clip((SOLID * along) / length, 0, 1);
  });
}

// Returns the median colour of pixels without ink, or else of those with the least.
function paperColour(colour, every) {
  let paper = [...every.keys()].filter((i) => every[i] < PAPER);
  if (paper.length < LEAST_PAPER) {
    const middle = median(every);
    paper = [...every.keys()].filter((i) => every[i] < PAPER || every[i] <= middle);
  }
  return [0, 1, 2].map((c) => median(paper.map((i) => colour[3 * i + c])));
}
