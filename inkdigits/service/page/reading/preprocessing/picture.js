// From a picture as a browser has it to upright 8-bit pixels: {image, scale, warnings}, with an
// image of 3 channels that says if it is grey. Mirrors reading/preprocessing/picture.py.

import { picture as sizes } from "../constants.js";
import { mean, median, range, rint } from "../arrays.js";
import { HAMMING, resize } from "../resampling.js";

const { MAX_PIXELS, WORK_SIDE, COLOURS, LIGHTEST_ON_WHITE } = sizes;

export class BadPicture extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// Takes a Blob, an ImageBitmap or ImageData.
export async function openPicture(source) {
  const pixels = source instanceof ImageData ? source : await decoded(source);
  return fromPixels(pixels);
}

async function decoded(source) {
  const bitmap = source instanceof Blob ? await bitmapOf(source) : source;
  const { width, height } = bitmap;
  if (width * height > MAX_PIXELS) {
    const most = `at most ${MAX_PIXELS.toLocaleString("en")} are read`;
    throw new BadPicture("too_large", `the picture has ${width} x ${height} pixels; ${most}`);
  }
  const pen = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, 0);
  if (source !== bitmap) bitmap.close();
  return pen.getImageData(0, 0, width, height);
}

async function bitmapOf(blob) {
  const asStored = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  return createImageBitmap(blob, asStored).catch(() => {
    const message = "the data is not a picture that this browser can read; PNG and JPEG are";
    throw new BadPicture("not_a_picture", message);
  });
}

function fromPixels({ width, height, data }) {
  const image = isOpaque(data)
    ? reduced(withoutAlpha(data, width, height))
    : onPaper({ width, height, data });
  image.isGrey = isGrey(image);
  return { image, scale: [width / image.width, height / image.height], warnings: [] };
}

function isOpaque(rgba) {
  for (let at = 3; at < rgba.length; at += 4) if (rgba[at] < 255) return false;
  return true;
}

function withoutAlpha(rgba, width, height) {
  const data = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = rgba[from];
    data[to + 1] = rgba[from + 1];
    data[to + 2] = rgba[from + 2];
  }
  return { width, height, channels: 3, data };
}

// Reduces an image to at most WORK_SIDE on a side.
function reduced(image) {
  const longer = Math.max(image.width, image.height);
  if (longer <= WORK_SIDE) return image;
  const [width, height] = [image.width, image.height].map((side) =>
    Math.max(1, Math.trunc(side * (WORK_SIDE / longer))),
  );
  return resize(image, width, height, HAMMING);
}

// Lays an image with transparency on paper that its visible part stands out from.
function onPaper({ width, height, data: rgba }) {
  // Colours are weighted by how much they are seen while they are averaged.
  const weighted = Uint8Array.from(rgba, (value, at) =>
    at % 4 === 3 ? value : rint((value * rgba[at | 3]) / 255),
  );
  const isLarge = Math.max(width, height) > WORK_SIDE;
  const small = isLarge ? reduced({ width, height, channels: 4, data: weighted }) : null;
  const data = small?.data ?? rgba;
  const alpha = (pixel) => data[4 * pixel + 3];
  const colour = (pixel, c) => {
    const value = data[4 * pixel + c];
    return small ? Math.min(255, Math.trunc((255 * value) / (alpha(pixel) || 1))) : value;
  };
  const pixels = range(data.length / 4);
  const half = pixels.filter((pixel) => alpha(pixel) >= 128);
  const visible = half.length ? half : pixels.filter((pixel) => alpha(pixel) > 0);
  const paper = visible.length
    ? paperFor(visible, visible.length / pixels.length, colour)
    : [255, 255, 255];
  const mixed = pixels.flatMap((pixel) =>
    paper.map((value, c) =>
      rint((colour(pixel, c) * alpha(pixel) + value * (255 - alpha(pixel))) / 255),
    ),
  );
  const size = small ?? { width, height };
  return { width: size.width, height: size.height, channels: 3, data: Uint8Array.from(mixed) };
}

// Chooses the colour of the paper for visible pixels, which are a share of the picture.
function paperFor(visible, share, colour) {
  const step = 1 + Math.floor(visible.length / COLOURS);
  const pixels = visible.filter((_, i) => i % step === 0);
  const channels = [0, 1, 2].map((c) => pixels.map((pixel) => colour(pixel, c)));
  const middle = channels.map(median);
  const away = mean(
    pixels.map((_, i) => Math.max(...channels.map((values, c) => Math.abs(values[i] - middle[c])))),
  );
  if (share > 0.5 && away > 8) return middle.map(rint);
  return mean(channels.map(mean)) > LIGHTEST_ON_WHITE ? [0, 0, 0] : [255, 255, 255];
}

function isGrey({ data }) {
  for (let at = 0; at < data.length; at += 3) {
    if (data[at] !== data[at + 1] || data[at] !== data[at + 2]) return false;
  }
  return true;
}

// Returns the greys of an image, as Pillow weighs colours.
export function greysOf({ width, height, data }) {
  return Uint8Array.from({ length: width * height }, (_, pixel) => {
    const [red, green, blue] = data.subarray(3 * pixel, 3 * pixel + 3);
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
  });
}

// Turns a picture to the left by a number of right angles.
export function turnLeft(picture, quarters) {
  const {
    image: { width, height, data },
    scale,
  } = picture;
  const isUpright = quarters % 2 === 0;
  const size = isUpright ? { width, height } : { width: height, height: width };
  const out = new Uint8Array(data.length);
  const from = {
    1: (x, y) => x * width + (width - 1 - y),
    2: (x, y) => (height - 1 - y) * width + (width - 1 - x),
    3: (x, y) => (height - 1 - x) * width + y,
  }[quarters];
  for (let y = 0, at = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const start = 3 * from(x, y);
      for (let c = 0; c < 3; c++) out[at++] = data[start + c];
    }
  }
  const image = { ...picture.image, ...size, data: out };
  return { ...picture, image, scale: isUpright ? scale : [scale[1], scale[0]] };
}

// Returns the width and height of a picture in pixels of its file.
export const originalSize = ({ image, scale }) => [
  image.width * scale[0],
  image.height * scale[1],
];
