// What POST /v1/inside answers, as pictures: the pixels that mattered, and the feature maps of each layer.

import { $, bytesOf, children, imageOf, make, percent } from "./dom.js";

const ACROSS = 8; // maps in a row
const UNITS_ACROSS = 32; // maps of a single pixel in a row
const HEAT = [255, 120, 40];

export function showInside({ probabilities, occlusion, layers }, pixels) {
  const sure = Math.max(...probabilities);
  const best = probabilities.indexOf(sure);
  const falls = occlusion.flat();
  const most = Math.max(...falls, 0.005); // less is nothing
  const colour = (i) => HEAT.map((value) => pixels[i] * (1 + (value / 255 - 1) * Math.max(0, falls[i] / most)));
  $("mattered").getContext("2d").putImageData(imageOf(28, 28, colour), 0, 0);
  $("insight").textContent = most > 0.005
    ? `Cover the coloured part, and the ${best} falls from ${percent(sure)} to ${percent(Math.max(0, sure - most))}.`
    : `No part of it matters alone: whichever is covered, it stays a ${best}.`;
  const figures = children($("layers"), layers.length, () => {
    const figure = make("figure");
    figure.append(make("figcaption"), make("canvas"));
    figure.lastChild.role = "img";
    return figure;
  });
  figures.forEach((figure, place) => showLayer(layers[place], ...figure.children));
}

function showLayer({ name, shape: [count, height, width], shown, maps }, caption, canvas) {
  const what = width * height > 1 ? `${count} maps of ${width}x${height}` : `${count} units`;
  caption.textContent = `${name}: ${what}${shown < count ? `, the first ${shown}` : ""}`;
  canvas.ariaLabel = `What ${name} makes of it`;
  const [across, gap] = width > 1 ? [ACROSS, 4] : [UNITS_ACROSS, 2];
  const cell = Math.max(1, Math.floor(448 / across / width)) * width; // whole pixels, drawn large: the browser would blur them
  const cellHeight = (cell * height) / width;
  canvas.width = across * (cell + gap) - gap;
  canvas.height = Math.ceil(shown / across) * (cellHeight + gap) - gap;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingEnabled = false;
  const values = bytesOf(maps).map((value) => Math.sqrt(255 * value)); // most are so small that they would be black
  const one = Object.assign(document.createElement("canvas"), { width, height });
  for (let map = 0; map < shown; map++) {
    const first = map * width * height;
    one.getContext("2d").putImageData(imageOf(width, height, (i) => Array(3).fill(values[first + i])), 0, 0);
    pen.drawImage(one, (map % across) * (cell + gap), Math.floor(map / across) * (cellHeight + gap), cell, cellHeight);
  }
}
