"""The loop does what a textbook's does, tells truly what it did, and does it again bit for bit."""

import dataclasses
import itertools
import math
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from few_digits import TRAINED, few_digits
from scipy import optimize, special
from sklearn import metrics
from small_runs import bits
from torch import Tensor, nn

from inkdigits.core.errors import BadValue, InkdigitsError, UnknownName
from inkdigits.data.splits import Split
from inkdigits.training.device import choose_device
from inkdigits.training.distillation import distillation_loss
from inkdigits.training.figures import Epoch, TrainingProgress
from inkdigits.training.loop import fit, seeded_network
from inkdigits.training.models import Standardised
from inkdigits.training.optimisers import OPTIMISERS, Adam
from inkdigits.training.predictions import (
    fit_temperature,
    measure,
    predict_logits,
    renew_statistics,
    to_ink,
)
from inkdigits.training.recipe import Recipe, load_recipe
from inkdigits.training.schedules import SCHEDULES

pytestmark = pytest.mark.slow  # networks are trained

STILL = 1e-30  # a learning rate that leaves the weights as they are
SMALL = Recipe(name="small", network="lenet", epochs=2, batch=10)


@pytest.fixture
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in float32 on every processor."""
    monkeypatch.setattr("inkdigits.training.device.computes_bfloat16", lambda device: False)


def trained(
    recipe: Recipe, train: Split, validation: Split, seed: int = 0
) -> tuple[Standardised, list[Epoch]]:
    network = seeded_network(recipe, seed)
    records = list(fit(network, recipe, train, validation, seed=seed, device="cpu"))
    return network, [record for record in records if isinstance(record, Epoch)]


def watch(network: nn.Module) -> list[tuple[bool, Tensor]]:
    """A list that fills with what the network sees: whether it is training, and the ink."""
    seen: list[tuple[bool, Tensor]] = []
    network.register_forward_pre_hook(
        lambda module, given: seen.append((module.training, given[0].clone()))
    )
    return seen


def indexes(ink: Tensor, split: Split) -> list[int]:
    """Which digits of the split these are. All digits of the split must be different."""
    known = {image.tobytes(): index for index, image in enumerate(split.images)}
    assert len(known) == len(split)
    return [
        known[image.tobytes()] for image in (ink * 255).round().byte()[:, 0].contiguous().numpy()
    ]


# ---- what the loop yields


@pytest.mark.parametrize(("count", "batch"), [(100, 10), (7, 3), (5, 10), (1, 1), (1000, 10)])
def test_progress_rises_to_a_whole_pass_and_an_epoch_follows(count: int, batch: int) -> None:
    recipe = dataclasses.replace(SMALL, batch=batch)
    records = list(
        fit(seeded_network(recipe, 0), recipe, few_digits(count), few_digits(5), device="cpu")
    )
    for epoch in (1, 2):
        own = [record for record in records if record.epoch == epoch]
        progress, last = own[:-1], own[-1]
        assert isinstance(last, Epoch)
        assert all(isinstance(record, TrainingProgress) for record in progress)
        fractions = [record.fraction for record in progress]
        assert fractions == sorted(set(fractions))
        assert fractions[0] > 0
        assert fractions[-1] == 1
        assert len(progress) == min(25, math.ceil(count / batch)), (
            "a progress bar hears of it 25 times"
        )
        assert (last.train_loss, last.train_accuracy) == (
            progress[-1].train_loss,
            progress[-1].train_accuracy,
        )
    assert [record.epoch for record in records] == sorted(record.epoch for record in records)


def test_an_epoch_has_the_fields_of_the_contract() -> None:
    assert [field.name for field in dataclasses.fields(Epoch)] == [
        "epoch",
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "seconds",
        "images_per_second",
    ]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("batch", [10, 48])
def test_losses_and_accuracies_are_those_of_the_network(
    smoothing: float, batch: int, full_precision: None
) -> None:
    recipe = dataclasses.replace(SMALL, batch=batch, label_smoothing=smoothing)
    train, validation = (
        few_digits(101),
        few_digits(60, "test"),
    )  # 101: the last batch is smaller than the others
    network, _ = trained(recipe, train, validation)
    still = dataclasses.replace(recipe, learning_rate=STILL)
    epoch = next(
        record
        for record in fit(network, still, train, validation, device="cpu")
        if isinstance(record, Epoch)
    )

    with torch.no_grad():
        logits = network.eval()(to_ink(torch.from_numpy(train.images))).double().numpy()
    log_likelihoods = special.log_softmax(logits, axis=1)
    targets = np.eye(10)[train.labels] * (1 - smoothing) + smoothing / 10
    assert epoch.train_loss == pytest.approx(-(targets * log_likelihoods).sum(1).mean(), rel=1e-4)
    assert epoch.train_accuracy == pytest.approx((logits.argmax(1) == train.labels).mean())
    assert 0.1 < epoch.train_accuracy < 1, "a figure that could be right by accident proves nothing"
    loss, accuracy = measure(network, validation)
    assert (epoch.validation_loss, epoch.validation_accuracy) == (loss, accuracy)


def test_measure_agrees_with_scikit_learn() -> None:
    network, _ = trained(SMALL, few_digits(300), few_digits(10))
    test = few_digits(150, "test")
    probabilities = special.softmax(predict_logits(network, test).double().numpy(), axis=1)
    loss, accuracy = measure(network, test)
    assert loss == pytest.approx(
        metrics.log_loss(test.labels, probabilities, labels=range(10)), rel=1e-5
    )
    assert accuracy == pytest.approx(metrics.accuracy_score(test.labels, probabilities.argmax(1)))
    assert 0.2 < accuracy < 1


def test_seconds_are_the_pass_alone_not_the_validation_nor_what_the_caller_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = itertools.count()
    spent = [0]
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(now) + spent[0]))
    network = seeded_network(SMALL, 0)

    def validating(module: nn.Module, _: object) -> None:
        spent[0] += 0 if module.training else 10_000

    network.register_forward_pre_hook(validating)
    for record in fit(network, SMALL, few_digits(100), few_digits(10), device="cpu"):
        spent[0] += 10_000
        assert record.images_per_second > 0
        if isinstance(record, Epoch):
            assert 0 < record.seconds < 10_000
            assert record.images_per_second == pytest.approx(100 / record.seconds)
    assert spent[0] > 200_000, "both the validation and the caller took their time"


# ---- what the loop does


def test_a_pass_sees_every_digit_once_in_an_order_of_its_own() -> None:
    network, train = (
        seeded_network(SMALL, 0).eval(),
        few_digits(95),
    )  # training sets the mode that it needs
    seen = watch(network)
    for _ in fit(network, SMALL, train, few_digits(20, "test"), device="cpu"):
        pass
    batches = [ink for training, ink in seen if training]
    assert [len(ink) for ink in batches] == [*[10] * 9, 5] * 2
    first, second = indexes(torch.cat(batches[:10]), train), indexes(torch.cat(batches[10:]), train)
    assert sorted(first) == sorted(second) == list(range(95))
    assert len({tuple(first), tuple(second), tuple(range(95))}) == 3


TEXTBOOK = {
    "adam": lambda weights: torch.optim.Adam(weights, lr=0.002, weight_decay=0.3),
    "adamw": lambda weights: torch.optim.AdamW(weights, lr=0.002, weight_decay=0.3),
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.002, weight_decay=0.3, momentum=0.8),
}


@pytest.mark.parametrize("name", TEXTBOOK)
@pytest.mark.parametrize("batch", [10, 40])
def test_the_weights_end_where_a_textbook_s_loop_takes_them(
    name: str, batch: int, full_precision: None
) -> None:
    recipe = Recipe(
        name="textbook",
        network="lenet",
        epochs=2,
        batch=batch,
        optimiser=name,
        learning_rate=0.002,
        weight_decay=0.3,
        momentum=0.8,
        schedule="cosine",
        label_smoothing=0.1,
    )
    train = few_digits(100)
    ours, theirs, start = (
        seeded_network(recipe, 0),
        seeded_network(recipe, 0),
        seeded_network(recipe, 0),
    )
    seen = watch(ours)
    for _ in fit(ours, recipe, train, few_digits(4), device="cpu"):
        pass

    optimiser = TEXTBOOK[name](theirs.parameters())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimiser, T_max=2 * math.ceil(100 / batch)
    )
    for ink in (ink for training, ink in seen if training):
        labels = torch.from_numpy(train.labels[indexes(ink, train)]).long()
        loss = F.cross_entropy(theirs(ink), labels, label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()

    for mine, textbook, before in zip(
        ours.parameters(), theirs.parameters(), start.parameters(), strict=True
    ):
        distance = (textbook - before).abs().max().item()
        assert distance > 0
        assert (mine - textbook).abs().max().item() < 0.02 * distance


def test_a_training_does_not_wait_for_torch_s_compiler() -> None:
    program = (
        "import sys, numpy as np\n"
        "from inkdigits.data.splits import Split\n"
        "from inkdigits.training.loop import fit, seeded_network\n"
        "from inkdigits.training.recipe import load_recipe\n"
        "digits = Split(np.zeros((8, 28, 28), np.uint8), np.arange(8, dtype=np.uint8))\n"
        "for name in ('fast-99.0', 'sgd', 'residual'):\n"
        "    recipe = load_recipe(name, {'epochs': 1})\n"
        "    list(fit(seeded_network(recipe, 0), recipe, digits, digits, device='cpu'))\n"
        "assert not {'torch._dynamo', 'sympy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_step_has_the_learning_rate_of_its_schedule(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = dataclasses.replace(SMALL, schedule=name, learning_rate=0.004, epochs=3)
    rates: list[float] = []

    class Watched(Adam):
        def step(self) -> None:
            rates.append(self.learning_rate)
            super().step()

    monkeypatch.setitem(OPTIMISERS, recipe.optimiser, Watched)
    trained(recipe, few_digits(40), few_digits(4))
    assert rates == pytest.approx([0.004 * SCHEDULES[name](step / 12) for step in range(12)])


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("constant", [(0, 1), (0.5, 1), (1, 1)]),
        ("cosine", [(0, 1), (0.25, (1 + math.sqrt(0.5)) / 2), (0.5, 0.5), (1, 0)]),
        ("one-cycle", [(0, 0), (0.1, 0.5), (0.2, 1), (0.6, 0.5), (1, 0)]),
        ("step", [(0, 1), (0.49, 1), (0.5, 0.1), (0.74, 0.1), (0.75, 0.01), (1, 0.01)]),
    ],
)
def test_a_schedule_goes_through_its_points(name: str, points: list[tuple[float, float]]) -> None:
    assert [SCHEDULES[name](progress) for progress, _ in points] == pytest.approx(
        [factor for _, factor in points]
    )


def test_the_schedules_are_the_ones_with_points_above() -> None:
    assert list(SCHEDULES) == ["constant", "cosine", "one-cycle", "step"]
    assert all(
        0 <= schedule(step / 100) <= 1 for schedule in SCHEDULES.values() for step in range(101)
    )


def test_augmentation_changes_what_is_learned_from_and_nothing_that_is_measured() -> None:
    recipe = dataclasses.replace(
        SMALL, rotation=20.0, shear=5.0, zoom=0.1, shift=2.0, elastic=1.0, erasing=5.0
    )
    network, train, validation = seeded_network(recipe, 0), few_digits(30), few_digits(30, "test")
    seen = watch(network)
    for _ in fit(network, recipe, train, validation, device="cpu"):
        pass
    originals = to_ink(torch.from_numpy(train.images))
    for ink in (ink for training, ink in seen if training):
        assert all((originals - digit).abs().amax((1, 2, 3)).min() > 0.1 for digit in ink)
    measured = [ink for training, ink in seen if not training]
    assert len(measured) == 2
    assert all(torch.equal(ink, to_ink(torch.from_numpy(validation.images))) for ink in measured)


def test_the_last_clean_epochs_see_the_digits_as_they_are() -> None:
    recipe = dataclasses.replace(SMALL, epochs=4, rotation=20.0, shift=2.0, clean_epochs=2)
    network, train = seeded_network(recipe, 0), few_digits(30)
    seen = watch(network)
    for _ in fit(network, recipe, train, few_digits(4, "test"), device="cpu"):
        pass
    originals = to_ink(torch.from_numpy(train.images))
    learned = [ink for training, ink in seen if training]
    changed = [
        all(bool((originals - digit).abs().amax((1, 2, 3)).min() > 0.1) for digit in ink)
        for ink in learned
    ]
    assert changed == [True] * 6 + [False] * 6
    assert sorted(indexes(torch.cat(learned[-3:]), train)) == list(range(30))


def test_more_clean_epochs_than_epochs_leave_no_augmentation() -> None:
    without, all_clean = (
        trained(dataclasses.replace(SMALL, **changes), few_digits(40), few_digits(4))[0]
        for changes in ({}, {"rotation": 20.0, "clean_epochs": 9})
    )
    assert bits(without) == bits(all_clean)


def test_the_last_unsmoothed_epochs_take_the_labels_as_they_are() -> None:
    """The losses are as if never smoothed from there on, and as if always smoothed until there."""

    def losses(**changes: float) -> list[float]:
        recipe = dataclasses.replace(
            SMALL, epochs=4, optimiser="sgd", learning_rate=STILL, **changes
        )
        return [epoch.train_loss for epoch in trained(recipe, few_digits(40), few_digits(4))[1]]

    never, always, until_the_end = (
        losses(),
        losses(label_smoothing=0.3),
        losses(label_smoothing=0.3, unsmoothed_epochs=1),
    )
    assert until_the_end == [*always[:3], never[3]]
    assert abs(always[3] - never[3]) > 1e-4


# ---- averaged weights


def flat(network: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()]).clone()


def test_the_kept_weights_are_the_average_over_the_steps(full_precision: None) -> None:
    """Compare with the definition, from the weights that each step began with."""
    recipe = dataclasses.replace(SMALL, network="batchnorm", ema=0.8, epochs=3)
    train, network = few_digits(100), seeded_network(recipe, 0)
    begins: list[Tensor] = []
    hook = network.register_forward_pre_hook(
        lambda module, _: begins.append(flat(module)) if module.training else None
    )
    records = fit(network, recipe, train, few_digits(10, "test"), device="cpu")
    kept = [flat(network) for record in records if isinstance(record, Epoch)]
    hook.remove()
    plain = dataclasses.replace(
        recipe, ema=0.0
    )  # the weights move as they do without an average; these are the last ones
    ends = [*begins[1:], flat(trained(plain, train, few_digits(10, "test"))[0])]
    average, expected = begins[0].double(), []
    for step, weights in enumerate(ends):
        decay = min(0.8, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * weights.double()
        if step % 10 == 9:
            expected.append(average)
    for ours, theirs in zip(kept, expected, strict=True):
        assert torch.allclose(ours.double(), theirs, atol=1e-5)
        assert not torch.allclose(ours, ends[-1], atol=1e-3), (
            "an average that is the last weights would prove nothing"
        )


@pytest.mark.slow
def test_what_is_measured_and_kept_after_a_pass_is_the_average() -> None:
    recipe, train, validation = (
        load_recipe("batchnorm", {"ema": 0.9, "epochs": 3, "batch": 40}),
        few_digits(200),
        few_digits(60, "test"),
    )
    network = seeded_network(recipe, 0)
    for record in fit(network, recipe, train, validation, device="cpu"):
        if isinstance(record, Epoch):
            assert measure(network, validation) == (
                record.validation_loss,
                record.validation_accuracy,
            )
    one_pass_less = seeded_network(recipe, 0)
    for record in fit(one_pass_less, recipe, train, validation, device="cpu"):
        if isinstance(record, Epoch) and record.epoch == 2:
            break
    assert not torch.equal(flat(network), flat(one_pass_less))


@pytest.mark.slow
@pytest.mark.parametrize("count", [50, 1100])  # one batch of the evaluation, and several
def test_renewed_statistics_are_those_of_the_digits(count: int) -> None:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(
        np.concatenate([few_digits(50).images, rng.integers(0, 256, (count, 28, 28), np.uint8)])[
            :count
        ]
    )
    network = seeded_network(load_recipe("batchnorm"), 0).train()
    momenta = [
        module.momentum for module in network.modules() if isinstance(module, nn.BatchNorm2d)
    ]
    renew_statistics(network, images)
    with torch.no_grad():
        values = network.network.conv1(to_ink(images))
    norm = network.network.norm1
    assert torch.allclose(norm.running_mean, values.mean((0, 2, 3)), atol=1e-4)
    if count == 50:
        assert torch.allclose(norm.running_var, values.var((0, 2, 3)), rtol=1e-3)
        # The second layer is behind a first one that uses the statistics of the same batch, without
        # dropout.
        with torch.no_grad():
            hidden = F.max_pool2d(
                F.relu(F.batch_norm(values, None, None, norm.weight, norm.bias, training=True)), 2
            )
            assert torch.allclose(
                network.network.norm2.running_mean,
                network.network.conv2(hidden).mean((0, 2, 3)),
                atol=1e-3,
            )
    assert not network.training
    assert [
        module.momentum for module in network.modules() if isinstance(module, nn.BatchNorm2d)
    ] == momenta


def test_renewing_statistics_looks_at_so_many_digits_and_draws_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("inkdigits.training.predictions.STATISTICS_DIGITS", 100)
    images = torch.zeros(201, 28, 28, dtype=torch.uint8)
    network = seeded_network(load_recipe("batchnorm"), 0)
    seen = watch(network)
    torch.manual_seed(7)
    renew_statistics(network, images)
    assert 50 < sum(len(ink) for _, ink in seen) <= 100
    drawn = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(drawn, torch.rand(3))


# ---- a teacher


def unsure(images: np.ndarray) -> np.ndarray:
    """A teacher whose opinion follows from the pixels in some way."""
    return special.softmax(
        images.reshape(len(images), -1)[:, 300:310].astype(np.float64) / 50, axis=1
    ).astype(np.float32)


def test_a_teacher_sees_the_changed_digits_that_the_student_sees(full_precision: None) -> None:
    recipe = dataclasses.replace(SMALL, rotation=20.0, erasing=6.0, epochs=1)
    network, asked = seeded_network(recipe, 0), []
    seen = watch(network)

    def teacher(images: np.ndarray) -> np.ndarray:
        asked.append(images)
        return unsure(images)

    for _ in fit(
        network, recipe, few_digits(30), few_digits(4, "test"), device="cpu", teachers=[teacher]
    ):
        pass
    learned = [ink for training, ink in seen if training]
    assert [len(images) for images in asked] == [10, 10, 10]
    for images, ink in zip(asked, learned, strict=True):
        assert (images.dtype, images.shape) == (np.uint8, (10, 28, 28))
        assert np.abs(images / 255 - ink[:, 0].numpy()).max() <= 0.5 / 255 + 1e-6


def test_of_several_teachers_one_in_turn_answers_a_batch() -> None:
    recipe, asked = dataclasses.replace(SMALL, epochs=2), []

    def teacher(name: str) -> Callable[[np.ndarray], np.ndarray]:
        return lambda images: asked.append(name) or unsure(images)

    teachers = [teacher("a"), teacher("b"), teacher("c")]
    for _ in fit(
        seeded_network(recipe, 0),
        recipe,
        few_digits(40),
        few_digits(4),
        device="cpu",
        teachers=teachers,
    ):
        pass
    assert "".join(asked) == "abcabcab"  # four batches of ten a pass


@pytest.mark.parametrize(
    ("weight", "temperature"), [(0.0, 1.0), (0.3, 1.0), (0.7, 4.0), (1.0, 2.0)]
)
def test_the_loss_with_a_teacher_is_the_one_of_its_definition(
    weight: float, temperature: float, full_precision: None
) -> None:
    given = {"teacher_weight": weight, "teacher_temperature": temperature, "label_smoothing": 0.1}
    recipe = dataclasses.replace(SMALL, epochs=1, learning_rate=STILL, **given)
    network, train = trained(SMALL, few_digits(200), few_digits(4))[0], few_digits(100)
    epoch = next(
        record
        for record in fit(network, recipe, train, few_digits(4), device="cpu", teachers=[unsure])
        if isinstance(record, Epoch)
    )
    logits = predict_logits(network, train).double().numpy()
    targets = np.eye(10)[train.labels] * 0.9 + 0.01
    of_labels = -(targets * special.log_softmax(logits, axis=1)).sum(1).mean()
    soft = unsure(train.images).astype(np.float64) ** (1 / temperature)
    soft /= soft.sum(1, keepdims=True)
    apart = np.log(soft) - special.log_softmax(logits / temperature, axis=1)
    of_teacher = (soft * apart).sum(1).mean() * temperature**2
    assert epoch.train_loss == pytest.approx(
        (1 - weight) * of_labels + weight * of_teacher, rel=1e-4
    )


def test_a_teacher_that_is_certain_does_no_harm() -> None:
    certain = torch.eye(10)[:4]
    loss = distillation_loss(torch.zeros(4, 10, requires_grad=True), certain, 3.0)
    loss.backward()
    assert loss.isfinite()
    assert distillation_loss(certain * 30, certain, 1.0) < 1e-3


@pytest.mark.slow
def test_a_student_learns_from_a_teacher_alone() -> None:
    """The labels are all the same and weigh nothing: the student learns from its teacher."""
    train = few_digits(300)
    master, _ = trained(dataclasses.replace(SMALL, epochs=8), train, few_digits(4))
    master.eval()

    def teacher(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return torch.softmax(master(to_ink(torch.from_numpy(images))), 1).numpy()

    wrong = Split(train.images, np.zeros(300, np.uint8))
    recipe = dataclasses.replace(SMALL, epochs=8, teacher_weight=1.0)
    student = seeded_network(recipe, 1)
    for _ in fit(student, recipe, wrong, few_digits(4), device="cpu", teachers=[teacher]):
        pass
    assert measure(student, train)[1] > 0.9


def test_training_ends_where_the_caller_leaves_and_the_network_is_as_it_was_measured() -> None:
    recipe, train, validation = (
        dataclasses.replace(SMALL, epochs=3),
        few_digits(40),
        few_digits(30, "test"),
    )
    network = seeded_network(recipe, 0)
    for record in fit(network, recipe, train, validation, device="cpu"):
        if isinstance(record, Epoch):
            break
    assert record.epoch == 1
    assert measure(network, validation) == (record.validation_loss, record.validation_accuracy)


def test_the_validation_digits_are_never_learned_from() -> None:
    recipe, train = load_recipe("batchnorm", {"epochs": 2, "batch": 40}), few_digits(80)
    honest = few_digits(50, "test")
    poisoned = Split(255 - few_digits(30, "test").images, np.zeros(30, np.uint8))
    (one, with_honest), (other, with_poisoned) = (
        trained(recipe, train, validation) for validation in (honest, poisoned)
    )
    assert bits(one) == bits(other)
    assert with_honest[-1].validation_loss != with_poisoned[-1].validation_loss
    assert with_honest[-1].train_loss == with_poisoned[-1].train_loss


def test_the_given_splits_are_not_touched() -> None:
    train, validation = few_digits(20), few_digits(20, "test")
    before = [
        array.tobytes() for split in (train, validation) for array in (split.images, split.labels)
    ]
    trained(dataclasses.replace(SMALL, erasing=5.0, rotation=10.0), train, validation)
    assert [
        array.tobytes() for split in (train, validation) for array in (split.images, split.labels)
    ] == before


# ---- same seed, same bits


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_a_seed_gives_the_same_bits_after_8_steps_and_another_seed_other_bits(name: str) -> None:
    recipe = load_recipe(name, {"epochs": 4, "batch": min(32, load_recipe(name).batch)})
    train = few_digits(2 * recipe.batch)
    first, records = trained(recipe, train, few_digits(10), seed=1)
    torch.rand(17)  # whatever happened before has no part in it
    again, same_records = trained(recipe, train, few_digits(10), seed=1)
    other, _ = trained(recipe, train, few_digits(10), seed=2)
    assert bits(first) == bits(again)
    assert [record.train_loss for record in records] == [
        record.train_loss for record in same_records
    ]
    assert bits(first) != bits(other)


def test_augmentation_follows_the_seed_too() -> None:
    recipe = dataclasses.replace(
        SMALL, rotation=20.0, shear=5.0, zoom=0.1, shift=2.0, elastic=1.0, erasing=5.0
    )
    runs = [bits(trained(recipe, few_digits(40), few_digits(4), seed=3)[0]) for _ in range(2)]
    assert runs[0] == runs[1]


def test_the_order_of_the_digits_follows_the_seed_of_fit_not_of_the_weights() -> None:
    orders = []
    for weights, seed in ((0, 1), (5, 1), (0, 2)):
        network, train = seeded_network(SMALL, weights), few_digits(50)
        seen = watch(network)
        for _ in fit(network, SMALL, train, few_digits(4), seed=seed, device="cpu"):
            pass
        orders.append(indexes(torch.cat([ink for training, ink in seen if training]), train))
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("batch", [10, 40])
def test_between_steps_torch_s_settings_are_as_they_were(batch: int) -> None:
    def settings() -> tuple[object, ...]:
        return (
            torch.is_autocast_enabled("cpu"),
            torch._C._get_mkldnn_enabled(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
        )

    before, threads, recipe = (
        settings(),
        torch.get_num_threads(),
        dataclasses.replace(SMALL, batch=batch),
    )
    for _ in fit(seeded_network(recipe, 0), recipe, few_digits(80), few_digits(4), device="cpu"):
        assert settings() == before
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("device", ["cuda", "mps"])
@pytest.mark.parametrize("name", TRAINED)
def test_a_recipe_learns_on_every_device(name: str, device: str) -> None:
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if not there[device]():
        pytest.skip(f"no {device} device on this machine")
    recipe = load_recipe(name, {"epochs": 60, "rotation": 2, "elastic": 0.2, "erasing": 1})
    network, digits = seeded_network(recipe, 0), few_digits(256)
    for record in fit(network, recipe, digits, few_digits(20, "test"), device=device):
        if isinstance(record, Epoch) and (accuracy := measure(network, digits)[1]) == 1:
            break
    assert accuracy == 1
    assert next(network.parameters()).device.type == device
    there_logits = predict_logits(network, digits)
    assert there_logits.device.type == "cpu"
    assert torch.allclose(predict_logits(network.cpu(), digits), there_logits, atol=0.05)


# ---- predictions and calibration


@pytest.mark.parametrize("name", ["dropout", "batchnorm"])
def test_predictions_are_the_finished_network_s_and_leave_its_mode_alone(name: str) -> None:
    recipe, digits = load_recipe(name), few_digits(30)
    network = seeded_network(recipe, 0)
    for training in (True, False):
        network.train(training)
        before = bits(network)
        logits = predict_logits(network, digits)
        assert (logits.shape, logits.dtype) == ((30, 10), torch.float32)
        assert torch.equal(logits, predict_logits(network, digits)), "no dropout"
        assert bits(network) == before, "BatchNorm's statistics stay"
        assert network.training is training
        assert not logits.requires_grad


def test_predictions_do_not_depend_on_how_many_there_are() -> None:
    network, digits = (
        seeded_network(SMALL, 0),
        few_digits(1300),
    )  # more than one batch of the evaluation
    many = predict_logits(network, digits)
    assert many.shape == (1300, 10)
    for start in (0, 999, 1000, 1299):
        assert torch.allclose(
            many[start : start + 1], predict_logits(network, digits[start : start + 1]), atol=1e-5
        )


class Table(nn.Module):
    """Gives the logits of digit number n where the first two pixels say n."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, ink: Tensor) -> Tensor:
        pixels = (ink[:, 0, 0, :2] * 255).round().long()
        return self.logits[pixels[:, 0] * 256 + pixels[:, 1]]


