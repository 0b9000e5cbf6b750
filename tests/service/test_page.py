"""The draw page in a real Chromium: a phone and a desktop, with real touch and mouse events."""

import base64
import contextlib
import csv
import functools
import io
import itertools
import json
import math
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import BROWSER_MARKS, CHROMIUM, FIRST_PAINT, FLAGS
from drawn import GLYPHS
from PIL import Image
from serving import serving

from inkdigits.core.errors import DownloadFailed
from inkdigits.reading.layers import look_inside
from inkdigits.reading.preprocessing.fields import as_is, to_field
from inkdigits.reading.recogniser import cached_recogniser
from inkdigits.service.site_runtime import runtime_files

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright, which drives the browser, is not installed"
)
pytest.importorskip("uvicorn", reason="the extra serve is not installed")

pytestmark = BROWSER_MARKS

QUIET_FLAGS = (
    *FLAGS,
    "--disable-component-update",
    "--disable-sync",
)
SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
NARROW, TABLET, SIDEWAYS = (360, 640), (820, 1180), (844, 390)
SAMPLE = Path(__file__).parents[1] / "assets" / "sample.jpg"
PATIENCE = 20_000  # ms; a loaded machine is no reason to fail
READ = "**/v1/read?*"

# What is asked of the page, in its own language.
HAS_TEXT = "([id, text]) => document.getElementById(id).textContent === text"
BEGINS = "([id, text]) => document.getElementById(id).textContent.startsWith(text)"
INK = """async (paper) => {  // how many pixels of the sheet hold ink, once it is painted
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    const { data } = paper.getContext("2d").getImageData(0, 0, paper.width, paper.height);
    return data.filter((v, i) => i % 4 === 3 && v > 127).length;
}"""
FIELD = """(field) => [...field.getContext('2d').getImageData(0, 0, 28, 28).data]
    .filter((_, i) => i % 4 === 0)"""
BARS = """(bars) => bars
    .map((bar) => [bar, bar.parentNode].map((part) => part.getBoundingClientRect()))
    .map(([bar, track]) => Math.max(0, bar.right - track.left) / track.width)"""
FOCUS = """() => {
    const element = document.activeElement;
    const shown = element.closest("label") ?? element;
    return [element.id || element.textContent, getComputedStyle(shown).outlineStyle];
}"""
LISTEN = """window.heard = [];
    new MutationObserver(() => heard.push(spoken.textContent)).observe(spoken, {childList: true});
    null"""
NAMELESS = """[...document.querySelectorAll("button, input, canvas")]
    .filter((one) => !(one.ariaLabel || one.textContent.trim()
        || one.labels?.[0]?.textContent.trim()))
    .map((one) => one.id)"""
GIVE = """([data, kind]) => {
    const files = new DataTransfer();
    const bytes = Uint8Array.from(atob(data), (byte) => byte.charCodeAt(0));
    files.items.add(new File([bytes], "sample.jpg", {type: "image/jpeg"}));
    const pasted = () => new ClipboardEvent(kind, {clipboardData: files});
    const dropped = () => new DragEvent(kind, {dataTransfer: files});
    dispatchEvent(kind === "paste" ? pasted() : dropped());
}"""
HOLD = """{
    const ask = fetch, released = new Promise((done) => (window.release = done));
    window.held = 0;
    window.fetch = (...how) => (held++, released.then(() => ask(...how)));
    null;
}"""
KEEP_SENT = (
    "window.ask = fetch; window.fetch = (to, how) => (window.sent = how.body, ask(to, how)); null"
)
SENT = "sent.arrayBuffer().then((data) => [...new Uint8Array(data)])"
STORED = """Promise.all([indexedDB.databases(), caches.keys()])
    .then((all) => [...all.flat(), ...Object.keys(localStorage), ...Object.keys(sessionStorage)])"""
CONTRAST = """(element) => {  // of an element's text with what is behind it; source: WCAG 2.2
    const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3)
        .map((value) => linear(value / 255))
        .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
    let ground = element;
    while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") {
        ground = ground.parentElement;
    }
    const colours = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor];
    const both = colours.map(light);
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
}"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Yield where `inkdigits serve` answers."""
    with serving() as server:
        yield server.address


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("collected") / "corrections"


@pytest.fixture(scope="module")
def collecting(file: Path) -> Iterator[str]:
    """Yield where `inkdigits serve --collect` answers."""
    with serving("--collect", file) as server:
        yield server.address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET_FLAGS)
        yield browser
        browser.close()


