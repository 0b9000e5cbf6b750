"""A folder gives back the network that was put into it, and runs nothing that it holds."""

import dataclasses
import io
import json
import os
import pickle
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from few_digits import few_digits

from inkdigits.core.errors import BadModel, CannotWrite, MissingExtra
from inkdigits.runs.checkpoint import load_checkpoint, machine, save_checkpoint, versions
from inkdigits.training.loop import fit, seeded_network
from inkdigits.training.models import Standardised
from inkdigits.training.predictions import predict_logits
from inkdigits.training.recipe import load_recipe, shipped_recipes

LENET = load_recipe("lenet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path, seeded_network(LENET, 0), LENET, {"seed": 0})
    return tmp_path


def edit_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "config.json").read_bytes())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def refusal(folder: Path) -> str:
    with pytest.raises(BadModel) as caught:
        load_checkpoint(folder)
    return str(caught.value)


def same(one: Standardised, other: Standardised) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(
        name == again and torch.equal(tensor, copy) for (name, tensor), (again, copy) in pairs
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_recipes())
def test_every_recipe_s_network_comes_back_to_the_bit_after_training(
    tmp_path: Path, name: str
) -> None:
    recipe, digits = load_recipe(name, {"epochs": 1, "batch": 32}), few_digits(64)
    network = seeded_network(recipe, 5)
    for _ in fit(network, recipe, digits, few_digits(10), device="cpu"):
        pass
    save_checkpoint(tmp_path, network, recipe, {})
    found = load_checkpoint(tmp_path)
    assert found.recipe == recipe
    assert same(found.network, network)
    assert found.network.training
    assert torch.allclose(
        predict_logits(found.network, digits), predict_logits(network, digits), atol=1e-5
    )
    again = load_checkpoint(tmp_path).network
    assert torch.equal(predict_logits(found.network, digits), predict_logits(again, digits))


def test_a_recipe_of_the_user_s_own_comes_back_whole(tmp_path: Path) -> None:
    recipe = load_recipe(
        "dropout", {"options": {"dropout": 0.25}, "mean": 0.2, "sd": 0.5, "rotation": 10}
    )
    recipe = dataclasses.replace(recipe, name="Größe 4", published={"test_accuracy": 0.5})
    save_checkpoint(tmp_path, seeded_network(recipe, 0), recipe, {})
    found = load_checkpoint(tmp_path)
    assert found.recipe == recipe
    assert (found.network.mean, found.network.sd, found.network.size) == (0.2, 0.5, 28)


