"""The loop: a recipe and two splits of digits in, a record after every pass out, the network trained in place.

Knows nothing of files, progress bars or test sets; `run.py` puts those around it. The digits lie on the device as uint8, a batch
becomes float when its turn comes, and all that a step asks the device is whether loss and gradient are numbers still.

Same recipe, seed, device, thread count and torch: same bits.
"""

import contextlib
import dataclasses
import itertools
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkdigits.core.errors import BadValue, InkdigitsError, UnknownName
from inkdigits.core.signals import Interrupted, uninterrupted
from inkdigits.data.datasets import Split
from inkdigits.runs.resume import State
from inkdigits.training.augmentation import Augmentation, augment
from inkdigits.training.device import choose_device, fastest
from inkdigits.training.distillation import Teacher, ask, imitation_loss
from inkdigits.training.distributed import ALONE, Group, share_statistics
from inkdigits.training.flat_parameters import as_one_vector, as_vector, by_parameter
from inkdigits.training.models import Dropout, recipe_network
from inkdigits.training.optimisers import OPTIMISERS
from inkdigits.training.predictions import measure, on_device, renew_statistics, to_ink
from inkdigits.training.recipe import Recipe

REPORTS_AN_EPOCH = 25  # how often a progress bar hears of the epoch under way
GATHERED = 1024  # digits that become float at once: 3 MB


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
    teachers: Sequence[Teacher] = (),
) -> Iterator[Progress | Epoch]:
    """Train `network` in place as `recipe` says; yield Progress now and then and an Epoch after every pass.

    train, validation: splits of uint8 digits (N, 28, 28). After each Epoch the network may be saved or the loop left. teachers:
    what the recipe's `teacher` names, loaded; without any the labels alone teach.
    Raises UnknownName for an unknown schedule or optimiser, BadValue for a device that is not there, InkdigitsError where the loss
    or its gradient stops being a number.
    """
    training = Training(network, recipe, train, seed=seed, device=device, teachers=teachers)
    yield from filter(None, training.passes(validation))