@dataclass
class Tab:
    """The page, used by touch or by mouse."""

    page: Any
    touch: bool
    home: str = ""  # the only place that it may ask
    troubles: list[str] = field(
        default_factory=list
    )  # errors in the console, and requests to other origins

    def __post_init__(self) -> None:
        self.finger = self.page.context.new_cdp_session(self.page)

    def __getitem__(self, identity: str) -> Any:
        return self.page.locator(f"#{identity}")

    def stroke(self, points: list[tuple[float, float]], end: str = "touchEnd") -> None:
        """Draw a stroke through points in pixels of the window. end: of a touch."""
        path = [points[0]]
        for (x, y), (next_x, next_y) in itertools.pairwise(points):
            halfway = (
                [((x + next_x) / 2, (y + next_y) / 2)]
                if math.dist((x, y), (next_x, next_y)) > 30
                else []
            )
            path += [*halfway, (next_x, next_y)]

        if self.touch:
            for kind, at in [
                ("touchStart", path[0]),
                *(("touchMove", point) for point in path[1:]),
                (end, None),
            ]:
                touches = [{"x": at[0], "y": at[1]}] if at else []
                self.finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
        else:
            self.page.mouse.move(*path[0])
            self.page.mouse.down()
            for point in path[1:]:
                self.page.mouse.move(*point)

            self.page.mouse.up()

    def write(self, text: str, height: float = 130) -> list[tuple[float, float, float, float]]:
        """Write digits side by side in the middle of the sheet.

        Returns the box of each one's strokes, in pixels of the window.
        """
        sheet = self["paper"].bounding_box()
        width = 0.667 * height
        left = sheet["x"] + (sheet["width"] - (1.6 * len(text) - 0.6) * width) / 2
        top = sheet["y"] + (sheet["height"] - height) / 2
        boxes = []
        for place, digit in enumerate(text):
            strokes = [
                np.array(stroke) * (width / 9, height / 9) + (left + 1.6 * place * width, top)
                for stroke in GLYPHS[digit]
            ]
            for points in strokes:
                self.stroke([(float(x), float(y)) for x, y in points])

            ink = np.vstack(strokes)
            boxes.append((*ink.min(axis=0), *ink.max(axis=0)))

        return boxes

    def tap(self, x: float, y: float) -> None:
        (self.page.touchscreen.tap if self.touch else self.page.mouse.click)(x, y)

    def says(self, identity: str, text: str) -> None:
        """Wait until an element has this text."""
        with contextlib.suppress(playwright.TimeoutError):
            self.page.wait_for_function(HAS_TEXT, arg=[identity, text], timeout=PATIENCE)
        assert self[identity].text_content() == text

    def begins(self, identity: str, text: str) -> None:
        """Wait until the text of an element begins so."""
        self.page.wait_for_function(BEGINS, arg=[identity, text], timeout=PATIENCE)

    def boxes(self) -> list[tuple[float, float, float, float]]:
        rows = [box.bounding_box() for box in self["boxes"].locator("i").all()]
        return [
            (row["x"], row["y"], row["x"] + row["width"], row["y"] + row["height"]) for row in rows
        ]

    def looks_into(self, digit: str) -> None:
        playwright.expect(self.page.locator("#boxes .chosen")).to_have_attribute(
            "data-digit", digit
        )

    def ink(self) -> int:
        """Count the pixels of ink on the sheet."""
        return self["paper"].evaluate(INK)


@pytest.fixture(scope="module")
def opened(browser: Any, address: str) -> Callable[..., Tab]:
    """Open the page at a size, by touch or not, in light or dark.

    Tabs are used again, because a new one takes a second.
    """

    @functools.cache
    def tab_of(size: tuple[int, int], touch: bool, scheme: str) -> Tab:
        window = {"width": size[0], "height": size[1]}
        context = browser.new_context(
            viewport=window,
            has_touch=touch,
            is_mobile=touch,
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        tab = Tab(context.new_page(), touch)
        tab.page.on(
            "console",
            lambda message: tab.troubles.append(message.text) if message.type == "error" else None,
        )
        tab.page.on("pageerror", lambda error: tab.troubles.append(str(error)))
        tab.page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith((tab.home, "data:"))
                else tab.troubles.append(asked.url)
            ),
        )
        return tab

    def open_tab(
        size: tuple[int, int] = SIZES["desktop"],
        touch: bool = False,
        scheme: str = "light",
        at: str = address,
    ) -> Tab:
        tab = tab_of(size, touch, scheme)
        tab.page.unroute_all()
        tab.page.set_viewport_size({"width": size[0], "height": size[1]})
        tab.home = at
        tab.troubles.clear()
        tab.page.goto(at)
        tab.page.wait_for_function(FIRST_PAINT, timeout=PATIENCE)
        return tab

    return open_tab


