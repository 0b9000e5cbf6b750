"""Files that are dear to take apart are refused; unusual ones that are not are read."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmarks.soak.dear_files import (
    EXIF,
    bmp,
    chunk,
    dear_files,
    gif,
    jpeg,
    png,
    segment,
    strips,
    tiff,
)
from inkdigits.core.errors import BadPicture
from inkdigits.reading.preprocessing import picture_file
from inkdigits.reading.preprocessing.picture import open_picture
from inkdigits.reading.preprocessing.picture_file import (
    MAX_HEAD,
    MAX_PIECES,
    PictureFile,
    TooDear,
    without_exif,
)

MANY = 300_000  # pieces
PIECES = f"more than {MAX_PIECES:,} pieces"
HEAD = f"more than {MAX_HEAD:,} bytes before its pixels"
NUMBERS = "more than 40,000 numbers in its directories"
PYTHON = "more than 1,000,000 pixels as"


WHY = {
    "JPEG of empty Exif segments": PIECES,
    "JPEG of full Exif segments": HEAD,
    "JPEG of empty segments": PIECES,
    "JPEG of padding": PIECES,
    "JPEG of tables": HEAD,
    "JPEG of scans": "more than 100 scans",
    "PNG of empty chunks before": PIECES,
    "PNG of empty chunks within": PIECES,
    "PNG of one large chunk": HEAD,
    "PNG of packed texts": "more than 16 packed texts",
    "GIF of comments": PIECES,
    "GIF of one long comment": PIECES,
    "GIF of large comments": HEAD,
    "GIF of comments behind": PIECES,
    "GIF of rubbish behind": PIECES,
    "BMP of one long row": PYTHON,
    "BMP of moves to nowhere": PIECES,
    "BMP of runs beyond the row": PIECES,
    "PGM with an unusual maximum": PYTHON,
    "PPM with an unusual maximum": PIECES,
    "PGM with a long comment": PIECES,
    "PGM with much space": PIECES,
    "PGM in many letters": "more than 1,048,576 bytes of text",
    "PBM of comments": "more than 100 comments",
    "TIFF of strips of one row": NUMBERS,
    "TIFF of many numbers": NUMBERS,
    "TIFF of many entries": NUMBERS,
    "TIFF of directories in a ring": NUMBERS,
    "big TIFF of many numbers": NUMBERS,
    "TIFF of strips of one row, its head reversed": NUMBERS,
}
IS_READ = ["AVIF of many numbers in two pieces"]  # without these numbers


@pytest.mark.parametrize(("name", "why"), WHY.items(), ids=WHY)
def test_a_dear_file_is_refused_with_a_sentence(name: str, why: str, tmp_path: Path) -> None:
    data = dear_files(MANY)[name]()
    path = tmp_path / "dear"
    path.write_bytes(data)
    for source, called in ((data, "the data"), (path, str(path))):
        with pytest.raises(
            BadPicture, match=f"^{re.escape(called)} has {re.escape(why)}.*"
        ) as error:
            open_picture(source)
        assert error.value.code == "too_large"
        assert str(error.value).endswith("; save it anew, as PNG")


def test_every_dear_file_has_its_sentence() -> None:
    assert dear_files(1).keys() == {*WHY, *IS_READ}


@pytest.mark.parametrize("name", IS_READ)
def test_exif_data_in_pieces_are_not_taken_apart(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, loaded = Image.Exif.load, []

    def note(exif: Image.Exif, data: bytes) -> None:
        loaded.append(data)
        load(exif, data)

    monkeypatch.setattr(Image.Exif, "load", note)
    assert open_picture(dear_files(MANY)[name]()).pixels.shape == (64, 64)
    assert all(len(data) < 50 for data in loaded)  # Pillow's own, which says how it is turned


@pytest.mark.parametrize("turned", range(1, 9))
def test_an_avif_is_upright_without_its_exif_data(turned: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    exif[0x010E] = "a letter"
    slope = np.linspace(0, 255, 64 * 48).reshape(64, 48).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(slope).save(file, "AVIF", exif=exif, quality=100)
    hidden = without_exif(file.getvalue())
    assert b"a letter" in hidden
    with Image.open(io.BytesIO(hidden)) as image:
        assert 0x010E not in image.getexif()
    with Image.open(io.BytesIO(file.getvalue())) as image:
        assert image.getexif()[0x010E] == "a letter"
        expected = np.asarray(ImageOps.exif_transpose(image).convert("L"))

    assert np.array_equal(open_picture(file.getvalue()).pixels, expected)


USUAL = {
    "JPEG with Exif, profile and comment": jpeg(
        segment(0xE1, EXIF + b"II*\0\x08" + bytes(9)) + segment(0xE2, bytes(60000)) * 20
    ),
    "PNG of chunks of a hundred bytes": png(within=chunk(b"IDAT") * 999),
    "GIF with a comment": gif(b"!\xfe\5hello\0"),
    "BMP in run lengths": bmp(64, 64, b"\x40\xff\0\0" * 64 + b"\0\1"),
    "PGM with an unusual maximum": b"P5 64 64 100\n" + bytes([78]) * 4096,
    "PGM in letters": b"P2 64 64 255\n# made by hand\n" + b"200 " * 4096,
    "TIFF with a strip for each of 8,000 rows": strips(8000),
    "TIFF with Exif": tiff((34665, 4, 1, 6000), tail=bytes(2000)),
}


@pytest.mark.parametrize("data", USUAL.values(), ids=USUAL)
def test_an_unusual_file_is_read(data: bytes) -> None:
    pixels = open_picture(data).pixels
    assert np.abs(pixels.astype(int).mean() - 200) < 60


def test_a_limit_that_a_parser_hides_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_file, "MAX_PIECES", 3)
    file = PictureFile(bytes(9))
    for _ in range(3):
        assert file.read(1) == b"\0"
    for _ in range(2):
        with pytest.raises(TooDear, match="more than 3 pieces"):
            file.read(1)
    assert file.refused is not None


def test_pixels_do_not_count_as_head() -> None:
    file = PictureFile(bytes(MAX_HEAD + 100))
    file.end_head()
    assert len(file.read(MAX_HEAD + 1)) == MAX_HEAD + 1
    assert file.refused is None


def test_a_file_that_is_read_whole_has_no_head() -> None:
    assert len(PictureFile(bytes(MAX_HEAD + 1)).read()) == MAX_HEAD + 1


@pytest.mark.parametrize("turned", range(1, 9))
def test_a_picture_is_turned_as_pillow_turns_it(turned: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    pixels = np.arange(64 * 48, dtype=np.int64).reshape(64, 48).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    with Image.open(io.BytesIO(file.getvalue())) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(open_picture(file.getvalue()).pixels, expected)
