// The networks on ONNX Runtime's WebAssembly build: bytes come in, their outputs go out. Mirrors
// reading/page/networks.py and reading/network.py.

import * as ort from "./runtime/ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;
ort.env.logLevel = "error";

// Loads a network. It takes bytes with their shape, and numbers with theirs where it wants some, and
// returns its outputs by name, {dims, data} each.
export async function loadNetwork(file) {
  const response = await fetch(new URL(`./weights/${file}`, import.meta.url));
  if (!response.ok) throw new Error(`${file} did not arrive: ${response.status}`);
  const onnx = new Uint8Array(await response.arrayBuffer());
  const session = await ort.InferenceSession.create(onnx, { executionProviders: ["wasm"] });

  let before = Promise.resolve(); // a session does one thing at a time
  return (bytes, dims, numbers, numberDims) => {
    const tensors = [new ort.Tensor("uint8", bytes, dims)];
    if (numbers) tensors.push(new ort.Tensor("float32", numbers, numberDims));
    const given = Object.fromEntries(session.inputNames.map((name, i) => [name, tensors[i]]));
    const answer = before.then(() => session.run(given));
    before = answer.catch(() => {});
    return answer;
  };
}
