"""Convolution and pooling in one operation give what PyTorch's layers give."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkdigits.training import fused
from inkdigits.training.models import BatchNormNet


def gradients(output: Tensor, leaves: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the gradients of a sum in which each output value has a weight of its own."""
    weights = torch.randn(
        output.shape, dtype=output.dtype, generator=torch.Generator().manual_seed(1)
    )
    return torch.autograd.grad((output * weights).sum(), leaves)


def on_paper(digits: int, side: int) -> Tensor:
    """(N, 1, side, side) float64: ink in the middle, zeros around it, as in a digit."""
    ink = torch.zeros(digits, 1, side, side, dtype=torch.float64)
    ink[:, :, 10:18, 10:18] = torch.rand(digits, 1, 8, 8, dtype=torch.float64)
    return ink


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("kernel", "side"), [(3, 28), (5, 28), (2, 21), (1, 20), (3, 27)])
@pytest.mark.parametrize("paper", [0.0, -0.4])
def test_it_is_a_convolution_then_a_normalisation_then_a_pooling(
    kernel: int, side: int, paper: float
) -> None:
    conv, norm = nn.Conv2d(1, 5, kernel).double(), nn.BatchNorm2d(5).double()
    nn.init.normal_(norm.weight)  # of both signs
    nn.init.normal_(norm.bias)
    twin, ink = copy.deepcopy(norm), on_paper(4, side) + paper
    ours, theirs = fused.convolve_and_pool(ink, conv, norm), F.max_pool2d(twin(conv(ink)), 2)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    mine = gradients(ours, [*conv.parameters(), *norm.parameters()])
    its = gradients(theirs, [*conv.parameters(), *twin.parameters()])
    for ours, theirs in zip(mine, its, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)
    for (name, mine), its in zip(norm.named_buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-9, msg=name)


def test_a_network_trains_alike_with_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    network = BatchNormNet(dropout=0.0).train()
    twin, ink = copy.deepcopy(network), on_paper(64, 28).float()
    ours = network(ink)
    monkeypatch.setattr(fused, "is_faster", lambda *_: False)
    theirs = twin(ink)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)  # logits of about 1
    mine, its = (gradients(y, list(n.parameters())) for y, n in ((ours, network), (theirs, twin)))
    largest = max(gradient.abs().max().item() for gradient in its)
    for ours, theirs in zip(mine, its, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * largest)


def test_inside_autocast_it_keeps_its_precision() -> None:
    conv, norm, ink = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), on_paper(4, 28).float()
    leaves = [conv.weight, norm.weight, norm.bias]
    expected = gradients(fused.convolve_and_pool(ink, conv, norm), leaves)
    with torch.autocast("cpu", torch.bfloat16):
        pooled = fused.convolve_and_pool(ink, conv, norm)
    found = gradients(pooled, leaves)
    assert all(torch.equal(mine, its) for mine, its in zip(found, expected, strict=True))


def test_layers_it_cannot_take_are_left_to_pytorch() -> None:
    ink, conv, norm = torch.zeros(2, 1, 28, 28), nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
    assert fused.is_faster(ink, conv, norm)
    others = [
        nn.Conv2d(1, 4, 3, stride=2),
        nn.Conv2d(1, 4, 3, padding=1),
        nn.Conv2d(1, 4, (3, 2)),
        nn.Conv2d(1, 4, 3, bias=False),
    ]
    assert not any(fused.is_faster(ink, other, norm) for other in others)
    assert not fused.is_faster(ink, conv, nn.BatchNorm2d(4, affine=False))
    assert not fused.is_faster(ink, conv, nn.BatchNorm2d(4).eval())
    assert not fused.is_faster(ink.clone().requires_grad_(), conv, norm)
    assert not fused.is_faster(torch.zeros(2, 6, 13, 13), nn.Conv2d(6, 4, 3), norm)
    with torch.no_grad():
        assert not fused.is_faster(ink, conv, norm)
