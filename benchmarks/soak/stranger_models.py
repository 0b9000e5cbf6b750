"""Model files of a stranger: endless, huge, damaged, made for something else, or no models at all.

The tests and the soak both use them. Needs onnx.
"""

import io
import pickle
import struct
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from benchmarks.soak.stranger_files import ESCAPES, NO_FILES, Make, sparse
from inkdigits.reading.model_files import resolve_model

FLOAT, UINT8, INT64, BOOL, DOUBLE = 1, 2, 7, 9, 11
INPUT, OUTPUT = "images", "probabilities"
MOST_BYTES = 130_000_000  # in a file that is still looked at
NAN, INFINITE = float("nan"), float("inf")

node = onnx.helper.make_node
value = onnx.helper.make_tensor_value_info


def tensor(name: str, values: Any, kind: int = FLOAT) -> Any:
    """Return a constant of a model."""
    array = np.asarray(values)
    return onnx.helper.make_tensor(name, kind, array.shape, array.ravel().tolist())


def model(
    nodes: Sequence[Any],
    constants: Sequence[Any] = (),
    outputs: Sequence[Any] | None = None,
    inputs: Sequence[Any] | None = None,
    **more: Any,
) -> bytes:
    """Return a model. In it, `row` is (N, 10) of equal probabilities; `nodes` go on from there.

    Args:
        nodes: what is computed after `row`.
        constants: which the nodes use.
        outputs: as ONNX describes them; those of a good model by default.
        inputs: likewise.
        more: fields of the model.
    """
    row = [
        node("Cast", [INPUT], ["floats"], to=FLOAT),
        node("Flatten", ["floats"], ["flat"]),
        node("MatMul", ["flat", "zeros"], ["logits"]),
        node("Softmax", ["logits"], ["row"]),
    ]
    graph = onnx.helper.make_graph(
        [*row, *nodes],
        "graph",
        inputs or [value(INPUT, UINT8, ["N", 28, 28])],
        outputs or [value(OUTPUT, FLOAT, ["N", 10])],
        [tensor("zeros", np.zeros((784, 10))), *constants],
    )
    versions = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("stranger", 1)]
    return onnx.helper.make_model(
        graph, **{"opset_imports": versions, "ir_version": 9, **more}
    ).SerializeToString()


def equal() -> bytes:
    """Return a good model, which finds every digit equally likely."""
    return model([node("Identity", ["row"], [OUTPUT])])


def by(operator: str, number: float) -> bytes:
    """Return a model whose answers are changed by a number."""
    return model([node(operator, ["row", "number"], [OUTPUT])], [tensor("number", number)])


def with_facts(**facts: str) -> bytes:
    """Return a good model with metadata."""
    made = onnx.load_model_from_string(resolve_model("nano").read_bytes())
    onnx.helper.set_model_props(made, facts)
    return made.SerializeToString()


# ---- graphs within graphs


def _body(kind: str) -> Any:
    """Return what a loop does in each round: nothing."""
    return onnx.helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("Identity", ["before"], ["after"])],
        kind,
        [value("i", INT64, []), value("go", BOOL, []), value("before", FLOAT, None)],
        [value("on", BOOL, []), value("after", FLOAT, None)],
    )


def endless() -> bytes:
    """Return a model that never ends."""
    loop = node("Loop", ["", "yes", "row"], [OUTPUT], body=_body("body"))
    return model([loop], [tensor("yes", True, BOOL)])


def loop_in_a_function() -> bytes:
    """Return a model that never ends, which its graph does not show."""
    inner = onnx.load_model_from_string(endless()).graph.node[-1]
    function = onnx.helper.make_function(
        "stranger",
        "Calm",
        ["yes", "row"],
        [inner.output[0]],
        [inner],
        [onnx.helper.make_opsetid("", 17)],
    )
    call = node("Calm", ["yes", "row"], [OUTPUT], domain="stranger")
    return model([call], [tensor("yes", True, BOOL)], functions=[function])


def function_in_itself() -> bytes:
    """Return a model with a function that calls itself."""
    call = node("Calm", ["row"], [OUTPUT], domain="stranger")
    versions = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("stranger", 1)]
    function = onnx.helper.make_function("stranger", "Calm", ["row"], [OUTPUT], [call], versions)
    return model([call], functions=[function])


