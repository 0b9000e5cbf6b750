// Pictures: chosen, photographed, pasted or dropped. Each becomes a sheet.

import { $ } from "./dom.js";
import { gazeAt } from "./answer.js";
import { put } from "./sheet.js";

const MAX_PICTURE = 32 * 2 ** 20; // bytes
const MAX_SHOWN = 1600; // pixels of the longer side on the screen; the whole file is sent
const NO_PICTURE = "That was no picture. Drop, paste or choose a picture file.";
const TOO_LARGE = `The file is too large: at most ${MAX_PICTURE >> 20} MB are read.`;

// Tells whether keys and pasted text are meant for a text field.
export const isTyping = ({ target }) => target.matches?.("input[type=text]");

// Takes pictures from now on. say: called with a sentence about what is none.
export function takePictures(say) {
  // Opens files, a sheet each, and shows the first of them; redo shows the next.
  const open = async (files) => {
    if (!files.length) return say(NO_PICTURE);
    const small = files.filter(({ size }) => size <= MAX_PICTURE);
    const sheets = [];
    for (const file of small) sheets.push(await sheetOf(file));
    gazeAt(null);
    if (sheets.length) put(...sheets);
    if (small.length < files.length) say(TOO_LARGE);
  };

  for (const id of ["picture", "photo"]) {
    $(id).addEventListener("change", (event) => {
      const files = [...event.target.files];
      event.target.value = ""; // so that the same file can be chosen again
      if (files.length) open(files);
    });
  }
  addEventListener("paste", (event) => {
    if (!isTyping(event)) open([...event.clipboardData.files]);
  });
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    addEventListener(kind, (event) => {
      event.preventDefault();
      $("sheet").classList.toggle("target", kind === "dragenter" || kind === "dragover");
      if (kind === "drop") open([...event.dataTransfer.files]);
    });
  }
}

async function sheetOf(file) {
  // The service reads some formats that the browser does not.
  const whole = await createImageBitmap(file).catch(() => null);
  const { width, height } = whole ?? { width: 0, height: 0 };
  const share = Math.min(1, MAX_SHOWN / Math.max(width, height));
  const size = {
    resizeWidth: Math.ceil(width * share),
    resizeHeight: Math.ceil(height * share),
    resizeQuality: "medium",
  };
  const bitmap = whole && (await createImageBitmap(whole, size));
  whole?.close();
  return { width, height, strokes: [], picture: { file, bitmap } };
}
