// Reads pictures beside the page, one after the other.

import { Recogniser } from "./reading/recogniser.js";

const loading = Recogniser.load();

const kinds = {
  load: async () => Boolean(await loading),
  read: async (picture) => (await loading).read(picture),
};

addEventListener("message", async ({ data: { number, kind, picture } }) => {
  try {
    postMessage({ number, content: await kinds[kind](picture) });
  } catch (error) {
    postMessage({ number, message: error.message });
  }
});
