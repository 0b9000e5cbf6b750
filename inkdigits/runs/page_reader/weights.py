"""The weights of the page reader's two networks: a folder comes in, float32 tensors go out."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from inkdigits.core.errors import BadModel, UnknownName, needs_extra
from inkdigits.core.files import read_small, write_whole
from inkdigits.reading.model_files import WEIGHTS
from inkdigits.runs.checkpoint import refuse_infinite, refuse_other_shapes
from inkdigits.training.page.look_network import LookNetwork
from inkdigits.training.page.network import PageNetwork
from inkdigits.training.page.recipe import NAME
from inkdigits.training.state import on_cpu

PAGE_WEIGHTS = "page.safetensors"
LOOK_WEIGHTS = "look.safetensors"

MAX_WEIGHTS = 64 << 20  # bytes of one file; the shipped ones have one or two million

Weights = dict[str, Tensor]  # of one network, by the names of its state


@dataclass(frozen=True)
class PageReaderWeights:
    """The weights of both networks, which are float32; counters of batches stay int64.

    Attributes:
        page: of the page network.
        look: of the second network.
        digest: SHA-256 of both files.
    """

    page: Weights
    look: Weights
    digest: str


def load_page_weights(init: str | Path) -> PageReaderWeights:
    """Load the weights of a finished run, or the shipped ones, which are in half precision.

    Args:
        init: a folder with page.safetensors and look.safetensors, or "page" for the shipped ones.

    Raises:
        UnknownName: there is no such folder.
        BadModel: a file is missing, damaged, or of another network.
        MissingExtra: safetensors is not installed.
    """
    folder = WEIGHTS / NAME if str(init) == NAME else Path(init)
    if not folder.is_dir():
        known = [NAME, f"a folder made by `inkdigits train {NAME}`"]
        raise UnknownName("page reader", init, known)

    page_content = _read(folder / PAGE_WEIGHTS)
    look_content = _read(folder / LOOK_WEIGHTS)
    return PageReaderWeights(
        page=_parse(page_content, folder / PAGE_WEIGHTS, PageNetwork()),
        look=_parse(look_content, folder / LOOK_WEIGHTS, LookNetwork()),
        digest=hashlib.sha256(page_content + look_content).hexdigest(),
    )


def save_page_weights(folder: Path, page: nn.Module, look: nn.Module) -> None:
    """Write the weights of both networks into a folder, in the precision that they have.

    Raises:
        CannotWrite: the disk refuses.
    """
    from safetensors.torch import save

    for name, network in ((PAGE_WEIGHTS, page), (LOOK_WEIGHTS, look)):
        weights = on_cpu(network.state_dict())
        write_whole(folder / name, save(weights))


def _read(path: Path) -> bytes:
    try:
        return read_small(path, MAX_WEIGHTS)
    except OSError as error:
        raise BadModel(
            f"{path} cannot be read: {error.strerror or error}; "
            f"a folder made by `inkdigits train {NAME}` has it"
        ) from error


def _parse(content: bytes, path: Path, network: nn.Module) -> Weights:
    """Return the weights in a file, widened to float32, if they fit a network."""
    with needs_extra("training", "train"):
        from safetensors import SafetensorError
        from safetensors.torch import load

    try:
        weights = _widened(load(content))
        shapes = {name: list(tensor.shape) for name, tensor in weights.items()}
        refuse_other_shapes(shapes, network)
        network.load_state_dict(weights)
    except SafetensorError as error:
        raise BadModel(f"{path} is damaged: {error}") from error
    except RuntimeError as error:
        raise BadModel(f"{path} holds the weights of another network: {error}") from error

    refuse_infinite(network, path)
    return weights


def _widened(weights: Mapping[str, Tensor]) -> Weights:
    """Return tensors with all floating-point ones in float32."""
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
    }
