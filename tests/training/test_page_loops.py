"""A training of the page reader goes on from a saved state to the same bits."""

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from small_runs import bits
from torch import Tensor, nn

from inkdigits.core.errors import InkdigitsError
from inkdigits.data.store import default_data_dir
from inkdigits.reading.page.find import OTHER
from inkdigits.runs.page_reader.run import RunningNetwork
from inkdigits.training.page import loop
from inkdigits.training.page.look_loop import LookTraining, varied
from inkdigits.training.page.loop import PageTraining
from inkdigits.training.page.recipe import PageRecipe, load_page_recipe
from inkdigits.training.page.resuming import average_into

pytestmark = pytest.mark.xdist_group("glyphs")  # one process builds the bank of glyphs
needs_mnist = pytest.mark.skipif(
    not (default_data_dir() / "mnist" / "train-images-idx3-ubyte.gz").exists(),
    reason="MNIST is not in the folder of datasets",
)


@pytest.fixture(scope="module")
def tiny() -> PageRecipe:
    settings = {"steps": 4, "batch": 2, "shards": 2, "pages": 3, "validation_pages": 2}
    return load_page_recipe({**settings, "warm_up": 1, "learning_rate": 1e-3})


def sees_dark(pictures: np.ndarray, *, fine: bool = True) -> Sequence[np.ndarray]:
    """A page network that takes each dark spot for a symbol, and always answers all maps."""
    cells = pictures.min(axis=1).reshape(1, *(s for n in pictures.shape[2:] for s in (n // 2, 2)))
    dark = (128.0 - cells.mean(axis=(2, 4))) / 16
    spaced = np.zeros_like(dark)
    spaced[:, 8::32, 8::32] = dark[:, 8::32, 8::32]
    centre = np.where(spaced > 0, spaced, -9.0)
    rows, columns = dark.shape[1:]
    coarse = dark.reshape(1, rows // 4, 4, columns // 4, 4).max(axis=(2, 4))
    two = np.zeros((1, 2, rows, columns))
    kind = np.zeros((1, 16, rows // 2, columns // 2))
    maps = [dark, centre, two, two + 3, kind, coarse, np.full_like(coarse, 4.5)]
    return [each.astype(np.float32) for each in maps]


def all_bits(training: PageTraining | LookTraining) -> tuple[bytes, bytes]:
    return bits(training.network), bits(training.average)


def resumed_after(
    parts: int, make: Callable[[], PageTraining | LookTraining]
) -> PageTraining | LookTraining:
    """Train some parts, save, and go on from there in a training made anew."""
    stopped = make()
    trained = stopped.parts()
    while stopped.steps_done < parts:
        next(trained)
    state = copy.deepcopy(stopped.state())
    next(trained)  # what comes after does not change what was saved

    torch.manual_seed(99)
    torch.rand(7)
    training = make()
    training.restore(state)
    assert training.steps_done == parts
    list(training.records())
    return training


@needs_mnist
@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 3])
def test_a_resumed_page_training_ends_with_the_same_bits(tiny: PageRecipe, parts: int) -> None:
    def make() -> PageTraining:
        return PageTraining(tiny, 5, device="cpu", workers=0)

    whole = make()
    *_, last = whole.records()
    assert last.step == last.steps == 4
    assert math.isfinite(last.loss)
    resumed = resumed_after(parts, make)
    assert all_bits(resumed) == all_bits(whole)
    assert resumed.history == whole.history == [last]


@needs_mnist
@pytest.mark.slow
def test_a_page_training_does_not_depend_on_who_draws_the_pages(tiny: PageRecipe) -> None:
    here = PageTraining(tiny, 5, device="cpu", workers=0)
    list(here.records())
    elsewhere = PageTraining(tiny, 5, device="cpu", workers=2)
    list(elsewhere.records())
    assert all_bits(here) == all_bits(elsewhere)
    assert bits(PageTraining(tiny, 6, device="cpu").network) != bits(here.network)


@needs_mnist
@pytest.mark.slow
def test_a_resumed_look_training_ends_with_the_same_bits(tiny: PageRecipe) -> None:
    def make() -> LookTraining:
        return LookTraining(tiny, sees_dark, 5, device="cpu")

    whole = make()
    records = list(whole.records())
    assert [record.shard for record in records] == [1, 2]
    assert all(record.looks > 10 and 0 < record.loss < 9 for record in records)
    resumed = resumed_after(1, make)
    assert all_bits(resumed) == all_bits(whole)
    assert resumed.history == whole.history == records


@needs_mnist
@pytest.mark.slow
def test_a_look_training_does_not_depend_on_how_many_processes_take_the_looks(
    tiny: PageRecipe,
) -> None:
    # A fork leaves torch's second thread behind, for which a worker must not wait.
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        page = PageTraining(tiny, 5, device="cpu", workers=0)
        list(page.records())
        reader = RunningNetwork(page.average)
        by_one = LookTraining(tiny, reader, 5, device="cpu", workers=1)
        by_two = LookTraining(tiny, reader, 5, device="cpu", workers=2)
        list(by_one.records())
        list(by_two.records())
    finally:
        torch.set_num_threads(threads)

    assert by_one.history == by_two.history
    assert all_bits(by_one) == all_bits(by_two)


@needs_mnist
@pytest.mark.slow
def test_a_look_training_saved_while_it_draws_goes_on_as_if_it_had_not_begun(
    tiny: PageRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = LookTraining(tiny, sees_dark, 5, device="cpu")
    list(whole.records())

    stopped = LookTraining(tiny, sees_dark, 5, device="cpu")
    records = stopped.records()
    next(records)

    def interrupted(self: LookTraining) -> None:
        torch.rand(3)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LookTraining, "_draw_shard", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(records)
    assert stopped.can_be_saved

    resumed = LookTraining(tiny, sees_dark, 5, device="cpu")
    resumed.restore(stopped.state())
    list(resumed.records())
    assert all_bits(resumed) == all_bits(whole)


@needs_mnist
@pytest.mark.slow
def test_a_page_network_that_finds_nothing_leaves_the_second_network_as_it_was(
    tiny: PageRecipe,
) -> None:
    def sees_nothing(pictures: np.ndarray, *, fine: bool = True) -> Sequence[np.ndarray]:
        return [each - 99 for each in sees_dark(np.full_like(pictures, 255), fine=fine)]

    training = LookTraining(tiny, sees_nothing, 5, device="cpu")
    before = all_bits(training)
    assert [(record.looks, record.loss) for record in training.records()] == [(0, 0), (0, 0)]
    assert all_bits(training) == before
    page_logits, *looked = training.validation_logits()
    assert page_logits.shape == (0, 16)
    figures = training.figures(*looked)
    assert (figures.nll, figures.digits, figures.others, figures.n) == (0, 0, 0, 0)


class BrokenNetwork(nn.Module):
    """Fails in the middle of a step."""

    def forward(self, pictures: Tensor) -> Tensor:
        raise MemoryError


@needs_mnist
@pytest.mark.slow
def test_a_broken_step_cannot_be_saved(tiny: PageRecipe) -> None:
    training = PageTraining(tiny, 0, device="cpu", workers=0)
    training.network = BrokenNetwork()  # type: ignore[assignment]
    with pytest.raises(MemoryError):
        next(training.records())
    assert not training.can_be_saved


@needs_mnist
@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_training_with_a_sentence(
    tiny: PageRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = torch.tensor(float("nan"))
    monkeypatch.setattr(loop, "page_losses", lambda maps, targets: {"ink": nan})
    training = PageTraining(tiny, 0, device="cpu", workers=0)
    with pytest.raises(InkdigitsError, match="the loss became nan in step 1; a smaller learning"):
        next(training.records())


# ---- the parts


def test_the_average_follows_floats_and_copies_counters() -> None:
    ours, theirs = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    with torch.no_grad():
        theirs.weight.fill_(3.0)
        theirs.num_batches_tracked.fill_(7)
    average_into(ours, theirs, 0.75)
    assert ours.weight.tolist() == [1.5, 1.5]
    assert ours.num_batches_tracked == 7


def test_varied_looks_are_the_same_for_the_same_chance_and_keep_their_range() -> None:
    images = torch.randint(0, 256, (9, 6, 32, 32), dtype=torch.uint8)
    first, second, other = (
        varied(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.dtype == torch.float32
    assert first.shape == images.shape
    assert first.min() >= 0
    assert first.max() <= 255.01


def test_figures_are_shares_of_digits_and_of_others() -> None:
    training = LookTraining(load_page_recipe(), sees_dark, device="cpu")
    kinds = torch.tensor([1, 2, 3, 11, OTHER, OTHER])
    answers = torch.tensor([1, 2, 9, 12, OTHER, 0])
    logits = 50.0 * nn.functional.one_hot(answers, 16)
    figures = training.figures(logits, kinds)
    assert figures.digits == pytest.approx(2 / 3)
    assert figures.others == pytest.approx(1 / 2)
    assert figures.nll == pytest.approx(25)
    assert figures.n == 6
