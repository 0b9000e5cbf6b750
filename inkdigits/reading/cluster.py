"""More pictures than one process can read: Parquet files or a folder of pictures -> Parquet files of readings, on a Ray cluster.

`DigitReader` is for pipelines of your own with Ray Data, `read_dataset` is a whole one. A shard, one Parquet file or some pictures
of a folder, is read by one process and leaves one file: whole or not at all, and marked with what it was made of, so that what is
finished is not repeated. Every machine of the cluster has to see the files under the same names.
"""

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
from inkdigits.core.files import alone, remove_leftovers, writable_folder, write_whole
from inkdigits.core.pictures import PICTURE_SUFFIXES, pictures_below
from inkdigits.reading.columns import DROPPED, DigitReader, arrow, beside, picture_column, schema
from inkdigits.reading.model_files import DEFAULT_MODEL, resolve_model, shipped_folder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DigitReader", "Shard", "Summary", "find_shards", "read_dataset"]

PARQUET = ".parquet"
PICTURES = 1000  # of a folder, that are one shard: half a minute's work, of photos
ROWS = 128  # that are read at a time, as the network takes them; of photos they may be 500 MB
TABLES = 512  # of so many rows are written at a time: many small parts would make a Parquet file large and slow
MADE_OF = b"inkdigits.made_of"  # the key in a Parquet file's metadata


@dataclass(frozen=True)
class Shard:
    """Work for one process. inputs: one Parquet file, or pictures. out: the file to write. made_of: a hash of all it depends on."""

    inputs: list[str]
    out: str
    made_of: str

    def is_finished(self) -> bool:
        """Whether its file is there, and was made of the inputs as they are now, in the same way."""
        try:
            metadata = arrow().parquet.read_metadata(self.out).metadata or {}
        except _damage():
            return False
        return metadata.get(MADE_OF) == self.made_of.encode()

    def read(self, reader: DigitReader) -> tuple[int, int]:
        """Write its file. Gives the number of its pictures, and of those that could not be read. Raises InkdigitsError."""
        counts = np.zeros(2, int)

        def write(temporary: Path) -> None:
            columns, tables = self._tables(reader)
            with arrow().parquet.ParquetWriter(
                temporary, columns.with_metadata({MADE_OF: self.made_of})
            ) as writer:
                while some := list(islice(tables, TABLES)):
                    table = arrow().concat_tables(some).cast(writer.schema)
                    writer.write_table(table)
                    counts[:] += len(table), len(table) - table["error"].null_count

        write_whole(writable_folder(Path(self.out).parent) / Path(self.out).name, write)
        return int(counts[0]), int(counts[1])

    def _tables(self, reader: DigitReader) -> tuple["pa.Schema", Iterator["pa.Table"]]:
        """The columns of its file, and what they hold, some rows at a time. Raises BadData."""
        name = self.inputs[0]
        if not name.endswith(PARQUET):
            rows = (
                np.array(self.inputs[start : start + ROWS], object)
                for start in range(0, len(self.inputs), ROWS)
            )
            return arrow().schema([("path", arrow().string()), *schema()]), (
                reader({"path": paths}) for paths in rows
            )
        try:
            file = arrow().parquet.ParquetFile(name)
        except _damage() as error:
            raise BadData(f"{name} cannot be read: {error}") from error
        others = [field for field in file.schema_arrow if field.name not in DROPPED]
        return arrow().schema([*others, *schema()]), _read_parquet(file, name, reader)


def _damage() -> tuple[type[Exception], ...]:
    """What PyArrow raises for a file that is none of Parquet's, or not whole."""
    return OSError, ValueError, arrow().ArrowException


def _read_parquet(file: Any, name: str, reader: DigitReader) -> Iterator["pa.Table"]:
    """Readings beside the other columns as they were. Raises BadData where the file is damaged."""
    pictures = picture_column(file.schema_arrow.names)
    try:
        for batch in file.iter_batches(ROWS, use_threads=False):
            others = {
                name: batch.column(name) for name in batch.schema.names if name not in DROPPED
            }
            yield beside(
                others,
                reader.read(_values(batch.column(pictures), name), encoded=pictures != "image"),
            )
    except _damage() as error:
        raise BadData(f"{name} is damaged: {error}") from error


def _values(column: Any, name: str) -> NDArray[Any]:
    """An Arrow column as NumPy has it; tensors as the lists that they are stored as.

    Raises BadData where other types of libraries are inside: Ray registers one whose values are unpickled when they are looked at.
    """
    column = getattr(column, "storage", column)
    if not _is_plain(column.type):
        raise BadData(
            f"{name} has pictures of the type {column.type}; needed are plain lists, bytes or text"
        )
    return column.to_numpy(zero_copy_only=False)


def _is_plain(kind: Any) -> bool:
    inside = [kind.field(index).type for index in range(kind.num_fields)]
    return not isinstance(kind, arrow().BaseExtensionType) and all(map(_is_plain, inside))


def find_shards(source: Path, out: Path, made_by: Sequence[object] = ()) -> list[Shard]:
    """The shards of a Parquet file, of a folder with such files, or of a folder of pictures, sorted. Their files are below `out`.

    made_by: what else the readings depend on. Raises BadData where there is nothing to read, BadValue where `out` lies in `source`.
    """
    if out.resolve().is_relative_to(source.resolve()):
        raise BadValue(
            f"{out} lies in {source}, where readings would be taken for pictures; choose a folder beside it"
        )
    if source.is_file() and source.suffix == PARQUET:
        home, named = source.parent, [(source.name, [source])]
    else:
        home, named = (
            source,
            [
                (str(file.relative_to(source)), [file])
                for file in sorted(source.rglob(f"*{PARQUET}"))
            ],
        )
        named = named or list(_grouped(source))
    if not named:
        known = " ".join(sorted({*PICTURE_SUFFIXES, PARQUET}))
        raise BadData(
            f"nothing to read in {source}; the names of Parquet files and pictures end in {known}"
        )
    return [
        Shard([str(path) for path in paths], str(out / name), _hash(paths, home, made_by))
        for name, paths in named
    ]


