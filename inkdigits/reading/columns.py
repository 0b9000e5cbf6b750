"""Columns of pictures -> columns of readings, as Arrow tables: what a process on a cluster makes of a batch.

Takes 28x28 pixels, pictures of any size, encoded ones, or their paths. Knows nothing of files of tables, or of who runs it where.
Needs the extra `scale`.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.arrays import as_images
from inkdigits.core.digits import PIXELS, SIDE, Pixels
from inkdigits.core.errors import BadData, BadPicture, MissingExtra
from inkdigits.reading.model_files import DEFAULT_MODEL
from inkdigits.reading.recogniser import Reading, Recogniser

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("image", "bytes", "path")  # where pictures are looked for, in this order
DROPPED = ("image", "bytes")  # which readings stand in for; all others are handed on


class DigitReader:
    """For `ray.data.Dataset.map_batches`: batches of pictures in, their readings out, row by row. Loads its model once an actor.

    model, single: as `Recogniser` and its `read` take them. Raises UnknownName or BadModel; MissingExtra without pyarrow.
    """

    def __init__(self, model: str | os.PathLike[str] = DEFAULT_MODEL, single: bool = False) -> None:
        arrow()
        self.recogniser = Recogniser(model, threads=1)  # there is an actor for each processor
        self.single = single

    def __call__(self, batch: Mapping[str, NDArray[Any]]) -> "pa.Table":
        """The readings of a batch: columns text, confidence (of the least sure accepted digit), digits, warnings and error.

        batch: columns of N rows, one of them called `image` (28x28 pixels as uint8 arrays or 784 bytes, which are read as they are;
        larger arrays; or Hugging Face's {bytes, path}), `bytes` (encoded pictures) or `path`. Other columns, and `path`, are handed
        on. A picture that cannot be read has null for its text, and its error. Raises BadData where no column holds pictures.
        """
        pictures = picture_column(batch)
        others = {
            name: arrow().array(list(column))
            for name, column in batch.items()
            if name not in DROPPED
        }
        return beside(others, self.read(batch[pictures], encoded=pictures != "image"))

    def read(self, pictures: Sequence[Any] | NDArray[Any], *, encoded: bool = False) -> "pa.Table":
        """The readings of N pictures, in N rows. encoded: bytes are those of picture files, never pixels."""
        fields = {
            row: field
            for row, picture in enumerate(pictures)
            if (field := _field(picture, encoded)) is not None
        }
        readings: dict[int, Reading] = {}
        if fields:
            readings = dict(
                zip(
                    fields,
                    self.recogniser.read_images(np.stack(list(fields.values()))),
                    strict=True,
                )
            )
        rows = [
            _row(readings.get(row) or self._read_one(picture, encoded))
            for row, picture in enumerate(pictures)
        ]
        return arrow().Table.from_pylist(rows, schema=schema())

    def _read_one(self, picture: Any, encoded: bool) -> Reading:
        try:
            return self.recogniser.read(_source(picture, encoded), self.single)
        except BadPicture as error:
            return Reading(None, error=error)


def arrow() -> Any:
    """PyArrow with its Parquet part. Raises MissingExtra."""
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingExtra("reading tables of pictures", "scale") from None
    return pa


@lru_cache
def schema() -> "pa.Schema":
    """Of the readings: what `read --json` prints, and the confidence. Said, not inferred: a batch may be without any digit."""
    pa = arrow()
    number, text = pa.float64(), pa.string()
    box = pa.list_(pa.int32(), 4)
    digit = [
        ("digit", pa.int8()),
        ("confidence", number),
        ("accepted", pa.bool_()),
        ("box", box),
        ("reason", text),
    ]
    return pa.schema(
        [
            ("text", text),
            ("confidence", number),
            ("digits", pa.list_(pa.struct(digit))),
            ("warnings", pa.list_(text)),
            ("error", pa.struct([("code", text), ("message", text)])),
        ]
    )


def _row(reading: Reading) -> dict[str, Any]:
    sure = min((digit.confidence for digit in reading.digits if digit.accepted), default=None)
    return reading.as_dict() | {"confidence": sure if sure is None else round(sure, 6)}


def picture_column(names: Iterable[str]) -> str:
    """Where the pictures are. Raises BadData where no column is called so."""
    names = list(names)
    found = next((name for name in COLUMNS if name in names), None)
    if found is None:
        raise BadData(
            f"the columns are {', '.join(names) or 'none'}; pictures are looked for in {', '.join(COLUMNS)}"
        )
    return found


def beside(others: Mapping[str, Any], readings: "pa.Table") -> "pa.Table":
    """One table of both. Raises BadData where they have a name in common."""
    taken = sorted({*others} & {*readings.column_names})
    if taken:
        raise BadData(
            f"a column is called {taken[0]!r} already; give it another name, as readings have one of that name"
        )
    return arrow().table(
        {**others, **dict(zip(readings.column_names, readings.columns, strict=True))}
    )


def _field(picture: Any, encoded: bool) -> Pixels | None:
    """(28, 28) uint8 where the picture is pixels of that size and needs no preparing; else None."""
    if isinstance(picture, bytes) and not encoded and len(picture) == PIXELS:
        return np.frombuffer(picture, np.uint8).reshape(SIDE, SIDE)
    if isinstance(picture, np.ndarray):
        with contextlib.suppress(BadData, ValueError):  # of another size; rows of several lengths
            return as_images(_dense(picture)[None], "a row")[0]
    return None


def _dense(picture: NDArray[Any]) -> NDArray[Any]:
    """An array of rows, as Arrow's lists of lists arrive, as one of pixels. Raises ValueError where they do not fit together."""
    return np.stack(list(picture)) if picture.dtype == object else picture


def _source(picture: Any, encoded: bool) -> Any:
    """What `Recogniser.read` takes. Raises BadPicture."""
    if isinstance(picture, dict):  # an image of Hugging Face's
        picture, encoded = picture.get("bytes") or picture.get("path"), True
    if picture is None:
        raise BadPicture("empty", "there is no picture in this row")
    if isinstance(picture, bytes) and not encoded:
        raise BadPicture(
            "unsupported",
            f"{len(picture)} bytes are not {SIDE}x{SIDE} pixels; a column `bytes` has encoded pictures",
        )
    if isinstance(picture, np.ndarray):
        with contextlib.suppress(ValueError):
            return _dense(picture)
    if isinstance(picture, str | bytes):
        return picture
    raise BadPicture("unsupported", f"a {type(picture).__name__} is no picture")
