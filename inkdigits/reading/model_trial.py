"""The process in which a model from elsewhere is tried, with limits of time and memory.

The bytes of an .onnx file come in on standard input. If it is of no use, a sentence that says why
goes out on standard output, and the exit status is 1. model_check.py starts this.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from inkdigits.core.digits import SIDE
from inkdigits.core.errors import BadModel
from inkdigits.reading.network import INPUT, LARGEST_BLOCK, OUTPUT, open_session

MAX_CPU = 5  # seconds
MAX_MEMORY = 512 << 20  # bytes beyond the runtime's own and three times the file
BATCHES = (1, 3, LARGEST_BLOCK)  # images that are read at once
TOLERANCE = 1e-3  # of the sum of probabilities

# Numbers of fields in onnx.proto: where nodes are, and the graphs within a node.
GRAPH, FUNCTIONS = 7, 25  # of a model
NODES_OF_GRAPH, NODES_OF_FUNCTION = 1, 7
OPERATOR, ATTRIBUTES = 4, 5  # of a node
SUBGRAPHS = (6, 11)  # of an attribute

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers


def main(path: str) -> int:
    """Try the model on standard input, and return the exit status."""
    onnx = sys.stdin.buffer.read()
    limit_resources(len(onnx))
    try:
        refuse_loops(onnx, Path(path))
        try_reading(onnx, Path(path))
    except BadModel as error:
        sys.stdout.buffer.write(str(error).encode(errors="replace"))
        return 1
    except MemoryError:
        needs = f"needs more than {MAX_MEMORY >> 20} MiB for {LARGEST_BLOCK} images"
        sys.stdout.write(f"{path!r} {needs}")
        return 1
    except Exception as error:  # a file may hold anything
        sys.stdout.write(ascii(f"{path} cannot be used: {error}"))
        return 1

    return 0


def limit_resources(size: int) -> None:
    """Limit the time and memory of this process, where the system can.

    Args:
        size: of the model's file in bytes.
    """
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        return

    used = pages * resource.getpagesize()
    memory = used + 3 * size + MAX_MEMORY
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU, MAX_CPU + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def refuse_loops(onnx: bytes, path: Path) -> None:
    """Refuse operators with a graph of their own, such as Loop, which may go on for ever.

    A digit's picture may decide how often, so trying it is not enough.

    Raises:
        BadModel: there is one, or these bytes are no ONNX file.
    """
    model = memoryview(onnx)
    try:
        for place, nodes in ((GRAPH, NODES_OF_GRAPH), (FUNCTIONS, NODES_OF_FUNCTION)):
            for part in messages(model, place):
                for node in messages(part, nodes):
                    _refuse_subgraphs(node, path)
    except (ValueError, IndexError) as error:
        raise BadModel(f"{str(path)!r} is damaged or not an ONNX model: {error}") from None


def _refuse_subgraphs(node: memoryview, path: Path) -> None:
    for attribute in messages(node, ATTRIBUTES):
        if any(any(messages(attribute, place)) for place in SUBGRAPHS):
            operator = b"".join(messages(node, OPERATOR)).decode("ascii", "replace")
            raise BadModel(
                f"{str(path)!r} has an operator {operator[:20]!r} with a graph of its own, which "
                "may go on for ever; expected a model without loops and branches"
            )


def messages(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """Yield the fields of a protocol buffer that have this number and hold bytes.

    Raises:
        ValueError, IndexError: it is no protocol buffer.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            _, at = _varint(message, at)
            continue

        sizes = {FIXED64: 8, FIXED32: 4}
        if kind == BYTES:
            size, at = _varint(message, at)
        elif kind in sizes:
            size = sizes[kind]
        else:
            raise ValueError("it is no protocol buffer")

        if at + size > len(message):
            raise ValueError("it ends in the middle")
        if kind == BYTES and number == wanted:
            yield message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the number at a place, seven bits a byte, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at

    raise ValueError("a number in it is too long")


def try_reading(onnx: bytes, path: Path) -> None:
    """Have a model read noise and blank images, a few at a time and many.

    Raises:
        BadModel: it cannot, or its answers are no probabilities.
    """
    session = open_session(onnx, path)
    outputs = session.get_outputs()[0].shape[1]
    noise = np.random.default_rng(0).integers(0, 256, (LARGEST_BLOCK, SIDE, SIDE), np.uint8)
    noise[0] = 0
    for count in BATCHES:
        try:
            (answers,) = session.run([OUTPUT], {INPUT: noise[:count]})
        except Exception as error:  # ONNX Runtime has many classes of errors
            raise BadModel(f"{str(path)!r} cannot read {count} images at once: {error}") from error

        found = getattr(answers, "shape", None)
        if found != (count, outputs):
            expected = f"expected {(count, outputs)}"
            raise BadModel(f"{str(path)!r} answers {count} images with {found}; {expected}")

        sums = answers.sum(axis=1)  # of what is not finite, it is not 1
        if not (np.abs(sums - 1) <= TOLERANCE).all() or answers.min() < 0:
            expected = "expected values from 0 to 1 whose sum is 1"
            raise BadModel(f"{str(path)!r} answers with no probabilities; {expected}")
