"""The training loop.

A network, a recipe and two splits of digits come in; the network is trained in place, and records
go out: `TrainingProgress` now and then, an `Epoch` after every pass over the training digits.
`Training.passes` is the loop itself. Files and the test split are handled in `runs/`, progress bars
in `command/`.

All digits are on the device as uint8; a batch is converted to float when its turn comes. The same
recipe, seed, device, number of threads and version of torch give the same bits.
"""

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkdigits.core.errors import InkdigitsError, look_up
from inkdigits.core.signals import uninterrupted
from inkdigits.data.splits import Split
from inkdigits.training.augmentation import Augmentation, augment
from inkdigits.training.averaging import RunningAverage
from inkdigits.training.device import DEVICES, choose_device, fastest
from inkdigits.training.distillation import Teacher, ask, distillation_loss
from inkdigits.training.figures import LATEST_STEPS, Epoch, PassFigures, TrainingProgress
from inkdigits.training.flat_parameters import as_one_vector, as_vector, by_parameter
from inkdigits.training.models import recipe_network
from inkdigits.training.optimisers import OPTIMISERS
from inkdigits.training.predictions import measure, on_device, renew_statistics, to_ink
from inkdigits.training.recipe import Recipe
from inkdigits.training.schedules import SCHEDULES
from inkdigits.training.state import (
    TrainingState,
    fact,
    global_random_state,
    named,
    on_cpu,
    records,
    refuse_other_tensors,
    select,
    set_global_random_state,
)

DIGITS_GATHERED = 1024  # converted to float at once: 3 MB


def seeded_network(recipe: Recipe, seed: int) -> nn.Module:
    """Build the recipe's network with the fresh weights that a seed gives.

    This sets torch's global seed, from which dropout draws too.
    """
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
) -> Iterator[TrainingProgress | Epoch]:
    """Train a network in place as a recipe says.

    Args:
        network: it is moved to the device. After each `Epoch` it may be saved, and the iteration
            may be stopped.
        recipe: how to train it.
        train: uint8 digits (N, 28, 28) and labels (N,) to learn from.
        validation: digits to measure the network on after every pass; nothing depends on them.
        seed: of the order of the digits and of the augmentation.
        device: auto, cpu, cuda or mps.
        teachers: the loaded models that the recipe's `teacher` names; without any, the network
            learns from the labels only.

    Yields:
        Progress about 25 times a pass, and an `Epoch` after every pass.

    Raises:
        UnknownName: the recipe names a schedule or optimiser that does not exist.
        BadValue: this machine has no such device.
        InkdigitsError: the loss or its gradient is not finite.
    """
    training = Training(network, recipe, train, seed=seed, device=device, teachers=teachers)
    yield from filter(None, training.passes(validation))


