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
