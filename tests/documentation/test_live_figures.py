"""The live figures of the docs: what they start from, and what they show in a real Chromium."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import BROWSER_MARKS, CHROMIUM, FLAGS
from documented import ROOT
from PIL import Image

from benchmarks.reading.live_figures import (
    EXAMPLES,
    MIRRORED,
    SCRIBBLES,
    Said,
    points,
    threshold_data,
)
from benchmarks.reading.parity import served
from inkdigits.core.digits import NOT_A_DIGIT
from inkdigits.core.errors import DownloadFailed
from inkdigits.evaluation.selective import risk_coverage
from inkdigits.reading.preprocessing.fields import to_field
from inkdigits.service.site import write_site

pytest.importorskip("mkdocs", reason="the extra `docs`, which builds the site, is not installed")

FIGURES = ROOT / "docs" / "figures"
PAGES = {  # the page of each figure
    "inside": "how-it-works/network.html",
    "threshold": "how-it-works/evaluation.html",
    "preparing": "how-it-works/from-photo-to-digits.html",
}
DATA = json.loads((FIGURES / "threshold.json").read_text())
PATIENCE = 120_000  # ms; a loaded machine is no reason to fail
MOST_LINES = 150
PHONE = {"width": 360, "height": 740}


# ---- what they start from


@pytest.mark.parametrize("name", PAGES)
def test_a_figure_is_a_picture_and_a_sentence_where_nothing_runs(name: str) -> None:
    page = (ROOT / "docs" / PAGES[name]).with_suffix(".md").read_text()
    found = re.search(rf'<figure class="live" data-live="{name}".*?</figure>', page, re.DOTALL)
    assert found
    assert re.search(rf"!\[.{{20,}}\]\(\.\./figures/{name}\.png\)", found[0])
    assert "<figcaption markdown>" in found[0]
    assert f'<script type="module" src="../figures/{name}.js">' in page
    with Image.open(FIGURES / f"{name}.png") as picture:
        assert picture.width >= 300


@pytest.mark.parametrize("script", sorted(FIGURES.glob("*.js")), ids=lambda path: path.name)
def test_a_script_is_short_and_takes_nothing_from_elsewhere(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|\beval\(|innerHTML", text)
    for name in re.findall(r'from "([^"]+)"', text):
        assert (FIGURES / name).is_file()


def test_points_lie_on_the_curve_and_the_last_one_accepts_all() -> None:
    rng = np.random.default_rng(0)
    sure, right = rng.random(1000).round(2), rng.random(1000) < 0.9
    for point in (found := points(risk_coverage(sure, right))):
        accepted = sure >= point["confidence"]
        assert point["accepted"] == accepted.sum()
        assert point["wrong"] == (accepted & ~right).sum()
    assert found[-1]["accepted"] == 1000
    assert len(found) > 90


def test_what_is_no_digit_is_always_read_wrong() -> None:
    labels = np.array([3, 5, NOT_A_DIGIT])
    said = [Said("one", np.array([3, 6, 5]), np.array([0.9, 0.8, 0.7]))]
    data = threshold_data(labels, said, np.array([2, 0]))
    assert data["models"][0]["points"][-1] == {"confidence": 0.7, "accepted": 3, "wrong": 2}
    assert data["examples"] == [
        {"is": None, "answers": {"one": {"said": 5, "sure": 0.7}}},
        {"is": 3, "answers": {"one": {"said": 3, "sure": 0.9}}},
    ]


def test_the_data_says_how_it_was_made_and_has_a_picture_of_each_example() -> None:
    assert "benchmarks.reading.live_figures" in DATA["made"]
    assert re.search(r"date: \d{4}-\d\d-\d\d, processor: ", DATA["made"])
    assert DATA["things"] == 5000 + SCRIBBLES + MIRRORED
    assert 40 <= len(DATA["examples"]) <= EXAMPLES
    with Image.open(FIGURES / "threshold-examples.png") as strip:
        assert strip.size == (28 * len(DATA["examples"]), 28)


# ---- in a browser


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site with the browser reader in it, as `make docs` leaves it."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    try:
        write_site(site / "try")
    except DownloadFailed as error:
        pytest.skip(str(error))

    with served(site) as address:
        yield address


def in_browser(test: Any) -> Any:
    for mark in (*BROWSER_MARKS, pytest.mark.xdist_group("live figures")):
        test = mark(test)
    return test


@contextmanager
def shown(url: str, name: str, *, runs: bool = True, **options: Any) -> Iterator[Any]:
    """Open the page of a figure, scroll there, and yield the page once the figure runs."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(**options).new_page()
        page.set_default_timeout(PATIENCE)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        page.locator(f"figure[data-live={name}]").scroll_into_view_if_needed()
        if runs:
            page.wait_for_selector(f"figure[data-live={name}].running")

        yield page
        assert not errors or url.startswith("file:")  # from where the search of the site fails
        browser.close()


