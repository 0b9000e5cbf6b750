// From one digit's ink to what the network sees: a field of 28x28 pixels with MNIST's geometry.
// Mirrors reading/preprocessing/fields.py, where sources and reasons are.

import { digits, fields } from "../constants.js";
import { clip, rint } from "../arrays.js";
import { BICUBIC, HAMMING, reduce, resize } from "../resampling.js";
import { greysOf } from "./picture.js";

const { DIGIT, CENTRE, LEEWAY, SUPERSAMPLING, LARGE, TIGHT, PEN, DIAGONAL, PIXEL, MOST_GAIN } =
  fields;
const { SIDE } = digits;

const plane = (width, height) => ({
  width,
  height,
  channels: 1,
  data: new Uint8Array(width * height),
});
const largest = ({ data }) => data.reduce((most, value) => Math.max(most, value), 0);

// Brings one digit's ink, not blank, to MNIST's geometry: SIDE x SIDE bytes.
export function toField(strokes) {
  const tight = strengthened(cropped(strokes));
  let digit = resized(tight, LARGE);
  const change = penChange(digit);
  if (change) digit = withPenChanged(resized(tight, LARGE - change), change, digit);

  const inked = cropped(digit);
  const [left, top] = [LARGE - inked.width, LARGE - inked.height].map((spare) => spare >> 1);
  const square = placed(inked, left, top, LARGE, LARGE);
  return pasted(withFullContrast(reduce(square, SUPERSAMPLING)));
}

// Puts an image on paper of a size.
function placed(image, left, top, width, height) {
  const out = plane(width, height);
  for (let y = 0; y < image.height; y++) {
    const row = image.data.subarray(y * image.width, (y + 1) * image.width);
    out.data.set(row, (y + top) * width + left);
  }
  return out;
}

const framed = (image, margin) =>
  placed(image, margin, margin, image.width + 2 * margin, image.height + 2 * margin);

function cropped(image) {
  const [left, top, right, bottom] = boundingBox(image, Math.min(TIGHT, largest(image) >> 1));
  const out = plane(right - left, bottom - top);
  out.data.forEach((_, at) => {
    const [x, y] = [at % out.width, Math.floor(at / out.width)];
    out.data[at] = image.data[(y + top) * image.width + x + left];
  });
  return out;
}

// Returns left, top, right, bottom of what is stronger; all 0 if nothing is.
function boundingBox({ width, data }, strength) {
  const inked = [...data.keys()].filter((at) => data[at] > strength);
  if (!inked.length) return [0, 0, 0, 0];
  const columns = inked.map((at) => at % width);
  const rows = inked.map((at) => Math.floor(at / width));
  return [Math.min(...columns), Math.min(...rows), Math.max(...columns) + 1, Math.max(...rows) + 1];
}

function strengthened(image) {
  const factor = Math.floor(255 / largest(image));
  return { ...image, data: image.data.map((value) => value * factor) };
}

// Resizes a digit, so that its longer side has `side` pixels.
function resized(image, side) {
  const scale = side / Math.max(image.width, image.height);
  const [width, height] = [image.width, image.height].map((old) => Math.max(1, rint(old * scale)));
  return resize(image, width, height, scale < 1 ? HAMMING : BICUBIC);
}

// Returns by how many pixels the strokes should get wider, or thinner if negative; even.
function penChange(image) {
  const [thinnest, thickest] = PEN.map((width) => width * SUPERSAMPLING);
  const width = strokeWidth(image);
  const change = Math.max(0, thinnest - width) + Math.min(0, thickest - width);
  return 2 * rint(change / 2);
}

function withPenChanged(image, change, otherwise) {
  const diameter = Math.abs(change) + 1;
  const wide = framed(image, diameter >> 1);
  if (change > 0) return grown(wide, diameter);
  const inverted = ({ data, ...rest }) => ({ ...rest, data: data.map((value) => 255 - value) });
  const thin = inverted(grown(inverted(wide), diameter));
  return largest(thin) ? thin : otherwise;
}

