"""What runs a model's network: the name of a backend comes in, a loaded network goes out."""

from pathlib import Path

from inkdigits.core.errors import look_up
from inkdigits.reading.network import Network

ONNXRUNTIME = "onnxruntime"
OPENVINO = "openvino"


def load_network(path: Path, threads: int, backend: str = ONNXRUNTIME) -> Network:
    """Load one .onnx file.

    Args:
        path: of the file.
        threads: how many one call may use, 1 or more.
        backend: onnxruntime or openvino.

    Raises:
        UnknownName: there is no such backend.
        BadModel, MissingExtra: as `Network` and `OpenvinoNetwork` do.
    """
    load = look_up("backend", backend, {ONNXRUNTIME: Network, OPENVINO: _openvino_network})
    return load(path, threads)


def _openvino_network(path: Path, threads: int) -> Network:
    from inkdigits.reading.openvino_network import OpenvinoNetwork

    return OpenvinoNetwork(path, threads)
