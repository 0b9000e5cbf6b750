"""The first reading in the browser, while the reader is still arriving: how soon, and how right.

A site comes in; the time and the bytes until a drawing is read come out, over a line of a given
speed into an empty browser, and how many drawings of validation digits are read so, and rightly.
"""

import base64
import gzip
import http.server
import shutil
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common import encoded, spread, table
from benchmarks.reading.parity import BROWSERS, FLAGS, PATIENCE, served
from inkdigits.core.digits import Pixels
from inkdigits.data.datasets import load_dataset
from inkdigits.data.store import default_data_dir

LINE = 625_000  # bytes a second: 5 megabits
LARGE = (".onnx", ".wasm")
PART = 16_384  # bytes that are sent at once
DRAWINGS = 200
MOST_DIGITS = 5  # in a drawing
SIDES = (110, 220)  # pixels that MNIST's 28 become, so that digits are 80 to 160 pixels tall
SHEET = (400, 1000)  # height and width, pixels
SEVEN = ((-40, -60), (40, -60), (-10, 70))  # a stroke, pixels from the middle of the sheet

PAINTED = "() => performance.getEntriesByName('first-contentful-paint').length > 0"
READ_FIRST = """() => document.getElementById('text').textContent === '7'
    && !document.getElementById('arriving').hidden"""
READ_WHOLE = """() => document.getElementById('text').textContent === '7'
    && document.getElementById('arriving').hidden"""
FIRST = """async ([module, pictures]) => {
    const read = await (await import(module)).makeFirst();
    const texts = [];
    for (const data of pictures) {
        const bytes = Uint8Array.from(atob(data), (byte) => byte.charCodeAt(0));
        const bitmap = await createImageBitmap(new Blob([bytes]));
        const canvas = document.createElement("canvas");
        Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
        canvas.getContext("2d").drawImage(bitmap, 0, 0);
        const begun = performance.now();
        texts.push([read(canvas)?.text ?? null, performance.now() - begun]);
    }
    return texts;
}"""


class SlowServer(http.server.SimpleHTTPRequestHandler):
    """A file server that packs what it sends, over a line that all requests share."""

    line = threading.Lock()
    sent = 0  # bytes, without those of the large files that arrive meanwhile

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Send a file, packed by gzip."""
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            return self.send_error(404)

        content = packed(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for start in range(0, len(content), PART):
            part = content[start : start + PART]
            with SlowServer.line:
                time.sleep(len(part) / LINE)
                SlowServer.sent += 0 if path.suffix in LARGE else len(part)
            try:
                self.wfile.write(part)
            except ConnectionError:  # the page was closed meanwhile
                break

        return None


@cache
def packed(path: Path) -> bytes:
    """Return a file's content, packed by gzip."""
    return gzip.compress(path.read_bytes(), 9)


def measure_first(site: Path, rounds: int) -> list[tuple[float, float, float]]:
    """Return (seconds, kilobytes, seconds until the reader itself has read it) of each round."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    for file in site.rglob("*"):
        if file.is_file():
            packed(file)

    found = []
    with served(site, SlowServer) as address, sync_playwright() as driver:
        for _ in range(rounds):
            browser = driver.chromium.launch(executable_path=path, args=FLAGS)
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            SlowServer.sent = 0
            begun = time.perf_counter()
            page.goto(address)
            page.wait_for_function(PAINTED)
            _draw(page)
            page.wait_for_function(READ_FIRST)
            first, sent = time.perf_counter() - begun, SlowServer.sent
            page.wait_for_function(READ_WHOLE)
            found.append((first, sent / 1000, time.perf_counter() - begun))
            browser.close()

    return found


def _draw(page: Any) -> None:
    """Draw a seven in the middle of the sheet."""
    sheet = page.locator("#paper").bounding_box()
    x, y = sheet["x"] + sheet["width"] / 2, sheet["y"] + sheet["height"] / 2
    first, *others = [(x + across, y + down) for across, down in SEVEN]
    page.mouse.move(*first)
    page.mouse.down()
    for point in others:
        page.mouse.move(*point, steps=5)
    page.mouse.up()


def drawings() -> tuple[list[Pixels], list[str]]:
    """Return DRAWINGS sheets, each with enlarged validation digits in a row, and their texts."""
    mnist = load_dataset("mnist", data_dir=default_data_dir(), download=False)["validation"]
    rng = np.random.default_rng(0)
    sheets, texts = [], []
    for _ in range(DRAWINGS):
        sheet = np.full(SHEET, 255, np.uint8)
        side = int(rng.integers(*SIDES))
        numbers = rng.integers(0, len(mnist.images), rng.integers(1, MOST_DIGITS + 1))
        numbers = numbers[: SHEET[1] // side]
        line = rng.uniform(0, SHEET[0] - 1.2 * side)
        for place, number in enumerate(numbers):
            ink = Image.fromarray(255 - mnist.images[number]).resize((side, side))
            left, top = place * side, int(line + rng.uniform(0, 0.2) * side)
            sheet[top : top + side, left : left + side] = np.asarray(ink)
        sheets.append(sheet)
        texts.append("".join(str(mnist.labels[number]) for number in numbers))

    return sheets, texts


def measure_drawings(site: Path) -> tuple[int, int, float]:
    """Return how many drawings are read first, how many of them rightly, and the median of ms."""
    from playwright.sync_api import sync_playwright

    sheets, texts = drawings()
    given = [base64.b64encode(encoded(sheet)).decode() for sheet in sheets]
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with served(site) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{address}example.html")
        answers = page.evaluate(FIRST, [f"{address}page/first.js", given])
        browser.close()

    read = [text for text, _ in answers]
    right = sum(text == truth for text, truth in zip(read, texts, strict=True))
    took = [milliseconds for text, milliseconds in answers if text is not None]
    return len(took), right, float(np.median(took))


def paragraphs(
    first: Sequence[tuple[float, float, float]], counted: tuple[int, int, float]
) -> list[str]:
    """Return what docs/browser.md says of the first reading."""
    seconds, kilobytes, whole = zip(*first, strict=True)
    count, right, milliseconds = counted
    rows = [
        ("the first reading of a drawn 7", spread(seconds, ".1f"), spread(kilobytes)),
        ("the reader's own", spread(whole, ".1f"), "all, below"),
    ]
    return [
        f"Into an empty browser, over a line of {8 * LINE // 1_000_000} Mbit/s with packed files: "
        f"median (least-most) of {len(first)}.",
        "",
        *table(("until", "seconds", "kB that it needs"), rows),
        "",
        f"Of {DRAWINGS} drawings of one to {MOST_DIGITS} enlarged digits of MNIST's validation "
        f"split {count} are read first, since their ink stands apart, {right} of them rightly, in "
        f"{milliseconds:.0f} ms (median). The others wait.",
    ]