// Returns the strongest pixel below a round pen around each pixel.
function grown(image, diameter) {
  const radius = diameter >> 1;
  const { width, height, data } = image;
  const out = plane(width, height);
  for (let down = -radius; down <= radius; down++) {
    const reach = rint(Math.sqrt(radius ** 2 - down ** 2));
    for (let y = Math.max(0, -down); y < Math.min(height, height - down); y++) {
      for (let x = 0; x < width; x++) {
        const start = (y + down) * width;
        let most = out.data[y * width + x];
        for (let near = Math.max(0, x - reach); near <= Math.min(width - 1, x + reach); near++) {
          most = Math.max(most, data[start + near]);
        }
        out.data[y * width + x] = most;
      }
    }
  }
  return out;
}

// Stretches the maximum to 255, and further until a quarter of the ink is full, as in MNIST.
function withFullContrast(image) {
  const inked = image.data.filter((value) => value > 0).sort();
  const strongest = inked.at(-1);
  const place = 0.75 * (inked.length - 1);
  const below = Math.floor(place);
  const above = inked[Math.min(below + 1, inked.length - 1)];
  const usual = inked[below] + (above - inked[below]) * (place - below);
  const gain = Math.max(255 / strongest, Math.min(250 / usual, (MOST_GAIN * 255) / strongest));
  return { ...image, data: image.data.map((value) => rint(Math.min(value * gain, 255))) };
}

// Puts DIGIT x DIGIT pixels into a field, so that their centre of mass is in its middle.
function pasted(image) {
  const [left, top] = centreOfMass(image).map((at) =>
    clip(Math.ceil(CENTRE - 1 - at), 0, SIDE - DIGIT),
  );
  return placed(image, left, top, SIDE, SIDE).data;
}

function centreOfMass({ width, data }) {
  let [total, x, y] = [0, 0, 0];
  data.forEach((value, at) => {
    total += value;
    x += value * (at % width);
    y += value * Math.floor(at / width);
  });
  return [x / total + 0.5, y / total + 0.5];
}

// Returns the mean width of the strokes: twice the area over the outline's length.
function strokeWidth(image) {
  const ink = framed({ ...image, data: image.data.map((value) => (value > 127 ? 1 : 0)) }, 2);
  const { width, height, data } = ink;
  const four = (at) => data[at] + data[at + 1] + data[at + width] + data[at + width + 1];
  let [area, straight, across, alone] = [0, 0, 0, 0];
  for (let y = 0; y < height - 1; y++) {
    for (let x = 0; x < width - 1; x++) {
      const at = y * width + x;
      const inked = four(at);
      const touches = inked === 2 && data[at] === data[at + width + 1];
      area += data[at];
      straight += inked === 2 && !touches;
      across += (inked === 3) + 2 * touches;
      alone += data[at] && four(at) + four(at - 1) + four(at - width) + four(at - width - 1) === 4;
    }
  }
  return (2 * area) / Math.max(1, straight + DIAGONAL * across + PIXEL * alone);
}

// Returns the pixels of an image that has MNIST's geometry already, {field, isLight}, inverted if
// they are dark on light; or null.
export function asIs(image) {
  if (image.width !== SIDE || image.height !== SIDE || !image.isGrey) return null;
  const grey = greysOf(image);
  if (isMnistLike(grey)) return { field: grey, isLight: true };
  const inverted = grey.map((value) => 255 - value);
  return isMnistLike(inverted) ? { field: inverted, isLight: false } : null;
}

function isMnistLike(data) {
  const field = { ...plane(SIDE, SIDE), data };
  const [left, top, right, bottom] = boundingBox(field, 0);
  const longer = Math.max(right - left, bottom - top);
  if (longer < DIGIT - 1 || longer > DIGIT || largest(field) < 254) return false;
  const isCentred = (at) => at >= SIDE / 2 - LEEWAY && at < SIDE / 2 + 1 + LEEWAY;
  return centreOfMass(field).every(isCentred);
}