@pytest.fixture(params=SIZES)
def tab(request: pytest.FixtureRequest, opened: Callable[..., Tab]) -> Iterator[Tab]:
    """Yield the page of a phone and of a desktop; at the end nothing may be wrong with it."""
    tab = opened(SIZES[request.param], touch=request.param == "phone")
    yield tab
    assert tab.troubles == []


@pytest.fixture
def desktop(opened: Callable[..., Tab]) -> Tab:
    """Yield the page of a desktop; tests that plan trouble look at it themselves."""
    return opened()


def test_the_ten_digits_are_read_as_they_are_drawn(tab: Tab) -> None:
    for pair in ("01", "23", "45", "67", "89"):
        tab.write(pair)
        tab.says("text", pair)
        tab["clear"].click()
        tab.says("text", "")


def test_two_digits_are_read_in_order_with_a_box_around_each(tab: Tab) -> None:
    drawn = tab.write("42")
    tab.says("text", "42")
    tab.begins("sure", "Each at least 9")
    boxes = tab.boxes()
    assert len(boxes) == 2
    # Pixels around the ink, above that for the digit, and half the pen's width.
    spare, label, pen = 7, 19, 6
    for (left, top, right, bottom), box in zip(drawn, boxes, strict=True):
        expected = (
            left - pen - spare,
            top - pen - spare - label,
            right + pen + spare,
            bottom + pen + spare,
        )
        assert np.allclose(box, expected, atol=8)  # curves cut corners


def test_digits_are_read_while_the_pen_is_down(desktop: Tab) -> None:
    drawn = [
        (400 + 60 * np.cos(angle), 400 + 90 * np.sin(angle)) for angle in np.linspace(-1.5, 4.7, 25)
    ]
    desktop.page.mouse.move(*drawn[0])
    desktop.page.mouse.down()
    for point in drawn[1:]:
        desktop.page.mouse.move(*point)

    desktop.says("text", "0")
    desktop.page.mouse.up()
    assert desktop.troubles == []


def test_a_tap_on_a_digit_shows_what_the_network_saw_and_thought(tab: Tab) -> None:
    four, _ = tab.write("42")
    tab.says("text", "42")
    tab.looks_into("2")
    ink = tab.ink()
    tab.tap((four[0] + four[2]) / 2, (four[1] + four[3]) / 2)
    tab.begins("verdict", "4, 9")
    tab.looks_into("4")
    assert tab.ink() == ink
    seen = np.array(tab["field"].evaluate(FIELD), np.uint8).reshape(28, 28)
    thought = cached_recogniser("default").classify(seen)[0]
    assert thought.argmax() == 4
    shown = [
        float(text.rstrip("%"))
        for text in tab.page.locator("#bars li span:last-child").all_inner_texts()
    ]
    assert np.allclose(shown, np.minimum(100 * thought, 99.9), atol=0.06)
    assert np.allclose(tab.page.eval_on_selector_all("#bars b", BARS), thought, atol=0.02)


def test_a_refused_digit_is_shown_with_the_reason(desktop: Tab) -> None:
    for points in ([(300, 500), (350, 300), (400, 500)], [(320, 430), (380, 430)]):  # an A
        desktop.stroke(points)
    desktop.says("sure", "1 not accepted")
    desktop.says("text", "")
    desktop.says("verdict", "Not accepted: not a digit")
    assert "refused" in (desktop.page.locator("#boxes i").get_attribute("class") or "")


def test_undo_redo_and_clear(tab: Tab) -> None:
    tab.write("17")
    tab.says("text", "17")
    tab["undo"].click()
    tab.says("text", "1")
    tab["undo"].click()
    tab.says("text", "")
    playwright.expect(tab["undo"]).to_be_disabled()
    assert tab.ink() == 0
    tab["redo"].click()
    tab["redo"].click()
    tab.says("text", "17")
    playwright.expect(tab["redo"]).to_be_disabled()
    tab["clear"].click()
    assert tab.ink() == 0
    tab["undo"].click()
    tab.says("text", "17")


