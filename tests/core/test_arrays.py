"""Binary array files: read exactly, or refused with a sentence, whatever happened to them on the
way.
"""

import bz2
import gzip
import hashlib
import io
import math
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from digit_files import IDX_CODES, IMAGES, LABELS, idx, npy, npz, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inkdigits.core.arrays import as_images, as_labels, read_array, read_npz
from inkdigits.core.errors import BadData
from inkdigits.core.formats import iter_images
from inkdigits.core.unpacking import sha256, unpacked

rng = np.random.default_rng(1)

mutations = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.floats(0, 1, exclude_max=True), st.integers(0, 255)),
        st.tuples(st.just("cut"), st.floats(0, 1), st.just(0)),
        st.tuples(st.just("insert"), st.floats(0, 1), st.integers(0, 255)),
        st.tuples(st.just("drop"), st.floats(0, 1, exclude_max=True), st.just(0)),
    ),
    max_size=4,
)
fuzzed = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def mutated(content: bytes, changes: list[tuple[str, float, int]]) -> bytes:
    data = bytearray(content)
    for kind, where, value in changes:
        place = int(where * len(data))
        if kind == "set" and data:
            data[place] = value
        elif kind == "cut":
            del data[place:]
        elif kind == "insert":
            data.insert(place, value)
        elif kind == "drop" and data:
            del data[place]
    return bytes(data)


# ---- IDX


@pytest.mark.parametrize("dtype", list(IDX_CODES))
def test_idx_of_every_type_is_read_in_the_machines_byte_order(tmp_path: Path, dtype: str) -> None:
    array = rng.integers(-100, 100, (4, 3, 2)).astype(dtype)
    found = read_array(written(tmp_path / "x", idx(array)))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.dtype(dtype)


def test_gzip_is_recognised_by_its_content_not_its_name(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_array(written(tmp_path / "plain.gz", idx(IMAGES))), IMAGES)
    np.testing.assert_array_equal(
        read_array(written(tmp_path / "packed", gzip.compress(idx(IMAGES)))), IMAGES
    )


def test_arrays_that_are_read_can_be_written_to(tmp_path: Path) -> None:
    # torch warns about arrays that cannot
    assert read_array(written(tmp_path / "x", idx(IMAGES))).flags.writeable
    assert read_npz(written(tmp_path / "y", npz(images=IMAGES)))["images"][0].flags.writeable


def test_wrong_sha256_is_refused_and_the_right_one_is_that_of_the_unpacked_bytes(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "x.gz", gzip.compress(idx(IMAGES)))
    right = hashlib.sha256(idx(IMAGES)).hexdigest()
    np.testing.assert_array_equal(read_array(path, sha256=right), IMAGES)
    with pytest.raises(BadData, match="not the expected one"):
        read_array(path, sha256="0" * 64)
    size = len(idx(IMAGES))
    assert sha256(path, unpack=True, limit=size) == right
    assert (
        sha256(path, unpack=False, limit=2 * size) == hashlib.sha256(path.read_bytes()).hexdigest()
    )
    with pytest.raises(BadData, match="larger than it should be"):
        sha256(path, unpack=True, limit=size - 1)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "neither an IDX file nor"),
        (b"\0\0\x08", "neither an IDX file nor"),
        (b"\0\0\x07\x03" + bytes(12), "neither an IDX file nor"),  # no such type
        (b"\0\0\x08\x00", "neither an IDX file nor"),  # no dimensions
        (b"\x89PNG\r\n\x1a\n", "neither an IDX file nor"),
        (b"<!DOCTYPE html>", "neither an IDX file nor"),
        (b"\0\0\x08\x03\0\0", "header alone"),
        (idx(IMAGES)[:-1], "cut short.* 1 bytes"),
        (idx(IMAGES)[:16], "cut short"),
        (idx(IMAGES) + b"\0", "has more bytes"),
        (gzip.compress(idx(IMAGES))[:-1], "damaged or cut short"),
        (gzip.compress(idx(IMAGES))[:200], "damaged or cut short"),
        (gzip.compress(idx(IMAGES)[:-1]), "cut short"),
        (gzip.compress(idx(IMAGES)) + b"rubbish", "damaged or cut short"),
    ],
)
def test_damaged_idx_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = written(tmp_path / "x", content)
    with pytest.raises(BadData, match=sentence) as caught:
        read_array(path)
    assert str(path) in str(caught.value)


