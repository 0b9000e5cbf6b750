"""More pictures than one process can read, on a Ray cluster.

A folder of pictures or of Parquet files comes in, a folder of Parquet files of readings goes out.
`read_dataset` does all of that; `DigitReader` is for pipelines of your own with Ray Data. A shard,
one Parquet file or some pictures of a folder, is read by one process and leaves one file: whole or
not at all, and marked with what it was made of, so that finished work is not repeated. Every
machine of the cluster has to see the files under the same names.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inkdigits import __version__
from inkdigits.core.errors import BadData, BadValue, CannotWrite, InkdigitsError, MissingExtra
from inkdigits.core.files import file_lock, remove_leftovers, writable_folder, write_whole
from inkdigits.core.pictures import PICTURE_SUFFIXES, pictures_below
from inkdigits.reading.columns import (
    DROPPED_COLUMNS,
    DigitReader,
    arrow,
    join_columns,
    picture_column,
    schema,
)
from inkdigits.reading.model_files import DEFAULT_MODEL, ModelName, resolve_model, shipped_folder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DigitReader", "Shard", "Summary", "find_shards", "read_dataset"]

PARQUET = ".parquet"
PICTURES_A_SHARD = 1000  # of a folder: half a minute's work, of photos
ROWS_READ = 128  # at a time, as the network takes them; of photos they may be 500 MB
TABLES_WRITTEN = 512  # of so many rows at a time: small parts make a Parquet file large and slow
MADE_OF = b"inkdigits.made_of"  # the key in a Parquet file's metadata


@dataclass(frozen=True)
class Shard:
    """Work for one process.

    Attributes:
        inputs: one Parquet file, or pictures.
        out: the Parquet file to write.
        made_of: a hash of everything that the readings depend on.
    """

    inputs: list[str]
    out: str
    made_of: str

    def is_finished(self) -> bool:
        """Tell whether its file is there, and made of the inputs as they are now."""
        try:
            metadata = arrow().parquet.read_metadata(self.out).metadata or {}
        except _damage():
            return False

        return metadata.get(MADE_OF) == self.made_of.encode()

    def read(self, reader: DigitReader) -> tuple[int, int]:
        """Read its pictures and write its file.

        Returns:
            How many pictures there were, and how many of them could not be read.

        Raises:
            BadData: the input is damaged, or has no pictures.
            CannotWrite: the file cannot be written.
        """
        pictures = failed = 0

        def write(temporary: Path) -> None:
            nonlocal pictures, failed
            columns, tables = self._tables(reader)
            columns = columns.with_metadata({MADE_OF: self.made_of})
            with arrow().parquet.ParquetWriter(temporary, columns) as writer:
                while some := list(islice(tables, TABLES_WRITTEN)):
                    table = arrow().concat_tables(some).cast(columns)
                    writer.write_table(table)
                    pictures += len(table)
                    failed += len(table) - table["error"].null_count

        out = Path(self.out)
        write_whole(writable_folder(out.parent) / out.name, write)
        return pictures, failed

    def _tables(self, reader: DigitReader) -> tuple["pa.Schema", Iterator["pa.Table"]]:
        """Return the columns of its file, and what they hold, some rows at a time."""
        name = self.inputs[0]
        if not name.endswith(PARQUET):
            path = arrow().field("path", arrow().string())
            starts = range(0, len(self.inputs), ROWS_READ)
            paths = (self.inputs[start : start + ROWS_READ] for start in starts)
            tables = (reader({"path": np.array(some, object)}) for some in paths)
            return arrow().schema([path, *schema()]), tables

        try:
            file = arrow().parquet.ParquetFile(name)
        except _damage() as error:
            raise BadData(f"{name} cannot be read: {error}") from error

        others = [field for field in file.schema_arrow if field.name not in DROPPED_COLUMNS]
        return arrow().schema([*others, *schema()]), _read_parquet(file, name, reader)


def _damage() -> tuple[type[Exception], ...]:
    """Return what PyArrow raises for a file that is no Parquet file, or is not whole."""
    return OSError, ValueError, arrow().ArrowException


def _read_parquet(file: Any, name: str, reader: DigitReader) -> Iterator["pa.Table"]:
    """Yield readings beside the other columns as they were, or raise BadData."""
    pictures = picture_column(file.schema_arrow.names)
    try:
        for batch in file.iter_batches(ROWS_READ, use_threads=False):
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            values = _values(columns[pictures], name)
            others = {
                name: column for name, column in columns.items() if name not in DROPPED_COLUMNS
            }
            yield join_columns(others, reader.read(values, encoded=pictures != "image"))
    except _damage() as error:
        raise BadData(f"{name} is damaged: {error}") from error


def _values(column: Any, name: str) -> NDArray[Any]:
    """Return an Arrow column as NumPy has it; tensors as the lists that they are stored as.

    Raises:
        BadData: it has types of other libraries. Ray registers one whose values are unpickled when
            they are looked at.
    """
    column = getattr(column, "storage", column)
    if not _is_plain(column.type):
        raise BadData(
            f"{name} has pictures of the type {column.type}; expected plain lists, bytes or text"
        )
    return column.to_numpy(zero_copy_only=False)


def _is_plain(kind: Any) -> bool:
    if isinstance(kind, arrow().BaseExtensionType):
        return False

    return all(_is_plain(kind.field(index).type) for index in range(kind.num_fields))


def find_shards(source: Path, out: Path, made_by: Sequence[object] = ()) -> list[Shard]:
    """Divide a dataset into shards, sorted by name.

    Args:
        source: a Parquet file, a folder with such files, or a folder of pictures.
        out: the folder of the shards' files.
        made_by: what else the readings depend on, as JSON can hold it.

    Raises:
        BadData: there is nothing to read.
        BadValue: `out` is inside `source`.
    """
    if out.resolve().is_relative_to(source.resolve()):
        raise BadValue(
            f"{out} is inside {source}, where readings would be taken for pictures; "
            "choose a folder beside it"
        )

    home = source
    tables = sorted(source.rglob(f"*{PARQUET}"))
    if source.is_file() and source.suffix == PARQUET:
        home = source.parent
        tables = [source]

    named = [(str(table.relative_to(home)), [table]) for table in tables]
    named = named or list(_group_pictures(source))
    if not named:
        known = " ".join(sorted({*PICTURE_SUFFIXES, PARQUET}))
        raise BadData(
            f"nothing to read in {source}; the names of Parquet files and pictures end in {known}"
        )

    return [
        Shard([str(path) for path in paths], str(out / name), _hash(paths, home, made_by))
        for name, paths in named
    ]


def _group_pictures(source: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield the pictures of each folder, a shard's at a time, and the name of its file."""
    pictures = sorted(pictures_below(source), key=lambda path: (path.parent, path))
    for folder, inside in groupby(pictures, lambda path: path.parent):
        paths = list(inside)
        for part, start in enumerate(range(0, len(paths), PICTURES_A_SHARD)):
            name = folder.relative_to(source) / f"part-{part:05}{PARQUET}"
            yield str(name), paths[start : start + PICTURES_A_SHARD]


