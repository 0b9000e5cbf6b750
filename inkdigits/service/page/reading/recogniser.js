// From a picture to a Reading: its digits, how sure each one is, and why a candidate was refused.
// Mirrors reading/recogniser.py, for the model `default`.

import { digits as classes, recogniser } from "./constants.js";
import { argmax, range, rint, sum } from "./arrays.js";
import { lookInside } from "./layers.js";
import { loadNetwork } from "./networks.js";
import { LIGHT_INK, SMALL } from "./page/warnings.js";
import { inOriginal, readPage, readPart, surveyPage } from "./page/reader.js";
import { asIs } from "./preprocessing/fields.js";
import { openPicture, originalSize } from "./preprocessing/picture.js";
import { inOwnPixels } from "./preprocessing/repeated.js";
import { fromTiny } from "./preprocessing/tiny.js";
import { makeReading } from "./reading.js";
import { signsBeside } from "./signs.js";
import { traceWayUp } from "./turning.js";

const { REFUSED_BY_NETWORK, threshold } = recogniser;
const { CLASSES, NOT_A_DIGIT, SIDE } = classes;

export class Recogniser {
  // Loads the page reader's two networks; the digit classifier is loaded when a tiny picture comes.
  static async load() {
    const [page, look] = await Promise.all(["page.onnx", "look.onnx"].map(loadNetwork));
    return Object.assign(new Recogniser(), { networks: { page, look } });
  }

  // Reads the digits in one picture: a Blob, an ImageBitmap or ImageData.
  async read(source, { single = false } = {}) {
    return (await this.trace(source, single)).reading;
  }

  // Reads as `read` does, and keeps what led to the reading: {reading, page}.
  async trace(source, single = false) {
    let picture = await openPicture(source);
    let asItIs = asIs(picture.image);
    if (!asItIs) {
      picture = inOwnPixels(picture);
      asItIs = asIs(picture.image);
    }
    if (asItIs) return { reading: await this.readField(asItIs, picture) };
    const tiny = fromTiny(picture.image);
    if (tiny) return { reading: await this.readTiny(tiny, picture) };

    if (single) return traceOf(await readPage(this.networks, picture, true));
    const steps = {
      survey: (page) => surveyPage(this.networks, page),
      read: async (page, surveyed) =>
        traceOf(await readPage(this.networks, page, false, surveyed)),
      readPart: async (image, most) =>
        traceOf(await readPart(this.networks, image, most)).reading,
    };
    return traceWayUp(steps, picture);
  }

  // Reads a picture that has MNIST's geometry as it is, or after it was inverted.
  readField({ field, isLight }, { scale, warnings }) {
    const inked = range(field.length).filter((at) => field[at]);
    const rows = inked.map((at) => Math.floor(at / SIDE));
    const columns = inked.map((at) => at % SIDE);
    const box = [
      Math.min(...columns),
      Math.min(...rows),
      Math.max(...columns) + 1,
      Math.max(...rows) + 1,
    ];
    const inPicture = box.map((side, i) => rint(side * scale[i % 2]));
    return this.readOne(field, inPicture, isLight ? [...warnings, LIGHT_INK] : warnings);
  }

  // Reads a picture of a few pixels as one digit.
  readTiny({ field, isLight }, picture) {
    const [width, height] = originalSize(picture);
    const longest = rint(Math.max(width, height));
    const warnings = [...picture.warnings];
    if (longest < SMALL) warnings.push(`upscaled from ${longest} px`);
    if (isLight) warnings.push(LIGHT_INK);
    return this.readOne(field, [0, 0, rint(width), rint(height)], warnings);
  }

  // Lets the digit classifier compute outputs with some names for fields.
  async run(fields, outputs) {
    this.classifier ??= loadNetwork("default.onnx");
    const images = new Uint8Array(fields.length * SIDE * SIDE);
    fields.forEach((field, i) => images.set(field, i * SIDE * SIDE));
    return (await this.classifier)([[images, [fields.length, SIDE, SIDE]]], outputs);
  }

  // Returns for each field the probabilities of the ten digits, and of none of them.
  async answer(fields) {
    const { probabilities } = await this.run(fields, ["probabilities"]);
    const { data, dims } = probabilities;
    return fields.map((_, i) => {
      const outputs = data.subarray(i * dims[1], (i + 1) * dims[1]);
      const chances = outputs.slice(0, CLASSES).map((chance) => Math.max(chance, 1e-30));
      return { shares: chances.map((chance) => chance / sum(chances)), doubt: outputs[NOT_A_DIGIT] };
    });
  }

  // Shows what the digit classifier makes of a field, and why.
  inside(field) {
    const classify = async (fields) => (await this.answer(fields)).map(({ shares }) => shares);
    return lookInside((fields, outputs) => this.run(fields, outputs), classify, field);
  }

  // Reads the one digit of a picture.
  async readOne(field, box, warnings) {
    const [{ shares, doubt }] = await this.answer([field]);
    const digit = argmax(shares);
    const confidence = shares[digit] * (1 - doubt);

    let reason = null;
    if (doubt > 0.5) reason = REFUSED_BY_NETWORK;
    else if (confidence < threshold) {
      reason = `too doubtful: ${rint(100 * confidence)}% sure of ${digit}`;
    }
    const accepted = reason === null;
    const one = { digit, confidence, accepted, box, reason, line: 0, probabilities: shares, field };
    return makeReading([one], warnings);
  }
}

// Reads what was found on a page.
function traceOf(page) {
  const digits = page.candidates.map((find) => ({
    ...digitOf(find),
    box: inOriginal(page, find.box),
  }));
  return { reading: makeReading(digits, page.warnings, signsBeside(page, digits)), page };
}

// Returns the digit that the page reader takes a find for.
function digitOf(find) {
  const chances = find.chances.slice(0, CLASSES);
  const digit = argmax(chances);
  const accepted = find.isDigit;
  const probabilities = chances.map((chance) => chance / sum(chances));
  const reason = accepted ? null : REFUSED_BY_NETWORK;
  return {
    digit,
    confidence: chances[digit],
    accepted,
    reason,
    line: find.line,
    probabilities,
    field: find.image,
  };
}
