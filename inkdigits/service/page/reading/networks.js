// The networks on ONNX Runtime's WebAssembly build: bytes come in, their outputs go out. Mirrors
// reading/page/networks.py and reading/network.py.

import * as ort from "./runtime/ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;
ort.env.logLevel = "error";

// Loads a network. It takes its inputs, (bytes or 32-bit floats, shape) each, and returns its
// outputs by name, {dims, data} each: all, or those with some names.
export async function loadNetwork(file) {
  const response = await fetch(new URL(`./weights/${file}`, import.meta.url));
  if (!response.ok) throw new Error(`${file} did not arrive: ${response.status}`);
  const onnx = new Uint8Array(await response.arrayBuffer());
  const session = await ort.InferenceSession.create(onnx, { executionProviders: ["wasm"] });

  let before = Promise.resolve(); // a session does one thing at a time
  return (inputs, outputs = session.outputNames) => {
    const given = Object.fromEntries(session.inputNames.map((name, i) => [name, tensor(inputs[i])]));
    const answer = before.then(() => session.run(given, outputs));
    before = answer.catch(() => {});
    return answer;
  };
}

function tensor([data, shape]) {
  return new ort.Tensor(data instanceof Uint8Array ? "uint8" : "float32", data, shape);
}