@pytest.fixture(scope="module")
def calibrated() -> tuple[Tensor, Split]:
    """Logits that are exactly as sure as they are right, and the digits that they belong to."""
    generator = np.random.default_rng(0)
    logits = generator.normal(scale=2.0, size=(6_000, 10))
    labels = (
        (logits + generator.gumbel(size=logits.shape)).argmax(1).astype(np.uint8)
    )  # drawn from softmax(logits)
    images = np.zeros((6_000, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(6_000), 256)
    return torch.from_numpy(logits).float(), Split(images, labels)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 1.7, 3.0])
def test_a_known_temperature_is_found_again(
    calibrated: tuple[Tensor, Split], temperature: float
) -> None:
    logits, split = calibrated
    found = fit_temperature(Table(logits * temperature), split)
    assert found == pytest.approx(temperature, rel=0.05)

    def loss(candidate: float) -> float:
        scaled = special.log_softmax(logits.double().numpy() * temperature / candidate, axis=1)
        return float(-scaled[np.arange(6_000), split.labels].mean())

    best = optimize.minimize_scalar(loss, bounds=(0.25, 4), method="bounded")
    assert found == pytest.approx(best.x, rel=0.011)  # steps of 1 %


@pytest.mark.slow
def test_a_temperature_changes_no_answer_and_stays_within_bounds(
    calibrated: tuple[Tensor, Split],
) -> None:
    logits, split = calibrated
    hopeless = Split(split.images, np.roll(split.labels, 1))
    assert fit_temperature(Table(logits * 50), split) == pytest.approx(4, rel=0.01)
    assert fit_temperature(Table(logits / 50), split) == pytest.approx(0.25, rel=0.01)
    assert fit_temperature(Table(logits), hopeless) == pytest.approx(4, rel=0.01)


