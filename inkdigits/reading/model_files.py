"""A model's name comes in, its .onnx file goes out.

A name is that of a shipped model (`default`), such a name with `-int8` (`default-int8`), a folder
made by `inkdigits train`, or an .onnx file. Several of them joined by `+` make a cascade
(cascade.py).
"""

import os
from pathlib import Path

from inkdigits.core.errors import BadModel, UnknownName, quoted

ModelName = str | os.PathLike[str]

WEIGHTS = Path(__file__).with_name("weights")
DEFAULT_MODEL = "default"
ONNX_FILE = "model.onnx"
INT8 = "-int8"  # `tiny-int8` is the eight-bit version of `tiny`,
INT8_FILE = "int8.onnx"  # which `inkdigits export tiny --int8` wrote into the folder of `tiny`


def shipped_models() -> list[str]:
    """Return the names of the models that the package ships, sorted."""
    return sorted(path.parent.name for path in WEIGHTS.glob(f"*/{ONNX_FILE}"))


def quantised_models() -> list[str]:
    """Return the names of the shipped eight-bit models, sorted, e.g. `tiny-int8`."""
    return sorted(path.parent.name + INT8 for path in WEIGHTS.glob(f"*/{INT8_FILE}"))


def shipped_folder(model: str) -> Path | None:
    """Return the folder of a shipped model, laid out as `inkdigits train` leaves one, or None."""
    return WEIGHTS / model if model in shipped_models() else None


def split_models(model: ModelName) -> list[str]:
    """Split a name at every `+`, unless a file or folder has that very name."""
    name = os.fspath(model)
    # Path.exists would raise an OSError for a name that is too long to be one.
    return [name] if os.path.exists(name) else name.split("+")  # noqa: PTH110


def resolve_model(model: ModelName) -> Path:
    """Return the .onnx file of one model.

    Args:
        model: a shipped name, a folder made by `inkdigits train`, or an .onnx file.

    Raises:
        UnknownName: no model, folder or file has that name.
        BadModel: the folder or file holds no ONNX model, or several models are joined by `+`.
    """
    name = os.fspath(model)
    parts = split_models(name)
    if len(parts) > 1:
        raise BadModel(f"{quoted(name)} is {len(parts)} models; expected one")

    if name in quantised_models():
        return WEIGHTS / name.removesuffix(INT8) / INT8_FILE

    path = shipped_folder(name) or Path(name)
    if not os.path.exists(path):  # noqa: PTH110
        others = ["a folder made by `inkdigits train`", "an .onnx file"]
        raise UnknownName("model", name, [*shipped_models(), *quantised_models(), *others])

    if path.is_dir():
        if not (path / ONNX_FILE).is_file():
            raise BadModel(
                f"the folder {str(path)!r} holds no {ONNX_FILE}; "
                "a folder made by `inkdigits train` does"
            )
        return path / ONNX_FILE

    if path.suffix != ".onnx" or not path.is_file():
        raise BadModel(f"{quoted(path)} is not an .onnx file; `inkdigits export` makes one")

    return path


def is_shipped(path: Path) -> bool:
    """Tell whether an .onnx file is one of those in the package."""
    return path.resolve().is_relative_to(WEIGHTS.resolve())


def is_default(path: Path) -> bool:
    """Tell whether an .onnx file is that of the model `default`, however its path is written."""
    return path.resolve() == (WEIGHTS / DEFAULT_MODEL / ONNX_FILE).resolve()
