// From an image to the pieces of it in which something is written, each at its own scale.
// Mirrors reading/page/survey.py.

import { maps as mapSizes, survey as sizes } from "../constants.js";
import { grid, median, rint } from "../arrays.js";
import { BILINEAR, resizeWithGap } from "../resampling.js";
import { coarseMaps, pageMaps } from "./maps.js";
import { heightOf, pixelsOf, placesOf, widthOf } from "./places.js";

const { THUMBNAIL, SMALL, ENLARGED, SMALLER, FRAME, CLEAR, TALL } = sizes;
const { BLANK, LEAST_WRITING, MOST_PIXELS, REDUCING_GAP } = sizes;
const { COARSE } = mapSizes;

// Returns an image resized by a factor.
export function resized(image, scale) {
  const width = Math.max(1, rint(image.width * scale));
  const height = Math.max(1, rint(image.height * scale));
  if (width === image.width && height === image.height) return image;
  return resizeWithGap(image, width, height, BILINEAR, REDUCING_GAP);
}

// Finds where to look in an image: {image, left, top, paper, places, wanted, shrink}; wanted: pixels
// of all places at their scales; shrink: how many times as large they are looked at.
export async function survey(network, whole) {
  const paper = borderColour(whole);
  const part = inkedPart(whole, paper);
  const image = windowOf(whole, part, paper);
  const places = await findPlaces(network, image, paper);
  const wanted = places.reduce((total, place) => total + pixelsOf(place), 0);
  const shrink = Math.min(1, Math.sqrt(MOST_PIXELS / Math.max(wanted, 1)));
  return { image, left: part.left, top: part.top, paper, places, wanted, shrink };
}

// Returns the parts of an image that hold writing: {picture, left, top, scale, maps}.
export async function lookAt(network, { image, left, top, paper, places, shrink }) {
  const pieces = [];
  for (const place of places) pieces.push(await pieceOf(network, image, place, shrink, paper));
  return pieces.map((piece) => ({ ...piece, left: piece.left + left, top: piece.top + top }));
}

// Tells whether a pixel is anything but exactly paper. at: of its red in the data.
const isInk = (data, at, paper) =>
  data[at] !== paper[0] || data[at + 1] !== paper[1] || data[at + 2] !== paper[2];

// Returns the box of all pixels that are not exactly paper, with BLANK more around it.
function inkedPart({ width, height, data }, paper) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      if (!isInk(data, at, paper)) continue;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = y + 1;
    }
  }
  if (!bottom) return { left: 0, top: 0, right: width, bottom: height };
  return {
    left: Math.max(0, left - BLANK),
    top: Math.max(0, top - BLANK),
    right: Math.min(width, right + BLANK),
    bottom: Math.min(height, bottom + BLANK),
  };
}

// Returns the places of an image to look at: the coarse pass.
async function findPlaces(network, image, paper) {
  const scale = thumbnailScale(image);
  const thumbnail = resized(image, scale);
  const small = framed(resized(thumbnail, 1 / SMALLER), paper);
  const smallMaps = await coarseMaps(network, small);

  const writingFrom = (least) =>
    cellsOf(
      smallMaps.writing,
      (at) => smallMaps.writing.data[at] > LEAST_WRITING && smallMaps.height.data[at] >= least,
    );
  const inked = inkedCells(thumbnail, paper);
  const isClear = writingFrom(inked.data.every(Boolean) ? TALL : CLEAR);
  const clear = coveredBy(isClear, inked);
  const suffices = inked.data.every((isInked, at) => !isInked || clear.data[at]);
  const found = suffices ? isClear : writingFrom(TALL);
  const frame = rint((FRAME * SMALLER) / scale);
  const places = placesOf(smallMaps, found, scale / SMALLER, frame, image);
  if (suffices) return places;

  const covered = coveredBy(found, inked);
  const maps = await coarseMaps(network, thumbnail);
  const isCovered = (at) => covered.data[at] && maps.height.data[at] > (TALL * SMALLER) / 2;
  const writing = cellsOf(
    maps.writing,
    (at) => maps.writing.data[at] > LEAST_WRITING && !isCovered(at),
  );
  return [...places, ...placesOf(maps, writing, scale, 0, image)];
}

