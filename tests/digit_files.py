"""Files of digits, written independently of the readers that are tested with them."""

import io
import struct
from pathlib import Path

import numpy as np

rng = np.random.default_rng(1)
IMAGES = rng.integers(0, 256, (7, 28, 28), np.uint8)
LABELS = np.array([5, 0, 4, 1, 9, 2, 1], np.uint8)
HEADER = ",".join(["label", *(f"pixel{i}" for i in range(784))])  # of Kaggle's table

IDX_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array: np.ndarray) -> bytes:
    """Return an array as an IDX file."""
    big_endian = array.astype(array.dtype.newbyteorder(">"))
    code = IDX_CODES[array.dtype.str[1:]]
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + big_endian.tobytes()


def npz(**arrays: np.ndarray) -> bytes:
    """Return arrays as a compressed .npz file."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    """Return an array as an .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def table(
    images: np.ndarray = IMAGES,
    labels: np.ndarray | None = LABELS,
    header: str | None = HEADER,
    end: str = "\n",
) -> str:
    """Return images as a CSV table, the label first."""
    rows = images.reshape(len(images), -1).tolist()
    if labels is not None:
        rows = [[label, *row] for label, row in zip(labels.tolist(), rows, strict=True)]
    lines = [header] if header else []
    lines += [",".join(map(str, row)) for row in rows]
    return end.join(lines) + end


def libsvm(values: np.ndarray) -> bytes:
    """Return rows of a label and values in LIBSVM's format."""
    lines = []
    for label, *others in values:
        fields = [f"{index}:{value:g}" for index, value in enumerate(others, 1)]
        lines.append(" ".join([f"{label:g}", *fields]) + " \n")
    return "".join(lines).encode()


def numbers(values: np.ndarray) -> bytes:
    """Return rows of numbers with spaces between them, one behind each as well, as UCI has them."""
    return "".join("".join(f"{value:.4f} " for value in row) + "\n" for row in values).encode()


def written(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path
