"""A trained network as a folder: the weights, and all that is needed to build it again.

`model.safetensors` holds the weights, `config.json` the recipe, the preprocessing, the classes,
what the data were, and which versions made it. Nothing here is a pickle, so a stranger's folder is
safe to open.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import nn

import inkdigits
from inkdigits.core.digits import CONFIG_FILE
from inkdigits.core.errors import BadModel, InkdigitsError, UnknownName, needs_extra
from inkdigits.core.files import read_config, write_whole
from inkdigits.reading.model_files import shipped_folder, shipped_models
from inkdigits.training.models import recipe_network
from inkdigits.training.recipe import Recipe, from_table, to_table

WEIGHTS_FILE = "model.safetensors"
CONFIG_FORMAT = 1  # of config.json; goes up when an older reader would misunderstand it
TEMPERATURES = (0.01, 100)  # ours are from 0.25 to 4
INPUT_FORMAT = (
    "uint8 (N, 28, 28), paper 0 to ink 255, a digit's longer side 20 pixels, "
    "its centre of mass in the middle"
)


@dataclass(frozen=True)
class Checkpoint:
    """What a folder holds. The network is on the CPU, in training mode."""

    network: nn.Module
    recipe: Recipe
    config: dict[str, Any]


def save_checkpoint(
    folder: Path, network: nn.Module, recipe: Recipe, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the weights, then the config that makes them a checkpoint.

    Args:
        folder: it exists.
        network: trained.
        recipe: what built the network.
        facts: what else is worth keeping, as JSON's types: seed, data, classes, temperature, final
            figures.

    Returns:
        The config.

    Raises:
        CannotWrite: the disk refuses.
        MissingExtra: safetensors is not installed.
    """
    with needs_extra("saving a model", "train"):
        from safetensors.torch import save

    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    write_whole(folder / WEIGHTS_FILE, save(weights))

    config = {
        "format": CONFIG_FORMAT,
        "recipe": to_table(recipe),
        "preprocessing": {
            "input": INPUT_FORMAT,
            "scale": "1/255",
            "mean": recipe.mean,
            "sd": recipe.sd,
            "size": recipe.size,
        },
        **facts,
        "versions": versions(),
        "machine": machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_whole(folder / CONFIG_FILE, json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    return config


def load_checkpoint(folder: Path) -> Checkpoint:
    """Load the network of a folder that `save_checkpoint` wrote.

    Raises:
        BadModel: a file is missing or wrong; the message says which and how.
        MissingExtra: safetensors is not installed.
    """
    with needs_extra("loading a model for training", "train"):
        from safetensors import SafetensorError
        from safetensors.torch import load_file

    config = _read_config(folder)
    weights = folder / WEIGHTS_FILE
    try:
        recipe = from_table(config["recipe"])
        _refuse_other_weights(weights, recipe)
        network = recipe_network(recipe)
        network.load_state_dict(load_file(weights))
    except (OSError, SafetensorError) as error:
        raise BadModel(f"{weights} is missing or damaged: {error}") from error
    except RuntimeError as error:
        raise BadModel(
            f"{weights} does not fit the network {recipe.network!r} of its config: {error}"
        ) from error
    except (InkdigitsError, KeyError, TypeError, ValueError) as error:
        raise BadModel(
            f"{folder / CONFIG_FILE} holds no recipe that this version knows: {error}"
        ) from error

    refuse_infinite(network, weights)
    return Checkpoint(network, recipe, config)


def refuse_infinite(network: nn.Module, path: Path) -> None:
    """Refuse weights that are no numbers, of which nothing comes but more of them.

    Args:
        network: which has them.
        path: of their file, for the error.

    Raises:
        BadModel: some are infinite or not a number; the first ones are named.
    """
    for name, tensor in network.state_dict().items():
        if not tensor.isfinite().all():
            raise BadModel(f"{path} has values in {name!r} that are no finite numbers")


def _refuse_other_weights(weights: Path, recipe: Recipe) -> None:
    """Refuse weights of another network, before anything is built that takes memory.

    Raises:
        RuntimeError: a tensor is missing, is not expected, or has another shape.
        OSError: there is no such file.
    """
    from safetensors import safe_open

    if not weights.is_file():
        raise OSError("there is no such file")

    with torch.device("meta"):  # only shapes
        network = recipe_network(recipe)

    with safe_open(weights, "pt") as file:
        names = file.keys()
        found = {name: list(file.get_slice(name).get_shape()) for name in names}

    refuse_other_shapes(found, network)


def refuse_other_shapes(found: Mapping[str, list[int]], network: nn.Module) -> None:
    """Refuse tensors that are not those of a network.

    Args:
        found: the shapes of the tensors by their names.
        network: on any device.

    Raises:
        RuntimeError: a tensor is missing, is not expected, or has another shape; the first one is
            named.
    """
    expected = network.state_dict()
    for name in sorted({*expected, *found}):
        shape = list(expected[name].shape) if name in expected else "nothing"
        there = found.get(name, "nothing")
        if there != shape:
            raise RuntimeError(f"{name!a} is {there}, where {shape} should be")


def load_run(model: str | Path) -> Checkpoint:
    """Load the network of a shipped model or of a folder made by training.

    Raises:
        UnknownName: there is no such model.
        BadModel: a file is missing or damaged.
    """
    return load_checkpoint(model_folder(model))


def model_folder(model: str | Path) -> Path:
    """Return the folder that holds the weights of a shipped model or of a run.

    Raises:
        UnknownName: there is no such model.
        BadModel: it is a file, from which no network can be trained.
    """
    folder = shipped_folder(str(model)) or Path(model)
    if folder.is_dir():
        return folder

    expected = "a folder made by `inkdigits train`"
    if folder.is_file():
        raise BadModel(
            f"{folder} is a file, and no network can be trained or exported from it; "
            f"expected {expected}"
        )
    raise UnknownName("model", model, [*shipped_models(), expected])


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    if not path.exists():
        raise BadModel(f"{folder} holds no {CONFIG_FILE}; a folder made by `inkdigits train` does")

    try:
        config = read_config(path)
    except (OSError, ValueError) as error:
        raise BadModel(f"{path} is damaged: {error}") from error

    found = config.get("format") if isinstance(config, dict) else type(config).__name__
    if found != CONFIG_FORMAT:
        raise BadModel(f"{path} has format {found}; this version reads format {CONFIG_FORMAT}")

    temperature = config.get("temperature", 1.0)
    least, most = TEMPERATURES
    if not isinstance(temperature, float | int) or not least <= temperature <= most:
        found = f"the temperature {temperature!a:.40}"
        raise BadModel(f"{path} has {found}; it should be a number from {least:g} to {most:g}")

    return config


def versions() -> dict[str, str]:
    """Return the versions of Python, inkdigits and the libraries that a result depends on."""
    found = {"python": platform.python_version(), "inkdigits": inkdigits.__version__}
    for package in ("torch", "numpy", "onnx", "onnxruntime"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue

    return found


def machine() -> str:
    """Describe the processor, the threads that torch uses on it, and the GPU if there is one."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {torch.get_num_threads()} threads{gpu}"
