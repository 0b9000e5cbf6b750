// A reader of pictures that asks the service. `read`, `correct` and `inside` return {content}, or
// {message}, why there is none, with `again`, in how many ms to ask again, where that may help.

import { bytesOf, sentence } from "./dom.js";

const DEADLINE = 10_000; // ms for an answer
const RETRY_AFTER = 2_000; // ms until the next try when the service is away or busy

// Returns what is sent of a picture: a file's own bytes, or a canvas as PNG.
function bodyOf(picture) {
  if (picture instanceof Blob) return picture;
  // Not toBlob, which waits until the browser is idle: 0.3 to 1 s while the pen is moving.
  const png = bytesOf(picture.toDataURL("image/png").split(",")[1]);
  return new Blob([png], { type: "image/png" });
}

export const makeReader = () => ({
  ready: Promise.resolve(),

  // Reads a picture, a File or a canvas. The content is a Reading whose digits have fields,
  // with its table.
  async read(picture) {
    const { content, ...trouble } = await post("v1/read?explain=true&table=true", bodyOf(picture));
    for (const digit of content?.digits ?? []) digit.field = bytesOf(digit.field);
    return { content, ...trouble };
  },

  // Stores which digit a part of a picture really shows.
  correct(picture, label, box) {
    return post(`v1/feedback?${new URLSearchParams({ label, box })}`, bodyOf(picture));
  },

  // Returns what each layer of the network makes of a field, and which pixels mattered.
  async inside(field) {
    const { content, ...trouble } = await post("v1/inside", new Blob([field]));
    for (const layer of content?.layers ?? []) layer.maps = bytesOf(layer.maps);
    return { content, ...trouble };
  },
});

async function post(path, body) {
  let status = 0;
  try {
    const type = body.type.startsWith("image/") ? body.type : "application/octet-stream";
    const response = await fetch(path, {
      method: "POST",
      body,
      headers: { "Content-Type": type },
      signal: AbortSignal.timeout(DEADLINE),
    });
    status = response.status;
    if (status === 503) {
      const after = Number(response.headers.get("Retry-After"));
      const again = after > 0 ? Math.min(after * 1000, 4 * RETRY_AFTER) : RETRY_AFTER;
      return { message: "The service is busy.", again };
    }

    const content = await response.json();
    if (response.ok) return { content };
    if (status < 500 || [501, 504, 507].includes(status)) {
      return { message: sentence(content.error.message) };
    }
  } catch {
    if (!status) {
      return { message: "The service does not answer. Is it still running?", again: RETRY_AFTER };
    }
  }
  return { message: `The service failed (${status}).` };
}
