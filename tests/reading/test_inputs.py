"""Whatever is handed over is read, or refused in a short sentence that says what would work."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.common import ROOT
from benchmarks.reading.input_materials import REFUSED, Materials
from benchmarks.reading.inputs import INPUTS, Input
from inkdigits.core.errors import MOST_ECHOED, InkdigitsError
from inkdigits.core.pixels import to_uint8
from inkdigits.data.datasets import load_dataset
from inkdigits.reading.recogniser import Recogniser

LONGEST_SENTENCE = 2 * MOST_ECHOED  # characters, of which at most half are somebody's input


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    return Materials(tmp_path_factory.mktemp("inputs"))


@pytest.mark.parametrize(
    "handed_over", [one for _, one in INPUTS], ids=[f"{group} {one.name}" for group, one in INPUTS]
)
def test_an_input_gives_what_the_documentation_says(
    handed_over: Input, materials: Materials
) -> None:
    outcome = handed_over.hand_over(materials)
    says = outcome.says.replace(f"{materials.folder}/", "")

    assert outcome.gives == handed_over.gives, says
    assert len(says) <= LONGEST_SENTENCE
    assert "\n" not in says
    assert (outcome.gives == REFUSED) <= bool(says)


def test_the_page_lists_all_inputs() -> None:
    page = (ROOT / "docs" / "inputs.md").read_text()
    rows = [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if " | " in line]
    assert {one.name for _, one in INPUTS} <= set(rows)
    assert f"{len(INPUTS)} inputs" in page


@pytest.mark.parametrize(
    "call",
    [
        lambda long: Recogniser().read(long),
        lambda long: Recogniser().read(long.encode()),
        lambda long: Recogniser().read("data:" + long),
        lambda long: Recogniser().read("./" + long + ".pdf[3]"),
        lambda long: Recogniser(long),
        lambda long: load_dataset(long),
        lambda long: load_dataset("./" + long),
    ],
)
def test_no_message_echoes_more_than_200_characters_of_input(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InkdigitsError) as caught:
        call("y" * 10_000)
    longest = max(map(len, re.findall("y+", str(caught.value))), default=0)
    assert longest <= MOST_ECHOED


@pytest.mark.slow
def test_a_page_of_a_pdf_that_would_take_too_much_is_refused(tmp_path: Path) -> None:
    """A form that draws ten forms that draw ten forms, a hundred million times in all."""
    forms = [
        b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</F %d 0 R>>>>/Length 60>>"
        b"stream\n%s\nendstream" % (5 + depth, b"/F Do " * 10 if depth < 8 else b" " * 60)
        for depth in range(9)
    ]
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<</XObject<</F 4 0 R>>>>"
        b"/Contents 13 0 R>>",
        *forms,
        b"<</Length 5>>stream\n/F Do\nendstream",
    ]
    body = b"".join(
        b"%d 0 obj\n%s\nendobj\n" % (number, one) for number, one in enumerate(objects, 1)
    )
    bomb = b"%PDF-1.7\n" + body + b"trailer<</Root 1 0 R>>\n%%EOF"
    with pytest.raises(InkdigitsError, match="takes too much time or memory to draw") as caught:
        Recogniser().read(bomb)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("library", ["pypdfium2", "pillow_heif"])
def test_without_the_extra_the_error_names_it(
    library: str, materials: Materials, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = materials.encoded("PDF") if library == "pypdfium2" else materials.heic()
    extra = {"pypdfium2": "pdf", "pillow_heif": "heic"}[library]
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(InkdigitsError, match=rf"pip install 'inkdigits\[{extra}\]'") as caught:
        Recogniser().read(data)
    assert caught.value.code == "missing_extra"


def test_levels_are_the_same_in_every_range() -> None:
    levels = np.arange(256)
    for numbers in (
        levels,
        levels.astype(np.float16),
        levels / 255,
        levels / 127.5 - 1,
        (levels * 257).astype(np.uint16),
    ):
        np.testing.assert_array_equal(to_uint8(numbers), levels)