# ---- what can go wrong


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_loss_that_stops_being_a_number_says_what_would_help(optimiser: str) -> None:
    recipe = dataclasses.replace(SMALL, optimiser=optimiser, learning_rate=1e30)
    with pytest.raises(
        InkdigitsError,
        match=(
            r"^the loss or its gradient became -?(nan|inf) in step \d of epoch 1; "
            r"a smaller learning_rate may help$"
        ),
    ):
        trained(recipe, few_digits(100), few_digits(4))


def test_an_unknown_schedule_optimiser_or_device_names_the_known_ones() -> None:
    for changes, device, sentence in (
        ({"schedule": "linear"}, "cpu", f"no schedule 'linear'; known: {', '.join(SCHEDULES)}"),
        ({"optimiser": "lion"}, "cpu", f"no optimiser 'lion'; known: {', '.join(OPTIMISERS)}"),
        ({}, "gpu", "no device 'gpu'; known: auto, cpu, cuda, mps"),
    ):
        recipe = dataclasses.replace(SMALL, **changes)
        network = seeded_network(recipe, 0)
        before = bits(network)
        with pytest.raises(UnknownName) as caught:
            next(fit(network, recipe, few_digits(10), few_digits(4), device=device))
        assert str(caught.value) == sentence
        assert bits(network) == before


def test_a_device_that_is_not_there_says_which_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(BadValue, match=r"^no cuda device on this machine; here: cpu$"):
        choose_device("cuda")
    with pytest.raises(BadValue, match=r"^no mps device on this machine; here: cpu$"):
        choose_device("mps")
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_fastest_device_that_is_there(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto").type == expected
    assert choose_device("cpu").type == "cpu"