class Training:
    """A training under way, which can be saved between any two steps.

    Arguments and errors are those of `fit`.

    Attributes:
        epochs: the records of the finished passes.
        figures: of the pass under way.
        can_be_saved: False while a step is half done. Signals wait until it is over; after another
            exception within a step it stays False.
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
    ) -> None:
        self.network = network
        self.recipe = recipe
        self.teachers = teachers
        self.device = choose_device(device)
        self.speed = fastest(recipe, self.device)
        self.schedule = look_up("schedule", recipe.schedule, SCHEDULES)
        make_optimiser = look_up("optimiser", recipe.optimiser, OPTIMISERS)

        memory_format = self.speed.memory_format
        network.to(self.device, memory_format=memory_format)  # type: ignore[call-overload]
        self.weights, self.gradients = as_one_vector(network)
        self.optimiser = make_optimiser(self.weights, recipe)
        self.average = RunningAverage(self.weights, recipe.ema) if recipe.ema else None

        self.images, self.labels = on_device(train, self.device)
        self.shuffling = torch.Generator().manual_seed(seed)
        self.before_shuffling = self.shuffling.get_state()  # of the pass under way
        self.drawing = torch.Generator(self.device).manual_seed(seed)  # draws the augmentation

        self.epochs: list[Epoch] = []
        self.figures = self._new_figures()
        self.can_be_saved = True

    @property
    def epoch(self) -> int:
        """The pass under way, counted from 1."""
        return len(self.epochs) + 1

    @property
    def step(self) -> int:
        """Steps taken in the pass under way."""
        return self.figures.step

    @property
    def steps_done(self) -> int:
        """Steps taken in all passes together."""
        return len(self.epochs) * self.figures.steps + self.step

    def passes(self, validation: Split) -> Iterator[TrainingProgress | Epoch | None]:
        """Train from the current step to the end.

        Args:
            validation: digits to measure the network on after every pass.

        Yields:
            After every step, either `TrainingProgress` or, mostly, None; after every pass, an
            `Epoch`.
        """
        recipe = self.recipe
        network = self.network
        speed = self.speed

        with speed.whole_training():
            while self.epoch <= recipe.epochs:
                self._begin_pass()
                augmentation = self._augmentation()
                smoothing = self._label_smoothing()

                for images, labels in self._remaining_batches():
                    with self._indivisible(), speed.convolutions():
                        self._schedule_learning_rate()

                        with speed.precision():
                            seen = augment(images, augmentation, self.drawing)
                            seen = seen.contiguous(memory_format=speed.memory_format)
                            logits = network(seen).float()

                        loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
                        if self.teachers:
                            opinion = ask(self._teacher(), seen)
                            imitation = distillation_loss(
                                logits, opinion, recipe.teacher_temperature
                            )
                            loss = loss + recipe.teacher_weight * (imitation - loss)

                        self.gradients.zero_()
                        loss.backward()
                        self._refuse_unless_finite(loss)
                        self.optimiser.step()
                        if self.average:
                            self.average.update(self.steps_done)

                        progress = self.figures.add(loss, logits, labels)

                    yield progress
                    self.figures.start_clock()

                yield self._finish_pass(validation)

    def _begin_pass(self) -> None:
        """Start the clock, and put back the weights that are trained in place of their average."""
        self.figures.start_clock()
        self.network.train()
        if self.average and self.average.in_network:
            with self._indivisible():
                self.average.swap()

    def _remaining_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Return the batches that the pass under way has not seen."""
        self.shuffling.set_state(self.before_shuffling)
        order = torch.randperm(len(self.images), generator=self.shuffling).to(self.device)
        every_batch = batches(self.images, self.labels, order, self.recipe.batch)

        # When resuming mid-epoch, skip batches rather than re-slice, so that batches and memory
        # layout are identical.
        return itertools.islice(every_batch, self.step, None)

    def _finish_pass(self, validation: Split) -> Epoch:
        """Put the average into the network, measure it, and get ready for the next pass."""
        if self.average:
            with self._indivisible():
                self.average.swap()
            renew_statistics(self.network, self.images)

        self.figures.stop_clock()
        epoch = self.figures.finish(*measure(self.network, validation))

        with self._indivisible():
            self.epochs.append(epoch)
            self.figures = self._new_figures()
            self.before_shuffling = self.shuffling.get_state()

        return epoch

    @contextlib.contextmanager
    def _indivisible(self) -> Iterator[None]:
        """Delay signals until the end of the block, and note if an exception interrupts it."""
        with uninterrupted:
            self.can_be_saved = False
            yield
            self.can_be_saved = True

    def _new_figures(self) -> PassFigures:
        return PassFigures(self.epoch, len(self.images), self.recipe.batch, self.device)

    def _augmentation(self) -> Augmentation:
        """Return the augmentation of the pass under way; the last passes may have none."""
        passes_left = self.recipe.epochs - self.epoch
        if passes_left < self.recipe.clean_epochs:
            return Augmentation()

        fields = dataclasses.fields(Augmentation)
        return Augmentation(**{field.name: getattr(self.recipe, field.name) for field in fields})

    def _label_smoothing(self) -> float:
        """Return the label smoothing of the pass under way; the last passes may have none."""
        passes_left = self.recipe.epochs - self.epoch
        if passes_left < self.recipe.unsmoothed_epochs:
            return 0.0

        return self.recipe.label_smoothing

    def _schedule_learning_rate(self) -> None:
        """Set the learning rate of the next step."""
        fraction_done = self.steps_done / (self.recipe.epochs * self.figures.steps)
        rate = self.recipe.learning_rate * self.schedule(fraction_done)
        self.optimiser.learning_rate = rate

    def _teacher(self) -> Teacher:
        """Return the teacher whose turn it is."""
        return self.teachers[self.steps_done % len(self.teachers)]

    def _refuse_unless_finite(self, loss: Tensor) -> None:
        """Raise InkdigitsError where the loss or a gradient is infinite or not a number."""
        number = self.gradients.sum().item() + loss.item()
        if not math.isfinite(number):
            raise InkdigitsError(
                f"the loss or its gradient became {number} in step {self.step + 1} of epoch "
                f"{self.epoch}; a smaller learning_rate may help"
            )

    def state(self) -> TrainingState:
        """Copy everything that the next step depends on.

        Raises:
            InkdigitsError: a weight is infinite or not a number.
        """
        tensors = named("network", self.network.state_dict())
        for name, value in self._vectors().items():
            in_order = by_parameter(self.network, value) if value.dim() else value
            tensors[f"vector.{name}"] = in_order

        if not all(value.isfinite().all() for value in tensors.values()):
            raise InkdigitsError(
                f"a weight became infinite or not a number in epoch {self.epoch}; "
                "a smaller learning_rate may help"
            )

        tensors |= named("random", self._random_states())
        tensors |= self.figures.tensors()
        facts = {
            "epochs": [dataclasses.asdict(epoch) for epoch in self.epochs],
            "step": self.step,
            "averaged": self.average is not None and self.average.in_network,
            "seconds": self.figures.seconds,
        }
        return TrainingState(on_cpu(tensors), facts)

    def restore(self, state: TrainingState) -> None:
        """Restore a saved state; the next steps are the same to the bit.

        Args:
            state: of a training of the same recipe, digits and seed.

        Raises:
            ValueError: it is none of such a training.
        """
        self._refuse_other_state(state)
        tensors = {name: value.to(self.device) for name, value in state.tensors.items()}
        self.network.load_state_dict(select("network", tensors))

        vectors = select("vector", tensors)
        for name, value in vectors.items():
            vectors[name] = as_vector(self.network, value) if value.dim() else value
        if self.average:
            self.average.values = vectors.pop("average")
            self.average.in_network = state.facts["averaged"]
        self.optimiser.memory = vectors

        self._restore_random_states(select("random", state.tensors))
        self.epochs = records(Epoch, state.facts, "epochs")
        self.figures = self._new_figures()
        self.figures.restore(tensors, state.facts["step"], state.facts["seconds"])

    def _refuse_other_state(self, state: TrainingState) -> None:
        """Raise ValueError unless a fresh training like this one could go on from a state."""
        memory = self.optimiser.new_memory()
        # A state of another device lacks the generators of this one, and has its own.
        others = {f"random.{which}{kind}" for which in ("", "drawing.") for kind in DEVICES[1:]}
        generators = dict.fromkeys(others, torch.empty(0, dtype=torch.uint8))
        optional = {**named("random", generators), **LATEST_STEPS}
        refuse_other_tensors(state.tensors, self.state().tensors, named("vector", memory), optional)

        fact(state.facts, "step", int, self.figures.steps)
        fact(state.facts, "averaged", bool)
        fact(state.facts, "seconds", float)
        epochs = fact(state.facts, "epochs", list)
        if len(epochs) > self.recipe.epochs:
            raise ValueError(f"it has {len(epochs):,} epochs of {self.recipe.epochs:,}")

    def _vectors(self) -> dict[str, Tensor]:
        """Return what the optimiser and the average remember of earlier steps."""
        vectors = dict(self.optimiser.memory)
        if self.average:
            vectors["average"] = self.average.values

        return vectors

    def _random_states(self) -> dict[str, Tensor]:
        """Return the states of all generators that a step draws from."""
        kind = self.device.type
        return {
            "shuffling": self.before_shuffling,
            f"drawing.{kind}": self.drawing.get_state(),
            kind: global_random_state(self.device),
        }

    def _restore_random_states(self, states: Mapping[str, Tensor]) -> None:
        """Set all generators, except those that `states` lacks, as it is of another device."""
        kind = self.device.type
        self.before_shuffling = states["shuffling"]
        if f"drawing.{kind}" in states:
            self.drawing.set_state(states[f"drawing.{kind}"])
        if kind in states:
            set_global_random_state(self.device, states[kind])


def batches(
    images: Tensor, labels: Tensor, order: Tensor, size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut digits into batches.

    Args:
        images: (N, 28, 28) uint8.
        labels: (N,) int64.
        order: (N,) int64, indices of the digits in the order in which to take them.
        size: B, the digits in a batch.

    Yields:
        Ink (B, 1, 28, 28) float32, paper 0 to ink 1, and labels (B,); the last batch may be
        smaller.
    """
    batches_gathered = math.ceil(DIGITS_GATHERED / size)
    for picks in order.split(size * batches_gathered):
        ink = to_ink(images[picks])
        yield from zip(ink.split(size), labels[picks].split(size), strict=True)