class Training:
    """A training under way: the network, and everything else that the next step depends on, which can be saved between two steps.

    epochs: the passes that are whole. step: how many steps of the pass under way are taken. Arguments and errors as for `fit`.
    group: the processes that train together. All are given the same; their weights and random numbers stay the same.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        train: Split,
        *,
        seed: int = 0,
        device: str = "auto",
        teachers: Sequence[Teacher] = (),
        group: Group = ALONE,
    ) -> None:
        self.network, self.recipe, self.teachers, self.group = network, recipe, teachers, group
        self.place = choose_device(device)
        self.schedule = _lookup("schedule", recipe.schedule, SCHEDULES)
        self.speed = fastest(recipe, self.place)
        network.to(self.place, memory_format=self.speed.memory_format)  # type: ignore[call-overload]
        if group.size > 1:
            share_statistics(network, group)
        self.weights, self.gradients = as_one_vector(network)
        self.optimiser = _lookup("optimiser", recipe.optimiser, OPTIMISERS)(
            network, self.weights, recipe
        )
        self.images, self.labels = on_device(train, self.place)
        self.shuffling = torch.Generator().manual_seed(seed)
        self.before_shuffling = self.shuffling.get_state()  # of the pass under way
        self.drawing = torch.Generator(self.place).manual_seed(seed)
        self.drawn = Augmentation(
            **{
                field.name: getattr(recipe, field.name)
                for field in dataclasses.fields(Augmentation)
            }
        )
        self.average = self.weights.detach().clone() if recipe.ema else None
        self.averaged = False  # whether network and `average` have been swapped, as between the last step of a pass and the next

        self.steps = math.ceil(len(self.images) / recipe.batch)  # of a pass
        last = (len(self.images) - 1) % recipe.batch + 1
        if last < group.size:
            other = f"another one, such as batch={recipe.batch + 1}, may do"
            raise BadValue(
                f"the last batch of a pass has {last} digits, too few for {group.size} processes; {other}"
            )
        self.epochs: list[Epoch] = []
        self._begin_pass()
        self.stopped = 0  # the signal that one of several processes has heard
        self.whole = True  # False while something is half done that `uninterrupted` keeps signals from, but not every exception

    def _begin_pass(self) -> None:
        self.step, self.seconds = 0, 0.0
        self.totals = torch.zeros(
            2, device=self.place
        )  # of losses and right answers, and what is not in it yet
        self.latest: list[tuple[Tensor, Tensor, Tensor]] = []

    @property
    def epoch(self) -> int:
        """The pass under way, counted from 1."""
        return len(self.epochs) + 1

    @property
    def done(self) -> int:
        """Steps taken in all passes together."""
        return len(self.epochs) * self.steps + self.step

    def passes(self, validation: Split) -> Iterator[Progress | Epoch | None]:
        """Train on from here. Yields after every step, Progress now and then and else None, and an Epoch after every pass."""
        # A signal to one of several processes must not part it from the others within a step: `_hear_of_others`.
        with (
            self.speed.whole_training(),
            uninterrupted if self.group.size > 1 else contextlib.nullcontext(),
        ):
            while self.epoch <= self.recipe.epochs:
                yield from self._one_pass()
                figures, seconds = self._figures(), self.seconds
                epoch = Epoch(
                    self.epoch,
                    *figures,
                    *measure(self.network, validation),
                    seconds,
                    len(self.images) / seconds,
                )
                with uninterrupted:
                    self.whole = False
                    self.epochs.append(epoch)
                    self.before_shuffling = self.shuffling.get_state()
                    self._begin_pass()
                    self.whole = True
                yield epoch

    def _one_pass(self) -> Iterator[Progress | None]:
        started = time.perf_counter()
        self.network.train()
        if self.averaged:
            self._swap()
        self.shuffling.set_state(self.before_shuffling)
        order = torch.randperm(len(self.images), generator=self.shuffling).to(self.place)
        # What is left of an interrupted pass is cut as the whole was: the same digits, at the same places in memory.
        for ink, target in itertools.islice(
            batches(self.images, self.labels, order, self.recipe.batch), self.step, None
        ):
            with uninterrupted:
                self.whole = False
                self._take_step(ink, target)
                self.step += 1
                last, report = self.step == self.steps, self._is_reported()
                if self.group.size > 1:
                    self._hear_of_others()
                elif report and not last:
                    self.totals, self.latest = self.totals + sums(self.latest), []
                now = time.perf_counter()
                self.seconds, started = self.seconds + now - started, now
                self.whole = True
            if self.stopped:
                raise Interrupted(self.stopped)
            if not last:
                yield self._progress() if report else None
                started = time.perf_counter() if report else started
        if self.average is not None:
            self._swap()
            renew_statistics(self.network, self.images)
        self.seconds += time.perf_counter() - started
        yield self._progress()

    def _take_step(self, ink: Tensor, target: Tensor) -> None:
        """Batch, augment, forward, loss, backward, step. The network never takes a step along what is no number."""
        recipe, speed, left = self.recipe, self.speed, self.recipe.epochs - self.epoch
        amount = self.drawn if left >= recipe.clean_epochs else Augmentation()
        smoothing = recipe.label_smoothing if left >= recipe.unsmoothed_epochs else 0.0
        set_learning_rate(
            self.optimiser,
            recipe.learning_rate * self.schedule(self.done / (recipe.epochs * self.steps)),
        )
        with speed.convolutions():
            with speed.precision():
                ink, target, weight = self._our_share(augment(ink, amount, self.drawing), target)
                logits = self.network(ink.contiguous(memory_format=speed.memory_format)).float()
            loss = F.cross_entropy(logits, target, label_smoothing=smoothing)
            if self.teachers:
                teacher = self.teachers[self.done % len(self.teachers)]
                imitation = imitation_loss(logits, ask(teacher, ink), recipe.teacher_temperature)
                loss = loss + recipe.teacher_weight * (imitation - loss)
            self.gradients.zero_()
            (loss if weight == 1 else loss * weight).backward()
            self.group.sum(self.gradients)
        if not math.isfinite(number := self.gradients.sum().item() + loss.item()):
            where = f"in step {self.step + 1} of epoch {self.epoch}"
            raise InkdigitsError(
                f"the loss or its gradient became {number} {where}; a smaller learning_rate would help"
            )
        self.optimiser.step()
        if self.average is not None:
            self.average.lerp_(self.weights.detach(), 1 - warmed_up(recipe.ema, self.done))
        self.latest.append((loss.detach(), logits.detach(), target))

    def _our_share(self, ink: Tensor, target: Tensor) -> tuple[Tensor, Tensor, float]:
        """The digits of a batch that this process learns from, and what their mean loss counts in the whole batch's."""
        if self.group.size == 1:
            return ink, target, 1.0
        whole, share = len(ink), self.group.share(len(ink))
        for module in self.network.modules():
            if isinstance(module, Dropout):
                module.share, module.batch = share, whole
        return ink[share], target[share], len(target[share]) / whole

    def _hear_of_others(self) -> None:
        """What the whole batch taught, and whether a signal told one of us to stop: then all of us do, after the same step."""
        stop = torch.full((1,), float(uninterrupted.waiting > 0), device=self.place)
        *_, told = news = self.group.sum(torch.cat((sums(self.latest), stop)))
        self.totals, self.latest = self.totals + news[:-1], []
        if told:
            self.stopped = uninterrupted.waiting or signal.SIGTERM

    def _is_reported(self) -> bool:
        return (
            self.step * REPORTS_AN_EPOCH // self.steps
            > (self.step - 1) * REPORTS_AN_EPOCH // self.steps
        )

    def _figures(self) -> tuple[float, float]:
        """Mean loss and accuracy of the pass so far."""
        totals = self.totals + sums(self.latest) if self.latest else self.totals
        mean_loss, accuracy = (totals / self._seen).tolist()
        return mean_loss, accuracy

    @property
    def _seen(self) -> int:
        return min(self.step * self.recipe.batch, len(self.images))

    def _progress(self) -> Progress:
        return Progress(
            self.epoch, self.step / self.steps, *self._figures(), self._seen / self.seconds
        )

    def _swap(self) -> None:
        """The network gets the average, and the weights that move are kept; or the other way round."""
        assert self.average is not None
        with uninterrupted, torch.no_grad():
            self.whole = False
            kept = self.weights.clone()
            self.weights.copy_(self.average)
            self.average.copy_(kept)
            self.averaged = not self.averaged
            self.whole = True

    def state(self) -> State:
        """All that the next step depends on. Raises InkdigitsError where a weight is no number any more."""
        vectors = {
            name: value
            for name, value in self.optimiser.state[self.weights].items()
            if isinstance(value, Tensor)
        }
        vectors |= {} if self.average is None else {"average": self.average}
        tensors = {
            f"vector.{name}": by_parameter(self.network, value) if value.dim() else value
            for name, value in vectors.items()
        }
        tensors |= {f"network.{name}": value for name, value in self.network.state_dict().items()}
        if not all(value.isfinite().all() for value in tensors.values()):
            raise InkdigitsError(
                f"a weight became no number in epoch {self.epoch}; a smaller learning_rate would help"
            )
        tensors |= {f"random.{name}": get() for name, (get, _) in self._randomness().items()} | {
            "totals": self.totals
        }
        if self.latest:
            losses, logits, labels = zip(*self.latest, strict=True)
            tensors |= {
                "losses": torch.stack(losses),
                "logits": torch.cat(logits),
                "labels": torch.cat(labels),
            }
        epochs = [dataclasses.asdict(epoch) for epoch in self.epochs]
        facts = {
            "epochs": epochs,
            "step": self.step,
            "averaged": self.averaged,
            "seconds": self.seconds,
        }
        copies = {
            name: value.detach().clone(memory_format=torch.contiguous_format).cpu()
            for name, value in tensors.items()
        }
        return State(copies, facts)

    def restore(self, state: State) -> None:
        """Become the training whose state this is, of the same recipe, digits and seed: the next steps are the same to the bit."""
        random, tensors = (
            _below("random", state.tensors),
            {name: value.to(self.place) for name, value in state.tensors.items()},
        )
        self.network.load_state_dict(_below("network", tensors))
        vectors = {
            name: as_vector(self.network, value) if value.dim() else value
            for name, value in _below("vector", tensors).items()
        }
        self.average = vectors.pop("average", None)
        self.optimiser.state[self.weights] = vectors
        for name, (_, set_) in self._randomness().items():
            if name in random:  # on another device it is not, and what is drawn begins anew
                set_(random[name])
        self.totals = tensors["totals"]
        if "losses" in tensors:
            logits, labels = (
                tensors[name].split(self.recipe.batch) for name in ("logits", "labels")
            )
            self.latest = list(zip(tensors["losses"].unbind(), logits, labels, strict=True))
            if self.group.size > 1:  # who keep none of their own
                self.totals, self.latest = self.totals + sums(self.latest), []
        self.epochs = [Epoch(**epoch) for epoch in state.facts["epochs"]]
        self.step, self.averaged, self.seconds = (
            state.facts[name] for name in ("step", "averaged", "seconds")
        )

    def _randomness(self) -> dict[str, tuple[Callable[[], Tensor], Callable[[Tensor], object]]]:
        """Every generator that a step draws from, by name: how its state is had and set. Dropout draws from torch's own."""
        kind = self.place.type
        shuffling = (
            lambda: self.before_shuffling,
            lambda state: setattr(self, "before_shuffling", state),
        )
        generators = {
            "shuffling": shuffling,
            f"drawing.{kind}": (self.drawing.get_state, self.drawing.set_state),
        }
        torchs_own = {"cpu": torch.random, "cuda": torch.cuda, "mps": torch.mps}[kind]
        return generators | {kind: (torchs_own.get_rng_state, torchs_own.set_rng_state)}


