// From cells of writing in a thumbnail to places in the image, few and each at one scale. Mirrors
// reading/page/places.py.

import { maps as mapSizes, places as sizes } from "../constants.js";
import { clip } from "../arrays.js";

const { READABLE, ALIKE, GROUPS, MARGIN } = sizes;
const { COARSE } = mapSizes;

export const widthOf = ({ left, right }) => right - left;
export const heightOf = ({ top, bottom }) => bottom - top;
export const pixelsOf = (place) => widthOf(place) * heightOf(place) * place.zoom ** 2;

// Returns the places to look at, writing of like height together.
// scale: of the thumbnail; frame: what it shows beyond the image, in pixels of that.
export function placesOf(maps, cells, scale, frame, image) {
  const { columns } = cells;
  let left = [...cells.data.keys()].filter((at) => cells.data[at]);
  const places = [];
  for (let group = 0; group < GROUPS && left.length; group++) {
    const heights = Float32Array.from(left, (at) => Math.log2(maps.height.data[at]));
    const middle = lowerMedian(heights);
    const isAlike = (_, number) => Math.abs(heights[number] - middle) <= Math.log2(ALIKE);
    const alike = left.filter(isAlike);
    left = left.filter((at, number) => !isAlike(at, number));

    const tall = 2 ** middle / scale;
    const reach = Math.ceil((MARGIN * tall * scale) / COARSE);
    const points = alike.map((at) => [Math.floor(at / columns), at % columns]);
    for (const box of boxesOf(points, reach, cells)) {
      const place = placeOf(box, scale, frame, image, READABLE / tall);
      if (widthOf(place) > 0 && heightOf(place) > 0) places.push(place);
    }
  }
  return places;
}

function lowerMedian(values) {
  return values.slice().sort()[Math.floor((values.length - 1) / 2)];
}

// Turns a box of coarse cells of a thumbnail into a place in the image and its frame.
function placeOf(box, scale, frame, { width, height }, zoom) {
  const [left, top, right, bottom] = box.map((side) => Math.floor((side * COARSE) / scale - frame));
  return {
    left,
    top,
    right: Math.min(right + 1, width + frame),
    bottom: Math.min(bottom + 1, height + frame),
    zoom,
  };
}

// Returns few boxes that hold all cells, (row, column), with `reach` cells around them. They are
// parted where a wide gap runs right across, in rows first and then in columns.
function boxesOf(points, reach, { rows, columns }) {
  const boxes = [];
  for (const [upper, lower] of runs(
    points.map(([row]) => row),
    reach,
  )) {
    const inRows = points.filter(([row]) => row >= upper && row < lower);
    for (const [first, last] of runs(
      inRows.map(([, column]) => column),
      reach,
    )) {
      const own = inRows
        .filter(([, column]) => column >= first && column < last)
        .map(([row]) => row);
      const [top, bottom] = [own[0], own.at(-1) + 1]; // they are in order
      const sides = [first - reach, top - reach, last + reach, bottom + reach];
      boxes.push(sides.map((side, i) => clip(side, 0, i % 2 ? rows : columns)));
    }
  }
  return boxes;
}

// Returns ranges (first, last + 1) of positions that `reach` around each joins.
function runs(positions, reach) {
  const found = [];
  for (const position of [...new Set(positions)].sort((one, other) => one - other)) {
    const latest = found.at(-1);
    if (latest && position - (latest[1] - 1) <= 2 * reach + 2) latest[1] = position + 1;
    else found.push([position, position + 1]);
  }
  return found;
}
