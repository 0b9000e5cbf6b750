"""A run of the page reader leaves its networks in a folder; a stopped one goes on."""

import json
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import safetensors.torch
import torch
from small_runs import EVERY_STEP
from torch import nn

from inkdigits.core.errors import BadData, BadModel, BadValue, CannotWrite, InkdigitsError
from inkdigits.core.files import file_lock
from inkdigits.data.store import default_data_dir
from inkdigits.reading.model_files import WEIGHTS
from inkdigits.runs.page_reader import run as module
from inkdigits.runs.page_reader.export import (
    TOLERANCE,
    export_look_network,
    export_page_network,
    rounded,
)
from inkdigits.runs.page_reader.records import (
    PageReaderFigures,
    PageRunRecord,
    StageProgress,
    to_page_record,
)
from inkdigits.runs.page_reader.report import EXAMPLES
from inkdigits.runs.page_reader.run import train_page_reader
from inkdigits.runs.page_reader.weights import load_page_weights
from inkdigits.training.page.look_network import LookNetwork
from inkdigits.training.page.loop import PageTraining
from inkdigits.training.page.network import PageMaps, PageNetwork
from inkdigits.training.page.votes import LOOK_ALONE, PooledLook, Votes

pytestmark = pytest.mark.xdist_group("glyphs")  # one process builds the bank of glyphs
needs_mnist = pytest.mark.skipif(
    not (default_data_dir() / "mnist" / "train-images-idx3-ubyte.gz").exists(),
    reason="MNIST is not in the folder of datasets",
)
TINY = {
    "steps": 4,
    "batch": 2,
    "shards": 2,
    "pages": 3,
    "validation_pages": 2,
    "warm_up": 1,
}
FILES = {
    "page.onnx",
    "look.onnx",
    "page.safetensors",
    "look.safetensors",
    "metrics.jsonl",
    "report.html",
    "config.json",
}


def started(out: Path, **options: Any) -> Generator[PageRunRecord, None, None]:
    options = {"settings": TINY, "device": "cpu", "workers": 0} | options
    return train_page_reader(out, **options)


def train(out: Path, **options: Any) -> list[Any]:
    return recorded(started(out, **options))


def recorded(run: Iterable[PageRunRecord]) -> list[Any]:
    return [record for record in run if not isinstance(record, StageProgress)]


def next_record(run: Iterator[PageRunRecord]) -> Any:
    return next(record for record in run if not isinstance(record, StageProgress))


def lines(out: Path) -> list[Any]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    out = tmp_path_factory.mktemp("pages") / "run"
    return out, train(out)


@needs_mnist
@pytest.mark.slow
def test_a_run_leaves_its_networks_and_says_what_they_reached(
    finished: tuple[Path, list[Any]],
) -> None:
    out, records = finished
    figures = records[-1]
    assert isinstance(figures, PageReaderFigures)
    assert [getattr(record, "shard", 0) for record in records] == [0, 1, 2, 0]
    assert visible(out) == FILES

    assert lines(out) == [to_page_record(record) for record in records]

    config = json.loads((out / "config.json").read_text())
    assert config["recipe"]["steps"] == 4
    assert config["final"] == lines(out)[-1]
    assert config["final"]["votes"] == pytest.approx(figures.votes._asdict(), abs=1e-6)
    assert "NaN" not in (out / "config.json").read_text()

    report = (out / "report.html").read_text()
    assert report.count("<figure>") == EXAMPLES
    assert "<th>warm_up</th><td>1</td>" in report


