"""Pages and frames are read one after the other, and what is wrong with one stops no other."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from digit_files import npy
from PIL import Image, TiffImagePlugin

from inkdigits.core.errors import BadPicture
from inkdigits.reading.explanation.folder import Explanations
from inkdigits.reading.paths import open_path, read_paths
from inkdigits.reading.preprocessing import several
from inkdigits.reading.preprocessing.picture import Picture, open_picture
from inkdigits.reading.preprocessing.picture_file import MAX_NUMBERS
from inkdigits.reading.preprocessing.several import iter_frames
from inkdigits.reading.recogniser import cached_recogniser

PAGES = [np.full((40, 30 + 10 * number), 50 * number, np.uint8) for number in range(4)]


def file(path: Path, pages: list[np.ndarray] = PAGES, **options: object) -> Path:
    first, *others = map(Image.fromarray, pages)
    first.save(path, save_all=True, append_images=others, **options)
    return path


def shapes(path: Path) -> list[tuple[int, ...] | str]:
    return [
        content.pixels.shape if isinstance(content, Picture) else content.code
        for _, content in iter_frames(path)
    ]


@pytest.mark.parametrize("suffix", ["tif", "pdf"])
def test_each_page_is_a_picture_of_its_own(tmp_path: Path, suffix: str) -> None:
    path = file(tmp_path / f"a.{suffix}", **({"resolution": 300} if suffix == "pdf" else {}))
    assert [index for index, _ in iter_frames(path)] == [0, 1, 2, 3]
    assert shapes(path) == [page.shape for page in PAGES]
    for index, page in enumerate(PAGES):
        one = open_picture(f"{path}[{index}]").pixels
        assert one.shape == page.shape
        assert abs(int(one.mean()) - int(page.mean())) < 4


def test_each_frame_of_a_gif_is_the_whole_picture_as_it_is_then(tmp_path: Path) -> None:
    frames = [np.where(np.arange(400).reshape(20, 20) < 50 * n, 0, 255) for n in range(1, 5)]
    path = file(tmp_path / "a.gif", [frame.astype(np.uint8) for frame in frames])
    for (_, content), frame in zip(iter_frames(path), frames, strict=True):
        assert isinstance(content, Picture)
        np.testing.assert_array_equal(content.pixels, frame)


def test_a_preview_in_a_tiff_is_no_page(tmp_path: Path) -> None:
    pages = TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "a.tif"), True)
    for number, page in enumerate(PAGES[:3]):
        Image.fromarray(page).save(pages, "TIFF", tiffinfo={254: number == 1})
        pages.newFrame()
    pages.close()
    assert [index for index, _ in iter_frames(tmp_path / "a.tif")] == [0, 2]


def test_a_file_of_one_page_has_its_plain_name(tmp_path: Path) -> None:
    for name in ("a.tif", "a.gif", "a.pdf"):
        (part,) = open_path(str(file(tmp_path / name, PAGES[:1])))
        assert part.path == str(tmp_path / name)


def test_pages_keep_their_order_whatever_reads_them(tmp_path: Path) -> None:
    path = file(tmp_path / "a.tif", [*PAGES, *PAGES])
    for jobs in (1, 3):
        read = [name for name, _ in read_paths(cached_recogniser("tiny"), [str(path)], jobs=jobs)]
        assert read == [f"{path}[{index}]" for index in range(8)]


def test_pages_behind_a_damaged_one_are_left_out_with_a_reason(tmp_path: Path) -> None:
    path = file(tmp_path / "a.tif", [np.full((99, 99), 7, np.uint8)] * 4)
    path.write_bytes(path.read_bytes()[:-15_000])
    assert shapes(path)[-1] == "truncated"
    assert shapes(path)[0] == (99, 99)


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_damage_anywhere_in_several_frames_gives_pixels_or_a_bad_picture(
    tmp_path: Path, suffix: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 9, (3, 9, 12), np.uint8)
    path = file(tmp_path / f"a.{suffix}", list(noise))
    whole = path.read_bytes()
    assert len(whole) < 2_000
    read = refused = 0
    for place in range(1, len(whole)):
        for part in (whole[:place], whole[:place] + b"\xff" + whole[place + 1 :]):
            path.write_bytes(part)
            contents = [content for _, content in iter_frames(path)]
            with contextlib.suppress(BadPicture):
                contents.append(open_picture(part))

            pictures = [content for content in contents if isinstance(content, Picture)]
            assert all(picture.pixels.dtype == np.uint8 for picture in pictures)
            read += bool(pictures)
            refused += not pictures

    assert read > 10
    assert refused > 10


def test_there_is_a_limit_to_the_pages_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(several, "MOST_FRAMES", 2)
    for name in ("a.tif", "a.pdf"):
        path = file(tmp_path / name)
        *_, (index, last) = iter_frames(path)
        assert index == 2
        assert isinstance(last, BadPicture)
        assert f"{path}[2] is the next one" in str(last)


def test_a_second_directory_of_a_tiff_may_not_be_dearer_than_the_first(tmp_path: Path) -> None:
    image = Image.fromarray(PAGES[0])
    many = TiffImagePlugin.ImageFileDirectory_v2()
    many[60_000] = tuple([1] * (MAX_NUMBERS + 1))
    many.tagtype[60_000] = 4
    buffer = io.BytesIO()
    pages = TiffImagePlugin.AppendingTiffWriter(buffer, True)
    image.save(pages, "TIFF")
    pages.newFrame()
    image.save(pages, "TIFF", tiffinfo=many)
    pages.newFrame()
    (tmp_path / "a.tif").write_bytes(buffer.getvalue())
    assert shapes(tmp_path / "a.tif") == [(40, 30), "too_large"]


def test_an_index_behind_a_path_chooses_an_image_of_an_array(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
    (tmp_path / "a.npy").write_bytes(npy(images))
    recogniser = cached_recogniser("tiny")
    ((name, trace),) = read_paths(recogniser, [f"{tmp_path / 'a.npy'}[3]"])
    assert name == f"{tmp_path / 'a.npy'}[3]"
    assert trace.reading == list(recogniser.read_images(images))[3]
    ((_, trace),) = read_paths(recogniser, [f"{tmp_path / 'a.npy'}[5]"])
    assert trace.reading.error is not None
    assert "it has 5 images" in str(trace.reading.error)


def test_a_page_is_explained_like_any_picture(tmp_path: Path) -> None:
    path = file(tmp_path / "a.tif", PAGES[:2])
    explanations = Explanations(tmp_path / "why")
    for name, trace in read_paths(cached_recogniser("tiny"), [str(path)]):
        explanations.add(name, trace)
    assert len(list((tmp_path / "why").rglob("*.png"))) == 2
