"""A picture in any form has the same pixels; the error of a faulty one says what is wrong."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from inkdigits.core.errors import BadPicture
from inkdigits.reading.preprocessing.picture import FORMATS, MAX_PIXELS, WORK_SIDE, open_picture


@pytest.fixture(scope="module")
def drawing() -> np.ndarray:
    """A grey drawing that no mirroring or turning maps onto itself."""
    y, x = np.mgrid[0:40, 0:60]
    pixels = 255 - np.clip(300 - 100 * np.abs(np.hypot(x - 22, y - 15) - 9), 0, 255)
    pixels[30:34, 10:50] = 90
    return pixels.astype(np.uint8)


def encoded(image: Image.Image, format_name: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_name, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises much and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("format_name", "mode", "options"),
    [
        ("PNG", "L", {}),
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "LA", {}),
        ("PNG", "P", {}),
        ("BMP", "L", {}),
        ("BMP", "RGB", {}),
        ("GIF", "L", {}),
        ("PPM", "L", {}),
        ("PPM", "RGB", {}),
        ("TIFF", "L", {"compression": "tiff_lzw"}),
        ("TIFF", "RGB", {}),
        ("WEBP", "RGB", {"lossless": True}),
    ],
)
def test_lossless_encodings_give_the_same_pixels(
    drawing: np.ndarray, format_name: str, mode: str, options: dict
) -> None:
    data = encoded(Image.fromarray(drawing).convert(mode), format_name, **options)
    assert np.array_equal(open_picture(data).pixels, drawing)


def test_sixteen_bit_pictures_are_scaled_not_clipped(drawing: np.ndarray) -> None:
    data = encoded(Image.fromarray(drawing.astype(np.uint16) * 257), "PNG")

    assert np.array_equal(open_picture(data).pixels, drawing)

    mid_grey = encoded(Image.fromarray(np.full((8, 8), 32768, np.uint16)), "PNG")

    assert (open_picture(mid_grey).pixels == 128).all()


def test_one_bit_pictures_are_black_and_white(drawing: np.ndarray) -> None:
    data = encoded(Image.fromarray(drawing > 127), "PNG")
    assert np.array_equal(open_picture(data).pixels, np.where(drawing > 127, 255, 0))


def test_cmyk_keeps_dark_dark(drawing: np.ndarray) -> None:
    pixels = open_picture(
        encoded(Image.fromarray(drawing).convert("RGB").convert("CMYK"), "TIFF")
    ).pixels
    assert np.abs(pixels.astype(int) - drawing).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_held_any_way_gives_the_upright_picture(
    drawing: np.ndarray, orientation: int
) -> None:
    undo = {
        1: drawing,
        2: drawing[:, ::-1],
        3: drawing[::-1, ::-1],
        4: drawing[::-1],
        5: drawing.T,
        6: np.rot90(drawing, 1),
        7: drawing[::-1, ::-1].T,
        8: np.rot90(drawing, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation]))
    picture = open_picture(encoded(stored, "PNG", exif=exif))

    assert np.array_equal(picture.pixels, drawing)
    assert picture.scale == (1, 1)


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0)])
def test_strokes_on_nothing_get_the_paper_that_shows_them(ink: int, paper: int) -> None:
    rgba = np.zeros((20, 20, 4), np.uint8)
    rgba[5:15, 8:11] = (ink, ink, ink, 255)
    pixels = open_picture(rgba).pixels

    assert (pixels[5:15, 8:11] == ink).all()
    assert pixels[0, 0] == paper


def test_a_sheet_with_transparent_corners_gets_more_of_its_own_paper(drawing: np.ndarray) -> None:
    rgba = np.dstack([drawing, drawing, drawing, np.full_like(drawing, 255)])
    rgba[:4, :4, 3] = 0
    assert open_picture(rgba).pixels[0, 0] == 255


def test_transparency_is_mixed_with_the_paper_behind_it() -> None:
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 140, (40, 50, 4), np.uint8)
    rgba[:, :, 3] = np.where(
        rng.random((40, 50)) < 0.4, rng.integers(0, 256, (40, 50)), 0
    )  # strokes, so the paper is white
    opacity = rgba[:, :, 3:] / 255

    assert (
        np.abs(open_picture(rgba).pixels - (rgba[:, :, :3] * opacity + 255 * (1 - opacity))).max()
        < 1
    )


def test_a_large_transparent_picture_is_reduced_as_an_opaque_one_is() -> None:
    y, x = np.mgrid[: WORK_SIDE + 200, : 2 * WORK_SIDE]
    stroke = (np.hypot(x - 1500, (y - 800) * 1.5) < 500).astype(np.uint8)
    shown = open_picture(np.where(stroke, 20, 255).astype(np.uint8))
    transparent = open_picture(np.dstack([stroke * 20] * 3 + [stroke * 255]))

    assert transparent.scale == shown.scale
    assert np.abs(transparent.pixels.astype(int) - shown.pixels).max() <= 2


def test_a_picture_that_is_all_transparent_is_blank_paper() -> None:
    assert len(np.unique(open_picture(np.zeros((9, 9, 4), np.uint8)).pixels)) == 1


def test_arrays_of_any_usual_type_are_accepted(drawing: np.ndarray) -> None:
    for array in (
        drawing,
        drawing[:, :, None],
        drawing[None],
        np.dstack([drawing] * 3),
        drawing.astype(np.int64),
        drawing.astype(np.float64),
        drawing.astype(np.float32) / np.float32(255),
        drawing.astype(np.uint16) * 257,
    ):
        assert np.array_equal(open_picture(array).pixels, drawing)


def test_a_large_picture_is_reduced_and_remembers_its_size() -> None:
    picture = open_picture(np.full((1000, 2 * WORK_SIDE), 255, np.uint8))
    assert picture.pixels.shape == (500, WORK_SIDE)
    assert picture.scale == (2, 2)


def averaged(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return square pixels averaged over areas, each row and column by its overlap."""
    own = pixels.shape[0]
    edges = np.linspace(0, own, side + 1)
    reach = np.clip(edges[:, None] - np.arange(own), 0, 1)
    weights = np.diff(reach, axis=0) * side / own
    return np.einsum("ij,jk...,lk->il...", weights, pixels, weights, optimize=True)


