/** Left, top, right, bottom in pixels of the upright picture. */
export type Box = [number, number, number, number];

export type Picture = Blob | ImageBitmap | ImageData;

export interface Digit {
  /** The best guess, 0 to 9. */
  digit: number;
  /** The calibrated probability that it is right, 0 to 1. */
  confidence: number;
  /** Whether it counts as a digit of the text. */
  accepted: boolean;
  box: Box;
  /** Why it was not accepted; null if it was. */
  reason: string | null;
  /** The number of its line of writing. */
  line: number;
  /** Of each of the ten digits, provided that it is one. */
  probabilities: Float32Array;
  /** 28 x 28 bytes: what the network saw, paper 0 to ink 255. */
  field: Uint8Array;
}

export interface Sign {
  sign: "." | "," | "-" | "/" | ":";
  confidence: number;
  box: Box;
  line: number;
}

export interface Reading {
  /** The accepted digits, lines of writing separated by line feeds. */
  text: string;
  /** Every candidate in reading order, also those that are not accepted. */
  digits: Digit[];
  /** Sentences on what may have gone wrong. */
  warnings: string[];
  /** The text as it stands, with its signs, and spaces where gaps are wide. */
  written: string;
  signs: Sign[];
  /** The probability that the text is right as a whole; null where nothing was read. */
  confidence: number | null;
  error: null;
}

export interface Options {
  /** Whether the picture holds at most one digit. */
  single?: boolean;
}

/** A number in a table. */
export interface Cell {
  /** As it stands, with its signs; "" where all that stands there was not accepted. */
  written: string;
  /** The probability that it is right, 0 to 1. */
  confidence: number;
  box: Box;
}

/** Why a picture cannot be read. */
export class BadPicture extends Error {
  code: "too_large" | "not_a_picture";
}

/** One digit's ink, row by row: paper 0 to ink 255. */
export interface Ink {
  width: number;
  height: number;
  channels: 1;
  data: Uint8Array;
}

/** Brings ink, not blank, to the 28 x 28 bytes that the digit classifier knows. */
export function toField(ink: Ink): Uint8Array;

/** What the digit classifier answers for a field. */
export interface Answer {
  /** Of each of the ten digits, provided that it is one. */
  shares: Float32Array;
  /** The probability that it is no digit, 0 to 1. */
  doubt: number;
}

/** What a layer makes of a field: the first `shown` of its maps, each a plane of bytes. */
export interface Layer {
  name: string;
  /** Maps, their height, their width. */
  shape: [number, number, number];
  shown: number;
  maps: Uint8Array;
}

/** A reader with its networks, which stay loaded. For fields alone, `new Recogniser()` is enough. */
export class Recogniser {
  static load(): Promise<Recogniser>;
  read(picture: Picture, options?: Options): Promise<Reading>;
  answer(fields: Uint8Array[]): Promise<Answer[]>;
  inside(field: Uint8Array): Promise<{ probabilities: number[]; occlusion: number[][]; layers: Layer[] }>;
}

/** Reads the digits in a picture. Rejects with BadPicture where it cannot be read. */
export function read(picture: Picture, options?: Options): Promise<Reading>;

/** Returns the rows of a table, null where nothing was read. */
export function tableOf(reading: Reading): (Cell | null)[][];