def test_everything_can_be_done_by_keyboard(desktop: Tab) -> None:
    desktop.write("42")
    desktop.says("text", "42")
    names = []
    for _ in range(20):
        desktop.page.keyboard.press("Tab")
        name, outline = desktop.page.evaluate(FOCUS)
        if name in names or outline == "none":
            break
        names.append(name)

    assert names == ["undo", "clear", "width", "picture", "4", "2", "Look inside"]
    desktop.page.locator("#digits button").first.focus()
    desktop.page.keyboard.press("Enter")
    desktop.begins("verdict", "4, 9")
    assert desktop.page.locator("#digits [aria-pressed=true]").inner_text() == "4"
    desktop.page.keyboard.press("Control+z")
    desktop.says("text", "4")
    desktop.page.keyboard.press("Control+Shift+z")
    desktop.says("text", "42")
    desktop.page.keyboard.press("Delete")
    desktop.says("text", "")
    desktop.page.keyboard.press("Control+z")
    desktop.says("text", "42")
    desktop["width"].focus()
    desktop.page.keyboard.press("ArrowRight")
    assert desktop["width"].input_value() == "13"
    assert desktop.troubles == []


def test_a_screen_reader_hears_the_answer_once_it_has_settled(desktop: Tab) -> None:
    desktop.page.evaluate(LISTEN)
    desktop.write("42")
    desktop.begins("spoken", "42. Each at least 9")
    assert desktop.page.evaluate("heard.filter((text, i) => text !== heard[i - 1]).length") <= 2
    assert desktop.page.evaluate(NAMELESS) == []


def test_the_pen_has_a_width(desktop: Tab) -> None:
    desktop.stroke([(300, 400), (300, 500)])
    thin = desktop.ink()
    desktop["width"].fill("24")
    desktop.stroke([(400, 400), (400, 500)])
    assert thin == pytest.approx(12 * 100 + np.pi * 6**2, rel=0.05)
    assert desktop.ink() - thin == pytest.approx(24 * 100 + np.pi * 12**2, rel=0.05)


def test_the_hand_that_holds_the_pen_does_not_draw(opened: Callable[..., Tab]) -> None:
    tab = opened(TABLET, touch=True)
    now = time.time()

    def touch_at(moment: float) -> None:
        """Draw a stroke by finger; the moment is told to the page, so that nobody waits for it."""
        for kind, touches in (
            ("touchStart", [{"x": 400, "y": 450}]),
            ("touchMove", [{"x": 400, "y": 550}]),
            ("touchEnd", []),
        ):
            touch = {"type": kind, "touchPoints": touches, "timestamp": moment}
            tab.finger.send("Input.dispatchTouchEvent", touch)

    for kind, y in (
        ("mousePressed", 400),
        ("mouseMoved", 450),
        ("mouseMoved", 550),
        ("mouseReleased", 550),
    ):
        pen = {
            "x": 300,
            "y": y,
            "button": "left",
            "buttons": 1,
            "clickCount": 1,
            "pointerType": "pen",
            "timestamp": now,
        }
        tab.finger.send("Input.dispatchMouseEvent", {"type": kind, **pen})

    drawn = tab.ink()
    assert drawn > 0
    touch_at(now + 0.5)
    assert tab.ink() == drawn
    touch_at(now + 2)
    assert tab.ink() > drawn


def test_a_stroke_that_the_system_takes_for_a_gesture_is_dropped(
    opened: Callable[..., Tab],
) -> None:
    tab = opened(SIZES["phone"], touch=True)
    tab.stroke([(200, 250), (200, 350)], end="touchCancel")
    assert tab.ink() == 0
    playwright.expect(tab["undo"]).to_be_disabled()


def test_a_picture_is_read_whether_chosen_pasted_or_dropped(tab: Tab) -> None:
    tab["picture"].set_input_files(SAMPLE)
    tab.says("text", "27354")
    assert len(tab.boxes()) == 5
    tab["clear"].click()
    tab.says("text", "")
    for kind in ("paste", "drop"):
        tab.page.evaluate(GIVE, [base64.b64encode(SAMPLE.read_bytes()).decode(), kind])
        tab.says("text", "27354")
        tab["clear"].click()
        tab.says("text", "")


def test_drawing_takes_a_new_sheet_and_undo_brings_the_picture_back(desktop: Tab) -> None:
    desktop["picture"].set_input_files(SAMPLE)
    desktop.says("text", "27354")
    desktop.write("8")
    desktop.says("text", "8")
    desktop["undo"].click()
    desktop.says("text", "27354")


def test_a_picture_that_the_browser_cannot_show_is_still_read(desktop: Tab, tmp_path: Path) -> None:
    Image.open(SAMPLE).save(tmp_path / "sample.tiff")
    desktop["picture"].set_input_files(tmp_path / "sample.tiff")
    desktop.says("text", "27354")
    desktop.says("hint", "This browser cannot show the picture; it is read all the same")