@pytest.mark.parametrize("side", [1700, 2100, 2 * WORK_SIDE])
def test_a_large_picture_is_averaged_over_areas(side: int) -> None:
    """Thin strokes stay as dark as they were on the whole, and are where they were."""
    y, x = np.mgrid[:side, :side]
    rings = np.hypot(x - side / 3, y - side / 2) % 40 < 5
    pixels = np.where(rings, 30, 255).astype(np.uint8)
    differences = open_picture(pixels).pixels - averaged(pixels, WORK_SIDE)

    assert abs(differences.mean()) < 0.1
    assert np.abs(differences).mean() < 2
    assert np.abs(differences).max() < 60


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P", "CMYK", "RGBA", "I;16"])
def test_a_large_picture_of_any_mode_is_reduced(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.full((900, 2 * WORK_SIDE), 65535, np.uint16))
    else:
        image = Image.new("RGB", (2 * WORK_SIDE, 900), "white").convert(mode)
    picture = open_picture(image)

    assert picture.pixels.shape == (450, WORK_SIDE)
    assert (picture.pixels == 255).all()
    assert picture.original_size == (2 * WORK_SIDE, 900)


def test_pixels_in_colour_are_the_grey_ones_three_times(drawing: np.ndarray) -> None:
    grey = open_picture(drawing)

    assert grey.rgb.shape == (*drawing.shape, 3)
    assert all(np.array_equal(grey.rgb[:, :, channel], drawing) for channel in range(3))

    coloured = np.dstack([drawing, 255 - drawing, drawing // 2])

    assert np.array_equal(open_picture(coloured).rgb, coloured)


def test_a_large_jpeg_is_decoded_small_and_keeps_its_coordinates() -> None:
    pixels = np.full((3024, 4032), 255, np.uint8)
    pixels[400:2000, 800:1000] = 0
    picture = open_picture(encoded(Image.fromarray(pixels), "JPEG"))

    assert max(picture.pixels.shape) <= WORK_SIDE

    rows, columns = np.nonzero(picture.pixels < 128)
    (x, y) = picture.scale

    assert np.allclose(
        [columns.min() * x, (columns.max() + 1) * x, rows.min() * y, (rows.max() + 1) * y],
        [800, 1000, 400, 2000],
        atol=2,
    )


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("several", [True, False])
def test_only_the_first_frame_of_an_animation_is_read(
    drawing: np.ndarray, kind: str, several: bool
) -> None:
    frames = [Image.fromarray(drawing), Image.fromarray(255 - drawing)]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    picture = open_picture(
        encoded(
            frames[0],
            kind,
            save_all=several,
            append_images=frames[1:] if several else [],
            **lossless,
        )
    )

    assert np.array_equal(picture.pixels, drawing)
    assert picture.warnings == (("only the first of several frames is read",) if several else ())


def code_of(source: object) -> str:
    with pytest.raises(BadPicture) as caught:
        open_picture(source)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return caught.value.code


def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, drawing: np.ndarray) -> None:
    whole = encoded(
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)), "PNG"
    )
    (tmp_path / "empty.png").touch()

    assert code_of(tmp_path / "none.png") == "not_found"
    assert code_of(str(tmp_path / "none.png")) == "not_found"
    assert code_of(tmp_path) == "not_a_picture"
    assert code_of(tmp_path / "empty.png") == "empty"
    assert code_of(b"") == "empty"
    assert code_of(b"a,b,c\n1,2,3\n") == "not_a_picture"
    assert code_of(b"<svg xmlns='http://www.w3.org/2000/svg'/>") == "unsupported"
    assert code_of(b"%PDF-1.7 ...") == "truncated"
    assert code_of(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00") == "truncated"
    assert code_of(whole[: len(whole) // 2]) == "truncated"
    assert code_of(encoded(Image.fromarray(drawing), "JPEG")[:-200]) == "truncated"


def test_a_picture_that_promises_too_much_is_refused_before_it_is_decoded() -> None:
    side = int(MAX_PIXELS**0.5) + 1
    assert code_of(png_header(side, side)) == "too_large"
    assert code_of(png_header(60_000, 60_000)) == "too_large"


def test_arrays_that_are_no_pictures_are_refused() -> None:
    for array in (
        np.zeros(784),
        np.zeros((28, 28, 2)),
        np.zeros((2, 28, 28)),
        np.array([["a"]]),
        np.array(None),
    ):
        assert code_of(array) == "unsupported"
    assert code_of(np.zeros((0, 28))) == "empty"
    assert code_of(np.full((9, 9), np.nan)) == "unsupported"
    assert code_of(np.full((9, 9), -1)) == "unsupported"


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(FORMATS[:-1]), st.binary(max_size=40), st.integers(0, 2000), st.integers(0, 255)
)
def test_damage_anywhere_gives_pixels_or_a_bad_picture(
    format_name: str, tail: bytes, place: int, byte: int
) -> None:
    data = bytearray(
        encoded(Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30)), format_name) + tail
    )
    data[place % len(data)] = byte
    try:
        pixels = open_picture(bytes(data)).pixels
    except BadPicture:
        return

    assert pixels.dtype == np.uint8
    assert pixels.ndim in (2, 3)
