// Reads handwritten digits in a browser. inkdigits.d.ts has the types.

import { Recogniser } from "./recogniser.js";

export { toField } from "./preprocessing/fields.js";
export { BadPicture } from "./preprocessing/picture.js";
export { tableOf } from "./tables.js";
export { Recogniser };

let loading = null;

// Reads the digits in a picture: a Blob, an ImageBitmap or ImageData. The networks stay loaded.
export async function read(picture, options) {
  loading ??= Recogniser.load().catch((error) => {
    loading = null; // so that the next call tries again
    throw error;
  });
  return (await loading).read(picture, options);
}