PIXELS = """canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
    .data]"""


def pixels(page: Any, selector: str, channel: int = 0) -> np.ndarray:
    """Return one channel of a canvas, (H, W)."""
    canvas = page.locator(selector)
    data = np.array(canvas.evaluate(PIXELS), np.uint8).reshape(-1, 4)
    return data[:, channel].reshape(canvas.evaluate("canvas => canvas.height"), -1)


def drag(page: Any, selector: str, *places: tuple[float, float]) -> None:
    """Drag with the mouse over an element, through fractions of its width and height."""
    page.locator(selector).first.scroll_into_view_if_needed()
    box = page.locator(selector).first.bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=8)
    page.mouse.up()


def touch(page: Any, selector: str, *places: tuple[float, float]) -> None:
    """Drag with a finger."""
    page.locator(selector).first.scroll_into_view_if_needed()
    box = page.locator(selector).first.bounding_box()
    session = page.context.new_cdp_session(page)
    for number, (x, y) in enumerate(places):
        point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        kind = "touchMove" if number else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def says(page: Any, name: str, start: str) -> None:
    """Wait until a figure says something that starts so."""
    script = """([name, start]) => [...document.querySelectorAll(
        `figure[data-live=${name}] [role=status]`)].at(-1).textContent.startsWith(start)"""
    page.wait_for_function(script, arg=[name, start])


ONE = [(0.5, 0.15), (0.5, 0.5), (0.5, 0.85)]


@in_browser
@pytest.mark.parametrize("how", ["mouse", "finger"])
def test_a_drawn_digit_is_read_and_its_maps_are_shown(address: str, how: str) -> None:
    options = {"viewport": PHONE, "has_touch": True} if how == "finger" else {}
    with shown(address + PAGES["inside"], "inside", **options) as page:
        says(page, "inside", "3, ")
        maps = "figure[data-live=inside] .layers canvas"
        assert page.locator(maps).count() == 6
        of_three = pixels(page, f"{maps} >> nth=0")

        page.locator("figure[data-live=inside] button").click()
        says(page, "inside", "Draw")
        assert not pixels(page, "figure[data-live=inside] .field").any()

        (drag if how == "mouse" else touch)(page, "figure[data-live=inside] .sheet", *ONE)
        says(page, "inside", "1, ")
        field = pixels(page, "figure[data-live=inside] .field")
        assert field[:, 12:16].sum() > 0.9 * field.sum()  # upright, in the middle
        assert (pixels(page, f"{maps} >> nth=0") != of_three).any()

        page.locator("figure[data-live=inside]").get_by_label("Draw me a").select_option("7")
        says(page, "inside", "7, ")


def refused(confidence: float, model: str) -> int:
    """Count the examples that a model is less sure of."""
    return sum(each["answers"][model]["sure"] < confidence for each in DATA["examples"])