def test_a_file_that_is_not_a_picture_is_refused_in_the_words_of_the_service(
    desktop: Tab, tmp_path: Path
) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear reader")
    desktop["picture"].set_input_files(letter)
    formats = "PNG, JPEG, BMP, GIF, WebP, TIFF, PPM and AVIF"
    desktop.says("message", f"The data is not a picture that can be read; readable are {formats}.")
    desktop.says("sure", "Not read.")
    desktop["clear"].click()
    desktop.says("message", "")


BUSY = {
    "status": 503,
    "headers": {"Retry-After": "1"},
    "body": '{"error": {"code": "busy", "message": "full"}}',
}


@pytest.mark.parametrize(
    ("fault", "message"),
    [(BUSY, "The service is busy."), (None, "The service does not answer. Is it still running?")],
    ids=["busy", "away"],
)
def test_a_service_that_is_away_or_busy_is_asked_again(
    desktop: Tab, fault: dict[str, Any] | None, message: str
) -> None:
    desktop.page.route(
        READ, lambda route: route.fulfill(**fault) if fault else route.abort("connectionrefused")
    )
    desktop.write("4")
    desktop.says("message", f"{message} Trying again …")
    desktop.page.unroute(READ)
    desktop.says("text", "4")
    desktop.says("message", "")


def test_a_failure_of_the_service_is_reported(desktop: Tab) -> None:
    desktop.page.route(READ, lambda route: route.fulfill(status=500, body="<h1>oh</h1>"))
    desktop.write("4")
    desktop.says("message", "The service failed (500).")


def test_one_request_at_a_time_and_the_latest_drawing_wins(desktop: Tab) -> None:
    desktop.page.evaluate(HOLD)
    desktop.stroke([(300, 300), (300, 450)])
    desktop.page.wait_for_timeout(500)
    desktop.stroke([(400, 300), (400, 450)])
    desktop.page.wait_for_timeout(500)
    assert desktop.page.evaluate("held") == 1
    desktop.page.evaluate("release()")
    desktop.says("text", "11")


def test_an_answer_that_comes_after_the_sheet_was_cleared_is_dropped(desktop: Tab) -> None:
    desktop.page.evaluate(HOLD)
    desktop.write("4")
    desktop.page.wait_for_timeout(500)
    desktop["clear"].click()
    with desktop.page.expect_response(READ):
        desktop.page.evaluate("release()")

    desktop.page.wait_for_timeout(300)
    desktop.says("text", "")
    assert desktop.boxes() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colours_of_the_page_are_not_those_of_the_picture_and_can_be_read(
    opened: Callable[..., Tab], scheme: str
) -> None:
    tab = opened(scheme=scheme)
    tab.page.evaluate(KEEP_SENT)
    tab.stroke([(300, 300), (300, 450)])
    tab.says("text", "1")
    pixels = np.array(Image.open(io.BytesIO(bytes(tab.page.evaluate(SENT)))))
    assert np.median(pixels) == 255
    assert pixels[:, :, :3].min() == 0
    for selector in (
        "#text",
        "#sure",
        "#verdict",
        "#bars li",
        "button:enabled",
        "#digits button",
        "summary",
        "footer",
    ):
        assert tab.page.eval_on_selector(selector, CONTRAST) >= 4.5, selector

    assert (
        tab.page.eval_on_selector("#bars b", "b => getComputedStyle(b).transitionDuration") == "0s"
    )
    assert tab.troubles == []


@pytest.mark.parametrize(
    "size", [NARROW, TABLET, SIDEWAYS, *SIZES.values()], ids=lambda size: f"{size[0]}x{size[1]}"
)
def test_nothing_is_cut_off_and_every_tool_can_be_hit(
    opened: Callable[..., Tab], size: tuple[int, int]
) -> None:
    tab = opened(size, touch=size != SIZES["desktop"])
    tab.write("4", height=100)
    tab.says("text", "4")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for tool in tab.page.locator(".tools button, .tools .button").all():
        if tool.is_visible():
            box = tool.bounding_box()
            assert box["width"] >= 40
            assert box["height"] >= 40
            assert 0 <= box["x"] <= size[0] - box["width"]
            assert box["y"] + box["height"] <= size[1]

    assert tab.page.locator(".photo").is_visible() == tab.touch


def test_turning_the_phone_keeps_the_drawing(opened: Callable[..., Tab]) -> None:
    tab = opened(SIZES["phone"], touch=True)
    tab.write("42", height=195)
    tab.says("text", "42")
    tab.page.set_viewport_size({"width": SIDEWAYS[0], "height": SIDEWAYS[1]})
    tab.page.wait_for_timeout(200)
    sheet = tab["sheet"].bounding_box()
    for left, top, right, bottom in tab.boxes():
        assert sheet["x"] < left < right < sheet["x"] + sheet["width"]
        assert sheet["y"] < top + 26 < bottom < sheet["y"] + sheet["height"]

    x = max(box[2] for box in tab.boxes())
    tab.stroke([(x + 30, sheet["y"] + 60), (x + 30, sheet["y"] + 160)])
    tab.says("text", "421")