def _hash(paths: Sequence[Path], home: Path, made_by: Sequence[object]) -> str:
    """Hash names, sizes and times of change: to read all of a large dataset would take too long."""
    facts = []
    for path in paths:
        status = path.stat()
        facts.append((str(path.relative_to(home)), status.st_size, status.st_mtime_ns))

    return hashlib.sha256(json.dumps([facts, *made_by]).encode()).hexdigest()


@dataclass(frozen=True)
class Summary:
    """The result of reading a dataset.

    Attributes:
        shards: how many there are,
        finished_before: and how many of them an earlier run had finished.
        pictures: those of the other shards.
        failed: pictures that could not be read; they have rows in the files.
        errors: why shards have no file.
        seconds: how long it took.
    """

    shards: int
    finished_before: int
    pictures: int
    failed: int
    errors: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        shards = self.shards - self.finished_before
        said = f"{self.pictures:,} pictures of {shards} shards in {self.seconds:.1f} s"
        if self.failed:
            said += f", {self.failed:,} of them could not be read"
        if self.finished_before:
            said += f"; {self.finished_before} shards were finished before"

        return "\n".join([said, *self.errors])


def read_dataset(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    model: ModelName = DEFAULT_MODEL,
    single: bool = False,
    workers: int | None = None,
) -> Summary:
    """Read a dataset of pictures on a Ray cluster; started again, read only unfinished shards.

    Args:
        source: a Parquet file, a folder of them, or a folder of pictures.
        out: a folder for a Parquet file of readings for each shard.
        model: a shipped name, a folder made by `inkdigits train`, or an .onnx file.
        single: whether each picture holds at most one digit.
        workers: processes; None takes one for each processor of the cluster, which is this machine
            alone unless Ray is told otherwise.

    Raises:
        MissingExtra: Ray is not installed.
        BadData: there is nothing to read.
        BadValue: `out` is inside `source`.
        CannotWrite: another run writes into `out`, or nothing can be written there.
        UnknownName, BadModel: as `Recogniser` does.
    """
    ray = _import_ray()
    started = time.perf_counter()
    source = Path(source).resolve()
    out = writable_folder(Path(out)).resolve()
    onnx = resolve_model(model)
    is_shipped = shipped_folder(os.fspath(model)) is not None
    everywhere = os.fspath(model) if is_shipped else str(onnx.resolve())

    with file_lock(out / "shards", wait=False) as ours:
        if not ours:
            raise CannotWrite(f"another run is using {out}; choose another folder, or wait")

        made_by = hashlib.sha256(onnx.read_bytes()).hexdigest(), single, __version__
        shards = find_shards(source, out, made_by)
        _remove_leftovers(shards)
        waiting = [shard for shard in shards if not shard.is_finished()]
        done = _read_on(ray, waiting, (everywhere, single), workers) if waiting else []

    return Summary(
        shards=len(shards),
        finished_before=len(shards) - len(waiting),
        pictures=sum(row["pictures"] for row in done),
        failed=sum(row["failed"] for row in done),
        errors=tuple(row["error"] for row in done if row["error"]),
        seconds=time.perf_counter() - started,
    )


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or it tells its makers
    try:
        import ray.data
    except ModuleNotFoundError:
        raise MissingExtra("reading on a cluster", "scale") from None
    return ray


