// Reads pictures beside the page, one after the other, and keeps what led to the latest reading.

import { arriving } from "./reading/constants.js";
import { Recogniser } from "./reading/recogniser.js";
import { tableOf } from "./reading/tables.js";
import { viewsOf } from "./reading/views.js";

// Tells the page what share of the networks and of ONNX Runtime has arrived, which asks for its
// own files.
let arrived = 0;
const fetchWhole = self.fetch;
self.fetch = async (...asked) => {
  const response = await fetchWhole(...asked);
  if (response.body) count(response.clone().body.getReader());
  return response;
};

async function count(body) {
  for (let part = await body.read(); !part.done; part = await body.read()) {
    arrived += part.value.length;
    postMessage({ arrived: Math.min(1, arrived / arriving.BYTES) });
  }
}

const loading = Recogniser.load();
let latest = null;

const kinds = {
  load: async () => Boolean(await loading),
  read: async (picture) => {
    latest = await (await loading).trace(picture);
    return { ...latest.reading, table: tableOf(latest.reading) };
  },
  inside: async (field) => ({
    views: viewsOf(latest?.page),
    ...(await (await loading).inside(field)),
  }),
};

addEventListener("message", async ({ data: { number, kind, given } }) => {
  try {
    postMessage({ number, content: await kinds[kind](given) });
  } catch (error) {
    postMessage({ number, message: error.message });
  }
});
