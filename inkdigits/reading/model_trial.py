"""The process in which a model from elsewhere is tried, with limits of time and memory.

The bytes of an .onnx file come in on standard input. If it is of no use, a sentence that says why
goes out on standard output, and the exit status is 1. model_check.py starts this.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from inkdigits.core.digits import SIDE
from inkdigits.core.errors import BadModel
from inkdigits.reading.network import INPUT, LARGEST_BLOCK, OUTPUT, open_session

MAX_CPU = 5  # seconds
MAX_MEMORY = 384 << 20  # bytes beyond the runtime's own and three times the file
BATCHES = (1, 3, LARGEST_BLOCK)  # images that are read at once
TOLERANCE = 1e-3  # of the sum of probabilities

# Numbers of fields in onnx.proto.
GRAPH, FUNCTIONS = 7, 25  # of a model
NODES_OF_GRAPH, CONSTANTS, INPUTS_OF_GRAPH = 1, 5, 11
NAME_OF_CONSTANT, NAME_OF_INPUT = 8, 1
INPUTS_OF_FUNCTION, NODES_OF_FUNCTION, DOMAIN_OF_FUNCTION = 4, 7, 10
INPUTS, OUTPUTS, OPERATOR, ATTRIBUTES, DOMAIN = 1, 2, 4, 5, 7  # of a node
SUBGRAPHS = (6, 11)  # of an attribute

# Operators whose result has a size that their inputs say: all of them, or those after the first.
SIZED_BY_ALL = {
    "BlackmanWindow", "ConstantOfShape", "HammingWindow", "HannWindow", "ImageDecoder",
    "MelWeightMatrix", "NonMaxSuppression", "NonZero", "Range", "StringSplit", "Unique",
}  # fmt: skip
SIZED_BY_OTHERS = {  # and all reductions
    "AffineGrid", "CenterCropPad", "Col2Im", "Compress", "DFT", "Expand", "MaxUnpool", "OneHot",
    "Pad", "Reshape", "Resize", "STFT", "SequenceAt", "SequenceErase", "SequenceInsert", "Slice",
    "Split", "SplitToSequence", "Squeeze", "Tile", "TopK", "Unsqueeze", "Upsample",
}  # fmt: skip
ASKS_FOR_SIZE = ("Shape", "Size")  # which depends on the number of images, and not on their pixels

ONNX_DOMAINS = {b"", b"ai.onnx"}
OWN_FORMAT = b"ORTM"  # in the fifth to eighth byte: a model in a format of ONNX Runtime's own
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers


def main(path: str) -> int:
    """Try the model on standard input, and return the exit status."""
    onnx = sys.stdin.buffer.read()
    limit_resources(len(onnx))
    try:
        refuse_endless(onnx, Path(path))
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


def refuse_endless(onnx: bytes, path: Path) -> None:
    """Refuse what may go on for ever, or need any amount of memory, for some picture of a digit.

    These are operators with a graph of their own, such as Loop, and those whose result has a size
    that is computed from pixels. Trying them is not enough, because the trial sees other pictures.

    Raises:
        BadModel: there is one, or these bytes are no ONNX file.
    """
    if onnx[4:8] == OWN_FORMAT:  # which hides its graph from us
        raise BadModel(f"{str(path)!r} is in a format of ONNX Runtime's own; expected ONNX")

    model = memoryview(onnx)
    try:
        functions = list(messages(model, FUNCTIONS))
        domains = {_text(function, DOMAIN_OF_FUNCTION) for function in functions}
        if not domains.isdisjoint(ONNX_DOMAINS):
            raise BadModel(f"{str(path)!r} describes operators of ONNX anew; expected other names")

        for function in functions:
            inputs = set(map(bytes, messages(function, INPUTS_OF_FUNCTION)))
            _refuse_nodes(messages(function, NODES_OF_FUNCTION), inputs, domains, path)

        graph = memoryview(b"".join(messages(model, GRAPH)))  # parts of a graph make one graph
        inputs = {_text(each, NAME_OF_INPUT) for each in messages(graph, INPUTS_OF_GRAPH)}
        inputs -= {_text(each, NAME_OF_CONSTANT) for each in messages(graph, CONSTANTS)}
        _refuse_nodes(messages(graph, NODES_OF_GRAPH), inputs, domains, path)
    except (ValueError, IndexError) as error:
        raise BadModel(f"{str(path)!r} is damaged or not an ONNX model: {error}") from None


def _text(message: memoryview, field: int) -> bytes:
    """Return a field of text. Of several, the last counts."""
    return bytes([b"", *messages(message, field)][-1])


def _refuse_nodes(
    nodes: Iterable[memoryview], pixels: set[bytes], domains: set[bytes], path: Path
) -> None:
    """Refuse nodes of a graph or a function.

    Args:
        nodes: in any order.
        pixels: the names of what is computed from pixels; those of results are added.
        domains: of operators that the model itself describes.
        path: of the model, for the error.
    """
    steps = []
    for node in nodes:
        domain = _text(node, DOMAIN)
        operator = _text(node, OPERATOR).decode("ascii", "replace")
        _refuse_subgraphs(node, operator, path)
        if domain in domains:
            operator = ""  # what it does is looked at in its description
        elif domain not in ONNX_DOMAINS:
            raise BadModel(
                f"{str(path)!r} has an operator {operator[:20]!r} of another library, which may do "
                "anything; expected ONNX's own"
            )
        inputs, outputs = ([*map(bytes, messages(node, each))] for each in (INPUTS, OUTPUTS))
        steps.append((operator, inputs, outputs))

    count = -1
    while count < len(pixels):
        count = len(pixels)
        for operator, inputs, outputs in steps:
            if operator not in ASKS_FOR_SIZE and not pixels.isdisjoint(inputs):
                pixels.update(outputs)

            if not pixels.isdisjoint(_sizes(operator, inputs)):
                raise BadModel(
                    f"{str(path)!r} has an operator {operator[:20]!r} whose size may depend on "
                    "pixels, and so has no bound; expected sizes that do not"
                )


def _sizes(operator: str, inputs: list[bytes]) -> list[bytes]:
    """Return which inputs of an operator say what size its result has."""
    if operator in SIZED_BY_ALL:
        return inputs

    is_sized = operator in SIZED_BY_OTHERS or operator.startswith("Reduce")
    return inputs[1:] if is_sized else []


def _refuse_subgraphs(node: memoryview, operator: str, path: Path) -> None:
    for attribute in messages(node, ATTRIBUTES):
        if any(any(messages(attribute, place)) for place in SUBGRAPHS):
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