# ---- a table

CELLS = """[...document.querySelectorAll("#cells tr")]
    .map((row) => [...row.querySelectorAll("input")].map((input) => input.value))"""
LIT = """[...document.querySelectorAll("#cells .doubtful")]
    .map((input) => input.ariaLabel)"""
CROP = """(crop) => new Set(crop.getContext('2d')
    .getImageData(0, 0, crop.width, crop.height).data).size"""


def marks() -> dict[str, Any]:
    """Return what the service may answer to a photo of a table: two cells are doubtful."""
    rows = [[("12", 0.99), ("-3.5", 0.62)], [("7", 0.95), ("", 0.8)], [None, ("204", 0.97)]]
    cells = [
        [
            cell
            and {
                "written": cell[0],
                "confidence": cell[1],
                "box": [40 + 200 * place, 30 + 60 * row, 100 + 200 * place, 65 + 60 * row],
            }
            for place, cell in enumerate(line)
        ]
        for row, line in enumerate(rows)
    ]
    plain = {"warnings": [], "error": None, "signs": [], "digits": [], "confidence": 0.5}
    return {**plain, "text": "12\n7", "written": "12\n7", "table": cells}


def show_marks(tab: Tab) -> None:
    """Give the page a photo that is read as a table, and look at the table."""
    answer = {"status": 200, "body": json.dumps(marks()), "content_type": "application/json"}
    tab.page.route(READ, lambda route: route.fulfill(**answer))
    tab["picture"].set_input_files(SAMPLE)
    tab["as-table"].click()


def test_a_table_is_shown_with_its_doubtful_cells_lit(tab: Tab) -> None:
    show_marks(tab)
    assert tab.page.evaluate(CELLS) == [["12", "-3.5"], ["7", ""], ["", "204"]]
    assert tab.page.evaluate(LIT) == [
        "Row 1, column 2, to look at: 62.0% sure",
        "Row 2, column 2, to look at: not accepted",
    ]
    tab.says("doubts", "2 cells to look at. Press Enter in one that is right.")
    tab.page.locator("#cells input").nth(1).focus()
    assert tab["crop"].evaluate(CROP) > 50
    assert tab.page.evaluate(NAMELESS) == []
    width = tab.page.viewport_size["width"]
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.page.locator("#cells input").first.bounding_box()["height"] >= 40
    tab["as-table"].click()
    assert not tab["table"].is_visible()
    assert tab["text"].is_visible()


def test_cells_are_corrected_by_keyboard_and_downloaded_without_formulas(desktop: Tab) -> None:
    show_marks(desktop)
    press = desktop.page.keyboard.press
    desktop.page.locator("#cells input").nth(1).focus()
    press("Enter")  # it is right
    desktop.says("doubts", "1 cell to look at. Press Enter in one that is right.")
    desktop.page.keyboard.type("=1+1")  # the focus has moved down
    desktop.says("doubts", "Nothing to look at.")
    press("ArrowDown")
    press("Shift+Home")
    press("Delete")  # of the text, not of the sheet
    desktop.page.keyboard.type('a, "b"')
    assert desktop.page.evaluate(LIT) == []
    with desktop.page.expect_download() as downloading:
        desktop["download"].click()
    assert downloading.value.suggested_filename == "sample.csv"
    text = Path(downloading.value.path()).read_bytes().decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["12", "-3.5"],
        ["7", "'=1+1"],
        ["", 'a, "b"'],
    ]
    assert desktop.troubles == []


