"""An ONNX graph calculates what the network did that was run to write it."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkdigits.core.errors import InkdigitsError
from inkdigits.runs.onnx.graph import set_metadata, to_onnx


class Calls(nn.Module):
    """A network that is one function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def calculated(network: nn.Module, x: Tensor) -> np.ndarray:
    """Return what the file of a network says of x, another one than it was written with."""
    model = to_onnx(network, {"x": torch.zeros_like(x[:1])}, ["y"], {0: "N", 2: "H", 3: "W"})
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"x": x.numpy()})
    return y


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda x: 1 - x / 2 + 3 * x - x * 2, id="arithmetic, numbers on both sides"),
        pytest.param(lambda x: (x + x.relu()) * x.float(), id="of values among themselves"),
        pytest.param(lambda x: x[:, 1], id="one channel"),
        pytest.param(lambda x: x[:, 1:3], id="some channels"),
        pytest.param(lambda x: x[:, ::2, None], id="every other channel, and a new axis"),
        pytest.param(lambda x: x.permute(0, 2, 3, 1).flatten(1), id="channels last, flat"),
        pytest.param(lambda x: torch.cat([x, x[:, :1]], dim=1), id="joined"),
        pytest.param(lambda x: torch.stack([x, 2 * x]).logsumexp(0), id="stacked"),
        pytest.param(lambda x: x.amax((2, 3)).softmax(1).log(), id="maxima, softmax"),
        pytest.param(lambda x: x.mean((2, 3)).log_softmax(dim=1), id="means, log-softmax"),
        pytest.param(lambda x: F.max_pool2d(x, 3, stride=2, padding=1), id="maximum pooling"),
        pytest.param(lambda x: F.interpolate(x, scale_factor=2.0), id="repeated cells"),
        pytest.param(lambda x: F.interpolate(x, size=(7, 9), mode="bilinear"), id="bilinear"),
        pytest.param(lambda x: F.dropout(x, 0.5, training=False), id="dropout in evaluation"),
        pytest.param(lambda x: F.instance_norm(x, eps=0.3), id="instance normalisation"),
    ],
)
def test_the_graph_calculates_what_the_function_does(function):
    x = torch.randn(3, 4, 6, 8, generator=torch.Generator().manual_seed(0))
    expected = function(x)

    y = calculated(Calls(function), x)

    assert y.shape == expected.shape
    assert np.abs(y - expected.numpy()).max() < 1e-5


def test_layers_that_share_a_weight_share_it_in_the_file():
    weight = torch.randn(4, 4, 3, 3)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernels = nn.Parameter(weight)

        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(F.conv2d(x, self.kernels, padding=1), self.kernels, stride=2)

    model = to_onnx(Twice().eval(), {"x": torch.zeros(1, 4, 8, 8)}, ["y"], {0: "N"})

    assert [constant.name for constant in model.graph.initializer] == ["kernels"]


def test_a_function_without_a_writer_is_named():
    with pytest.raises(InkdigitsError, match=r"^the network calls torch.\S*erf, which cannot be"):
        calculated(Calls(torch.erf), torch.zeros(1, 1, 2, 2))


def test_the_graph_says_what_may_vary_and_what_it_is_told_to_say():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    model = to_onnx(network, {"x": torch.zeros(1, 1, 2, 2)}, ["y"], {0: "N"})
    set_metadata(model, {"recipe": "ours"})

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    assert session.get_inputs()[0].shape == ["N", 1, 2, 2]
    assert session.get_outputs()[0].shape == ["N", 2]
    assert session.get_modelmeta().custom_metadata_map == {"recipe": "ours"}
