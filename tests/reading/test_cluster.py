"""Columns of pictures become the columns of readings that one process reads, and none twice."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from few_digits import few_digits
from scanned import scan

from inkdigits.core.errors import BadData, BadValue, CannotWrite, MissingExtra
from inkdigits.reading import cluster
from inkdigits.reading.reading import Reading
from inkdigits.reading.recogniser import Recogniser

pa = pytest.importorskip("pyarrow", reason="needs the extra scale")
pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra scale")

from inkdigits.reading.cluster import DigitReader, Shard, find_shards, read_dataset  # noqa: E402

IMAGES = few_digits(6).images


def column(*values: object) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def nested(images: np.ndarray) -> np.ndarray:
    """Return lists of lists as they come from Parquet: an array of rows in each element."""
    return column(*(column(*image) for image in images))


def as_rows(readings: list[Reading]) -> list[dict]:
    """Return the rows that a table of readings should have, without making one."""
    rows = []
    for reading in readings:
        row = reading.as_dict()
        row["digits"] = [{"reason": None} | digit for digit in row["digits"]]
        rows.append(row)
    return rows


@pytest.fixture(scope="module")
def reader() -> DigitReader:
    return DigitReader("tiny")


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser("tiny")


# ---- batches


@pytest.mark.parametrize(
    "images",
    [
        IMAGES,
        IMAGES.reshape(len(IMAGES), 784),
        IMAGES.astype(np.int64),
        column(*(image.tobytes() for image in IMAGES)),
        column(*(image.ravel() for image in IMAGES)),
        nested(IMAGES),
    ],
    ids=["28x28", "784", "int64", "bytes", "lists", "lists of lists"],
)
def test_pixels_are_read_as_they_are_however_they_come(images, reader, recogniser):
    rows = reader({"image": images}).to_pylist()
    assert rows == as_rows(list(recogniser.read_images(IMAGES)))
    assert [row["text"] for row in rows if row["confidence"]] != []


@pytest.mark.parametrize("single", [False, True])
def test_pictures_give_what_the_recogniser_reads(single, recogniser, tmp_path):
    pictures = [scan(IMAGES[0]), scan(np.hstack([IMAGES[1], IMAGES[2]])), scan(IMAGES[0] * 0)]
    expected = as_rows(list(recogniser.read_many(pictures, single)))
    reader = DigitReader("tiny", single)
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path, picture in zip(paths, pictures, strict=True):
        path.write_bytes(picture)

    assert reader({"bytes": column(*pictures)}).to_pylist() == expected

    by_path = reader({"path": column(*map(str, paths))})

    assert by_path.column_names[0] == "path"
    assert by_path.drop_columns("path").to_pylist() == expected

    hugging_face = column(*({"bytes": picture, "path": None} for picture in pictures))

    assert reader({"image": hugging_face}).to_pylist() == expected

    elsewhere = column(*({"bytes": None, "path": str(path)} for path in paths))

    assert reader({"image": elsewhere}).to_pylist() == expected


def test_larger_arrays_are_pictures(reader, recogniser):
    pictures = np.stack([255 - np.kron(image, np.ones((4, 4), np.uint8)) for image in IMAGES[:2]])
    expected = as_rows([recogniser.read(picture) for picture in pictures])

    assert reader({"image": pictures}).to_pylist() == expected
    assert reader({"image": nested(pictures)}).to_pylist() == expected


def test_a_row_that_cannot_be_read_keeps_its_place_and_says_why(reader, recogniser):
    good = scan(IMAGES[0])
    table = reader(
        {"bytes": column(good, None, b"", b"no picture", good[:200], good), "id": np.arange(6)}
    )
    rows = table.to_pylist()

    assert [row["id"] for row in rows] == list(range(6))
    assert [row["error"] and row["error"]["code"] for row in rows] == [
        None,
        "empty",
        "empty",
        "not_a_picture",
        "truncated",
        None,
    ]
    for row in rows[1:5]:
        assert (row["text"], row["confidence"], row["digits"]) == (None, None, [])
    assert rows[5]["text"] == recogniser.read(good).text


@pytest.mark.parametrize(
    ("value", "code", "says"),
    [
        (b"783" * 261, "unsupported", "783 bytes are not 28x28 pixels"),
        (np.arange(784) * 10, "unsupported", "values from 0 to 7830"),
        (
            column(np.zeros(3, np.uint8), np.zeros(4, np.uint8)),
            "unsupported",
            "a ndarray is no picture",
        ),
        ({"bytes": None, "path": None}, "empty", "no picture in this row"),
        (7, "unsupported", "a int is no picture"),
        (None, "empty", "no picture in this row"),
    ],
)
def test_a_value_that_is_no_image_leaves_the_others_alone(value, code, says, reader, recogniser):
    rows = reader({"image": column(IMAGES[0], value, IMAGES[1])}).to_pylist()

    assert rows[1]["error"]["code"] == code
    with pytest.raises(Exception, match=says):
        raise ValueError(rows[1]["error"]["message"])
    assert [rows[0], rows[2]] == as_rows(list(recogniser.read_images(IMAGES[:2])))


def test_columns_are_the_same_where_a_batch_holds_nothing(reader):
    full, blank = reader({"image": IMAGES}), reader({"image": np.zeros((2, 28, 28), np.uint8)})
    assert full.schema == blank.schema == reader({"image": IMAGES[:0]}).schema
    assert blank["text"].to_pylist() == ["", ""]


def test_other_columns_are_handed_on_and_pixels_are_not(reader):
    others = {"label": np.arange(6), "name": column(*"abcdef"), "embedding": np.ones((6, 3))}
    table = reader({"image": IMAGES, **others})

    assert table["label"].to_pylist() == list(range(6))
    assert table["embedding"].to_pylist() == [[1.0] * 3] * 6
    assert "image" not in table.column_names


def test_names_that_do_not_fit_are_refused(reader):
    with pytest.raises(
        BadData, match="the columns are label; pictures are looked for in image, bytes, path"
    ):
        reader({"label": np.arange(2)})
    with pytest.raises(BadData, match="a column is called 'text' already"):
        reader({"image": IMAGES, "text": column(*"abcdef")})


# ---- shards


def write_parquet(path: Path, images: np.ndarray, **others: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": [image.tobytes() for image in images], **others}), path)


def read_all(shards: list[Shard], reader: DigitReader) -> list[tuple[int, int]]:
    return [shard.read(reader) for shard in shards if not shard.is_finished()]


def test_a_shard_of_output_for_each_of_input(reader, recogniser, tmp_path):
    for index in range(3):
        write_parquet(
            tmp_path / "in" / f"{index % 2}" / f"{index}.parquet",
            IMAGES[index : index + 2],
            label=[1, None],
        )
    shards = find_shards(tmp_path / "in", tmp_path / "out")

    assert [shard.out for shard in shards] == [
        str(tmp_path / "out" / name) for name in ("0/0.parquet", "0/2.parquet", "1/1.parquet")
    ]
    assert read_all(shards, reader) == [(2, 0)] * 3

    table = pq.read_table(tmp_path / "out" / "1" / "1.parquet")

    assert table["label"].to_pylist() == [1, None]
    assert table.drop_columns("label").to_pylist() == as_rows(
        list(recogniser.read_images(IMAGES[1:3]))
    )


@pytest.mark.parametrize(
    "images",
    [
        pa.array([image.tobytes() for image in IMAGES], pa.binary(784)),
        pa.array([image.ravel().tolist() for image in IMAGES], pa.list_(pa.uint8())),
        pa.array([image.ravel().tolist() for image in IMAGES], pa.list_(pa.uint8(), 784)),
        pa.array([image.tolist() for image in IMAGES]),
        pa.FixedShapeTensorArray.from_numpy_ndarray(IMAGES),
    ],
    ids=["fixed binary", "list", "fixed list", "list of lists", "tensor"],
)
def test_pixels_are_found_in_any_type_that_parquet_holds_them_in(
    images, reader, recogniser, tmp_path
):
    pq.write_table(pa.table({"image": images}), tmp_path / "in.parquet")
    (shard,) = find_shards(tmp_path / "in.parquet", tmp_path / "out")

    assert shard.read(reader) == (6, 0)
    assert pq.read_table(shard.out).to_pylist() == as_rows(list(recogniser.read_images(IMAGES)))


class Trap(pa.ExtensionType):
    """As Ray's type for Python objects, but that it only says when it would be unpickled."""

    sprung = 0

    def __init__(self) -> None:
        super().__init__(pa.binary(), "inkdigits.test.trap")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: object, serialized: bytes) -> "Trap":
        return Trap()

    def __arrow_ext_scalar_class__(self) -> type:
        return TrapScalar