@in_browser
def test_the_threshold_decides_what_is_refused(address: str) -> None:
    curves = {model["name"]: model["points"] for model in DATA["models"]}
    with shown(address + PAGES["threshold"], "threshold", viewport=PHONE) as page:
        tiles = page.locator("figure[data-live=threshold] .tiles > .refused")
        slider = page.locator("figure[data-live=threshold]").get_by_label("threshold")
        for key, place in (("End", -1), ("Home", 0), ("ArrowRight", 1)):
            slider.press(key)
            point = curves["default"][place]
            says(page, "threshold", "Accepted from ")
            told = page.locator("figure[data-live=threshold] [role=status]").inner_text()
            assert f" {point['accepted']:,} of {DATA['things']:,}" in told
            assert f"which {point['wrong']} are wrong" in told
            assert tiles.count() == refused(point["confidence"], "default")
        assert tiles.count() > EXAMPLES // 2

        drag(page, "figure[data-live=threshold] svg", (0.5, 0.5), (0.8, 0.5))
        after = int(slider.input_value())
        assert after > 100
        assert tiles.count() == refused(curves["default"][after]["confidence"], "default")

        page.locator("figure[data-live=threshold]").get_by_label("model").select_option("best")
        chosen = curves["best"][int(slider.input_value())]
        assert chosen["confidence"] <= curves["default"][after]["confidence"]
        assert tiles.count() == refused(chosen["confidence"], "best")


def alike(field: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of two fields' pixels, 1 for the same."""
    return float(np.corrcoef(field.ravel(), other.ravel())[0, 1])


@in_browser
def test_a_prepared_field_stays_as_it_is_while_the_digit_moves(address: str) -> None:
    sheet = "figure[data-live=preparing] .sheet"
    small, prepared = (f"figure[data-live=preparing] .field >> nth={place}" for place in (0, 1))
    with shown(address + PAGES["preparing"], "preparing", viewport=PHONE) as page:
        says(page, "preparing", "4, ")
        before = pixels(page, small), pixels(page, prepared)
        assert (before[1] == to_field(pixels(page, sheet, 3))).mean() > 0.99

        drag(page, sheet, (0.34, 0.38), (0.6, 0.65))
        page.wait_for_timeout(300)
        says(page, "preparing", "4, ")
        after = pixels(page, small), pixels(page, prepared)
        assert alike(before[0], after[0]) < 0.5
        assert alike(before[1], after[1]) > 0.9
        assert (after[1] == to_field(pixels(page, sheet, 3))).mean() > 0.99

        wide = pixels(page, small).astype(int).sum()
        page.locator("figure[data-live=preparing]").get_by_label("pen").press("End")
        page.wait_for_timeout(300)
        assert pixels(page, small).astype(int).sum() > 2 * wide


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_figure_fits_a_phone(address: str, name: str, scheme: str) -> None:
    options = {"viewport": PHONE, "color_scheme": scheme, "has_touch": True}
    with shown(address + PAGES[name], name, **options) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        for part in page.locator(f"figure[data-live={name}]").locator("canvas, svg, input").all():
            box = part.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= PHONE["width"]
        for part in page.locator(f"figure[data-live={name}] canvas").all():
            assert part.get_attribute("aria-label")


@in_browser
@pytest.mark.parametrize("name", ["inside", "preparing"])
def test_without_the_reader_the_picture_stays(site: Path, name: str) -> None:
    with served(site / "how-it-works") as address:  # nothing of figures/ and try/ is there
        page_name = PAGES[name].rpartition("/")[2]
        with shown(address + page_name, name, runs=False) as page:
            assert page.locator(f"figure[data-live={name}] img").count() == 1
            assert page.locator(f"figure[data-live={name}] figcaption").is_visible()


@in_browser
@pytest.mark.parametrize("name", PAGES)
def test_from_a_folder_a_figure_is_its_picture(site: Path, name: str) -> None:
    with shown((site / PAGES[name]).as_uri(), name, runs=False) as page:
        picture = page.locator(f"figure[data-live={name}] img")
        assert picture.evaluate("image => image.complete && image.naturalWidth > 300")
        assert page.locator(f"figure[data-live={name}] figcaption").is_visible()
        assert page.locator(f"figure[data-live={name}].running").count() == 0