def test_the_config_says_what_the_network_is_and_how_it_was_made(tmp_path: Path) -> None:
    recipe = load_recipe("sgd")
    facts = {
        "seed": 3,
        "data": {"name": "optdigits"},
        "classes": list("0123456789"),
        "temperature": 1.25,
    }
    returned = save_checkpoint(tmp_path, seeded_network(recipe, 3), recipe, facts)
    text = (tmp_path / "config.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    config = json.loads(text, parse_constant=refuse)
    assert config == returned == load_checkpoint(tmp_path).config
    assert config["format"] == 1
    assert config["recipe"] == {
        **config["recipe"],
        "name": "sgd",
        "network": "classic",
        "optimiser": "sgd",
        "momentum": 0.9,
    }
    assert {key: config["preprocessing"][key] for key in ("scale", "mean", "sd", "size")} == {
        "scale": "1/255",
        "mean": 0.1307,
        "sd": 0.3081,
        "size": 32,
    }
    assert {key: config[key] for key in facts} == facts
    assert config["versions"]["torch"] == version("torch")
    assert abs(datetime.fromisoformat(config["date"]) - datetime.now(UTC)) < timedelta(minutes=5)
    assert config["machine"] == machine()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_versions_and_machine_name_what_computed() -> None:
    assert versions().items() >= {
        (name, version(name)) for name in ("inkdigits", "torch", "numpy", "onnxruntime")
    }
    assert versions()["python"] == ".".join(map(str, sys.version_info[:3]))
    assert f"{torch.get_num_threads()} threads" in machine()


# ---- damage


@pytest.mark.parametrize("length", [0, 4, 8, 100, -1, -1000])
def test_truncated_weights_are_told(folder: Path, length: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    assert refusal(folder).startswith(f"{path} is missing or damaged: ")


def test_weights_that_are_no_safetensors_are_told(folder: Path) -> None:
    path = folder / "model.safetensors"
    for content in (
        b"\x00" * 100,
        b"\xff" * 100,
        b"not weights, but text" * 100,
        path.read_bytes() + b"more",
    ):
        path.write_bytes(content)
        assert refusal(folder).startswith(f"{path} is missing or damaged: ")


def test_missing_weights_are_told(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert refusal(folder).startswith(f"{folder / 'model.safetensors'} is missing or damaged: ")
    (folder / "model.safetensors").mkdir()
    assert refusal(folder).startswith(f"{folder / 'model.safetensors'} is missing or damaged: ")


@pytest.mark.parametrize("place", ["", "nowhere"])
def test_a_folder_without_a_config_is_told(tmp_path: Path, place: str) -> None:
    assert (
        refusal(tmp_path / place)
        == f"{tmp_path / place} holds no config.json; a folder made by `inkdigits train` does"
    )


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"format": 1', b"[" * 100_000])
def test_a_damaged_config_is_told(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    assert refusal(folder).startswith(f"{folder / 'config.json'} is damaged: ")


@pytest.mark.parametrize(
    ("content", "found"), [("[]", "list"), ("7", "int"), ("{}", "None"), ('{"format": 2}', "2")]
)
def test_a_config_of_another_format_is_told(folder: Path, content: str, found: str) -> None:
    (folder / "config.json").write_text(content)
    assert (
        refusal(folder)
        == f"{folder / 'config.json'} has format {found}; this version reads format 1"
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda config: config.pop("recipe"), "recipe"),
        (lambda config: config.update(recipe="lenet"), "sequence"),
        (lambda config: config.update(recipe=[1]), "sequence"),
        (lambda config: config.update(recipe=None), "NoneType"),
        (lambda config: config["recipe"].pop("network"), "names no network"),
        (
            lambda config: config["recipe"].update(network="lenet-99"),
            "no network 'lenet-99'; known: lenet, ",
        ),
        (
            lambda config: config["recipe"].update(optimizer="adam"),
            "no recipe key 'optimizer'; known: network, ",
        ),
        (
            lambda config: config["recipe"].update(epochs="many"),
            "epochs must be a whole number, not 'many'",
        ),
        (
            lambda config: config["recipe"].update(options={"width": 3}),
            "no 'lenet' option 'width'",
        ),
        (lambda config: config["recipe"].update(size=5), "cannot take digits of 5x5 pixels"),
    ],
)
def test_a_recipe_that_makes_no_network_is_told(
    folder: Path, change: Callable[[dict[str, Any]], object], why: str
) -> None:
    edit_config(folder, change)
    sentence = refusal(folder)
    assert sentence.startswith(
        f"{folder / 'config.json'} holds no recipe that this version knows: "
    )
    assert why in sentence


@pytest.mark.parametrize(
    "changes",
    [{"network": "two-conv"}, {"network": "batchnorm"}, {"network": "classic", "size": 32}],
)
def test_weights_of_another_network_are_told(folder: Path, changes: dict[str, Any]) -> None:
    edit_config(folder, lambda config: config["recipe"].update(changes))
    weights = folder / "model.safetensors"
    beginning = f"{weights} does not fit the network {changes['network']!r} of its config: "
    assert refusal(folder).startswith(beginning)


# ---- safety


class Bomb:
    """An object whose unpickling creates a file."""

    def __init__(self, crater: Path) -> None:
        self.crater = crater

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return (open, (str(self.crater), "w"))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("disguise", ["pickle", "torch"])
def test_a_pickle_in_a_checkpoint_s_clothes_is_refused_and_not_run(
    folder: Path, file: str, disguise: str
) -> None:
    crater, path = folder / "crater", folder / file
    if disguise == "pickle":
        path.write_bytes(pickle.dumps(Bomb(crater)))
        pickle.loads(path.read_bytes()).close()
    else:
        torch.save({"network.conv1.weight": Bomb(crater)}, path)
        torch.load(io.BytesIO(path.read_bytes()), weights_only=False)[
            "network.conv1.weight"
        ].close()
    assert crater.exists(), "the bomb is armed"
    crater.unlink()
    assert str(path) in refusal(folder)
    assert not crater.exists()


# ---- writing


@pytest.mark.parametrize("failing_call", [1, 2])
def test_a_save_that_fails_leaves_a_folder_that_can_be_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failing_call: int
) -> None:
    calls = []

    def sync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == failing_call:
            raise OSError(28, "No space left on device")

    old, new = seeded_network(LENET, 0), seeded_network(LENET, 1)
    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(CannotWrite, match="No space left on device"):
        save_checkpoint(folder, new, LENET, {"seed": 1})
    found = load_checkpoint(folder)
    assert same(found.network, old if failing_call == 1 else new)
    assert found.config["seed"] == 0
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="No such file or directory"):
        save_checkpoint(tmp_path / "missing", seeded_network(LENET, 0), LENET, {})


def test_without_safetensors_the_extra_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    sentence = r"needs more than the core install: pip install 'inkdigits\[train\]'$"
    with pytest.raises(MissingExtra, match=f"^loading a model for training {sentence}"):
        load_checkpoint(folder)
    with pytest.raises(MissingExtra, match=f"^saving a model {sentence}"):
        save_checkpoint(folder, seeded_network(LENET, 0), LENET, {})