def test_a_flipped_bit_in_a_gzip_file_is_noticed(tmp_path: Path) -> None:
    packed = bytearray(
        gzip.compress(idx(IMAGES), compresslevel=0)
    )  # stored: the flipped bit is a pixel's
    packed[2000] ^= 1
    with pytest.raises(BadData, match="damaged"):
        read_array(written(tmp_path / "x", bytes(packed)))


@pytest.mark.parametrize("shape", [(2**32 - 1,) * 3, (0, 2**32 - 1, 2**32 - 1), (300_000, 28, 28)])
def test_absurd_dimensions_are_refused_without_allocating_them(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    content = (
        b"\0\0\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(1000)
    )
    path = written(tmp_path / "x", content)
    tracemalloc.start()
    with pytest.raises(BadData, match="claims"):
        read_array(path)
    with pytest.raises(BadData, match="claims"):
        list(iter_images(path, 8))
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_a_gzip_bomb_is_refused(tmp_path: Path) -> None:
    content = (
        idx(np.zeros((1, 28, 28), np.uint8))[:4]
        + struct.pack(">3I", 400_000, 28, 28)
        + bytes(1_000_000)
    )
    with pytest.raises(
        BadData, match="claims"
    ):  # its 314 MB would fit into a file of this size, if they were all zero
        read_array(written(tmp_path / "x", gzip.compress(content) + bytes(400_000)))


@fuzzed
@given(changes=mutations, packed=st.booleans())
def test_mutated_idx_gives_the_right_array_or_bad_data(
    tmp_path: Path, changes: list[tuple[str, float, int]], packed: bool
) -> None:
    content = gzip.compress(idx(IMAGES)) if packed else idx(IMAGES)
    path = written(tmp_path / "x", mutated(content, changes))
    try:
        found = read_array(path)
    except BadData:
        return
    data = (
        gzip.decompress(path.read_bytes())
        if path.read_bytes()[:2] == b"\x1f\x8b"
        else path.read_bytes()
    )
    shape = struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    assert found.shape == shape
    assert found.astype(found.dtype.newbyteorder(">")).tobytes() == data[4 + 4 * data[3] :]


def test_blocks_put_together_are_the_whole_array(tmp_path: Path) -> None:
    many = rng.integers(0, 256, (23, 28, 28), np.uint8)
    blocks = list(iter_images(written(tmp_path / "x", gzip.compress(idx(many))), 5))
    assert [len(block) for block in blocks] == [5, 5, 5, 5, 3]
    np.testing.assert_array_equal(np.concatenate(blocks), many)


def test_blocks_notice_a_file_that_ends_early_or_goes_on(tmp_path: Path) -> None:
    for content in (idx(IMAGES)[:-1], idx(IMAGES) + b"\0"):
        with pytest.raises(BadData):
            list(iter_images(written(tmp_path / "x", content), 2))


def test_reading_in_blocks_holds_one_block(tmp_path: Path) -> None:
    path = written(tmp_path / "x", idx(np.zeros((20_000, 28, 28), np.uint8)))  # 15.7 MB
    tracemalloc.start()
    assert sum(map(len, iter_images(path, 100))) == 20_000
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


def test_a_missing_file_and_a_folder_are_bad_data(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no file"):
        read_array(tmp_path / "absent")
    with pytest.raises(BadData, match="cannot be read"):
        read_array(tmp_path)


def test_bzip2_is_unpacked_too(tmp_path: Path) -> None:
    with unpacked(written(tmp_path / "x", bz2.compress(b"content"))) as stream:
        assert stream.read() == b"content"
    with pytest.raises(BadData), unpacked(written(tmp_path / "y", b"BZh9" + bytes(50))) as stream:
        stream.read()


# ---- NumPy's


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "<i2", ">u2", "<i4", ">i8", "<u8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_every_whole_number_type_and_order(tmp_path: Path, dtype: str, order: str) -> None:
    array = np.asarray(IMAGES > 127 if dtype == "?" else IMAGES // 2, dtype, order=order)
    path = written(tmp_path / "x.npy", npy(array))
    np.testing.assert_array_equal(read_array(path), np.load(path))
    np.testing.assert_array_equal(np.concatenate(list(iter_images(path, 2))), array)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (IMAGES / 255, "float64"),
        (IMAGES.astype(np.int16) - 1, "from -1"),
        (IMAGES.astype(np.int64) * 300, "0 to 255"),
        (IMAGES[:, :27], r"\(7, 27, 28\)"),
        (np.array(["a"]), "<U1"),
        (np.array([(1, 2)], [("a", "u1"), ("b", "u1")]), "not an array of plain numbers"),
        (np.array(3), r"\(\)"),
    ],
)
def test_npy_of_anything_but_images_is_refused(
    tmp_path: Path, array: np.ndarray, sentence: str
) -> None:
    path = written(tmp_path / "x.npy", npy(array))
    with pytest.raises(BadData, match=sentence):
        list(iter_images(path, 2))
    with pytest.raises(BadData, match=sentence):
        as_images(read_array(path), path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\x01\x00", "\x01\x01"),
        ("{'descr'", "('descr'"),
        ("(7, 28, 28)", "(7, 28  28)"),
        ("(7, 28, 28)", "(07, 28, 28)"),
        ("'|u1',", "'|u1'',"),
        ("} ", "} 0"),
    ],
)
def test_a_damaged_npy_header_is_refused_as_numpy_refuses_it(
    tmp_path: Path, old: str, new: str
) -> None:
    content = npy(IMAGES)
    header = content[:128].decode("latin1")
    damaged = header.replace(old, new, 1).rstrip().ljust(127) + "\n"
    assert damaged != header
    path = written(tmp_path / "x.npy", damaged.encode("latin1") + content[128:])
    with pytest.raises(Exception, match=r".+"):
        np.load(path)
    with pytest.raises(BadData, match=r"not an array of plain numbers|nor a NumPy array"):
        read_array(path)