def in_another_format() -> bytes:
    """Return a model in ONNX Runtime's own format, which is also a protocol buffer without nodes.

    It never ends for a digit.
    """
    loop = node("Loop", ["number", "", "row"], ["last"], body=_body("body"))
    made = _if_a_digit(loop, node("ReduceSum", ["last"], ["sum"], keepdims=0), yes=1 << 60)
    plain = next(filter(_begins_even, (_in_own_format(made, 4 * n) for n in range(1, 99))))
    # As a protocol buffer: a number (8 and one byte), four bytes (13, then what follows), four
    # more (the M of "ORTM" is 77), and one long text. As the other format, the first four bytes
    # say where it begins, so that the rest can be moved there.
    (begin,) = struct.unpack_from("<I", plain)
    head = bytes([8, 16, 13, 0]) + b"ORTM" + bytes(4) + b"\x12"
    moved = int.from_bytes(head[:4], "little") - begin
    length = in_sevens(len(plain) + moved - 17, 4)
    return (head + length).ljust(moved + 8, b"\0") + plain[8:]


def in_sevens(number: int, count: int) -> bytes:
    """Return a number as protocol buffers have it: seven bits a byte, all but the last marked."""
    bits = [number >> 7 * place & 127 for place in range(count)]
    return bytes([*(each | 128 for each in bits[:-1]), bits[-1]])


def _begins_even(content: bytes) -> bool:
    """Tell whether a model in ONNX Runtime's own format begins at a multiple of eight bytes."""
    return content[0] % 8 == 0


