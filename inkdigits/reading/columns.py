"""Columns of pictures come in, columns of readings go out, as Arrow tables.

Pictures are 28x28 pixels, larger ones, encoded ones, or their paths. `DigitReader` serves one
process, on a cluster (cluster.py) or in a pipeline of your own. It needs the extra `scale`.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.arrays import as_images
from inkdigits.core.digits import PIXELS, SIDE, Pixels
from inkdigits.core.errors import BadData, BadPicture, MissingExtra
from inkdigits.reading.model_files import DEFAULT_MODEL, ModelName
from inkdigits.reading.reading import Reading
from inkdigits.reading.recogniser import Recogniser
from inkdigits.reading.trace import unreadable_trace

if TYPE_CHECKING:
    import pyarrow as pa

PICTURE_COLUMNS = ("image", "bytes", "path")  # where pictures are looked for, in this order
DROPPED_COLUMNS = ("image", "bytes")  # readings take their place; all others are handed on


class DigitReader:
    """Reads batches of pictures, for `ray.data.Dataset.map_batches`. Loads its model once an actor.

    Args:
        model: as for `Recogniser`.
        single: whether each picture holds at most one digit.

    Raises:
        UnknownName, BadModel: as `Recogniser` does.
        MissingExtra: pyarrow is not installed.
    """

    def __init__(self, model: ModelName = DEFAULT_MODEL, single: bool = False) -> None:
        arrow()
        self.recogniser = Recogniser(model, threads=1)  # there is an actor for each processor
        self.single = single

    def __call__(self, batch: Mapping[str, NDArray[Any]]) -> "pa.Table":
        """Read a batch, row by row.

        Args:
            batch: columns of N rows, of which one holds the pictures. It is called `image` (28x28
                pixels as uint8 arrays or 784 bytes, which are read as they are; larger arrays; or
                Hugging Face's {bytes, path}), `bytes` (encoded pictures) or `path`.

        Returns:
            The columns text, written, confidence (of the whole text), digits, signs, warnings and
            error, after the other columns and `path`. A picture that cannot be read has null for
            its text, and its error.

        Raises:
            BadData: no column holds pictures, or one has a name that the readings need.
        """
        pictures = picture_column(batch)
        others = {
            name: arrow().array(list(column))
            for name, column in batch.items()
            if name not in DROPPED_COLUMNS
        }
        return join_columns(others, self.read(batch[pictures], encoded=pictures != "image"))

    def read(self, pictures: Sequence[Any] | NDArray[Any], *, encoded: bool = False) -> "pa.Table":
        """Read N pictures into N rows.

        Args:
            pictures: the values of a column.
            encoded: whether bytes are those of picture files, never pixels.
        """
        images = [_as_image(picture, encoded) for picture in pictures]
        plain = [image for image in images if image is not None]
        readings = self.recogniser.read_images(np.stack(plain)) if plain else iter(())

        rows = [
            (self._read_one(picture, encoded) if image is None else next(readings)).as_dict()
            for picture, image in zip(pictures, images, strict=True)
        ]
        return arrow().Table.from_pylist(rows, schema=schema())

    def _read_one(self, picture: Any, encoded: bool) -> Reading:
        try:
            return self.recogniser.read(_as_source(picture, encoded), self.single)
        except BadPicture as error:
            return unreadable_trace(error).reading


def arrow() -> Any:
    """Import PyArrow with its Parquet part.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingExtra("reading tables of pictures", "scale") from None
    return pa


@lru_cache
def schema() -> "pa.Schema":
    """Return the columns of readings. They are not inferred: a batch may be without any digit."""
    pa = arrow()
    number, text = pa.float64(), pa.string()
    digit = [
        ("digit", pa.int8()),
        ("confidence", number),
        ("accepted", pa.bool_()),
        ("box", pa.list_(pa.int32(), 4)),
        ("reason", text),
    ]
    sign = [("sign", text), ("confidence", number), ("box", pa.list_(pa.int32(), 4))]
    columns = [
        ("text", text),
        ("written", text),
        ("confidence", number),
        ("digits", pa.list_(pa.struct(digit))),
        ("signs", pa.list_(pa.struct(sign))),
        ("warnings", pa.list_(text)),
        ("error", pa.struct([("code", text), ("message", text)])),
    ]
    return pa.schema(columns)


def picture_column(names: Iterable[str]) -> str:
    """Return the name of the column that holds the pictures.

    Raises:
        BadData: no column has such a name.
    """
    names = list(names)
    for name in PICTURE_COLUMNS:
        if name in names:
            return name

    raise BadData(
        f"the columns are {', '.join(names) or 'none'}; "
        f"pictures are looked for in {', '.join(PICTURE_COLUMNS)}"
    )


def join_columns(others: Mapping[str, Any], readings: "pa.Table") -> "pa.Table":
    """Join other columns and those of readings into one table.

    Raises:
        BadData: they have a name in common.
    """
    columns = dict(zip(readings.column_names, readings.columns, strict=True))
    taken = sorted(others.keys() & columns.keys())
    if taken:
        raise BadData(
            f"a column is called {taken[0]!r} already; "
            "give it another name, as readings have one of that name"
        )
    return arrow().table({**others, **columns})


def _as_image(picture: Any, encoded: bool) -> Pixels | None:
    """Return pixels of an image that needs no preparing, (28, 28) uint8, or None."""
    if isinstance(picture, bytes) and not encoded and len(picture) == PIXELS:
        return np.frombuffer(picture, np.uint8).reshape(SIDE, SIDE)

    if isinstance(picture, np.ndarray):
        with contextlib.suppress(BadData, ValueError):  # of another size; rows of several lengths
            return as_images(_stack_rows(picture)[None], "a row")[0]

    return None


def _stack_rows(picture: NDArray[Any]) -> NDArray[Any]:
    """Return an array of rows, as Arrow's lists of lists arrive, as one of pixels.

    Raises:
        ValueError: the rows have several lengths.
    """
    return np.stack(list(picture)) if picture.dtype == object else picture


def _as_source(picture: Any, encoded: bool) -> Any:
    """Return a value of a column as `Recogniser.read` accepts it, or raise BadPicture."""
    if isinstance(picture, dict):  # an image of Hugging Face's
        picture = picture.get("bytes") or picture.get("path")
        encoded = True

    if picture is None:
        raise BadPicture("empty", "there is no picture in this row")

    if isinstance(picture, bytes) and not encoded:
        raise BadPicture(
            "unsupported",
            f"{len(picture)} bytes are not {SIDE}x{SIDE} pixels; "
            "a column `bytes` has encoded pictures",
        )
    if isinstance(picture, np.ndarray):
        with contextlib.suppress(ValueError):
            return _stack_rows(picture)

    if isinstance(picture, str | bytes):
        return picture

    raise BadPicture("unsupported", f"a {type(picture).__name__} is no picture")
