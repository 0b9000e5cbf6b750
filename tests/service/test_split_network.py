"""A network in two parts answers what the whole one does, and a part only what it was asked for."""

import numpy as np
import onnxruntime
import pytest

from inkdigits.reading.page.networks import FOLDER, PAGE_FILE
from inkdigits.service.split_network import split_network

pytest.importorskip("onnx", reason="the extra serve is not installed")

COARSE = ("writing", "height")


def outputs(network: bytes, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(network)
    names = [output.name for output in session.get_outputs()]
    inputs = {one.name: given[one.name] for one in session.get_inputs()}
    return dict(zip(names, session.run(names, inputs), strict=True))


def test_both_parts_answer_what_the_whole_network_does() -> None:
    whole = (FOLDER / PAGE_FILE).read_bytes()
    rng = np.random.default_rng(0)
    given = {"pictures": rng.integers(0, 255, (1, 3, 48, 80), np.uint8)}
    expected = outputs(whole, given)

    first, rest = split_network(whole, COARSE)
    early = outputs(first, given)
    late = outputs(rest, early)
    assert set(COARSE) <= early.keys()
    assert late.keys() == expected.keys() - set(COARSE)
    for name, values in {**early, **late}.items():
        if name in expected:
            assert np.allclose(values, expected[name], atol=1e-5), name


def test_no_weight_is_in_both_parts() -> None:
    whole = (FOLDER / PAGE_FILE).read_bytes()
    parts = split_network(whole, COARSE)
    assert sum(map(len, parts)) < 1.01 * len(whole)
