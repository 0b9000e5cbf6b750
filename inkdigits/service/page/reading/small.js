// A small digit classifier without ONNX Runtime, for the first readings while that is arriving: the
// model `tiny`, which is `SharedNet` in inkdigits/training/models.py. Fields come in, the
// probabilities of the ten digits go out.

import { digits, small } from "./constants.js";
import { range, sum } from "./arrays.js";
import { softmax } from "./page/maps.js";

const { SIDE } = digits;
const { MEAN, SD, TEMPERATURE } = small;
const STRIDES = [1, 1, 2, 1, 2, 1]; // one set of kernels is used six times
const EPSILON = 1e-5; // keeps a normalisation from dividing by zero, as in torch

// Loads the weights; returns what classifies a field.
export async function loadSmall() {
  const response = await fetch(new URL("./weights/small.safetensors", import.meta.url));
  if (!response.ok) throw new Error(`the small classifier did not arrive: ${response.status}`);
  const weights = tensorsOf(await response.arrayBuffer());
  return (field) => classify(weights, field);
}

// Returns the tensors of a safetensors file by their names, {shape, data} each.
function tensorsOf(file) {
  const length = Number(new DataView(file).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length)));
  const tensors = Object.entries(header).filter(([, { dtype }]) => dtype === "F32");
  return Object.fromEntries(
    tensors.map(([name, { shape, data_offsets: offsets }]) => {
      const [from, to] = offsets.map((offset) => 8 + length + offset);
      const data = new Float32Array(file.slice(from, to));
      return [name.replace("network.", ""), { shape, data }];
    }),
  );
}

// Maps are {side, count, data}: `count` planes of side x side numbers.
function classify(weights, field) {
  const pixels = Float32Array.from(field, (value) => (value / 255 - MEAN) / SD);
  const image = { side: SIDE, count: 1, data: pixels };
  const stem = convolved(image, weights["stem.0.weight"], 2);
  let maps = rectified(normalised(stem, weights, "stem.1"));
  STRIDES.forEach((stride, use) => {
    const seen = convolved(maps, weights["shared.weight"], stride);
    const changed = normalised(seen, weights, `norms.${use}`);
    maps = rectified(stride === 1 ? added(maps, changed) : changed);
  });

  const area = maps.side ** 2;
  const most = range(maps.count).map((map) =>
    Math.max(...maps.data.subarray(map * area, (map + 1) * area)),
  );
  const { data: rows } = weights["linear.weight"];
  const logits = [...weights["linear.bias"].data].map(
    (bias, digit) => bias + sum(most.map((value, map) => value * rows[digit * maps.count + map])),
  );
  return softmax(logits.map((logit) => logit / TEMPERATURE));
}

// Lets kernels of (count, maps, size, size) see all maps, with a border of zeros.
function convolved({ side, count, data }, { shape: [kernels, , size], data: weights }, stride) {
  const border = size >> 1;
  const newSide = Math.ceil(side / stride);
  const out = new Float32Array(kernels * newSide ** 2);
  const reach = (shift) => [
    Math.max(0, Math.ceil(-shift / stride)),
    Math.min(newSide, Math.floor((side - 1 - shift) / stride) + 1),
  ];
  let weightAt = 0;
  for (let kernel = 0; kernel < kernels; kernel++) {
    for (let map = 0; map < count; map++) {
      for (let down = -border; down <= border; down++) {
        const [top, bottom] = reach(down);
        for (let across = -border; across <= border; across++) {
          const [left, right] = reach(across);
          const weight = weights[weightAt++];
          for (let y = top; y < bottom; y++) {
            const to = (kernel * newSide + y) * newSide;
            const from = (map * side + y * stride + down) * side + across;
            for (let x = left; x < right; x++) out[to + x] += weight * data[from + x * stride];
          }
        }
      }
    }
  }
  return { side: newSide, count: kernels, data: out };
}

// Scales and shifts each map as its normalisation learned to do.
function normalised({ side, count, data }, weights, name) {
  const part = (kind) => weights[`${name}.${kind}`].data;
  const [means, variances, factors, biases] = [
    part("running_mean"),
    part("running_var"),
    part("weight"),
    part("bias"),
  ];
  const scales = factors.map((factor, map) => factor / Math.sqrt(variances[map] + EPSILON));
  const area = side ** 2;
  const out = data.map((value, at) => {
    const map = Math.floor(at / area);
    return (value - means[map]) * scales[map] + biases[map];
  });
  return { side, count, data: out };
}

const added = (maps, { data }) => ({
  ...maps,
  data: maps.data.map((value, at) => value + data[at]),
});

const rectified = (maps) => ({ ...maps, data: maps.data.map((value) => Math.max(0, value)) });
