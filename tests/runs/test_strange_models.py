"""Run folders of a stranger are refused with a sentence, at once and in little memory."""

import hashlib
import json
import os
import resource
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from inkdigits.core.errors import BadData, BadModel, BadValue
from inkdigits.reading.model_files import WEIGHTS
from inkdigits.runs.artifacts import read_epochs
from inkdigits.runs.checkpoint import CONFIG_FILE, WEIGHTS_FILE, load_checkpoint
from inkdigits.runs.comparison import _read_run
from inkdigits.runs.page_reader.weights import LOOK_WEIGHTS, PAGE_WEIGHTS, load_page_weights
from inkdigits.runs.resume import SavedStates
from inkdigits.runs.sweep.space import load_space
from inkdigits.training.models import recipe_network
from inkdigits.training.recipe import load_recipe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a shipped model's folder."""
    from inkdigits.reading.model_files import shipped_folder

    found = shipped_folder("nano")
    assert found is not None
    return Path(shutil.copytree(found, tmp_path / "run"))


def change(folder: Path, **changes: object) -> None:
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps(config | changes))


def test_the_model_itself_loads(folder: Path) -> None:
    assert load_checkpoint(folder).recipe.network


@pytest.mark.parametrize("read", [load_checkpoint, lambda folder: _read_run("a", folder)])
@pytest.mark.parametrize("kind", ["fifo", "large"])
def test_a_config_is_a_small_file(kind: str, read, folder: Path) -> None:
    (folder / CONFIG_FILE).unlink()
    if kind == "fifo":
        os.mkfifo(folder / CONFIG_FILE)
    else:
        with (folder / CONFIG_FILE).open("wb") as file:
            file.truncate(1 << 30)

    says = {"fifo": "it is not a regular file", "large": "it has more than 1,048,576 bytes"}
    with pytest.raises(BadModel, match=says[kind]):
        read(folder)


@pytest.mark.parametrize("kind", ["fifo", "large", "other"])
def test_the_metrics_of_a_member_are_a_small_file_of_epochs(kind: str, folder: Path) -> None:
    path = folder / "metrics.jsonl"
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_text('{"epoch": "1"}')
        os.truncate(path, 1 << 30 if kind == "large" else 14)

    says = {"fifo": "it is not a regular file", "large": "it has more", "other": "its records is"}
    with pytest.raises(BadModel, match=f"is damaged: .*{says[kind]}"):
        read_epochs(folder)


@pytest.mark.parametrize("load", [load_recipe, load_space])
def test_a_recipe_and_a_space_are_small_files(load, tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.touch()
    os.truncate(path, 1 << 30)
    with pytest.raises(BadData, match="it has more than 1,048,576 bytes"):
        load(path)


@pytest.mark.parametrize(
    "temperature", [-1.0, 0, float("inf"), float("nan"), 10**30, 10**400, "\x1b", None]
)
def test_a_temperature_is_a_number_of_a_usual_size(temperature: object, folder: Path) -> None:
    change(folder, temperature=temperature)
    with pytest.raises(BadModel, match=r"it should be a number from 0.01 to 100") as error:
        load_checkpoint(folder)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_weights_are_numbers(value: float, folder: Path) -> None:
    weights = load_file(folder / WEIGHTS_FILE)
    first = min(name for name in weights if weights[name].ndim)
    weights[first].view(-1)[0] = value
    save_file(weights, folder / WEIGHTS_FILE)
    with pytest.raises(BadModel, match=rf"has values in '{first}' that are no finite numbers"):
        load_checkpoint(folder)


def test_a_network_that_its_weights_do_not_fit_takes_no_memory(folder: Path) -> None:
    config = json.loads((folder / CONFIG_FILE).read_text())
    change(folder, recipe=config["recipe"] | {"options": {"channels": 2000}})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadModel, match=r"is \[.*\], where \[.*2000.*\] should be"):
        load_checkpoint(folder)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # KiB


@pytest.mark.parametrize(
    ("channels", "says"),
    [(8000, "a layer has 8,000 channels"), (4000, "it has 144,.* parameters; at most 50,000,000")],
)
def test_a_network_of_gigabytes_is_not_built(channels: int, says: str) -> None:
    with pytest.raises(BadValue, match=says):
        recipe_network(load_recipe("nano", {"options": {"channels": channels}}))


def test_a_weight_of_a_page_reader_that_differs_is_named(tmp_path: Path) -> None:
    for name in (PAGE_WEIGHTS, LOOK_WEIGHTS):
        shutil.copy(WEIGHTS / "page" / name, tmp_path)

    weights = load_file(tmp_path / LOOK_WEIGHTS)
    first = min(weights)
    save_file(weights | {first: torch.zeros(1, 2, 3)}, tmp_path / LOOK_WEIGHTS)
    with pytest.raises(BadModel, match=rf"another network: '{first}' is \[1, 2, 3\], where \["):
        load_page_weights(tmp_path)

    save_file(
        weights | {first: torch.full_like(weights[first], torch.nan)}, tmp_path / LOOK_WEIGHTS
    )
    with pytest.raises(BadModel, match=rf"has values in '{first}' that are no finite numbers"):
        load_page_weights(tmp_path)

    with (tmp_path / LOOK_WEIGHTS).open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(BadModel, match="it has more than 67,108,864 bytes"):
        load_page_weights(tmp_path)


@pytest.mark.parametrize("facts", ["[" * 100_000, "1", None])
def test_a_state_that_is_none_is_passed_over(
    facts: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    metadata = {"facts": facts} if facts else {"other": ""}
    content = save({"a": torch.zeros(1)}, metadata=metadata)
    (tmp_path / "state").mkdir()
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "state" / f"000001-{digest}.safetensors").write_bytes(content)
    assert SavedStates(tmp_path).load() is None
    assert "is damaged: it is no state of a training" in caplog.text


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("extra", (3,), r"'extra' is \[3\], where nothing should be"),
        ("evil\x1b[2J", (3,), r"'evil\\x1b\[2J' is"),
    ],
)
def test_the_first_tensor_that_differs_is_named(
    name: str, shape: tuple[int, ...], says: str, folder: Path
) -> None:
    weights = load_file(folder / WEIGHTS_FILE)
    save_file(weights | {name: torch.zeros(shape)}, folder / WEIGHTS_FILE)
    with pytest.raises(BadModel, match=says):
        load_checkpoint(folder)


def test_a_tensor_that_is_missing_is_named(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS_FILE)
    first = min(weights)
    del weights[first]
    save_file(weights, folder / WEIGHTS_FILE)
    with pytest.raises(BadModel, match=f"'{first}' is nothing, where"):
        load_checkpoint(folder)
