// Reads pictures beside the page, one after the other, and keeps what led to the latest reading.

import { Recogniser } from "./reading/recogniser.js";
import { tableOf } from "./reading/tables.js";
import { viewsOf } from "./reading/views.js";

const loading = Recogniser.load();
let latest = null;

const kinds = {
  load: async () => Boolean(await loading),
  read: async (picture) => {
    latest = await (await loading).trace(picture);
    return { ...latest.reading, table: tableOf(latest.reading) };
  },
  inside: async () => ({ views: viewsOf(latest?.page) }),
};

addEventListener("message", async ({ data: { number, kind, picture } }) => {
  try {
    postMessage({ number, content: await kinds[kind](picture) });
  } catch (error) {
    postMessage({ number, message: error.message });
  }
});