def test_a_npy_header_that_promises_to_be_longer_than_it_is_is_refused(tmp_path: Path) -> None:
    content = bytearray(npy(np.zeros((0, 28, 28), np.uint8)))
    content[8:10] = struct.pack("<H", len(content))
    with pytest.raises(BadData, match="not an array of plain numbers"):
        read_array(written(tmp_path / "x.npy", bytes(content)))


def test_arrays_named_as_keras_names_them_come_with_their_labels(tmp_path: Path) -> None:
    path = written(
        tmp_path / "mnist.npz",
        npz(x_train=IMAGES, y_train=LABELS, x_test=IMAGES[::-1], y_test=LABELS[::-1]),
    )
    found = read_npz(path)
    assert list(found) == ["x_train", "x_test"]
    for name, step in (("x_train", 1), ("x_test", -1)):
        np.testing.assert_array_equal(found[name][0], IMAGES[::step])
        np.testing.assert_array_equal(found[name][1], LABELS[::step])
    np.testing.assert_array_equal(
        np.concatenate(list(iter_images(path, 3))), np.concatenate([IMAGES, IMAGES[::-1]])
    )


@pytest.mark.parametrize("shape", [(7, 784), (7, 28, 28, 1), (7, 1, 28, 28)])
def test_images_in_other_shapes_are_understood(tmp_path: Path, shape: tuple[int, ...]) -> None:
    found, labels = read_npz(
        written(tmp_path / "x.npz", npz(images=IMAGES.reshape(shape).astype(np.int64)))
    )["images"]
    np.testing.assert_array_equal(found, IMAGES)
    assert (found.dtype, labels) == (np.uint8, None)


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("the pickle was opened",))

    path = written(tmp_path / "x.npz", npz(images=np.array([Bomb()], object)))
    with pytest.raises(BadData, match=r"'\|O'"):
        read_npz(path)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"pictures": IMAGES}, "holds pictures.npy; expected images"),
        ({"images": IMAGES, "labels": LABELS[:4]}, r"\(4,\); expected 7 labels"),
        ({"images": IMAGES, "labels": LABELS + 6}, "0 to 9"),
        ({"images": IMAGES, "labels": LABELS / 1}, "float64"),
    ],
)
def test_npz_with_wrong_arrays_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str
) -> None:
    with pytest.raises(BadData, match=sentence):
        read_npz(written(tmp_path / "x.npz", npz(**arrays)))