def _in_own_format(content: bytes, letters: int) -> bytes:
    """Return a model in ONNX Runtime's own format, with so many letters more."""
    made = onnx.load_model_from_string(content)
    made.graph.doc_string = "a" * letters
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.save_model_format", "ORT")
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = f"{folder}/model.ort"
        onnxruntime.InferenceSession(
            made.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return Path(options.optimized_model_filepath).read_bytes()


# ---- much time or memory


def large(numbers: int = 900_000_000) -> bytes:
    """Return a model that needs memory for so many numbers."""
    nodes = [
        node("ConstantOfShape", ["size"], ["much"]),
        node("ReduceSum", ["much"], ["sum"], keepdims=0),
        node("Add", ["row", "sum"], [OUTPUT]),
    ]
    return model(nodes, [tensor("size", [numbers], INT64)])


def slow() -> bytes:
    """Return a model that takes minutes."""
    nodes = [node("MatMul", ["flat", "wide"], ["x0"])]
    nodes += [node("MatMul", [f"x{i}", "square"], [f"x{i + 1}"]) for i in range(20_000)]
    nodes += [
        node("ReduceSum", ["x20000"], ["sum"], keepdims=0),
        node("Add", ["row", "sum"], [OUTPUT]),
    ]
    return model(
        nodes, [tensor("wide", np.zeros((784, 512))), tensor("square", np.zeros((512, 512)))]
    )


def _if_a_digit(*nodes: Any, yes: float = 1) -> bytes:
    """Return a model in which `number` is `yes` for a digit, and 0 for noise and for nothing."""
    asked = [
        node("ReduceMean", ["floats"], ["mean"], keepdims=0),
        node("Greater", ["mean", "dark"], ["is-ink"]),
        node("Less", ["mean", "light"], ["is-paper"]),
        node("And", ["is-ink", "is-paper"], ["is-digit"]),
        node("Cast", ["is-digit"], ["one"], to=INT64),
        node("Mul", ["one", "yes"], ["number"]),
    ]
    constants = [
        tensor("dark", 5.0),
        tensor("light", 60.0),
        tensor("yes", int(yes), INT64),
        tensor("1", 1, INT64),
        tensor("axis", [0], INT64),
        tensor("table", [0.0]),
        tensor("none", 0.0),
    ]
    added = [
        node("Mul", ["sum", "none"], ["nothing"]),
        node("Add", ["row", "nothing"], [OUTPUT]),
    ]
    return model([*asked, *nodes, *added], constants)


def large_for_a_digit() -> bytes:
    """Return a model that needs 1.2 GB for a digit, and little for noise."""
    return _if_a_digit(
        node("Add", ["number", "1"], ["length"]),
        node("Unsqueeze", ["length", "axis"], ["shape"]),
        node("ConstantOfShape", ["shape"], ["much"]),
        node("ReduceSum", ["much"], ["sum"], keepdims=0),
        yes=3e8,
    )


def slow_for_a_digit() -> bytes:
    """Return a model that takes half a minute for a digit, and no time for noise."""
    return _if_a_digit(
        node("Add", ["number", "1"], ["length"]),
        node("Unsqueeze", ["length", "axis"], ["side"]),
        node("Concat", ["side", "side"], ["shape"], axis=0),
        node("ConstantOfShape", ["shape"], ["square"]),
        node("MatMul", ["square", "square"], ["product"]),
        node("ReduceSum", ["product"], ["sum"], keepdims=0),
        yes=9000,
    )


def fails_for_a_digit() -> bytes:
    """Return a model that reads noise, and breaks off for a digit."""
    return _if_a_digit(node("Gather", ["table", "number"], ["sum"]))


def deep(count: int = 300_000) -> bytes:
    """Return a model of very many operators that do nothing."""
    made = onnx.load_model_from_string(model([]))
    names = [b"%06d" % number for number in range(count + 1)]
    made.graph.node[-1].output[0] = names[0].decode()
    # The fields of a node, and their lengths: made one by one, they would take a minute.
    pairs = pairwise(names)
    made.graph.MergeFromString(
        b"".join(b'\n\x1a\n\6%s\x12\6%s"\x08Identity' % pair for pair in pairs)
    )
    made.graph.node[-1].output[0] = OUTPUT
    return made.SerializeToString()


def wide() -> bytes:
    """Return a good model with as many weights as a model may have."""
    made = onnx.load_model_from_string(
        model(
            [
                node("MatMul", ["flat", "first"], ["hidden"]),
                node("MatMul", ["hidden", "second"], ["last"]),
                node("Softmax", ["last"], [OUTPUT]),
            ]
        )
    )
    for name, shape in (("first", (784, 37_000)), ("second", (37_000, 10))):
        weights = np.full(shape, 1e-6, np.float32)
        made.graph.initializer.append(onnx.numpy_helper.from_array(weights, name))

    return made.SerializeToString()


# ---- weights that are not there


def elsewhere(place: str = "weights.bin") -> bytes:
    """Return a model whose weights are in another file."""
    weights = onnx.TensorProto(name="number", data_type=FLOAT, dims=[10], data_location="EXTERNAL")
    weights.external_data.add(key="location", value=place)
    return model([node("Add", ["row", "number"], [OUTPUT])], [weights])


def promised(*dims: int) -> bytes:
    """Return a model whose weights have a size, and no values."""
    weights = onnx.TensorProto(name="number", data_type=FLOAT, dims=dims, raw_data=b"")
    return model([node("Add", ["row", "number"], [OUTPUT])], [weights])


# ---- made for something else


def other_inputs(*inputs: Any) -> bytes:
    """Return a model with other inputs; the first is the one that it uses."""
    return model([node("Identity", ["row"], [OUTPUT])], inputs=inputs)


def other_outputs(*outputs: Any, operator: str = "Identity", **options: Any) -> bytes:
    """Return a model with other outputs, each made of `row` by an operator."""
    names = [each.name for each in outputs]
    return model([node(operator, ["row"], [name], **options) for name in names], outputs=outputs)


def twelve() -> bytes:
    """Return a model of twelve classes."""
    joined = node("Concat", ["row", "two"], [OUTPUT], axis=1)
    two = tensor("two", np.zeros((1, 2)))
    return model([joined], [two], [value(OUTPUT, FLOAT, ["N", 12])])


def another_shape() -> bytes:
    """Return a model that answers with another shape than it says."""
    summed = node("ReduceSum", ["row", "axis"], [OUTPUT], keepdims=0)
    return model([summed], [tensor("axis", [0], INT64)])


def negative() -> bytes:
    """Return a model whose answers sum to 1, and are not from 0 to 1."""
    shifts = tensor("shifts", [1, -1, *[0] * 8])
    return model([node("Add", ["row", "shifts"], [OUTPUT])], [shifts])


def named(text: str) -> bytes:
    """Return a model with an operator of another library."""
    return model([node(text, ["row"], [OUTPUT], domain="stranger")])


class Opened:
    """What leaves a file if it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("../precious/opened"),)


def zipped() -> bytes:
    """Return a pickle in a ZIP archive, as torch.save writes it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Opened()))

    return file.getvalue()


