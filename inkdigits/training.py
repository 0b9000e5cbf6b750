"""The loop: a recipe and two splits of digits in, a record after every pass out, the network trained in place.

Knows nothing of files, progress bars or test sets; `run.py` puts those around it. The digits lie on the device as uint8, a batch
becomes float when its turn comes, and nothing in a step waits for the device.

Same recipe, seed, device, thread count and torch: same bits.
"""

import contextlib
import ctypes
import dataclasses
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from inkdigits.augmentation import Augmentation, augment
from inkdigits.data import Split
from inkdigits.errors import BadValue, InkdigitsError, UnknownName
from inkdigits.models import recipe_network
from inkdigits.recipe import Recipe

REPORTS_AN_EPOCH = 25  # how often a progress bar hears of the epoch under way
EVALUATION_BATCH = 1000  # digits; larger ones fall out of a desktop's cache

# Digits. Below this batch size a step on a CPU is all overhead: threads wait for each other longer than they compute, PyTorch's own
# convolution starts faster than oneDNN's, and bfloat16 costs more conversions than it saves.
SMALL_BATCH = 32
GATHERED = 1024  # digits that become float at once: 3 MB
STATISTICS_DIGITS = 10_000  # of the training digits, for BatchNorm's statistics under averaged weights
LEAST_PROBABILITY = 1e-8  # of a teacher's: its logarithm is taken


@dataclass(frozen=True)
class Progress:
    """The epoch under way, over the digits seen so far."""

    epoch: int  # counted from 1
    fraction: float  # of this epoch, 0 to 1
    train_loss: float
    train_accuracy: float
    images_per_second: float


@dataclass(frozen=True)
class Epoch:
    """One finished pass. Losses are mean cross-entropies in nats, accuracies fractions.

    The training figures are means over the pass itself, while the weights moved and dropout was on; the validation figures are the
    finished pass's. `seconds` is the pass alone, without the validation.
    """

    epoch: int  # counted from 1
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float
    images_per_second: float


# uint8 digits (N, 28, 28) -> float32 probabilities (N, 10)
Teacher = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def constant(_: float) -> float:
    """The learning rate stays as it is."""
    return 1.0


def cosine(progress: float) -> float:
    """Half a cosine from 1 to 0. Source: Loshchilov & Hutter 2017, without restarts."""
    return (1 + math.cos(math.pi * progress)) / 2


def one_cycle(progress: float) -> float:
    """Up in a line over the first fifth, down in a line to 0. After Smith & Topin 2018."""
    return min(progress / 0.2, (1 - progress) / 0.8)


def step_decay(progress: float) -> float:
    """A tenth after a half, a hundredth after three quarters of the training."""
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01


# fraction of the training done -> factor on the learning rate
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": constant,
    "cosine": cosine,
    "one-cycle": one_cycle,
    "step": step_decay,
}