def test_a_zip_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    header = npy(IMAGES)[:128].replace(b"(7, 28, 28)", b"(9999999, 28, 28)")[:128]
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", header + bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(BadData, match=r"claims|promises"):
        read_npz(tmp_path / "x.npz")
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_npz_packed_once_more_is_read_unless_its_directory_is_a_bomb(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    np.testing.assert_array_equal(
        read_npz(written(tmp_path / "x.npz", pack(npz(images=IMAGES))))["images"][0], IMAGES
    )
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", *bytes(9), 1, *bytes(6)) + b"a"
    count = 50_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, count * len(entry), 0, 0)
    path = written(tmp_path / "y.npz", pack(entry * count + end))
    tracemalloc.start()
    with pytest.raises(BadData, match="unpacks to more than 20 times its size"):
        read_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_npz_packed_in_a_way_that_numpy_does_not_use_is_refused(
    tmp_path: Path, method: int
) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as archive:
        archive.writestr("images.npy", npy(IMAGES))
    with pytest.raises(BadData, match="unusual way"):
        read_npz(tmp_path / "x.npz")


@fuzzed
@given(changes=mutations, compressed=st.booleans())
def test_mutated_npz_gives_the_right_array_or_bad_data(
    tmp_path: Path, changes: list[tuple[str, float, int]], compressed: bool
) -> None:
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, images=IMAGES, labels=LABELS)
    path = written(tmp_path / "x.npz", mutated(file.getvalue(), changes))
    try:
        images, labels = read_npz(path)["images"]
    except BadData:
        return
    np.testing.assert_array_equal(images, IMAGES)  # zip's checksums let nothing else through
    assert labels is None or (labels == LABELS).all()  # None: it was the name that changed


@fuzzed
@given(
    content=st.binary(max_size=300),
    start=st.sampled_from(
        [b"", b"\0\0\x08\x03", b"\x93NUMPY\x01\0", b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh9"]
    ),
)
def test_any_bytes_give_an_array_or_bad_data(tmp_path: Path, content: bytes, start: bytes) -> None:
    path = written(tmp_path / "x", start + content)
    for read in (read_array, read_npz):
        with suppress(BadData):
            read(path)


@pytest.mark.slow
@fuzzed
@given(
    descr=st.sampled_from(["|u1", "<i4", "|O", "<M8[s]", "V3", "u1"]),
    shape=st.text("0123456789, ()-L", max_size=30),
    rest=st.text(max_size=30),
)
def test_any_npy_header_gives_an_array_or_bad_data(
    tmp_path: Path, descr: str, shape: str, rest: str
) -> None:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), {rest}}}".encode()
    path = written(
        tmp_path / "x", b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + bytes(200)
    )
    with suppress(BadData):
        assert math.prod(read_array(path).shape) <= 200


# ---- arrays -> images and labels


def test_the_first_column_of_qmnists_labels_is_the_digit() -> None:
    columns = np.arange(16).reshape(2, 8).astype(np.int32)
    columns[:, 0] = [7, 2]
    np.testing.assert_array_equal(as_labels(columns, 2, "labels"), [7, 2])
    assert as_labels(columns, 2, "labels").dtype == np.uint8
