"""The runtimes that benchmarks/reading/inference.py compares, each at its best settings.

Each takes uint8 images and gives probabilities. Which block of images is best is tried out for each
network, runtime and number of threads, before anything is timed. torch takes the threads that it
was given for the whole process.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any, TypeVar

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from inkdigits.reading.model_files import resolve_model
from inkdigits.reading.recogniser import Recogniser
from inkdigits.runs.checkpoint import load_run
from inkdigits.runs.export import ExportedNetwork

BLOCKS = (16, 32, 64, 128, 256, 512)  # images of one call that are tried
Images = NDArray[np.uint8]
Answers = NDArray[np.float32]
Answer = Callable[[Images], Answers]
Key = TypeVar("Key")


@dataclass(frozen=True)
class Side:
    """One way to read.

    Attributes:
        name: in the tables.
        one: takes (1, 28, 28), as quickly as it can.
        bulk: takes (N, 28, 28), as many a second as it can.
        setting: how it is run.
    """

    name: str
    one: Answer
    bulk: Answer
    setting: str


def ours(model: str, threads: int) -> Side:
    """Read with `Recogniser.classify` as it is."""
    classify = Recogniser(model, threads=threads).classify
    return Side("inkdigits", classify, classify, "as it is")


def in_blocks(answer: Answer, block: int, images: Images) -> Answers:
    """Answer all images, a block at a time."""
    return np.concatenate(
        [answer(images[start : start + block]) for start in range(0, len(images), block)]
    )


def fastest(
    tries: Sequence[Key], run: Callable[[Key], Callable[[Images], object]], images: Images
) -> Key:
    """Return the setting that reads the images in the least time.

    Each is tried three times, the first not counted.
    """
    taken: dict[Key, float] = {}
    for key in tries:
        answer = run(key)
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            answer(images)
            seconds.append(time.perf_counter() - started)
        taken[key] = min(seconds[1:])
    return min(taken, key=taken.__getitem__)


def bare_onnxruntime(path: Path, threads: int, images: Images) -> Side:
    """Read with ONNX Runtime with nothing set but the number of its threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def answer(images: Images) -> Answers:
        (said,) = session.run(None, {"images": images})
        return said

    block = fastest(BLOCKS, partial(partial, in_blocks, answer), images)
    return Side("ONNX Runtime", answer, partial(in_blocks, answer, block), f"blocks of {block}")


def in_torch(model: str) -> ExportedNetwork:
    """Load what the .onnx file of a shipped model computes, in torch, float32."""
    checkpoint = load_run(model)
    return ExportedNetwork(checkpoint.network, float(checkpoint.config["temperature"])).eval()


def answered_by(network: Callable[[torch.Tensor], torch.Tensor]) -> Answer:
    """Wrap a network in torch as a function of arrays."""

    @torch.inference_mode()
    def answer(images: Images) -> Answers:
        return network(torch.from_numpy(images)).numpy()

    return answer


def torch_eager(model: str, images: Images) -> Side:
    """Read with torch as it comes, with the best memory format and block.

    Threads are those that torch has.
    """
    formats = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
    answers = {
        name: answered_by(in_torch(model).to(memory_format=layout))  # type: ignore[call-overload]
        for name, layout in formats.items()
    }
    one = fastest(list(answers), lambda name: partial(_repeated, answers[name], 10), images[:1])
    tries = [(name, block) for name in answers for block in BLOCKS if block <= len(images)]
    name, block = fastest(tries, lambda key: partial(in_blocks, answers[key[0]], key[1]), images)
    return Side(
        "torch",
        answers[one],
        partial(in_blocks, answers[name], block),
        f"{one}; {name}, blocks of {block}",
    )


def _repeated(answer: Answer, times: int, images: Images) -> None:
    for _ in range(times):
        answer(images)


def torch_compiled(model: str, images: Images, block: int) -> Side:
    """Read with torch.compile: one program for a single image and one for a block.

    Raises where there is no C++ compiler.
    """
    torch._dynamo.reset()
    started = time.perf_counter()
    answer = answered_by(torch.compile(in_torch(model), dynamic=False, options={"freezing": True}))
    for shown in (images[:1], images[:block]):
        answer(shown)
    warm_up = time.perf_counter() - started
    return Side(
        "torch.compile",
        answer,
        partial(in_blocks, answer, block),
        f"blocks of {block}; compiled in {warm_up:.0f} s",
    )


class Openvino:
    """One .onnx file in OpenVINO: single requests for one image, a queue of them for many."""

    def __init__(self, path: Path, threads: int, precision: str | None) -> None:
        import openvino

        self._openvino, self._path = openvino, path
        self._core = openvino.Core()
        self._settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads}
        if precision:
            self._settings["INFERENCE_PRECISION_HINT"] = precision
        self._request = self._compiled(1, "LATENCY").create_infer_request()

    def _compiled(self, block: int, hint: str) -> Any:
        model = self._core.read_model(self._path)
        model.reshape([block, 28, 28])  # a fixed size is faster than any
        return self._core.compile_model(model, "CPU", self._settings | {"PERFORMANCE_HINT": hint})

    def one(self, images: Images) -> Answers:
        """Answer one image."""
        self._request.infer({0: images}, share_inputs=True)
        return self._request.get_output_tensor().data.copy()

    def queued(self, block: int) -> Answer:
        """Answer many, with as many requests at a time as OpenVINO likes.

        Their number is a multiple of the block.
        """
        queue = self._openvino.AsyncInferQueue(self._compiled(block, "THROUGHPUT"))
        said: dict[int, Answers] = {}
        queue.set_callback(
            lambda request, start: said.__setitem__(start, request.get_output_tensor().data.copy())
        )

        def answer(images: Images) -> Answers:
            for start in range(0, len(images), block):
                queue.start_async(
                    {0: images[start : start + block]}, userdata=start, share_inputs=True
                )
            queue.wait_all()
            return np.concatenate([said.pop(start) for start in range(0, len(images), block)])

        return answer


def openvino(path: Path, threads: int, images: Images, precision: str | None) -> Side:
    """Read with OpenVINO.

    precision: "f32", or None for OpenVINO's own choice, which is bfloat16 where the processor has
    it.
    """
    runtime = Openvino(path, threads, precision)
    block = fastest([block for block in BLOCKS if len(images) % block == 0], runtime.queued, images)
    name = f"OpenVINO, {precision or 'its own precision'}"
    return Side(
        name,
        runtime.one,
        runtime.queued(block),
        f"latency hint; throughput hint, blocks of {block}",
    )


def sides(model: str, int8: str, threads: int, images: Images, compiled: bool) -> Iterator[Side]:
    """Yield all runtimes that are installed, on a shipped model.

    Args:
        model: its name.
        int8: the same in eight bits.
        threads: how many.
        images: to find the best blocks with.
        compiled: whether torch.compile takes part.
    """
    path = resolve_model(model)
    yield ours(model, threads)
    yield replace(ours(int8, threads), name="inkdigits, int8")
    yield bare_onnxruntime(path, threads, images)
    eager = torch_eager(model, images)
    yield eager
    if compiled and (which("g++") or which("clang++")):
        yield torch_compiled(model, images, int(eager.setting.split()[-1]))
    elif compiled:
        print("torch.compile is left out: there is no C++ compiler", file=sys.stderr)
    if find_spec("openvino"):
        for precision in ("f32", None):
            yield openvino(path, threads, images, precision)
        yield replace(openvino(resolve_model(int8), threads, images, None), name="OpenVINO, int8")
    else:
        print("OpenVINO is left out: pip install openvino", file=sys.stderr)
