// A look inside the network that reads a digit: what each layer computes, which pixels matter.
// Mirrors reading/layers.py.

import { digits, layers as constants } from "./constants.js";
import { argmax, range } from "./arrays.js";

const { PATCH, STEP, MOST_MAPS, MOST_UNITS, names } = constants;
const { SIDE } = digits;

// Returns what a network thinks of a field, and why: the object of `POST /v1/inside`, whose maps are
// bytes. run: takes images and the names of outputs. classify: returns the digits' probabilities.
export async function lookInside(run, classify, field) {
  const layers = await computeLayers(run, field);
  const { probabilities, occlusion } = await measureOcclusion(classify, field);
  return { probabilities, occlusion, layers };
}

// Measures which pixels matter, by covering them with paper: for each pixel of ink by how much the
// best probability falls where a patch covers it, the mean over all patches.
async function measureOcclusion(classify, field) {
  const starts = range(Math.floor((SIDE - PATCH) / STEP) + 1).map((i) => i * STEP);
  const patches = starts.flatMap((top) => starts.map((left) => pixelsOf(left, top)));
  const inked = patches.filter((patch) => patch.some((at) => field[at])); // else nothing changes
  const covered = inked.map((patch) => {
    const copy = field.slice();
    for (const at of patch) copy[at] = 0;
    return copy;
  });

  const [probabilities, ...others] = await classify([field, ...covered]);
  const best = argmax(probabilities);
  const total = new Float32Array(field.length);
  const count = new Float32Array(field.length);
  for (const patch of patches) for (const at of patch) count[at]++;
  inked.forEach((patch, i) => {
    for (const at of patch) total[at] += probabilities[best] - others[i][best];
  });
  const mean = [...total].map((sum, at) => (field[at] ? sum / count[at] : 0));
  const occlusion = range(SIDE).map((row) => mean.slice(row * SIDE, (row + 1) * SIDE));
  return { probabilities: [...probabilities], occlusion };
}

// Returns the pixels of a patch.
function pixelsOf(left, top) {
  return range(PATCH * PATCH).map(
    (i) => (top + Math.floor(i / PATCH)) * SIDE + left + (i % PATCH),
  );
}

// Computes what each layer makes of a field, after its activation if it has one.
async function computeLayers(run, field) {
  const outputs = names.length ? await run([field], names) : {};
  return names.map((name, place) => {
    const { dims, data } = outputs[name];
    const [, count, height = 1, width = 1] = dims;
    const shown = Math.min(count, height * width === 1 ? MOST_UNITS : MOST_MAPS);
    const whole = data.subarray(0, count * height * width);
    const lowest = Math.min(0, ...whole);
    const span = Math.max(...whole) - lowest || 1;
    const maps = Uint8Array.from(whole.subarray(0, shown * height * width), (value) =>
      Math.round(((value - lowest) * 255) / span),
    );
    return { name: `layer ${place + 1}`, shape: [count, height, width], shown, maps };
  });
}
