"""What a network makes of digits, without learning from them: logits, loss and accuracy, temperature, BatchNorm's statistics.

Takes a network on any device and uint8 digits; changes nothing in the network but those statistics, and draws no random number.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkdigits.core.digits import CLASSES
from inkdigits.data.datasets import Split

EVALUATION_BATCH = 1000  # digits; larger ones fall out of a desktop's cache
STATISTICS_DIGITS = (
    10_000  # of the training digits, for BatchNorm's statistics under averaged weights
)


def to_ink(images: Tensor) -> Tensor:
    """uint8 (N, 28, 28), paper 0 to ink 255 -> float32 (N, 1, 28, 28), paper 0 to ink 1."""
    return images.unsqueeze(1).float() / 255


def on_device(split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """A split as uint8 images (N, 28, 28) and int64 labels (N,) on the device."""
    return torch.from_numpy(split.images).to(device), torch.from_numpy(split.labels).to(
        device, torch.int64
    )


@torch.no_grad()
def predict_logits(network: nn.Module, split: Split) -> Tensor:
    """float32 logits (N, 10) on the CPU, from the network as it is used: no dropout, stored statistics, full precision."""
    was_training = network.training
    network.eval()
    images, _ = on_device(split, next(network.parameters()).device)
    logits = torch.cat([network(to_ink(batch)) for batch in images.split(EVALUATION_BATCH)])
    network.train(was_training)
    return logits.float().cpu()


def measure(network: nn.Module, split: Split) -> tuple[float, float]:
    """Mean cross-entropy in nats and accuracy as a fraction."""
    logits, labels = predict_logits(network, split), torch.from_numpy(split.labels).long()
    return F.cross_entropy(logits, labels).item(), (
        logits.argmax(1) == labels
    ).double().mean().item()


def accuracy_on(network: nn.Module, digits: Split) -> float:
    """The share of digits that are read right, were each one a digit."""
    said = predict_logits(network, digits)[:, :CLASSES].argmax(1).numpy()
    return float((said == digits.labels).mean())


def fit_temperature(network: nn.Module, validation: Split) -> float:
    """The T for which softmax(logits / T) has the least cross-entropy on the validation digits. Source: Guo et al. 2017.

    A search over T from 0.25 to 4 in steps of 1 %: the curve is smooth and has one valley.
    """
    logits, labels = predict_logits(network, validation), torch.from_numpy(validation.labels).long()
    candidates = torch.logspace(-2, 2, 281, base=2.0)
    losses = torch.stack([F.cross_entropy(logits / candidate, labels) for candidate in candidates])
    return round(candidates[losses.argmin()].item(), 4)


@torch.no_grad()
def renew_statistics(network: nn.Module, images: Tensor) -> None:
    """Measure the means and variances that BatchNorm stores anew, on uint8 digits (N, 28, 28) as they are, 10,000 at most.

    Those that it kept while training belong to weights that moved, and to digits that were turned and shifted. Source: Izmailov et
    al. 2018. Each is the mean over batches, all of about one size. The network is left as it is used: without dropout.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    network.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # all batches count alike
        norm.train()
    shown = images[:: math.ceil(len(images) / STATISTICS_DIGITS)]
    for batch in shown.tensor_split(math.ceil(len(shown) / EVALUATION_BATCH)):
        network(to_ink(batch))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
