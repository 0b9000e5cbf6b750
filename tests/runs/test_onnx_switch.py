"""A network with a switch answers what it did without, and leaves out what is not asked for."""

from typing import Any

import numpy as np
import onnxruntime
import pytest

from inkdigits.runs.onnx.switch import with_switch

onnx = pytest.importorskip("onnx", reason="the extra train is not installed")

PICTURES = np.arange(24, dtype=np.float32).reshape(1, 1, 4, 6)


def branching() -> Any:
    """A first layer, on which both `coarse` and, by way of another one, `fine` and `twice` rest."""
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    shape = [1, 1, None, None]
    nodes = [
        helper.make_node("Mul", ["pictures", "three"], ["tripled"]),
        helper.make_node("Add", ["tripled", "one"], ["coarse"]),
        helper.make_node("Mul", ["tripled", "five"], ["fine"]),
        helper.make_node("Add", ["fine", "fine"], ["twice"]),
    ]
    weights = {"one": 1.0, "three": 3.0, "five": 5.0}
    given, *found = (
        helper.make_tensor_value_info(name, number, shape)
        for name in ("pictures", "coarse", "fine", "twice")
    )
    constants = [helper.make_tensor(name, number, [], [one]) for name, one in weights.items()]
    graph = helper.make_graph(nodes, "branching", [given], found, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def answers(model: Any, **switches: int) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    given = {name: np.array(value, np.uint8) for name, value in switches.items()}
    return session.run(None, {"pictures": PICTURES, **given})


def test_switched_on_it_answers_what_it_did_without() -> None:
    model = branching()
    switched = with_switch(model, ["coarse"], "wanted")
    for ours, theirs in zip(answers(switched, wanted=1), answers(model), strict=True):
        assert np.array_equal(ours, theirs)


def test_switched_off_it_leaves_out_what_is_optional() -> None:
    switched = with_switch(branching(), ["coarse"], "wanted")
    coarse, fine, twice = answers(switched, wanted=0)
    assert np.array_equal(coarse, 3 * PICTURES + 1)
    assert fine.shape == twice.shape == (0, 0, 0, 0)


def test_what_is_optional_is_computed_within_a_branch_with_its_weights() -> None:
    switched = with_switch(branching(), ["coarse"], "wanted")
    outside = [node.op_type for node in switched.graph.node]
    assert outside == ["Mul", "Add", "Cast", "If"]
    assert {weight.name for weight in switched.graph.initializer} == {"one", "three"}
    branches = {branch.name: branch.g for branch in switched.graph.node[-1].attribute}
    assert [weight.name for weight in branches["then_branch"].initializer] == ["five"]


def test_the_model_given_stays_as_it_was() -> None:
    model = branching()
    before = model.SerializeToString()
    with_switch(model, ["coarse"], "wanted")
    assert model.SerializeToString() == before