CONTENTS: Mapping[str, Callable[[], bytes]] = {
    "a loop": endless,
    "a loop in a function": loop_in_a_function,
    "a function in itself": function_in_itself,
    "a loop in another format": in_another_format,
    "3.6 GB": large,
    "420 MB": lambda: large(105_000_000),
    "slow": slow,
    "much memory for a digit": large_for_a_digit,
    "much time for a digit": slow_for_a_digit,
    "an error for a digit": fails_for_a_digit,
    "300,000 operators": deep,
    "other files": elsewhere,
    "a file of another folder": lambda: elsewhere("../precious/letter.txt"),
    "an endless file": lambda: elsewhere("/dev/zero"),
    "a terabyte of weights": lambda: promised(1 << 40),
    "too few weights": lambda: promised(10),
    "a negative number of weights": lambda: promised(-10),
    "custom operator": lambda: named("Evil"),
    "escapes": lambda: named(ESCAPES),
    "a name of a megabyte": lambda: named(ESCAPES * 20_000),
    "NaN": lambda: by("Mul", NAN),
    "infinite": lambda: by("Mul", INFINITE),
    "too much": lambda: by("Mul", 1.5),
    "negative": negative,
    "12 classes": twelve,
    "another shape than said": another_shape,
    "one image": lambda: model(
        [node("Identity", ["row"], [OUTPUT])],
        (),
        [value(OUTPUT, FLOAT, [1, 10])],
        [value(INPUT, UINT8, [1, 28, 28])],
    ),
    "images of float32": lambda: other_inputs(value(INPUT, FLOAT, ["N", 28, 28])),
    "images of 32x32": lambda: other_inputs(value(INPUT, UINT8, ["N", 32, 28])),
    "two inputs": lambda: other_inputs(
        value(INPUT, UINT8, ["N", 28, 28]), value("more", FLOAT, ["N"])
    ),
    "float64": lambda: other_outputs(value(OUTPUT, DOUBLE, ["N", 10]), operator="Cast", to=DOUBLE),
    "a sequence": lambda: other_outputs(
        onnx.helper.make_tensor_sequence_value_info(OUTPUT, FLOAT, None),
        operator="SequenceConstruct",
    ),
    "two outputs": lambda: other_outputs(
        value(OUTPUT, FLOAT, ["N", 10]), value("more", FLOAT, ["N", 10])
    ),
    "another name": lambda: other_outputs(value(ESCAPES, FLOAT, ["N", 10])),
    "operators of the year 9999": lambda: model(
        [node("Identity", ["row"], [OUTPUT])],
        opset_imports=[onnx.helper.make_opsetid("", 9999)],
    ),
    "a threshold that is no number": lambda: with_facts(threshold="nan"),
    "a threshold of escapes": lambda: with_facts(threshold=ESCAPES),
    "empty": lambda: b"",
    "cut": lambda: resolve_model("nano").read_bytes()[:9000],
    "text": lambda: b"not a model",
    "zeros": lambda: bytes(10_000),
    "a pickle": lambda: pickle.dumps(Opened()),
    "a pickle in a ZIP archive": zipped,
    "numbers without end": lambda: b"\xff" * 1_000_000,
}


def _content(made: Callable[[], bytes]) -> Make:
    return lambda path: path.write_bytes(made())


def _folder_with(make: Make) -> Make:
    """Return what makes a folder in which something is in the place of its model."""

    def made(path: Path) -> None:
        path.mkdir()
        make(path / "model.onnx")

    return made


# What is harmless, and the exit statuses of reading with it, and of a service that gets it.
HARMLESS = {
    "a good model": (0, 0),
    "a good model with strange facts": (0, 0),
    "a good model in a file with a strange name": (0, 0),
    "a good model in a folder": (0, 0),
    "a good model of 120 MB": (0, 2),
    "a model that cannot decide": (0, 2),
}
STRANGE_NAMES = {
    "a good model in a file with a strange name": f"{ESCAPES}.onnx",
    "text in a file with a strange name": f"{ESCAPES}.onnx",
    "text in a file with a long name": f"{'a' * 250}.onnx",
}

MODELS: Mapping[str, Make] = {
    **{name: _content(made) for name, made in CONTENTS.items()},
    **NO_FILES,
    **{f"{name} in a folder": _folder_with(make) for name, make in NO_FILES.items()},
    "130 MB of nothing": lambda path: sparse(path, MOST_BYTES),
    "130 MB of text": lambda path: sparse(path, MOST_BYTES + 5, b"\x12" + in_sevens(MOST_BYTES, 4)),
    "a good model of 120 MB": lambda path: path.write_bytes(wide()),
    "text in a file with a strange name": _content(CONTENTS["text"]),
    "text in a file with a long name": _content(CONTENTS["text"]),
    "a good model": _content(with_facts),
    "a good model with strange facts": _content(
        lambda: with_facts(**{ESCAPES: ESCAPES, "data": ESCAPES * 1000, "empty_channels": "many"})
    ),
    "a good model in a file with a strange name": _content(with_facts),
    "a good model in a folder": _folder_with(_content(with_facts)),
    "a model that cannot decide": _content(equal),
}