def _adam(weights: nn.Parameter, recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.Adam([weights], recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)


def _adamw(weights: nn.Parameter, recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.AdamW([weights], recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)


def _sgd(weights: nn.Parameter, recipe: Recipe) -> torch.optim.Optimizer:
    decay, momentum = recipe.weight_decay, recipe.momentum
    return torch.optim.SGD([weights], recipe.learning_rate, momentum=momentum, weight_decay=decay, fused=True)


OPTIMISERS: dict[str, Callable[[nn.Parameter, Recipe], torch.optim.Optimizer]] = {"adam": _adam, "adamw": _adamw, "sgd": _sgd}


def choose_device(name: str = "auto") -> torch.device:
    """auto, cpu, cuda or mps as a device that is there. Raises UnknownName or BadValue."""
    known = ["auto", "cpu", "cuda", "mps"]
    if name not in known:
        raise UnknownName("device", name, known)
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = "cuda" if there["cuda"] else "mps" if there["mps"] else "cpu"
    if not there[name]:
        raise BadValue(f"no {name} device on this machine; here: {', '.join(known for known, found in there.items() if found)}")
    return torch.device(name)


def seeded_network(recipe: Recipe, seed: int) -> nn.Module:
    """The recipe's network with the fresh weights that `seed` gives. Sets torch's global seed, which dropout draws from too."""
    torch.manual_seed(seed)
    return recipe_network(recipe)


def fit(
    network: nn.Module,
    recipe: Recipe,
    train: Split,
    validation: Split,
    *,
    seed: int = 0,
    device: str = "auto",
    teacher: Teacher | None = None,
) -> Iterator[Progress | Epoch]:
    """Train `network` in place as `recipe` says; yield Progress now and then and an Epoch after every pass.

    train, validation: splits of uint8 digits (N, 28, 28). After each Epoch the network may be saved or the loop left. teacher: what
    the recipe's `teacher` names, loaded; without it the labels alone teach.
    Raises UnknownName for an unknown schedule or optimiser, BadValue for a device that is not there, InkdigitsError where the loss
    stops being a number.
    """
    place = choose_device(device)
    schedule = _lookup("schedule", recipe.schedule, SCHEDULES)
    speed = _fastest(recipe, place)
    network.to(place, memory_format=speed.memory_format)  # type: ignore[call-overload]
    weights, gradients = as_one_vector(network)
    optimiser = _lookup("optimiser", recipe.optimiser, OPTIMISERS)(weights, recipe)
    images, labels = on_device(train, place)
    shuffling = torch.Generator().manual_seed(seed)
    drawing = torch.Generator(place).manual_seed(seed)
    drawn = Augmentation(**{field.name: getattr(recipe, field.name) for field in dataclasses.fields(Augmentation)})
    average = weights.detach().clone() if recipe.ema else None

    steps = math.ceil(len(images) / recipe.batch)
    with speed.whole_training():
        for epoch in range(1, recipe.epochs + 1):
            network.train()
            amount = drawn if epoch <= recipe.epochs - recipe.clean_epochs else Augmentation()
            seconds, started = 0.0, time.perf_counter()
            if average is not None and epoch > 1:
                swap(weights, average)  # the pass before has put the average into the network
            totals, seen, latest = torch.zeros(2, device=place), 0, []
            order = torch.randperm(len(images), generator=shuffling).to(place)
            for step, (ink, target) in enumerate(batches(images, labels, order, recipe.batch), start=1):
                done = (epoch - 1) * steps + step - 1
                set_learning_rate(optimiser, recipe.learning_rate * schedule(done / (recipe.epochs * steps)))
                with speed.convolutions():
                    with speed.precision():
                        ink = augment(ink, amount, drawing)
                        logits = network(ink.contiguous(memory_format=speed.memory_format)).float()
                    loss = F.cross_entropy(logits, target, label_smoothing=recipe.label_smoothing)
                    if teacher:
                        imitation = imitation_loss(logits, ask(teacher, ink), recipe.teacher_temperature)
                        loss = loss + recipe.teacher_weight * (imitation - loss)
                    gradients.zero_()
                    loss.backward()
                optimiser.step()
                if average is not None:
                    average.lerp_(weights.detach(), 1 - warmed_up(recipe.ema, done))
                    if step == steps:
                        swap(weights, average)
                        renew_statistics(network, images)
                latest.append((loss.detach(), logits.detach(), target))
                if step * REPORTS_AN_EPOCH // steps > (step - 1) * REPORTS_AN_EPOCH // steps:
                    totals, seen, latest = totals + sums(latest), min(step * recipe.batch, len(images)), []
                    mean_loss, accuracy = (totals / seen).tolist()
                    seconds += time.perf_counter() - started
                    if not math.isfinite(mean_loss):
                        raise InkdigitsError(f"the loss became {mean_loss} in epoch {epoch}; a smaller learning_rate would help")
                    yield Progress(epoch, step / steps, mean_loss, accuracy, seen / seconds)
                    started = time.perf_counter()
            seconds += time.perf_counter() - started
            validation_loss, validation_accuracy = measure(network, validation)
            yield Epoch(epoch, mean_loss, accuracy, validation_loss, validation_accuracy, seconds, seen / seconds)


def as_one_vector(network: nn.Module) -> tuple[nn.Parameter, Tensor]:
    """Lay the network's parameters out behind one another in one vector and their gradients in a second; return both.

    The network computes as before. An optimiser's step, for a small network more calls than arithmetic, becomes one operation.
    The gradients add up until they are set to zero; setting them to None would cut the tie.
    """
    parameters = list(network.parameters())
    weights = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
    weights.grad = torch.zeros_like(weights)
    begin = 0
    for parameter in parameters:
        layout = (parameter.shape, parameter.stride(), begin)  # strides too: a convolution's weights may lie channels last
        parameter.data = weights.detach().as_strided(*layout).copy_(parameter.detach())
        parameter.grad = weights.grad.as_strided(*layout)
        begin += parameter.numel()
    return weights, weights.grad


def warmed_up(decay: float, done: int) -> float:
    """The share of the average that a step keeps, after `done` steps: less at first, or the fresh weights would stay in it.

    As TensorFlow's ExponentialMovingAverage does with `num_updates`.
    """
    return min(decay, (1 + done) / (10 + done))


@torch.no_grad()
def swap(first: Tensor, second: Tensor) -> None:
    """Each takes the other's values."""
    kept = first.clone()
    first.copy_(second)
    second.copy_(kept)


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


def ask(teacher: Teacher, ink: Tensor) -> Tensor:
    """What the teacher makes of ink (N, 1, 28, 28) in [0, 1], which it sees rounded to 256 shades: probabilities (N, 10)."""
    seen = (ink[:, 0] * 255).round().clamp(0, 255).byte().cpu().numpy()
    return torch.from_numpy(teacher(seen)).to(ink.device)


def imitation_loss(logits: Tensor, probabilities: Tensor, temperature: float) -> Tensor:
    """Cross-entropy between a teacher's probabilities (N, 10) and a student's logits (N, 10), both softened.

    Source: Hinton, Vinyals & Dean 2015. The factor T^2 keeps the gradients as large as those of the labels.
    """
    softened = torch.softmax(probabilities.clamp_min(LEAST_PROBABILITY).log() / temperature, dim=1)
    return F.cross_entropy(logits / temperature, softened) * temperature**2


def batches(images: Tensor, labels: Tensor, order: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Ink (B, 1, 28, 28) and labels (B,) of `size` digits at a time, the last fewer, in the given order of their numbers."""
    for picks in order.split(size * math.ceil(GATHERED / size)):
        yield from zip(to_ink(images[picks]).split(size), labels[picks].split(size), strict=True)


def sums(steps: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Over steps of (mean loss, logits, labels): the sum of the losses of all digits, and how many were right."""
    losses, logits, labels = zip(*steps, strict=True)
    counts = torch.tensor([len(batch) for batch in labels], device=losses[0].device)
    correct = (torch.cat(logits).argmax(1) == torch.cat(labels)).sum()
    return torch.stack(((torch.stack(losses) * counts).sum(), correct))


def to_ink(images: Tensor) -> Tensor:
    """uint8 (N, 28, 28), paper 0 to ink 255 -> float32 (N, 1, 28, 28), paper 0 to ink 1."""
    return images.unsqueeze(1).float() / 255


def on_device(split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """A split as uint8 images (N, 28, 28) and int64 labels (N,) on the device."""
    return torch.from_numpy(split.images).to(device), torch.from_numpy(split.labels).to(device, torch.int64)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """From the next step on."""
    for group in optimiser.param_groups:
        group["lr"] = rate


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
    return F.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).double().mean().item()


def fit_temperature(network: nn.Module, validation: Split) -> float:
    """The T for which softmax(logits / T) has the least cross-entropy on the validation digits. Source: Guo et al. 2017.

    A search over T from 0.25 to 4 in steps of 1 %: the curve is smooth and has one valley.
    """
    logits, labels = predict_logits(network, validation), torch.from_numpy(validation.labels).long()
    candidates = torch.logspace(-2, 2, 281, base=2.0)
    losses = torch.stack([F.cross_entropy(logits / candidate, labels) for candidate in candidates])
    return round(candidates[losses.argmin()].item(), 4)


@dataclass(frozen=True)
class _Speed:
    """What makes a step fast on one kind of device, without changing what it computes (but for bfloat16's rounding)."""

    memory_format: torch.memory_format
    autocast: str | None = None  # the device type that autocast runs on, None for full precision
    onednn: bool = True
    threads: int | None = None  # None leaves their number as it is

    @contextlib.contextmanager
    def whole_training(self) -> Iterator[None]:
        """Around all steps."""
        _keep_freed_memory()
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads or before)
        # Weights behind paper get no gradient, so Adam's averages of them fade to denormal numbers, slow ones: 15 % of `lenet`.
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_num_threads(before)
            torch.set_flush_denormal(False)

    @contextlib.contextmanager
    def convolutions(self) -> Iterator[None]:
        """Around a network and its gradients."""
        # torch.backends.mkldnn.flags() does the same, and warns of Intel GPUs on machines that have none.
        before = torch._C._get_mkldnn_enabled()
        torch._C._set_mkldnn_enabled(before and self.onednn)
        try:
            yield
        finally:
            torch._C._set_mkldnn_enabled(before)

    def precision(self) -> contextlib.AbstractContextManager[None]:
        """Around a network alone: gradients take the precision of what they are gradients of."""
        return torch.autocast(self.autocast, torch.bfloat16) if self.autocast else contextlib.nullcontext()


def _fastest(recipe: Recipe, device: torch.device) -> _Speed:
    """Measured, not guessed: see SMALL_BATCH. bfloat16 only where the recipe allows it and the processor computes it natively."""
    if device.type == "cpu" and recipe.batch < SMALL_BATCH:
        return _Speed(torch.contiguous_format, onednn=False, threads=1)
    native = {"cpu": torch.cpu._is_avx512_bf16_supported(), "cuda": True, "mps": False}[device.type]
    return _Speed(torch.channels_last, device.type if recipe.reduced_precision and native else None)


def _keep_freed_memory() -> None:
    """Ask glibc to reuse a step's buffers in the next step instead of handing the pages back to the system each time.

    An epoch of `batchnorm` then faults 0.1 million pages in, not 1.25 million, and takes a fifth less time. Elsewhere, nothing.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(-4, 0)  # M_MMAP_MAX: large buffers come from the heap
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: which never shrinks
        libc.mallopt(-2, 2**26)  # M_TOP_PAD: and grows by 64 MiB


_T = TypeVar("_T")


def _lookup(kind: str, name: str, table: Mapping[str, _T]) -> _T:
    if name not in table:
        raise UnknownName(kind, name, table)
    return table[name]