class TrapScalar(pa.ExtensionScalar):
    def as_py(self, **_: object) -> None:
        Trap.sprung += 1


@pytest.mark.parametrize("nested", [True, False], ids=["inside", "outside"])
def test_no_value_of_a_foreign_type_is_looked_at(nested, reader, tmp_path, monkeypatch):
    pa.register_extension_type(Trap())
    try:
        trap = pa.ExtensionArray.from_storage(Trap(), pa.array([b"a pickle"]))
        image = pa.StructArray.from_arrays([trap], ["bytes"]) if nested else trap
        pq.write_table(pa.table({"image": image, "other": trap}), tmp_path / "in.parquet")
        (shard,) = find_shards(tmp_path / "in.parquet", tmp_path / "out")
        if nested:
            with pytest.raises(BadData, match="has pictures of the type struct"):
                shard.read(reader)
        else:
            assert shard.read(reader) == (1, 1)  # eight bytes that are no 784
            assert pq.read_table(shard.out)["other"].type == Trap()
        assert Trap.sprung == 0
        image.to_pylist()
        assert Trap.sprung == 1  # it would have been noticed
    finally:
        Trap.sprung = 0
        pa.unregister_extension_type("inkdigits.test.trap")


def test_failed_rows_are_written_and_counted(reader, tmp_path):
    rows = [
        {"bytes": scan(IMAGES[0]), "path": "a.png"},
        None,
        {"bytes": b"no picture", "path": "b.png"},
    ]
    pq.write_table(pa.table({"image": rows, "id": [1, 2, 3]}), tmp_path / "in.parquet")
    (shard,) = find_shards(tmp_path / "in.parquet", tmp_path / "out")

    assert shard.read(reader) == (3, 2)

    written = pq.read_table(shard.out).to_pylist()

    assert [(row["id"], row["error"] and row["error"]["code"]) for row in written] == [
        (1, None),
        (2, "empty"),
        (3, "not_a_picture"),
    ]


