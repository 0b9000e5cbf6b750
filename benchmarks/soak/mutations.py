"""Files of digits with something wrong: IDX, .npy, .npz and CSV, packed or not, the same file for the same number every time.

First a file is put together as its format has it, usually with something odd in its parts; then bytes may be changed blindly,
before packing and after. Knows nothing of how such files are read.
"""

import bz2
import gzip
import io
import os
import struct
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np

PIXELS = 784
NUMBERS = (
    0,
    1,
    2,
    3,
    5,
    27,
    28,
    29,
    127,
    128,
    255,
    256,
    783,
    784,
    785,
    2**15,
    2**16,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
TRAP = "opened"  # the folder that appears where somebody opens a pickle
TRAPPED = 0.03
BOMB = 20_000_000  # bytes at most, unpacked


class _Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (TRAP,)


def _pixels(count: int) -> bytes:
    """Half of them paper, as in real digits."""
    noise = np.random.default_rng(count).integers(-255, 256, count)
    return np.maximum(noise, 0).astype(np.uint8).tobytes()


POOL = _pixels(8 * PIXELS)
TEXTS = [str(value) for value in POOL]
HEADER = ["label", *(f"p{number}" for number in range(PIXELS))]
_trapped = io.BytesIO()
np.save(_trapped, np.array([_Trap()], object), allow_pickle=True)
TRAPPED_ARRAY = _trapped.getvalue()


@dataclass(frozen=True)
class Mutant:
    """kind: how it was begun. labels: for the file beside it, where it is IDX."""

    kind: str
    content: bytes
    labels: bytes


def mutant(number: int) -> Mutant:
    """The file with this number."""
    chance = Random(number)
    kind = chance.choices(list(KINDS), (30, 20, 25, 25))[0]
    if bomb := number % 1000 == 7:
        kind = BOMBS[number // 1000 % len(BOMBS)]
        content = _bomb(kind, number // 1000 // len(BOMBS))
    else:
        content = KINDS[kind](chance)
        if chance.random() < 0.2:
            content = blindly(chance, content)
    if bomb or chance.random() < 0.3:
        content = chance.choice((_gzipped, bz2.compress))(content)
    if not bomb and chance.random() < 0.2:
        content = blindly(chance, content)
    labels = _idx_file(8, (2,), bytes((3, 1)))
    return Mutant(kind, content, blindly(chance, labels) if chance.random() < 0.3 else labels)


def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


# ---- blindly


def blindly(chance: Random, content: bytes) -> bytes:
    """One to four changes anywhere, half of them at the beginning, where headers are."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.randrange(len(data) + 1)
        if chance.random() < 0.5:
            place = min(place, chance.randrange(160))
        chance.choice(CHANGES)(chance, data, place)
    return bytes(data)


def _flip(chance: Random, data: bytearray, place: int) -> None:
    if place < len(data):
        data[place] ^= 1 << chance.randrange(8)


def _set(chance: Random, data: bytearray, place: int) -> None:
    data[place : place + 1] = chance.choice(
        (b"\0", b"\xff", b"\x80", b"\n", b",", b'"', b"'", b" ", b"9", b"(", b"-")
    )


def _number(chance: Random, data: bytearray, place: int) -> None:
    code = chance.choice(("<I", ">I", "<H", ">H", "<Q"))
    data[place : place + struct.calcsize(code)] = struct.pack(
        code, chance.choice(NUMBERS) & (2 ** (8 * struct.calcsize(code)) - 1)
    )


def _cut(_: Random, data: bytearray, place: int) -> None:
    del data[place:]


def _drop(chance: Random, data: bytearray, place: int) -> None:
    del data[place : place + chance.choice((1, 2, 4, 28, 784))]


def _insert(chance: Random, data: bytearray, place: int) -> None:
    data[place:place] = chance.randbytes(chance.choice((1, 2, 4, 28)))


def _repeat(chance: Random, data: bytearray, place: int) -> None:
    data[place:place] = data[place : place + chance.choice((1, 16, 784, 10**6))]


def _splice(chance: Random, data: bytearray, place: int) -> None:
    """A piece of another kind of file, or of the same one."""
    other = chance.choice(list(KINDS.values()))(chance)
    begin = chance.randrange(len(other) + 1)
    data[place:place] = other[begin : begin + chance.choice((4, 64, 2000))]


def _swap(chance: Random, data: bytearray, place: int) -> None:
    middle = place + chance.choice((1, 4, 28))
    data[place : 2 * middle - place] = data[middle : 2 * middle - place] + data[place:middle]


CHANGES: tuple[Callable[[Random, bytearray, int], None], ...] = (
    _flip,
    _flip,
    _set,
    _number,
    _cut,
    _drop,
    _insert,
    _repeat,
    _splice,
    _swap,
)


# ---- in their parts


def _shape(chance: Random, count: int) -> tuple[int, ...]:
    """That of `count` images, or nearly."""
    shape = list(
        chance.choice(
            ((count, 28, 28),) * 5
            + ((count, PIXELS), (count, 28, 28, 1), (count, 1, 28, 28), (count * PIXELS,))
        )
    )
    if chance.random() < 0.12:
        shape[chance.randrange(len(shape))] = chance.choice(NUMBERS)
    return tuple(shape)


def _values(chance: Random, dtype: str, count: int) -> bytes:
    """The bytes of so many values, now and then a few too many or too few."""
    size = np.dtype(dtype).itemsize
    if size > 1 and chance.random() < 0.5:
        content = np.frombuffer(POOL, np.uint8, count).astype(dtype).tobytes()
    else:
        content = POOL[: count * size] if chance.random() < 0.8 else bytes(count * size)
    wrong = chance.choice((0,) * 20 + (1, -1, 28, -28))
    return content[:wrong] if wrong < 0 else content + POOL[:wrong]


def _idx_file(code: int, shape: tuple[int, ...], content: bytes) -> bytes:
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape) + content


def idx(chance: Random) -> bytes:
    """Source: "The IDX file format", LeCun's MNIST page."""
    types = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
    code = 8 if chance.random() < 0.7 else chance.choice(list(types))
    count = chance.choice((0, 1, 1, 2, 2, 3))
    content = bytearray(
        _idx_file(
            code, _shape(chance, count), _values(chance, types[code], count * PIXELS % len(POOL))
        )
    )
    if chance.random() < 0.1:
        content[chance.randrange(4)] = chance.randrange(256)
    return bytes(content)


def npy(chance: Random) -> bytes:
    """Source: numpy.lib.format."""
    if chance.random() < TRAPPED:
        return TRAPPED_ARRAY if chance.random() < 0.5 else blindly(chance, TRAPPED_ARRAY)
    count = chance.choice((0, 1, 1, 2, 2, 3))
    descr, dtype = "|u1", "u1"
    if chance.random() < 0.3:
        descr = dtype = chance.choice(
            ("|b1", "|i1", "<u2", ">i2", "<i4", ">i8", "<u8", "<f4", ">f8", "<f2")
        )
    if chance.random() < 0.05:
        descr = chance.choice(
            (
                "|O",
                "<U3",
                "|S1",
                "|V1",
                "<M8[s]",
                "u1",
                "=u1",
                "<c8",
                "|u1'",
                "[('a','u1')]",
                "(2,)u1",
                "<i16",
                "",
            )
        )
    order = chance.choice(("False",) * 20 + ("True",) * 4 + ("0", "None"))
    shape = str(_shape(chance, count))
    if chance.random() < 0.1:
        shape = chance.choice(
            (
                shape[1:-1],
                "()",
                "(,)",
                "(-1, 28, 28)",
                "(1 28 28)",
                "(1, 28, 28,)",
                "(01, 28, 28)",
                "(1L, 28, 28)",
                "(" * 300,
            )
        )
    header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
    if chance.random() < 0.1:
        header = chance.choice(
            (
                header.replace("'", '"'),
                header + header,
                header * 60,
                "{" + header,
                header.replace(":", "="),
                header[:-1],
            )
        )
    version = chance.choice((1,) * 20 + (2, 2, 3, 3, 0, 9))
    header += " " * (-(len(header) + 11) % 64) + "\n"
    length = len(header) if chance.random() < 0.95 else chance.choice(NUMBERS)
    size = struct.pack("<H", length & 0xFFFF) if version == 1 else struct.pack("<I", length)
    return (
        b"\x93NUMPY"
        + bytes((version, 0))
        + size
        + header.encode()
        + _values(chance, dtype, count * PIXELS)
    )


def npz(chance: Random) -> bytes:
    """One to four arrays in a zip file, its directory perhaps not what it should be. Source: PKWARE's APPNOTE.TXT."""
    file = io.BytesIO(b"x" * 30 if chance.random() < 0.03 else b"")
    file.seek(0, io.SEEK_END)
    method = chance.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))
    if chance.random() < 0.04:
        method = chance.choice((zipfile.ZIP_BZIP2,) * 4 + (zipfile.ZIP_LZMA,))
    names = chance.choice(
        (
            ("images",),
            ("images", "labels"),
            ("x_train", "y_train", "x_test", "y_test"),
            ("x", "y"),
            ("arr_0", "arr_1"),
        )
    )
    if chance.random() < 0.1:
        names = (
            *names,
            chance.choice(
                (
                    "images",
                    "labels",
                    "x",
                    "../images",
                    "/images",
                    "",
                    "images/",
                    "\u0665",
                    "a" * 300,
                )
            ),
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name that is there twice
        with zipfile.ZipFile(file, "w", method, compresslevel=1) as archive:
            for name in names:
                info = zipfile.ZipInfo(name + (".npy" if chance.random() < 0.97 else ""))
                info.compress_type = method
                archive.writestr(info, _member(chance, name))
    content = bytearray(file.getvalue())
    if chance.random() < 0.3:
        _change_directory(chance, content)
    return bytes(content)


def _member(chance: Random, name: str) -> bytes:
    if name in ("images", "x_train", "x_test", "x", "arr_0"):
        if chance.random() < 0.5:
            return npy(chance)
        return _npy_file("(2, 28, 28)", POOL[: 2 * PIXELS])
    labels = (
        bytes(chance.choice((0, 1, 9, 9, 10, 255)) for _ in range(2))
        if chance.random() < 0.3
        else b"\3\1"
    )
    return _npy_file("(2,)", labels)


def _npy_file(shape: str, content: bytes) -> bytes:
    return (
        b"\x93NUMPY\1\0"
        + struct.pack("<H", 118)
        + f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode()
        + b"\n"
        + content
    )


def _change_directory(chance: Random, content: bytearray) -> None:
    """One field, or a few, of the local headers, the directory or its end gets another number."""
    fields = {
        b"PK\3\4": ("HHHHHIIIHH", 4),
        b"PK\1\2": ("HHHHHHIIIHHHHHII", 4),
        b"PK\5\6": ("HHHHIIH", 4),
    }
    for _ in range(chance.choice((1, 1, 2, 3))):
        signature, (codes, begin) = chance.choice(list(fields.items()))
        place = chance.choice((content.find, content.rfind))(signature)
        chosen = chance.randrange(len(codes))
        offset = place + begin + struct.calcsize("<" + codes[:chosen])
        if place >= 0 and offset + 4 <= len(content):
            code = "<" + codes[chosen]
            old = struct.unpack_from(code, content, offset)[0]
            new = chance.choice((*NUMBERS, old + 1, old - 1, old ^ 1, 8, 12, 14, 99))
            struct.pack_into(code, content, offset, new & (0xFFFF if code == "<H" else 0xFFFFFFFF))


def csv(chance: Random) -> bytes:
    """Kaggle's, and what others may take for it."""
    rows = [
        [str(row), *TEXTS[row * PIXELS : (row + 1) * PIXELS]]
        for row in range(chance.choice((0, 1, 1, 2)))
    ]
    rows = [[*HEADER], *rows] if chance.random() < 0.5 or not rows else rows
    order = chance.random()
    if order < 0.2:
        rows = [row[1:] for row in rows]
    elif order < 0.3:
        rows = [[*row[1:], row[0]] for row in rows]
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        row = chance.choice(rows)
        row[chance.choice((0, -1, chance.randrange(len(row))))] = chance.choice(FIELDS)
    if chance.random() < 0.05:
        chance.choice(rows).append("0")
    if chance.random() < 0.05:
        rows = [[f'"{field}"' for field in row] for row in rows]
    separator = chance.choice((",",) * 30 + (", ", ", ", ";", "\t", ",,"))
    end = chance.choice(("\n",) * 8 + ("\r\n", "\r", "\n\n", "\n \n", "\x0b", "\u2028"))
    text = end.join(separator.join(row) for row in rows) + (end if chance.random() < 0.8 else "")
    if chance.random() < 0.02:
        text = text.replace(",", "," + " " * chance.choice((100, 70_000)), 1)
    return text.encode(
        chance.choice(("utf-8",) * 40 + ("utf-8-sig", "utf-8-sig", "utf-16", "utf-32", "utf-7"))
    )


FIELDS = (
    *(
        "256",
        "255",
        "-1",
        "-0",
        "+5",
        "0.0",
        "5.00",
        "5.5",
        ".5",
        "5.",
        "1e2",
        "0x10",
        "1_0",
        "nan",
        "inf",
        "",
        " ",
        " 7 ",
        "007",
        "1 2",
    ),
    *(
        "\u0665",
        "\uff15",
        "5\0",
        "\0",
        '"5"',
        '"5',
        '5"',
        '""',
        "'5'",
        "#",
        "5#",
        "\ufeff5",
        "\u00a05",
        "1,000",
        "9" * 400,
        "0" * 400,
        "label",
        "\ud7ff",
    ),
    *("5\x0b", "\x1c5", "5\x85", "5\u2028", "5\n", "True", "[5]", "5;", "10", "1.0e0"),
)


BOMBS = ("csv", "idx", "npz", "npy")
FILLINGS = (b"\n", b" ", b"0,", b"0\n", b"\0", b'"')


def _bomb(kind: str, number: int) -> bytes:
    """What unpacks to far more than it takes: blank images, blank lines, one line without an end, a directory without an end."""
    size = BOMB >> (number % 4)
    count = size // PIXELS
    if kind == "idx":
        return _idx_file(8, (count, 28, 28), bytes(count * PIXELS))
    if kind == "npy":
        return _npy_file(f"({count}, 28, 28)", bytes(count * PIXELS))
    if kind == "csv":
        return b"\n".join(
            [
                ",".join(HEADER).encode(),
                b"5" + b",0" * PIXELS,
                FILLINGS[number % len(FILLINGS)] * size,
            ]
        )
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", *bytes(9), 1, *bytes(6)) + b"a"
    start, count = b"PK\3\4" + bytes(26), size // len(entry)
    end = struct.pack(
        "<4s4H2LH",
        b"PK\5\6",
        0,
        0,
        count & 0xFFFF,
        count & 0xFFFF,
        count * len(entry),
        len(start),
        0,
    )
    return start + entry * count + end


KINDS: dict[str, Callable[[Random], bytes]] = {"idx": idx, "npy": npy, "npz": npz, "csv": csv}
