"""An exported network on ONNX Runtime, without torch: images in, what it says of each out, on one thread or on several.

Knows .onnx files and how they run fast. What the answers mean is the recogniser's business.
"""

import os
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inkdigits.core.digits import CLASSES
from inkdigits.core.errors import BadModel

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

BLOCK = 128  # images of one run of the network, at most: 1,024 leave the cache, a tenth slower, and take eight times the memory
SMALLEST = 4  # images that are worth a thread's waking up, which takes about as long as `nano` takes for two
OUTPUT = "probabilities"


class Network:
    """One .onnx file, loaded once. Safe to call from several threads.

    threads: of one call. Each runs blocks of images of its own from start to end: threads that share every layer wait for each
    other after every layer. onnx: the bytes of the file, which was read once. Raises BadModel.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.path, self.threads = path, threads
        self.onnx = _content(path)
        self._session = _open_session(self.onnx, path)
        self._pool = _pool(threads - 1)
        self.outputs = int(self._session.get_outputs()[0].shape[1])
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map

    def answer(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What it says of each image: (N, 28, 28) uint8 -> (N, outputs) float32."""
        size = block_size(len(images), self.threads)
        if len(images) == size:
            return self._run(images)
        said = np.empty((len(images), self.outputs), np.float32)
        starts = iter(range(0, len(images), size))

        def work() -> None:
            for start in starts:  # whoever is free takes the next
                said[start : start + size] = self._run(images[start : start + size])

        waking = min(self.threads, ceil(len(images) / size)) - 1
        helpers = [self._pool.submit(work) for _ in range(waking)] if self._pool else []
        work()
        for helper in helpers:
            if (
                not helper.cancel()
            ):  # one that has not begun, because others keep the pool busy, has nothing left to do
                helper.result()
        return said

    def _run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        (said,) = self._session.run([OUTPUT], {"images": images})
        return said


def block_size(images: int, threads: int) -> int:
    """Images of a block: BLOCK at most, all blocks alike, and one for each thread where there is something to share."""
    turns = ceil(images / (threads * BLOCK))
    return min(images, max(SMALLEST, ceil(images / (threads * turns)))) if images else 1


def processors() -> int:
    """Processors that this process may use: a container's or taskset's share, not the whole machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pool(threads: int) -> "ThreadPoolExecutor | None":
    if not threads:
        return None
    from concurrent.futures import ThreadPoolExecutor  # not above: one thread needs nothing of it

    return ThreadPoolExecutor(threads)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadModel(f"{str(path)!r} cannot be read: {error.strerror or error}") from error


def _open_session(onnx: bytes, path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # threads are ours; see Network
    options.log_severity_level = 3  # errors only; they arrive as exceptions too
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(path.parent)
    )
    try:
        session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except (
        Exception
    ) as error:  # ONNX Runtime has a class of its own for every way a file can be wrong
        raise BadModel(f"{str(path)!r} is damaged or no ONNX model: {error}") from error
    _check_interface(session, path)
    return session


def _check_interface(session: onnxruntime.InferenceSession, path: Path) -> None:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    found = [(node.name, node.type, node.shape) for node in (*inputs, *outputs)]
    fits = (
        len(inputs) == len(outputs) == 1
        and (inputs[0].name, inputs[0].type, inputs[0].shape[1:])
        == ("images", "tensor(uint8)", [28, 28])
        and (outputs[0].name, outputs[0].type) == (OUTPUT, "tensor(float)")
        and len(outputs[0].shape) == 2
        and outputs[0].shape[1] in (CLASSES, CLASSES + 1)
    )
    if not fits:
        raise BadModel(
            f"{str(path)!r} was made for something else: it has {found}; wanted are images uint8 (N, 28, 28) and "
            "probabilities float32 (N, 10) or (N, 11), as `inkdigits export` writes them"
        )