@needs_mnist
@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_files(
    finished: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run = started(out, interval=EVERY_STEP)
    while not isinstance(next(run), StageProgress) or not (out / "page").is_dir():
        pass  # until a step of the page network
    run.close()
    with pytest.raises(CannotWrite, match="--resume continues it"):
        train(out)
    with pytest.raises(BadValue, match="another run, of batch 2, now 3; choose another"):
        train(out, settings=TINY | {"batch": 3}, resume=True)
    with pytest.raises(BadValue, match="another run, of seed 0, now 1; choose another"):
        train(out, seed=1, resume=True)
    with pytest.raises(BadValue, match=r"another run, of init None, now '[0-9a-f]{64}'; choose"):
        train(out, init="page", resume=True)

    run = started(out, interval=EVERY_STEP, resume=True)
    assert next_record(run).step == 4
    assert next_record(run).shard == 1
    run.close()
    assert len(lines(out)) == 2
    assert [getattr(record, "shard", 0) for record in train(out, resume=True)] == [2, 0]

    assert visible(out) == FILES
    for name in ("page.safetensors", "look.safetensors", "metrics.jsonl"):
        assert (out / name).read_bytes() == (finished[0] / name).read_bytes(), name


@needs_mnist
@pytest.mark.slow
def test_a_finished_run_is_left_alone(finished: tuple[Path, list[Any]]) -> None:
    out, records = finished
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(CannotWrite, match="exists and is not empty"):
        train(out)
    with pytest.raises(BadValue, match="another run, of seed 0, now 1"):
        train(out, seed=1, resume=True)
    [figures] = train(out, resume=True)
    assert to_page_record(figures) == to_page_record(records[-1])
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@needs_mnist
@pytest.mark.slow
def test_a_run_starts_from_the_weights_of_another_one(
    finished: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    out, _ = finished
    # At such a rate weights stay as they are, but for normalisation's statistics.
    settings = TINY | {"learning_rate": 1e-12, "steps": 1, "shards": 1, "pages": 1}
    train(tmp_path / "run", settings=settings, init=out)
    before = load_page_weights(out)
    after = load_page_weights(tmp_path / "run")
    for name in ("symbol.weight", "kind.1.weight", "stem.0.weight"):
        torch.testing.assert_close(after.page[name], before.page[name], atol=1e-6, rtol=0)
    torch.testing.assert_close(
        after.look["last.weight"], before.look["last.weight"], atol=1e-6, rtol=0
    )
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["init"] == before.digest


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"seed": -1}, "a seed is a whole number from 0"),
        ({"device": "tpu"}, "no device 'tpu'"),
        ({"init": "nothing"}, "no page reader 'nothing'; known: page, a folder"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_a_folder_is_made(
    options: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(InkdigitsError, match=says):
        train(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_without_data_there_is_a_sentence_and_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(split: str) -> None:
        raise BadData("no MNIST")

    monkeypatch.setattr(module, "prepare", missing)
    with pytest.raises(BadData, match="no MNIST"):
        train(tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("steps_done", [0, 1])
def test_an_error_leaves_what_can_be_continued_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps_done: int
) -> None:
    def fails(self: PageTraining) -> Iterator[None]:
        for _ in range(steps_done):
            self.step += 1
            yield None
        raise InkdigitsError("the loss became nan")

    monkeypatch.setattr(module, "prepare", lambda split: None)
    monkeypatch.setattr(PageTraining, "parts", fails)
    with pytest.raises(InkdigitsError, match="became nan") as error:
        train(tmp_path / "run", interval=EVERY_STEP)
    notes = getattr(error.value, "__notes__", [])
    assert (tmp_path / "run").exists() == bool(notes) == bool(steps_done)


def test_a_folder_takes_one_run_at_a_time(tmp_path: Path) -> None:
    with file_lock(tmp_path / "run" / "run"), pytest.raises(CannotWrite, match="another run is"):
        train(tmp_path / "run")


# ---- weights


def test_the_shipped_weights_are_widened_and_fit() -> None:
    weights = load_page_weights("page")
    stored = safetensors.torch.load_file(WEIGHTS / "page" / "page.safetensors")
    assert torch.float16 in {tensor.dtype for tensor in stored.values()}
    assert {tensor.dtype for tensor in weights.page.values()} == {torch.float32, torch.int64}
    assert torch.equal(weights.page["symbol.weight"], stored["symbol.weight"].float())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is damaged"),
        (b"nonsense" * 9, "is damaged"),
        (safetensors.torch.save({"a": torch.zeros(2)}), "holds the weights of another network"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    content: bytes | None, says: str, tmp_path: Path
) -> None:
    shutil.copytree(WEIGHTS / "page", tmp_path / "model")
    for path in (tmp_path / "model").glob("*.safetensors"):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    with pytest.raises(BadModel, match=f"page.safetensors {says}") as error:
        load_page_weights(tmp_path / "model")
    assert "\n" not in str(error.value)


# ---- folders


@pytest.mark.parametrize("name", ["notes.txt", "page"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_with_anything_else_is_refused_and_left_alone(
    tmp_path: Path, name: str, resume: bool
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine").write_text("keep")
    with pytest.raises(CannotWrite, match="exists and is not empty"):
        train(tmp_path, resume=resume)
    assert (tmp_path / name / "mine").read_text() == "keep"


def test_a_wrong_setting_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="steps = 0"):
        train(tmp_path / "run", settings={"steps": 0})
    assert not (tmp_path / "run").exists()


def test_the_copy_on_the_processor_leaves_the_network_where_and_as_it_is() -> None:
    network = nn.Linear(2, 2).to("meta").train()
    with pytest.raises(NotImplementedError):  # meta tensors have no values to copy
        module.on_processor(network)
    assert network.weight.device.type == "meta"
    trained = nn.Linear(2, 2).train()
    copied = module.on_processor(trained)
    assert copied is not trained
    assert trained.training
    assert not copied.training


# ---- exports


def learnt(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> nn.Module:
    """A network whose normalisation has seen something."""
    torch.manual_seed(0)
    network = make().train()
    network(torch.randint(0, 256, shape, dtype=torch.uint8))
    return network.eval()


@pytest.mark.slow
def test_the_exported_page_network_agrees_with_torch_on_pictures_of_any_size(
    tmp_path: Path,
) -> None:
    network = learnt(PageNetwork, (4, 3, 64, 64))
    weights = [weight.clone() for weight in network.parameters()]
    path = tmp_path / "page.onnx"
    assert export_page_network(network, path) <= TOLERANCE
    for before, after in zip(weights, network.parameters(), strict=True):
        assert torch.equal(before, after)
    assert path.stat().st_size < 2_000_000

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == list(PageMaps._fields)
    pictures = np.random.default_rng(1).integers(0, 256, (3, 3, 80, 112), np.uint8)
    with torch.no_grad():
        expected = network(torch.from_numpy(pictures))
    given = {"pictures": pictures, "fine": np.array(1, np.uint8)}
    answers = session.run(None, given)
    for ours, theirs in zip(answers, expected, strict=True):
        assert ours.shape == theirs.shape
        # Kernels are rounded to half precision: 11 bits.
        assert np.abs(ours - theirs.numpy()).max() < 0.05

    *symbols, writing, height = session.run(None, given | {"fine": np.array(0, np.uint8)})
    assert not any(map(np.size, symbols))
    assert np.array_equal(writing, answers[-2])
    assert np.array_equal(height, answers[-1])


@pytest.mark.slow
def test_the_exported_look_network_pools_the_votes_of_both_networks(tmp_path: Path) -> None:
    network = learnt(LookNetwork, (8, 6, 32, 32))
    votes = Votes(page=0.5, look=0.5, refusal=0.0)
    export_look_network(network, tmp_path / "look.onnx", votes)
    session = onnxruntime.InferenceSession(
        tmp_path / "look.onnx", providers=["CPUExecutionProvider"]
    )
    looks = np.random.default_rng(1).integers(0, 256, (5, 6, 32, 32), np.uint8)
    page_logits = np.random.default_rng(2).normal(0, 3, (5, 16)).astype(np.float32)
    [chances] = session.run(None, {"looks": looks, "page_logits": page_logits})
    with torch.no_grad():
        pooled = PooledLook(network, votes)
        expected = pooled(torch.from_numpy(looks), torch.from_numpy(page_logits)).numpy()
    np.testing.assert_allclose(chances, expected, atol=5e-3)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_a_network_that_is_broken_is_not_written(tmp_path: Path) -> None:
    network = learnt(LookNetwork, (8, 6, 32, 32))
    with torch.no_grad():
        network.last.bias[3] = float("nan")
    with pytest.raises(InkdigitsError, match=r"differs from the network by nan.*not written"):
        export_look_network(network, tmp_path / "look.onnx", LOOK_ALONE)
    assert list(tmp_path.iterdir()) == []


def test_a_rounded_network_says_the_same_without_normalisation() -> None:
    network = learnt(LookNetwork, (8, 6, 32, 32))
    folded = rounded(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    looks = torch.randint(0, 256, (4, 6, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(folded(looks), network(looks), atol=5e-3, rtol=0)
