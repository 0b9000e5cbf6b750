"""An exported network on ONNX Runtime, without torch: images come in, its outputs go out.

This module knows .onnx files and how to run them fast, on one thread or several. What the outputs
mean is the recogniser's business.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inkdigits.core.digits import CLASSES, SIDE, Pixels
from inkdigits.core.errors import BadModel
from inkdigits.core.files import read_small
from inkdigits.reading.model_files import is_shipped

MAX_FILE = 128 << 20  # bytes of a model, of which trying and using it take three times as many
LARGEST_BLOCK = 128  # images; 1,024 leave the cache: a tenth slower, and eight times the memory
SMALLEST_BLOCK = 4  # images; waking a thread takes about as long as `nano` takes for two
INPUT = "images"
OUTPUT = "probabilities"

Probabilities = NDArray[np.float32]  # (N, 10), or (N, 11) where the last is "not a digit"


class Network:
    """One .onnx file, loaded once. Several threads may call it at a time.

    A call divides its images into blocks, and each thread runs whole blocks: if the threads shared
    every layer instead, they would wait for each other after every layer.

    Args:
        path: an .onnx file, as `inkdigits export` writes it.
        threads: how many one call may use, 1 or more.

    Attributes:
        onnx: the bytes of the file, which was read once.
        outputs: 10, or 11 if the last is the probability that an image is not a digit.
        metadata: what the exporter wrote into the file.

    Raises:
        BadModel: the file cannot be read, is damaged, or was made for something else. One that is
            not shipped is tried in a process of its own first (model_check.py).
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.path = path
        self.threads = threads
        self.onnx = _read_bytes(path)
        self._is_shipped = is_shipped(path)
        if not self._is_shipped:
            from inkdigits.reading import model_check  # 20 ms that shipped models do without

            model_check.check_model(self.onnx, path)

        self._session = open_session(self.onnx, path)
        self._pool = ThreadPoolExecutor(threads)  # starts a thread when there is work for it
        self.outputs = int(self._session.get_outputs()[0].shape[1])
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map

    def answer(self, images: Pixels) -> Probabilities:
        """Return the network's outputs for images.

        Args:
            images: (N, 28, 28) uint8, paper 0 to ink 255.

        Returns:
            (N, outputs) float32.
        """
        if (
            0 < len(images) <= SMALLEST_BLOCK
        ):  # without any arithmetic: a single image is waited for
            return self._run(images)

        size = block_size(len(images), self.threads)
        if len(images) == size:
            return self._run(images)

        return self._in_blocks(images, size, self._run)

    def _in_blocks(
        self, images: Pixels, size: int, run: Callable[[Pixels], Probabilities]
    ) -> Probabilities:
        """Return the answers for images, `size` of them at a time, on this thread and helpers."""
        answers = np.empty((len(images), self.outputs), np.float32)
        starts = iter(range(0, len(images), size))

        def work() -> None:
            for start in starts:  # shared: a thread that is free takes the next block
                block = slice(start, start + size)
                answers[block] = run(images[block])

        helpers = min(self.threads, ceil(len(images) / size)) - 1
        helping = [self._pool.submit(work) for _ in range(helpers)]
        work()
        for helper in helping:
            # A helper that other callers kept out of the pool is not needed any more.
            begun = not helper.cancel()
            if begun:
                helper.result()

        return answers

    def _run(self, images: Pixels) -> Probabilities:
        try:
            (answers,) = self._session.run([OUTPUT], {INPUT: images})
        except Exception as error:  # ONNX Runtime has many classes of errors
            raise BadModel(f"{str(self.path)!r} cannot read these images: {error}") from error

        if self._is_shipped:
            return answers

        # What is no number is no confidence. The check saw other images.
        return np.clip(np.nan_to_num(answers, nan=0, posinf=0, neginf=0), 0, 1)


def block_size(images: int, threads: int) -> int:
    """Return how many images a thread runs at once so that all threads get equal shares."""
    if images == 0:
        return 1

    turns = ceil(images / (threads * LARGEST_BLOCK))
    share = ceil(images / (threads * turns))
    return min(images, max(SMALLEST_BLOCK, share))


def processors() -> int:
    """Count the processors that this process may use, which taskset or a container may limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))

    return os.cpu_count() or 1


def _read_bytes(path: Path) -> bytes:
    try:
        return read_small(path, MAX_FILE)
    except OSError as error:
        raise BadModel(f"{str(path)!r} cannot be read: {error.strerror or error}") from error


def open_session(onnx: bytes, path: Path) -> onnxruntime.InferenceSession:
    """Load a network.

    Args:
        onnx: the bytes of an .onnx file.
        path: where they are from, for errors.

    Raises:
        BadModel: it is damaged, has weights in other files, or was made for something else.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the threads are ours, see Network
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # none; errors arrive as exceptions
    # There is no such folder, so that no weights are taken from other files.
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", f"{os.devnull}/none"
    )
    try:
        session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has many classes of errors for damaged files
        raise BadModel(f"{str(path)!r} is damaged or not an ONNX model: {error}") from error

    _check_interface(session, path)
    return session


def _check_interface(session: onnxruntime.InferenceSession, path: Path) -> None:
    """Raise BadModel unless the network has the one input and one output of `inkdigits export`."""
    nodes = [*session.get_inputs(), *session.get_outputs()]
    found = [(node.name, node.type, node.shape) for node in nodes]

    interface = [(name, kind, shape[1:]) for name, kind, shape in found]  # any number of images
    ten, eleven = (
        [(INPUT, "tensor(uint8)", [SIDE, SIDE]), (OUTPUT, "tensor(float)", [count])]
        for count in (CLASSES, CLASSES + 1)
    )
    if interface not in (ten, eleven):
        raise BadModel(
            f"{str(path)!r} was made for something else: it has {found}; expected images "
            "uint8 (N, 28, 28) and probabilities float32 (N, 10) or (N, 11), as "
            "`inkdigits export` writes them"
        )