def _remove_leftovers(shards: Sequence[Shard]) -> None:
    """Remove the temporary files of runs that were killed."""
    for folder in {Path(shard.out).parent for shard in shards}:
        if folder.is_dir():
            remove_leftovers(folder)


def _read_on(
    ray: Any, shards: Sequence[Shard], reader: tuple[str, bool], workers: int | None
) -> list[dict[str, Any]]:
    """Return what came of each shard; raise CannotWrite as soon as one could not be written."""
    if not ray.is_initialized():
        # Workers import from the folder where Ray is started, which may be a stranger's.
        with contextlib.chdir(Path(__file__).parents[2]):
            ray.init()

    workers = min(len(shards), workers or int(ray.cluster_resources()["CPU"]))
    one_at_a_time = ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1)
    rows = ray.data.from_items([asdict(shard) for shard in shards], override_num_blocks=len(shards))
    results = rows.map_batches(
        _ShardReader,
        fn_constructor_args=reader,
        batch_size=1,
        compute=one_at_a_time,  # so that no shard waits for a slow one
        num_cpus=1,
    )
    done = []
    for row in results.iter_rows():
        if row["code"] == CannotWrite.code:
            raise CannotWrite(row["error"])

        done.append(row)

    return done


class _ShardReader:
    """An actor of `read_dataset`, which reads one whole shard at a time."""

    def __init__(self, model: str, single: bool) -> None:
        self.reader = DigitReader(model, single)

    def __call__(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, list[Any]]:
        ((inputs, out, made_of),) = zip(
            batch["inputs"], batch["out"], batch["made_of"], strict=True
        )
        pictures = failed = 0
        code = message = ""
        try:
            pictures, failed = Shard(list(inputs), out, made_of).read(self.reader)
        except InkdigitsError as error:
            code = error.code
            message = str(error)

        return {"pictures": [pictures], "failed": [failed], "code": [code], "error": [message]}
