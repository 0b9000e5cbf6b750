"""Arrays in JSON: numbers of the right shape go in, everything else is refused with a sentence."""

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest

from inkdigits.service.inference import parse_inference
from inkdigits.service.responses import Refused

IMAGES = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
NUMBERS = "the input's data should be whole numbers from 0 to 255, flat or nested as its shape"
SHAPE = "the input's shape should be [N, 28, 28] with N of at least 1"
MILLION = 1_000_000


def asked(**other: Any) -> dict[str, Any]:
    data = IMAGES.ravel().tolist()
    own = {"name": "images", "datatype": "UINT8", "shape": [2, 28, 28], "data": data}
    return {"inputs": [own | other]}


def refusal(body: object) -> tuple[str, str]:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Refused) as refused:
        parse_inference(sent)
    assert refused.value.status == 400
    return refused.value.code, str(refused.value)


@pytest.mark.parametrize("data", [IMAGES.ravel().tolist(), IMAGES.tolist()])
@pytest.mark.parametrize("more", [{}, {"id": "é"}, {"outputs": [{"name": "probabilities"}]}])
@pytest.mark.parametrize("indent", [None, 2])
def test_numbers_are_taken_flat_and_nested(data: list, more: dict, indent: int | None) -> None:
    body = json.dumps(asked(data=data) | more | {"else": [{"x": 1.5}]}, indent=indent)
    echoed, images = parse_inference(body.encode())
    assert np.array_equal(images, IMAGES)
    assert echoed == {name: value for name, value in more.items() if name == "id"}


@pytest.mark.parametrize(
    "shape",
    [[2, 28.0, 28], [2.0, 28, 28], [True, 28, 28], [2, 784], [-1, 28, 28], [10**4299, 28, 28], 7],
)
def test_a_shape_is_three_whole_numbers(shape: object) -> None:
    assert refusal(asked(shape=shape)) == ("bad_inference", SHAPE)


@pytest.mark.parametrize(
    "value", [256, -1, 0.5, 1.0, True, None, "a", [], {}, 10**30, 10**4299, "a" * 100_000]
)
def test_data_are_whole_numbers_of_a_byte(value: object) -> None:
    for place in (0, 700):
        data: list[object] = [0] * IMAGES.size
        data[place] = value
        assert refusal(asked(data=data)) == ("bad_inference", NUMBERS)

        nested: list[Any] = IMAGES.tolist()
        nested[1][place // 28][3] = value
        assert refusal(asked(data=nested)) == ("bad_inference", NUMBERS)


@pytest.mark.parametrize("data", [[[1], [1, 2]], [[1] * 784], [[[1] * 28] * 27], "abc", {}, 3])
def test_data_are_nested_as_their_shape_or_not_at_all(data: object) -> None:
    assert refusal(asked(data=data)) == ("bad_inference", NUMBERS)


def test_data_are_as_many_as_the_shape_takes() -> None:
    expected = "the input's data are 1,568 numbers; its shape takes 2,352"
    assert refusal(asked(shape=[3, 28, 28])) == ("bad_inference", expected)


HEAD, END = json.dumps(asked(data=[])).split("[]")


@pytest.mark.parametrize(
    "unit",
    ["0", '"a"', '"ab"', "[]", "[0]", "{}", '{"":0}', "1.5", "9" * 4299, "[[[0]]]", "[" * 40],
    ids=lambda unit: unit[:8],
)
@pytest.mark.parametrize(("head", "end"), [(HEAD + "[", "]" + END), ("[", "]"), ('{"x":[', "]}")])
def test_a_megabyte_of_any_json_takes_a_few_megabytes(head: str, end: str, unit: str) -> None:
    closed = unit + "]" * 40 if unit == "[" * 40 else unit
    units = [closed] * (MILLION // (len(closed) + 1))
    body = (head + ",".join(units) + end).encode()
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            parse_inference(body)
        assert tracemalloc.get_traced_memory()[1] < 12 * MILLION
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b'{"a":' * 100_000, HEAD.encode() + b"[" * 100_000, b'{"id": NaN}'],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert refusal(body) == ("bad_json", "the body is not JSON")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[" * 100_000, "the body should be an object with one input 'images'"),
        ({"inputs": asked()["inputs"] * 2}, "the body should be an object with one input"),
        (asked(name="x - at `$.id`"), "the body should be an object with one input 'images'"),
        (asked(datatype="FP32"), "the input's datatype should be UINT8"),
        (asked() | {"id": 7}, "id should be a string of at most 256 characters"),
        (asked() | {"id": "é" * 257}, "id should be a string of at most 256 characters"),
        (asked() | {"outputs": [{"name": "logits"}]}, "the only output is 'probabilities'"),
    ],
)
def test_each_field_has_its_sentence(body: object, said: str) -> None:
    code, message = refusal(body)
    assert code == "bad_inference"
    assert message.startswith(said)
