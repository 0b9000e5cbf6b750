// The networks on ONNX Runtime's WebAssembly build: bytes come in, their outputs go out. Mirrors
// reading/page/networks.py and reading/network.py.

import { parts } from "./constants.js";
import * as ort from "./runtime/ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;
ort.env.logLevel = "error";

// Loads a network. It takes its inputs, (bytes or 32-bit floats, shape) each or an output of
// another one, and returns its outputs by name, {dims, data} each: all, or those with some names.
export async function loadNetwork(file) {
  const response = await fetch(new URL(`./weights/${file}`, import.meta.url));
  if (!response.ok) throw new Error(`${file} did not arrive: ${response.status}`);
  const onnx = new Uint8Array(await response.arrayBuffer());
  const session = await ort.InferenceSession.create(onnx, { executionProviders: ["wasm"] });

  let before = Promise.resolve(); // a session does one thing at a time
  const run = (inputs, outputs = session.outputNames) => {
    const tensors = inputs.map((input) => {
      if (input instanceof ort.Tensor) return input;
      const [data, shape] = input;
      return new ort.Tensor(data instanceof Uint8Array ? "uint8" : "float32", data, shape);
    });
    const given = Object.fromEntries(session.inputNames.map((name, i) => [name, tensors[i]]));
    const answer = before.then(() => session.run(given, outputs));
    before = answer.catch(() => {});
    return answer;
  };
  return Object.assign(run, { inputNames: session.inputNames });
}

// Loads the page network, {coarse, fine}: the coarse maps need but a part of it, and the fine ones
// what that hands to the other part.
export async function loadPageNetwork() {
  const [coarse, fine] = await Promise.all(parts.PAGE.map(loadNetwork));
  return { coarse, fine };
}