// Returns the coarse cells of a thumbnail, 1 where any pixel is not exactly paper.
function inkedCells({ width, height, data }, paper) {
  const cells = grid(Math.ceil(height / COARSE), Math.ceil(width / COARSE), Uint8Array);
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor(y / COARSE) * cells.columns;
    for (let x = 0; x < width; x++, at += 3) {
      if (isInk(data, at, paper)) cells.data[row + Math.floor(x / COARSE)] = 1;
    }
  }
  return cells;
}

function thumbnailScale({ width, height }) {
  const longest = Math.max(width, height);
  return Math.min(THUMBNAIL / longest, Math.max(1, Math.min(ENLARGED, SMALL / longest)));
}

// Returns the median colour of an image's outermost pixels, which are mostly paper.
function borderColour({ width, height, data }) {
  const border = [];
  for (let x = 0; x < width; x++) border.push(x, (height - 1) * width + x);
  for (let y = 0; y < height; y++) border.push(y * width, y * width + width - 1);
  return [0, 1, 2].map((c) => Math.trunc(median(border.map((pixel) => data[3 * pixel + c]))));
}

// Returns a thumbnail with FRAME pixels of paper around it.
function framed(thumbnail, paper) {
  const { width, height } = thumbnail;
  const place = { left: -FRAME, top: -FRAME, right: width + FRAME, bottom: height + FRAME };
  return windowOf(thumbnail, place, paper);
}

// Returns cells that are 1 where `is` says so of their number.
function cellsOf({ rows, columns }, is) {
  const cells = grid(rows, columns, Uint8Array);
  cells.data.forEach((_, at) => (cells.data[at] = is(at) ? 1 : 0));
  return cells;
}

function withoutFrame({ rows, columns, data }) {
  const skipped = Math.trunc(FRAME / COARSE);
  const inner = grid(rows - skipped, columns - skipped, Uint8Array);
  inner.data.forEach((_, at) => {
    const [row, column] = [Math.floor(at / inner.columns), at % inner.columns];
    inner.data[at] = data[(row + skipped) * columns + column + skipped];
  });
  return inner;
}

// Returns cells with the eight around each, so that no rim of tall writing is left over.
function grown(cells) {
  const { rows, columns, data } = cells;
  return cellsOf(cells, (at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    for (let y = Math.max(0, row - 1); y <= Math.min(rows - 1, row + 1); y++) {
      for (let x = Math.max(0, column - 1); x <= Math.min(columns - 1, column + 1); x++) {
        if (data[y * columns + x]) return true;
      }
    }
    return false;
  });
}

// Returns which cells of the first thumbnail were found in the second one.
function coveredBy(found, first) {
  const { rows, columns, data } = grown(withoutFrame(found));
  return cellsOf(first, (at) => {
    const y = Math.min(rows - 1, Math.floor(Math.floor(at / first.columns) / SMALLER));
    const x = Math.min(columns - 1, Math.floor((at % first.columns) / SMALLER));
    return data[y * columns + x];
  });
}

// Looks at one place, `shrink` times as large as it would like.
async function pieceOf(network, image, place, shrink, paper) {
  const picture = resized(windowOf(image, place, paper), place.zoom * shrink);
  const isUpright = heightOf(place) > widthOf(place);
  const scale = isUpright ? picture.height / heightOf(place) : picture.width / widthOf(place);
  const maps = await pageMaps(network, picture);
  return { picture, left: place.left, top: place.top, scale, maps };
}

// Returns a part of an image; what lies beyond the image is paper.
function windowOf(image, { left, top, right, bottom }, paper) {
  const [width, height] = [right - left, bottom - top];
  if (left === 0 && top === 0 && width === image.width && height === image.height) return image;
  const data = new Uint8Array(3 * width * height);
  const [first, last] = [Math.max(0, left), Math.min(image.width, right)];
  for (let y = 0; y < height; y++) {
    const isInside = top + y >= 0 && top + y < image.height;
    const isWhole = isInside && first === left && last === right;
    if (!isWhole)
      for (let at = 3 * y * width; at < 3 * (y + 1) * width; at++) data[at] = paper[at % 3];
    if (!isInside) continue;
    const row = (top + y) * image.width;
    data.set(
      image.data.subarray(3 * (row + first), 3 * (row + last)),
      3 * (y * width + first - left),
    );
  }
  return { width, height, channels: 3, data };
}