def test_a_folder_s_pictures_are_grouped(reader, recogniser, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PICTURES_A_SHARD", 2)
    for name in ("a.png", "b.png", "c.png", "d/e.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(scan(IMAGES[0]))
    (tmp_path / "in" / "b.png").write_text("no picture")
    shards = find_shards(tmp_path / "in", tmp_path / "out")

    assert [Path(shard.out).relative_to(tmp_path / "out").as_posix() for shard in shards] == [
        *("part-00000.parquet", "part-00001.parquet", "d/part-00000.parquet")
    ]
    assert read_all(shards, reader) == [(2, 1), (1, 0), (1, 0)]

    written = pq.read_table(tmp_path / "out" / "part-00000.parquet").to_pylist()

    assert [row["path"] for row in written] == [
        str(tmp_path / "in" / name) for name in ("a.png", "b.png")
    ]
    assert written[0]["text"] == recogniser.read(tmp_path / "in" / "a.png").text


def test_a_file_larger_than_what_is_read_at_a_time(reader, recogniser, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "ROWS_READ", 4)
    monkeypatch.setattr(cluster, "TABLES_WRITTEN", 2)
    many = np.concatenate([IMAGES] * 3)
    write_parquet(tmp_path / "in.parquet", many)
    (shard,) = find_shards(tmp_path / "in.parquet", tmp_path / "out")

    assert shard.read(reader) == (18, 0)
    assert pq.ParquetFile(shard.out).num_row_groups == 3
    assert pq.read_table(shard.out).to_pylist() == as_rows(list(recogniser.read_images(many)))


def test_an_empty_file_is_finished_too(reader, tmp_path):
    write_parquet(tmp_path / "in.parquet", IMAGES[:0])
    (shard,) = find_shards(tmp_path / "in.parquet", tmp_path / "out")

    assert shard.read(reader) == (0, 0)
    assert shard.is_finished()
    assert "text" in pq.read_schema(shard.out).names


def test_what_is_finished_stays_until_its_input_or_the_way_changes(reader, tmp_path):
    for index in range(3):
        write_parquet(tmp_path / "in" / f"{index}.parquet", IMAGES[:2])
    again = lambda *made_by: find_shards(tmp_path / "in", tmp_path / "out", made_by)  # noqa: E731

    assert len(read_all(again(), reader)) == 3
    assert read_all(again(), reader) == []

    write_parquet(tmp_path / "in" / "1.parquet", IMAGES[:3])

    assert read_all(again(), reader) == [(3, 0)]

    os.utime(tmp_path / "in" / "2.parquet", ns=(0, 0))

    assert len(read_all(again(), reader)) == 1
    assert len(read_all(again("another model"), reader)) == 3

    (tmp_path / "out" / "0.parquet").write_bytes((tmp_path / "out" / "0.parquet").read_bytes()[:-5])
    (tmp_path / "out" / "1.parquet").write_text("no Parquet")
    (tmp_path / "out" / "2.parquet").unlink()

    assert len(read_all(again("another model"), reader)) == 3


def test_a_damaged_shard_is_an_error_and_leaves_no_file(reader, tmp_path):
    write_parquet(tmp_path / "in" / "cut.parquet", np.concatenate([IMAGES] * 50))
    whole = (tmp_path / "in" / "cut.parquet").read_bytes()
    (tmp_path / "in" / "cut.parquet").write_bytes(whole[:-100])
    (tmp_path / "in" / "middle.parquet").write_bytes(whole[:200] + bytes(400) + whole[600:])
    pq.write_table(pa.table({"label": [1]}), tmp_path / "in" / "other.parquet")

    for shard, says in zip(
        find_shards(tmp_path / "in", tmp_path / "out"),
        ("cannot be read", "is damaged", "looked for"),
        strict=True,
    ):
        with pytest.raises(BadData, match=says):
            shard.read(reader)
    assert list((tmp_path / "out").iterdir()) == []


READ_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from inkdigits.scale import DigitReader, find_shards

class Slow(DigitReader):
    def read(self, *pictures, **encoded):
        home.joinpath(f"begun-{len(list(home.glob('begun-*')))}").touch()
        while len(list(home.glob("begun-*"))) == 3:
            time.sleep(0.01)
        return super().read(*pictures, **encoded)

home = Path(sys.argv[1])
for shard in find_shards(home / "in", home / "out"):
    if not shard.is_finished():
        shard.read(Slow("tiny"))
"""


@pytest.mark.slow
def test_what_a_killed_process_has_finished_is_not_repeated(reader, tmp_path):
    for index in range(4):
        write_parquet(tmp_path / "in" / f"{index}.parquet", IMAGES[:2])
    process = subprocess.Popen([sys.executable, "-c", READ_UNTIL_KILLED, str(tmp_path)])
    while not (tmp_path / "begun-2").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("[0-9].parquet")}

    assert [path.name for path in sorted(finished)] == ["0.parquet", "1.parquet"]
    assert len(read_all(find_shards(tmp_path / "in", tmp_path / "out"), reader)) == 2
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert len(read_all(find_shards(tmp_path / "in", tmp_path / "out"), reader)) == 0


def test_folders_that_make_no_sense_are_refused(tmp_path):
    (tmp_path / "in").mkdir()

    with pytest.raises(BadData, match="nothing to read in"):
        find_shards(tmp_path / "in", tmp_path / "out")
    with pytest.raises(BadData, match="nothing to read in"):
        find_shards(tmp_path / "missing", tmp_path / "out")
    with pytest.raises(BadValue, match="is inside"):
        find_shards(tmp_path / "in", tmp_path / "in" / "out")


# ---- on a cluster


@pytest.fixture(scope="module")
def running_ray() -> Iterator[None]:
    """Two processors of this machine, heard of nowhere else."""
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }  # the latter: on 127.0.0.1 alone
    pytest.importorskip("ray", reason="needs the extra scale")
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            logging_level="ERROR",
            log_to_driver=False,
            object_store_memory=80 << 20,
        )
    except (OSError, RuntimeError, TimeoutError) as error:
        pytest.skip(f"Ray does not start here: {error}")
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_reads_what_one_process_reads_and_nothing_twice(
    running_ray, recogniser, tmp_path
):
    for index in range(4):
        write_parquet(tmp_path / "in" / f"{index}.parquet", IMAGES[index : index + 2])
    (tmp_path / "in" / "bad.parquet").write_text("no Parquet")
    summary = read_dataset(tmp_path / "in", tmp_path / "out", model="tiny", workers=2)

    assert (summary.shards, summary.finished_before, summary.pictures, summary.failed) == (
        5,
        0,
        8,
        0,
    )
    assert len(summary.errors) == 1
    assert "bad.parquet cannot be read" in str(summary)
    for index in range(4):
        assert pq.read_table(tmp_path / "out" / f"{index}.parquet").to_pylist() == as_rows(
            list(recogniser.read_images(IMAGES[index : index + 2]))
        )

    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.parquet")}
    (tmp_path / "in" / "bad.parquet").unlink()
    write_parquet(tmp_path / "in" / "4.parquet", IMAGES[:1])
    (tmp_path / "out" / ".01234567.4.parquet").write_text("left by a kill")
    again = read_dataset(tmp_path / "in", tmp_path / "out", model="tiny", workers=2)

    assert (again.shards, again.finished_before, again.pictures, again.errors) == (5, 4, 1, ())
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in times} == times
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{index}.parquet" for index in range(5)
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_reader_in_a_pipeline_of_ray_data_s_own(running_ray, recogniser):
    import ray.data

    pool = ray.data.ActorPoolStrategy(size=1)
    rows = (
        ray.data.from_numpy(IMAGES)
        .rename_columns({"data": "image"})
        .map_batches(DigitReader, compute=pool)
        .take_all()
    )
    expected = [reading.text for reading in Recogniser().read_images(IMAGES)]

    assert sorted(row["text"] for row in rows) == sorted(expected)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_runs_do_not_share_a_folder(running_ray, tmp_path):
    from inkdigits.core.files import file_lock

    write_parquet(tmp_path / "in" / "a.parquet", IMAGES)
    (tmp_path / "out").mkdir()

    with (
        file_lock(tmp_path / "out" / "shards"),
        pytest.raises(CannotWrite, match="another run is using"),
    ):
        read_dataset(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize(
    ("absent", "call"), [("ray.data", lambda: read_dataset("in", "out")), ("pyarrow", DigitReader)]
)
def test_without_the_extra_it_is_named(absent, call, monkeypatch):
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(MissingExtra, match=r"inkdigits\[scale\]"):
        call()
