"""A network in, the graph of an ONNX file out, which ONNX Runtime reads without torch."""
