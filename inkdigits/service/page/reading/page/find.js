// A find: one symbol in a picture, where it is, what it may be, and its own ink. Mirrors
// reading/page/find.py.

import { digits, find, look as lookSizes } from "../constants.js";
import { argmax, sum } from "../arrays.js";
import { nearViews } from "./look.js";

const { CLASSES, SIDE } = digits;
export const { SIGNS, SLASH, OTHER, MARGIN } = find;

export class Find {
  // box: in pixels of the picture; chances: 16; piece, symbol: where it was found, as what; taken:
  // a near view or a whole look, if that was taken already; line: the number of its line.
  constructor(box, chances, piece, symbol, taken = null, line = 0) {
    Object.assign(this, { box, chances, piece, symbol, taken, line });
  }

  with(changes) {
    return Object.assign(new Find(), this, changes);
  }

  get digitChance() {
    return sum(this.chances.subarray(0, CLASSES));
  }

  get isDigit() {
    return Math.max(...this.chances.subarray(0, CLASSES)) > 1 - this.digitChance;
  }

  get isSign() {
    const kind = argmax(this.chances);
    return kind >= CLASSES && kind < OTHER;
  }

  // Its own ink alone, of MNIST's size: SIDE x SIDE bytes, paper 0 to ink 255.
  get image() {
    const side = lookSizes.SIDE;
    const near = this.taken ?? nearViews(this.piece, [this.symbol])[0];
    return Uint8Array.from({ length: SIDE * SIDE }, (_, i) => {
      const at = (Math.floor(i / SIDE) + MARGIN) * side + (i % SIDE) + MARGIN;
      return Math.trunc((near[at] * Math.min(2 * near[side * side + at], 255)) / 255);
    });
  }
}
