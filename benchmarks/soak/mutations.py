"""Files of digits with something wrong: IDX, .npy, .npz and CSV, packed or not.

A number comes in, and the same file goes out for the same number every time. First a file is put
together as its format has it, usually with something odd in its parts; then bytes may be changed
blindly, before packing and after.
"""

import bz2
import gzip
import io
import os
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from inkdigits.core.arrays import IDX_TYPES
from inkdigits.core.digits import PIXELS

SMALL_NUMBERS = (0, 1, 2, 3, 5, 27, 28, 29, 127, 128, 255, 256, 783, 784, 785)
NUMBERS = (*SMALL_NUMBERS, 2**15, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
COUNTS = (0, 1, 1, 2, 2, 3)  # images
TRAP = "opened"  # the folder that appears where a pickle is opened
TRAPPED = 0.03
BOMB = 20_000_000  # bytes at most, unpacked
LABELS = bytes((3, 1))


class _Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (TRAP,)


def _pixels(count: int) -> bytes:
    """Return pixels of which half are paper, as in real digits."""
    noise = np.random.default_rng(count).integers(-255, 256, count)
    return np.maximum(noise, 0).astype(np.uint8).tobytes()


def _trapped_array() -> bytes:
    """Return an .npy file that holds a pickle."""
    file = io.BytesIO()
    np.save(file, np.array([_Trap()], object), allow_pickle=True)
    return file.getvalue()


POOL = _pixels(8 * PIXELS)
TEXTS = [str(value) for value in POOL]
HEADER = ["label", *(f"p{number}" for number in range(PIXELS))]
TRAPPED_ARRAY = _trapped_array()


@dataclass(frozen=True)
class Mutant:
    """A file. kind: how it was begun. labels: for the file beside it, where it is IDX."""

    kind: str
    content: bytes
    labels: bytes


def mutant(number: int) -> Mutant:
    """Return the file with this number."""
    chance = Random(number)
    kind = chance.choices(list(KINDS), (30, 20, 25, 25))[0]
    is_bomb = number % 1000 == 7
    if is_bomb:
        kind = BOMBS[number // 1000 % len(BOMBS)]
        content = _bomb(kind, number // 1000 // len(BOMBS))
    else:
        content = KINDS[kind](chance)
        if chance.random() < 0.2:
            content = change_blindly(chance, content)

    if is_bomb or chance.random() < 0.3:
        content = chance.choice((_gzipped, bz2.compress))(content)

    if not is_bomb and chance.random() < 0.2:
        content = change_blindly(chance, content)

    labels = _idx_file(8, (2,), LABELS)
    if chance.random() < 0.3:
        labels = change_blindly(chance, labels)

    return Mutant(kind, content, labels)


def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


# ---- blindly

Change = Callable[[Random, bytearray, int], None]


def change_blindly(
    chance: Random,
    content: bytes,
    changes: Sequence[Change] = (),
    times: Sequence[int] = (1, 1, 2, 4),
) -> bytes:
    """Change bytes anywhere, half of the times at the beginning, where headers are.

    Args:
        chance: draws everything.
        content: what is changed.
        changes: of which one is drawn each time; by default those for files of digits.
        times: how often, of which one is drawn.
    """
    data = bytearray(content)
    for _ in range(chance.choice(times)):
        place = chance.randrange(len(data) + 1)
        if chance.random() < 0.5:
            place = min(place, chance.randrange(160))

        chance.choice(changes or FILE_CHANGES)(chance, data, place)

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
    size = struct.calcsize(code)
    data[place : place + size] = struct.pack(code, chance.choice(NUMBERS) & (2 ** (8 * size) - 1))


def _cut(_: Random, data: bytearray, place: int) -> None:
    del data[place:]


def _drop(chance: Random, data: bytearray, place: int) -> None:
    del data[place : place + chance.choice((1, 2, 4, 28, 784))]


def _insert(chance: Random, data: bytearray, place: int) -> None:
    data[place:place] = chance.randbytes(chance.choice((1, 2, 4, 28)))


def _repeat(chance: Random, data: bytearray, place: int) -> None:
    data[place:place] = data[place : place + chance.choice((1, 16, 784, 10**6))]


def _splice(chance: Random, data: bytearray, place: int) -> None:
    """Insert a piece of another kind of file, or of the same one."""
    other = chance.choice(list(KINDS.values()))(chance)
    begin = chance.randrange(len(other) + 1)
    data[place:place] = other[begin : begin + chance.choice((4, 64, 2000))]


def _swap(chance: Random, data: bytearray, place: int) -> None:
    middle = place + chance.choice((1, 4, 28))
    data[place : 2 * middle - place] = data[middle : 2 * middle - place] + data[place:middle]


BLIND_CHANGES: list[Change] = [_flip, _flip, _set, _number, _cut, _drop, _insert, _repeat, _swap]
FILE_CHANGES = [*BLIND_CHANGES[:-1], _splice, _swap]


# ---- in their parts


def _shape(chance: Random, count: int) -> tuple[int, ...]:
    """Return the shape of `count` images, or nearly."""
    others = (count, PIXELS), (count, 28, 28, 1), (count, 1, 28, 28), (count * PIXELS,)
    shape = list(chance.choice(((count, 28, 28),) * 5 + others))
    if chance.random() < 0.12:
        shape[chance.randrange(len(shape))] = chance.choice(NUMBERS)
    return tuple(shape)


def _values(chance: Random, dtype: str, count: int) -> bytes:
    """Return the bytes of this many values, now and then a few too many or too few."""
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
    """Make an IDX file. Source: "The IDX file format", LeCun's MNIST page."""
    code = 8 if chance.random() < 0.7 else chance.choice(list(IDX_TYPES))
    count = chance.choice(COUNTS)
    shape = _shape(chance, count)
    content = bytearray(_idx_file(code, shape, _values(chance, IDX_TYPES[code], count * PIXELS)))
    if chance.random() < 0.1:
        content[chance.randrange(4)] = chance.randrange(256)
    return bytes(content)


ODD_TYPES = ["|O", "<U3", "|S1", "|V1", "<M8[s]", "u1", "=u1", "<c8", "|u1'", "[('a','u1')]"]
ODD_TYPES += ["(2,)u1", "<i16", ""]
OTHER_TYPES = ("|b1", "|i1", "<u2", ">i2", "<i4", ">i8", "<u8", "<f4", ">f8", "<f2")
ODD_SHAPES = ["()", "(,)", "(-1, 28, 28)", "(1 28 28)", "(1, 28, 28,)", "(01, 28, 28)"]
ODD_SHAPES += ["(1L, 28, 28)", "(" * 300]
ORDERS = ("False",) * 20 + ("True",) * 4 + ("0", "None")
VERSIONS = (1,) * 20 + (2, 2, 3, 3, 0, 9)


def npy(chance: Random) -> bytes:
    """Make an .npy file. Source: numpy.lib.format."""
    if chance.random() < TRAPPED:
        is_plain = chance.random() < 0.5
        return TRAPPED_ARRAY if is_plain else change_blindly(chance, TRAPPED_ARRAY)

    count = chance.choice(COUNTS)
    descr, dtype = "|u1", "u1"
    if chance.random() < 0.3:
        descr = dtype = chance.choice(OTHER_TYPES)

    if chance.random() < 0.05:
        descr = chance.choice(ODD_TYPES)

    order = chance.choice(ORDERS)
    shape = str(_shape(chance, count))
    if chance.random() < 0.1:
        shape = chance.choice([shape[1:-1], *ODD_SHAPES])

    header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
    if chance.random() < 0.1:
        quoted, equal = header.replace("'", '"'), header.replace(":", "=")
        odd = (quoted, header + header, header * 60, "{" + header, equal, header[:-1])
        header = chance.choice(odd)

    version = chance.choice(VERSIONS)
    header += " " * (-(len(header) + 11) % 64) + "\n"
    length = len(header) if chance.random() < 0.95 else chance.choice(NUMBERS)
    size = struct.pack("<H", length & 0xFFFF) if version == 1 else struct.pack("<I", length)
    start = b"\x93NUMPY" + bytes((version, 0)) + size + header.encode()
    return start + _values(chance, dtype, count * PIXELS)


IMAGE_NAMES = ("images", "x_train", "x_test", "x", "arr_0")
NAMES = [("images",), ("images", "labels"), ("x_train", "y_train", "x_test", "y_test")]
NAMES += [("x", "y"), ("arr_0", "arr_1")]
ODD_NAMES = ("images", "labels", "x", "../images", "/images", "", "images/", "\u0665", "a" * 300)


def npz(chance: Random) -> bytes:
    """Make a zip file of one to four arrays, its directory perhaps not what it should be.

    Source: PKWARE's APPNOTE.TXT.
    """
    file = io.BytesIO(b"x" * 30 if chance.random() < 0.03 else b"")
    file.seek(0, io.SEEK_END)
    method = chance.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))
    if chance.random() < 0.04:
        method = chance.choice((zipfile.ZIP_BZIP2,) * 4 + (zipfile.ZIP_LZMA,))

    names = chance.choice(NAMES)
    if chance.random() < 0.1:
        names = (*names, chance.choice(ODD_NAMES))

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
    if name in IMAGE_NAMES:
        is_odd = chance.random() < 0.5
        return npy(chance) if is_odd else _npy_file("(2, 28, 28)", POOL[: 2 * PIXELS])

    labels = LABELS
    if chance.random() < 0.3:
        labels = bytes(chance.choice((0, 1, 9, 9, 10, 255)) for _ in range(2))

    return _npy_file("(2,)", labels)


def _npy_file(shape: str, content: bytes) -> bytes:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + content


# The fields of local headers, of the directory and of its end, behind the signature.
ZIP_FIELDS = {b"PK\3\4": "HHHHHIIIHH", b"PK\1\2": "HHHHHHIIIHHHHHII", b"PK\5\6": "HHHHIIH"}


def _change_directory(chance: Random, content: bytearray) -> None:
    """Put another number into one field, or a few, of the local headers or the directory."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        signature, codes = chance.choice(list(ZIP_FIELDS.items()))
        place = chance.choice((content.find, content.rfind))(signature)
        chosen = chance.randrange(len(codes))
        offset = place + len(signature) + struct.calcsize("<" + codes[:chosen])
        if place >= 0 and offset + 4 <= len(content):
            code = "<" + codes[chosen]
            old = struct.unpack_from(code, content, offset)[0]
            new = chance.choice((*NUMBERS, old + 1, old - 1, old ^ 1, 8, 12, 14, 99))
            struct.pack_into(code, content, offset, new & (0xFFFF if code == "<H" else 0xFFFFFFFF))


ODD_FIELDS = ["256", "255", "-1", "-0", "+5", "0.0", "5.00", "5.5", ".5", "5.", "1e2", "0x10"]
ODD_FIELDS += ["1_0", "nan", "inf", "", " ", " 7 ", "007", "1 2"]
ODD_FIELDS += ["\u0665", "\uff15", "5\0", "\0", '"5"', '"5', '5"', '""', "'5'", "#", "5#"]
ODD_FIELDS += ["\ufeff5", "\u00a05", "1,000", "9" * 400, "0" * 400, "label", "\ud7ff"]
ODD_FIELDS += ["5\x0b", "\x1c5", "5\x85", "5\u2028", "5\n", "True", "[5]", "5;", "10", "1.0e0"]
SEPARATORS = (",",) * 30 + (", ", ", ", ";", "\t", ",,")
LINE_ENDS = ("\n",) * 8 + ("\r\n", "\r", "\n\n", "\n \n", "\x0b", "\u2028")
ENCODINGS = ("utf-8",) * 40 + ("utf-8-sig", "utf-8-sig", "utf-16", "utf-32", "utf-7")


def csv(chance: Random) -> bytes:
    """Make a table like Kaggle's, or what others may take for one."""
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

    return _text_of(chance, rows)


def _text_of(chance: Random, rows: list[list[str]]) -> bytes:
    """Join rows to a table, with something odd at times."""
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        row = chance.choice(rows)
        row[chance.choice((0, -1, chance.randrange(len(row))))] = chance.choice(ODD_FIELDS)

    if chance.random() < 0.05:
        chance.choice(rows).append("0")

    if chance.random() < 0.05:
        rows = [[f'"{field}"' for field in row] for row in rows]

    separator = chance.choice(SEPARATORS)
    end = chance.choice(LINE_ENDS)
    text = end.join(separator.join(row) for row in rows) + (end if chance.random() < 0.8 else "")
    if chance.random() < 0.02:
        text = text.replace(",", "," + " " * chance.choice((100, 70_000)), 1)

    return text.encode(chance.choice(ENCODINGS))


BOMBS = ("csv", "idx", "npz", "npy")
FILLINGS = (b"\n", b" ", b"0,", b"0\n", b"\0", b'"')


def _bomb(kind: str, number: int) -> bytes:
    """Make a file that unpacks to far more than it takes.

    It holds blank images, blank lines, or a line or a directory without an end.
    """
    size = BOMB >> (number % 4)
    count = size // PIXELS
    if kind == "idx":
        return _idx_file(8, (count, 28, 28), bytes(count * PIXELS))
    if kind == "npy":
        return _npy_file(f"({count}, 28, 28)", bytes(count * PIXELS))
    if kind == "csv":
        filling = FILLINGS[number % len(FILLINGS)] * size
        return b"\n".join([",".join(HEADER).encode(), b"5" + b",0" * PIXELS, filling])

    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", *bytes(9), 1, *bytes(6)) + b"a"
    start = b"PK\3\4" + bytes(26)
    count = size // len(entry)
    shown = count & 0xFFFF
    place = count * len(entry), len(start)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, shown, shown, *place, 0)
    return start + entry * count + end


KINDS: dict[str, Callable[[Random], bytes]] = {"idx": idx, "npy": npy, "npz": npz, "csv": csv}
