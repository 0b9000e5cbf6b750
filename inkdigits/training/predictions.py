"""What a network makes of digits, without learning from them.

A network on any device and uint8 digits come in; logits, loss, accuracy and temperature go out.
Nothing in the network changes except BatchNorm's statistics in `renew_statistics`, and no random
number is drawn.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkdigits.core.digits import CLASSES
from inkdigits.data.splits import Split

EVALUATION_BATCH = 1000  # digits; larger ones fall out of a desktop's cache
STATISTICS_DIGITS = 10_000  # on which BatchNorm's statistics are measured


def to_ink(images: Tensor) -> Tensor:
    """Convert images to ink.

    Args:
        images: (N, 28, 28) uint8, paper 0 to ink 255.

    Returns:
        (N, 1, 28, 28) float32, paper 0 to ink 1.
    """
    return images.unsqueeze(1).float() / 255


def on_device(split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """Copy a split to a device: images (N, 28, 28) uint8 and labels (N,) int64."""
    images = torch.from_numpy(split.images).to(device)
    labels = torch.from_numpy(split.labels).to(device, torch.int64)
    return images, labels


@torch.no_grad()
def predict_logits(network: nn.Module, split: Split) -> Tensor:
    """Run a network as it is used: without dropout, with stored statistics, in full precision.

    Returns:
        Logits (N, C) float32 on the CPU.
    """
    was_training = network.training
    network.eval()
    images, _ = on_device(split, next(network.parameters()).device)
    logits = torch.cat([network(to_ink(batch)) for batch in images.split(EVALUATION_BATCH)])
    network.train(was_training)
    return logits.float().cpu()


def measure(network: nn.Module, split: Split) -> tuple[float, float]:
    """Measure the mean cross-entropy in nats and the accuracy as a fraction."""
    logits = predict_logits(network, split)
    labels = torch.from_numpy(split.labels).long()
    loss = F.cross_entropy(logits, labels).item()
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    return loss, accuracy


def accuracy_on(network: nn.Module, digits: Split) -> float:
    """Measure the share of digits that are read right, leaving the class "not a digit" out."""
    read = predict_logits(network, digits)[:, :CLASSES].argmax(1).numpy()
    return float((read == digits.labels).mean())


def fit_temperature(network: nn.Module, validation: Split) -> float:
    """Find the temperature T for which softmax(logits / T) has the least cross-entropy.

    The search takes steps of 1 % from 0.25 to 4: the curve is smooth and has one minimum.

    Source: Guo et al. 2017, "On calibration of modern neural networks".
    """
    logits = predict_logits(network, validation)
    labels = torch.from_numpy(validation.labels).long()
    candidates = torch.logspace(-2, 2, 281, base=2.0)
    losses = torch.stack([F.cross_entropy(logits / T, labels) for T in candidates])
    return round(candidates[losses.argmin()].item(), 4)


@torch.no_grad()
def renew_statistics(network: nn.Module, images: Tensor) -> None:
    """Measure the means and variances that BatchNorm stores again, for averaged weights.

    Those from training belong to weights that moved, and to digits that were turned and shifted.
    Each is the mean over batches of about the same size.

    Source: Izmailov et al. 2018, "Averaging weights leads to wider optima", section 3.2.

    Args:
        network: left as it is used, without dropout.
        images: (N, 28, 28) uint8; 10,000 of them at most are used.
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
