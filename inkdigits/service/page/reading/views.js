// Pictures of what the page network saw in a page: where it saw writing, and whose ink is whose.

import { maps } from "./constants.js";

const HEAT = [255, 120, 40]; // the red, green and blue of what is surely writing
const COLOURS = [
  [0, 114, 178],
  [213, 94, 0],
  [0, 158, 115],
  [204, 121, 167],
  [86, 180, 233],
  [230, 159, 0],
]; // people who are colour blind tell them apart; Okabe & Ito 2008

const PALE = 0.35; // what is left of the picture's own contrast

// Returns the views of a page, {name, image} each; none of a picture that was one digit as it was.
export function viewsOf(page) {
  if (!page) return [];
  const writing = canvasOf(page.picture.image);
  const owners = canvasOf(page.picture.image);
  for (const { left, top, scale, maps: found } of page.pieces) {
    found.writing.data.forEach((chance, at) => {
      const place = [at % found.writing.columns, Math.floor(at / found.writing.columns)];
      fill(writing, [left, top], place, maps.COARSE / scale, HEAT, 0.5 * chance);
    });
  }
  [...page.candidates, ...page.signs].forEach(({ piece, symbol }, number) => {
    const colour = COLOURS[number % COLOURS.length];
    symbol.rows.forEach((row, i) => {
      const place = [symbol.columns[i], row];
      fill(owners, [piece.left, piece.top], place, maps.FINE / piece.scale, colour, 1);
    });
  });
  return [
    { name: "where it sees writing", image: writing },
    { name: "whose ink is whose", image: owners },
  ];
}

// Returns an image, pale, for a canvas.
function canvasOf({ width, height, data }) {
  const pale = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let c = 0; c < 3; c++) {
      pale.data[4 * pixel + c] = 255 - PALE * (255 - data[3 * pixel + c]);
    }
    pale.data[4 * pixel + 3] = 255;
  }
  return pale;
}

// Lays a colour over one cell. corner: of the cells in the image; side: of a cell, in its pixels.
function fill({ width, height, data }, corner, place, side, colour, share) {
  const [x, y] = place.map((at, i) => Math.round(corner[i] + at * side));
  const [right, bottom] = place.map((at, i) => Math.round(corner[i] + (at + 1) * side));
  for (let row = Math.max(0, y); row < Math.min(height, bottom); row++) {
    for (let column = Math.max(0, x); column < Math.min(width, right); column++) {
      const at = 4 * (row * width + column);
      for (let c = 0; c < 3; c++) data[at + c] += share * (colour[c] - data[at + c]);
    }
  }
}