def test_what_was_typed_stays_with_its_picture(desktop: Tab) -> None:
    show_marks(desktop)
    first = desktop.page.locator("#cells input").first
    first.fill("13")
    desktop.write("1")  # a new sheet, which is answered alike
    playwright.expect(first).to_have_value("12", timeout=PATIENCE)
    desktop["undo"].click()
    playwright.expect(first).to_have_value("13", timeout=PATIENCE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_doubtful_cells_can_be_read_in_light_and_dark(
    opened: Callable[..., Tab], scheme: str
) -> None:
    tab = opened(scheme=scheme)
    show_marks(tab)
    for selector in ("#cells input", "#cells .doubtful", "#doubts", "#as-table", "#download"):
        assert tab.page.eval_on_selector(selector, CONTRAST) >= 4.5, selector


def test_what_is_no_table_is_not_offered_as_one(desktop: Tab) -> None:
    desktop.write("42")
    desktop.says("text", "42")
    assert not desktop["as-table"].is_visible()


# ---- reading on the device


@pytest.fixture(scope="module")
def offering() -> Iterator[str]:
    """Yield where `inkdigits serve --local` answers."""
    try:
        runtime_files()
    except DownloadFailed as error:
        pytest.skip(str(error))
    with serving("--local") as server:
        yield server.address


def test_a_service_may_offer_to_read_on_the_device(
    opened: Callable[..., Tab], offering: str
) -> None:
    tab = opened(at=offering)
    asked: list[str] = []
    tab.page.route(READ, lambda route: (asked.append(route.request.url), route.continue_()))
    tab.write("42")
    tab.says("text", "42")
    assert len(asked) > 0
    tab.says("storing", "Nothing is stored.")

    asked.clear()
    tab["on-device"].check()
    tab.says("storing", "Nothing is sent.")
    tab["clear"].click()
    tab["picture"].set_input_files(SAMPLE)
    tab.says("text", "27354")
    assert asked == []
    assert tab.page.evaluate("navigator.serviceWorker.getRegistrations()") == []

    tab["on-device"].uncheck()
    tab["clear"].click()
    tab.write("7")
    tab.says("text", "7")
    assert asked
    assert tab.troubles == []


def test_the_switch_is_there_only_where_it_works(desktop: Tab) -> None:
    assert not desktop["device"].is_visible()


# ---- teaching it


def rows(file: Path) -> list[tuple[int, int, bytes]]:
    with contextlib.closing(sqlite3.connect(file)) as database:
        return database.execute(
            "SELECT label, digit, field FROM feedback ORDER BY rowid"
        ).fetchall()


def pressed(tab: Tab) -> list[str]:
    return tab.page.locator("#labels [aria-pressed=true]").all_inner_texts()


@pytest.mark.parametrize("size", SIZES)
def test_a_wrong_digit_can_be_corrected_and_corrected_again(
    opened: Callable[..., Tab], collecting: str, file: Path, size: str
) -> None:
    tab, before = opened(SIZES[size], touch=size == "phone", at=collecting), len(rows(file))
    tab.says(
        "storing", "What you correct is stored by those who run this service; nothing else is."
    )
    tab.write("42", height=120 if size == "phone" else 140)
    tab.says("text", "42")
    tab.says("wrong", "Wrong? It is a")
    assert pressed(tab) == []
    seen = np.array(tab["field"].evaluate(FIELD), np.uint8).reshape(28, 28)
    # The page shows what the reader saw, centred by its box; MNIST centres by mass.
    stored = (seen if as_is(seen) is not None else to_field(seen)).tobytes()
    tab.page.locator("#labels button").nth(7).click()
    tab.says("wrong", "Thank you. It is a")
    tab.says("spoken", "Thank you. It is stored as a 7.")
    assert rows(file)[before:] == [(7, 2, stored)]
    tab.page.locator("#labels button").nth(3).focus()
    tab.page.keyboard.press("Enter")
    tab.says("spoken", "Thank you. It is stored as a 3.")
    assert rows(file)[before:] == [(3, 2, stored)]
    tab.page.locator("#digits button").first.click()
    tab.says("wrong", "Wrong? It is a")
    assert pressed(tab) == []
    tab.page.locator("#digits button").last.click()
    tab.says("wrong", "Thank you. It is a")
    assert pressed(tab) == ["3"]
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    assert tab.page.locator("#labels button").first.bounding_box()["width"] >= 24
    assert tab.page.eval_on_selector("#wrong", CONTRAST) >= 4.5
    assert tab.troubles == []


def test_a_digit_in_a_picture_is_corrected(
    opened: Callable[..., Tab], collecting: str, file: Path
) -> None:
    tab = opened(at=collecting)
    tab["picture"].set_input_files(SAMPLE)
    tab.says("text", "27354")
    tab.page.locator("#digits button").nth(1).click()
    tab.page.locator("#labels button").nth(1).click()
    tab.says("wrong", "Thank you. It is a")
    assert rows(file)[-1][:2] == (1, 7)


def test_a_correction_that_cannot_be_stored_is_reported(
    opened: Callable[..., Tab], collecting: str
) -> None:
    full = {
        "status": 507,
        "body": '{"error": {"code": "full", "message": "there is no more room for corrections"}}',
    }
    tab = opened(at=collecting)
    tab.page.route("**/v1/feedback?*", lambda route: route.fulfill(**full))
    tab.write("4")
    tab.says("text", "4")
    tab.page.locator("#labels button").nth(7).click()
    tab.says("wrong", "Not stored: There is no more room for corrections.")
    assert pressed(tab) == []


# ---- looking inside


PAINTED = """() => [...document.querySelectorAll("#layers canvas")].map((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Set(data.filter((_, i) => i % 4 === 0)).size;
})"""
HEAT = """(canvas) => [...canvas.getContext('2d').getImageData(0, 0, 28, 28).data]
    .filter((_, i) => i % 4 < 3)"""


def asked_inside(tab: Tab) -> list[str]:
    asked: list[str] = []
    tab.page.route(
        "**/v1/inside", lambda route: (asked.append(route.request.url), route.continue_())
    )
    return asked


def test_the_look_inside_shows_each_layer_and_the_pixels_that_mattered(tab: Tab) -> None:
    asked = asked_inside(tab)
    tab.write("42")
    tab.says("text", "42")
    tab.page.wait_for_timeout(700)
    assert asked == []
    tab.page.locator("summary").click()
    tab.begins("insight", "Cover the coloured part, and the 2 falls from 99.9% to ")
    seen = np.array(tab["field"].evaluate(FIELD), np.uint8).reshape(28, 28)
    inside = look_inside(cached_recogniser("default"), seen)
    captions = tab.page.locator("#layers figcaption").all_inner_texts()
    assert captions[:2] == ["layer 1: 16 maps of 28x28", "layer 2: 32 maps of 14x14"]
    assert captions[-1] == "layer 6: 96 maps of 4x4, the first 32"
    assert len(captions) == len(inside["layers"])
    assert min(tab.page.evaluate(PAINTED)) > 10
    heat = np.array(tab["mattered"].evaluate(HEAT), int).reshape(28, 28, 3)
    coloured = heat[:, :, 0] - heat[:, :, 2]
    mattering = seen * inside["occlusion"]
    hottest = np.unravel_index(coloured.argmax(), (28, 28))  # of several, as colours are rounded
    assert mattering[hottest] > 0.98 * mattering.max()
    assert not coloured[seen == 0].any()
    assert (
        tab.page.evaluate("document.documentElement.scrollWidth") <= tab.page.viewport_size["width"]
    )
    assert tab.page.evaluate(NAMELESS) == []


def test_the_inside_follows_the_eye_and_waits_for_the_pen(desktop: Tab) -> None:
    asked = asked_inside(desktop)
    desktop.write("42")
    desktop.says("text", "42")
    desktop.page.locator("summary").click()
    desktop.begins("insight", "Cover the coloured part, and the 2 falls")
    desktop.page.locator("#digits button").first.click()
    desktop.begins("insight", "Cover the coloured part, and the 4 falls")
    assert len(asked) == 2
    drawn = [(250 + 5 * step, 150 + 2 * step) for step in range(80)]
    desktop.page.mouse.move(*drawn[0])
    desktop.page.mouse.down()
    for point in drawn[1:]:
        desktop.page.mouse.move(*point)
        desktop.page.wait_for_timeout(20)

    assert len(asked) == 2
    desktop.page.mouse.up()
    with desktop.page.expect_response("**/v1/inside"):
        pass

    assert len(asked) == 3
    assert desktop.troubles == []


def test_a_service_that_cannot_look_inside_says_so(desktop: Tab) -> None:
    missing = {
        "status": 501,
        "body": json.dumps({"error": {"message": "this service cannot look inside"}}),
    }
    desktop.page.route("**/v1/inside", lambda route: route.fulfill(**missing))
    desktop.write("4")
    desktop.says("text", "4")
    desktop.page.locator("summary").click()
    desktop.says("insight", "This service cannot look inside.")


def test_nothing_is_stored(desktop: Tab) -> None:
    desktop.write("4")
    desktop.says("text", "4")
    desktop.says("storing", "Nothing is stored.")
    assert not desktop["correction"].is_visible()
    assert desktop.page.evaluate(STORED) == []
    assert desktop.page.context.cookies() == []


@pytest.mark.parametrize(
    "fault",
    [
        "document.body.setAttribute('style', 'color: red')",
        "document.body.append(Object.assign(document.createElement('script'), {textContent: '1'}))",
        "fetch('http://127.0.0.1:9/').catch(() => {})",
        "setTimeout(() => { throw Error('oh') })",
    ],
)
def test_these_tests_see_errors_in_the_page(desktop: Tab, fault: str) -> None:
    desktop.page.evaluate(fault)
    desktop.page.wait_for_timeout(200)
    assert desktop.troubles