def warmed_up(decay: float, done: int) -> float:
    """The share of the average that a step keeps, after `done` steps: less at first, or the fresh weights would stay in it.

    As TensorFlow's ExponentialMovingAverage does with `num_updates`.
    """
    return min(decay, (1 + done) / (10 + done))


def batches(
    images: Tensor, labels: Tensor, order: Tensor, size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Ink (B, 1, 28, 28) and labels (B,) of `size` digits at a time, the last fewer, in the given order of their numbers."""
    for picks in order.split(size * math.ceil(GATHERED / size)):
        yield from zip(to_ink(images[picks]).split(size), labels[picks].split(size), strict=True)


def sums(steps: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Over steps of (mean loss, logits, labels): the sum of the losses of all digits, and how many were right."""
    losses, logits, labels = zip(*steps, strict=True)
    counts = torch.tensor([len(batch) for batch in labels], device=losses[0].device)
    correct = (torch.cat(logits).argmax(1) == torch.cat(labels)).sum()
    return torch.stack(((torch.stack(losses) * counts).sum(), correct))


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """From the next step on."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def _below(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin with the kind and a dot, without these."""
    return {
        name.removeprefix(f"{kind}."): value
        for name, value in tensors.items()
        if name.startswith(f"{kind}.")
    }


_T = TypeVar("_T")


def _lookup(kind: str, name: str, table: Mapping[str, _T]) -> _T:
    if name not in table:
        raise UnknownName(kind, name, table)
    return table[name]