def _grouped(source: Path) -> Iterator[tuple[str, list[Path]]]:
    """The pictures of each folder, at most PICTURES at a time, and a name for them."""
    for folder, inside in groupby(
        sorted(pictures_below(source), key=lambda path: (path.parent, path)),
        lambda path: path.parent,
    ):
        pictures = list(inside)
        for part, start in enumerate(range(0, len(pictures), PICTURES)):
            yield (
                str(folder.relative_to(source) / f"part-{part:05}{PARQUET}"),
                pictures[start : start + PICTURES],
            )


def _hash(paths: Sequence[Path], home: Path, made_by: Sequence[object]) -> str:
    """Of names, sizes and times of change: reading all of a large dataset to see whether it changed would take too long."""
    facts = [
        (str(path.relative_to(home)), path.stat().st_size, path.stat().st_mtime_ns)
        for path in paths
    ]
    return hashlib.sha256(json.dumps([facts, *made_by]).encode()).hexdigest()


@dataclass(frozen=True)
class Summary:
    """What came of a dataset. failed: pictures that could not be read, which have rows; errors: of shards that have no file."""

    shards: int
    finished_before: int
    pictures: int
    failed: int
    errors: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        said = f"{self.pictures:,} pictures of {self.shards - self.finished_before} shards in {self.seconds:.1f} s"
        said += f", {self.failed:,} of them could not be read" if self.failed else ""
        said += (
            f"; {self.finished_before} shards were finished before" if self.finished_before else ""
        )
        return "\n".join([said, *self.errors])


def read_dataset(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    single: bool = False,
    workers: int | None = None,
) -> Summary:
    """Read a Parquet file, a folder of them, or a folder of pictures, on a Ray cluster, to a folder of Parquet files.

    Started again, it reads what is not finished or has changed. workers: processes; None takes one a processor of the cluster,
    which is this machine alone unless Ray is told otherwise. Raises InkdigitsError; MissingExtra without Ray.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or it tells its makers
    try:
        import ray.data
    except ModuleNotFoundError:
        raise MissingExtra("reading on a cluster", "scale") from None
    started = time.perf_counter()
    source, out = Path(source).resolve(), writable_folder(Path(out)).resolve()
    onnx = resolve_model(model)
    everywhere = os.fspath(model) if shipped_folder(os.fspath(model)) else str(onnx.resolve())
    with alone(out / "shards", wait=False) as ours:
        if not ours:
            raise CannotWrite(f"another run is at work in {out}; choose another folder, or wait")
        shards = find_shards(
            source, out, (hashlib.sha256(onnx.read_bytes()).hexdigest(), single, __version__)
        )
        for folder in {Path(shard.out).parent for shard in shards}:
            if folder.is_dir():
                remove_leftovers(folder)
        waiting = [shard for shard in shards if not shard.is_finished()]
        done = _read_on(ray, waiting, (everywhere, single), workers) if waiting else []
    pictures, failed = (sum(row[name] for row in done) for name in ("pictures", "failed"))
    errors = tuple(row["error"] for row in done if row["error"])
    return Summary(
        len(shards),
        len(shards) - len(waiting),
        pictures,
        failed,
        errors,
        time.perf_counter() - started,
    )


def _read_on(
    ray: Any, shards: Sequence[Shard], reader: tuple[str, bool], workers: int | None
) -> list[dict[str, Any]]:
    """What came of each shard. Raises CannotWrite as soon as one of them could not be written."""
    if not ray.is_initialized():
        ray.init()
    workers = min(len(shards), workers or int(ray.cluster_resources()["CPU"]))
    pool = ray.data.ActorPoolStrategy(
        size=workers, max_tasks_in_flight_per_actor=1
    )  # no shard waits for a slow one
    rows = ray.data.from_items([asdict(shard) for shard in shards], override_num_blocks=len(shards))
    done = []
    for row in rows.map_batches(
        _ShardReader, fn_constructor_args=reader, batch_size=1, compute=pool, num_cpus=1
    ).iter_rows():
        if row["code"] == CannotWrite.code:
            raise CannotWrite(row["error"])
        done.append(row)
    return done


class _ShardReader:
    """An actor of `read_dataset`: reads whole shards, and says what came of them."""

    def __init__(self, model: str, single: bool) -> None:
        self.reader = DigitReader(model, single)

    def __call__(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, list[Any]]:
        shards = zip(batch["inputs"], batch["out"], batch["made_of"], strict=True)
        done = [self._read(Shard(list(inputs), out, made_of)) for inputs, out, made_of in shards]
        return {
            name: [row[name] for row in done] for name in ("pictures", "failed", "code", "error")
        }

    def _read(self, shard: Shard) -> dict[str, Any]:
        try:
            pictures, failed = shard.read(self.reader)
        except InkdigitsError as error:
            return {"pictures": 0, "failed": 0, "code": error.code, "error": str(error)}
        return {"pictures": pictures, "failed": failed, "code": "", "error": ""}
