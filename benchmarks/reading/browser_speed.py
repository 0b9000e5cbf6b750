"""What reading in the browser costs: time beside the service, on one core, and bytes on the way.

So do the first readings, while the reader is still arriving (first_reading.py).

The draw page is opened in Chromium twice, as `inkdigits serve` and as the static site show it, and
the two readers read the same pictures in turn. The service runs on the same core.

    python -m benchmarks.reading.browser_speed --write docs/browser.md
"""

import base64
import gzip
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import (
    ROOT,
    SAMPLE,
    command_line,
    encoded,
    in_turn,
    in_words,
    machine,
    publish,
    ratios,
    spread,
    table,
    tell,
    use_processors,
)
from benchmarks.reading import first_reading
from benchmarks.reading.parity import BROWSERS, FLAGS, PATIENCE, TITLE, served
from inkdigits.service.known_digits import known_digits
from inkdigits.service.site import write_site
from inkdigits.service.site_runtime import PACKAGE

HEADING = "## What it costs"
CANVAS = (600, 400)  # pixels
PHOTO = (4000, 3000)  # pixels: 12 million
FIVE = (2, 7, 3, 5, 4)
# Chromium compiles once more what runs often, while the first 8 to 10 canvases are read. Two
# seconds later it keeps the result on the device, for the next visit.
WARM = 25  # reads of a canvas until then
SETTLED = 5.0  # seconds
READS = "(text) => document.getElementById('text').textContent === text"
OPEN = "async (script) => { window.reader = (await import(script)).makeReader(); }"
TIME = """async (data) => {
    const picture = new Blob([Uint8Array.from(atob(data), (byte) => byte.charCodeAt(0))]);
    const begun = performance.now();
    const { content, message } = await reader.read(picture);
    return [performance.now() - begun, content?.text ?? message];
}"""
PARTS = {
    "page and reader": ("*.html", "*.js", "*.css", "*.svg", "*.webmanifest"),
    "ONNX Runtime": ("*.mjs", "*.wasm"),
    "networks": ("*.onnx", "*.safetensors"),
}
BROTLI = (  # at the quality 11, its default
    "process.stdout.write(require('zlib').brotliCompressSync(require('fs').readFileSync(0)))"
)


def drawing() -> bytes:
    """Return a canvas with five digits, as PNG."""
    digits = dict(known_digits())
    sheet = np.full((CANVAS[1], CANVAS[0]), 255, np.uint8)
    for place, digit in enumerate(FIVE):
        ink = digits[digit]
        left = 20 + 115 * place
        part = sheet[130 : 130 + ink.shape[0], left : left + ink.shape[1]]
        np.minimum(part, ink[: part.shape[0], : part.shape[1]], out=part)

    return encoded(sheet)


def photo() -> bytes:
    """Return a photo of 12 million pixels, as JPEG."""
    with Image.open(SAMPLE) as image:
        return encoded(image.convert("RGB").resize(PHOTO), "JPEG", quality=90)


@contextmanager
def serving() -> Iterator[str]:
    """Run `inkdigits serve`; yield its address."""
    command = [sys.executable, "-m", "inkdigits", "serve", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        found = re.search(r"http://\S+?/", said)
        assert found, said
        time.sleep(2)  # it reads ten digits first
        yield found[0]
    finally:
        process.terminate()
        process.wait()


def opened(browser: Any, address: str, script: str) -> Any:
    """Open the draw page and make its reader."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.evaluate(OPEN, f"/page/{script}")
    return page


def measure_reading(site: Path, rounds: int) -> Iterator[tuple[str, ...]]:
    """Yield a row for each picture: the time in the browser, over the service, and their ratio."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with serving() as service, served(site) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        there = opened(browser, service, "http.js")
        for name, picture in {"canvas, five digits": drawing(), "photo, 12 MP": photo()}.items():
            data = base64.b64encode(picture).decode()
            here = opened(browser, address, "local.js")
            texts = {page.evaluate(TIME, data)[1] for page in (here, there)}
            first = [_time(here, data) for _ in range(rounds)]
            _warm_up(here)
            sides = {"here": partial(_time, here, data), "service": partial(_time, there, data)}
            took = in_turn(sides, rounds)
            here.close()
            ratio = statistics.median(ratios(took["here"], took["service"]))
            tell(f"{name}: {ratio:.2f}")
            shown = [spread(times) for times in (first, took["here"], took["service"])]
            yield name, *texts, *shown, f"{ratio:.2f}"
        browser.close()


def _warm_up(page: Any) -> None:
    """Have a page read until what runs often is compiled."""
    data = base64.b64encode(drawing()).decode()
    for _ in range(WARM):
        _time(page, data)

    time.sleep(SETTLED)


def _time(page: Any, data: str) -> float:
    """Return how many ms the reader of a page takes for a picture."""
    took: float = page.evaluate(TIME, data)[0]
    return took


def measure_opening(site: Path, rounds: int) -> list[float]:
    """Return the times from opening the page, kept on this device, to its first answer, in ms.

    The first of them is that of the first visit with a reading, when no compiled code is kept.
    """
    from playwright.sync_api import sync_playwright

    took = []
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(
            profile, executable_path=path, args=FLAGS
        )
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        with served(site) as address:
            page.goto(address)
            page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")

        for _ in range(rounds + 1):
            begun = time.perf_counter()
            page.goto(address)
            page.locator("#picture").set_input_files(SAMPLE)
            page.wait_for_function(READS, arg="27354", polling=20)  # frames cost time, too
            took.append(1000 * (time.perf_counter() - begun))
            time.sleep(SETTLED)
        context.close()

    return took


def sizes(site: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for each part of the site: its bytes, and packed by gzip and brotli, in kB."""
    node = shutil.which("node")
    totals = np.zeros(3)
    for part, patterns in PARTS.items():
        paths = [path for pattern in patterns for path in site.rglob(pattern)]
        figures = np.zeros(3)
        for content in map(Path.read_bytes, paths):
            packed = [node, "-e", BROTLI] if node else ["false"]
            brotli = subprocess.run(packed, input=content, capture_output=True).stdout
            figures += (len(content), len(gzip.compress(content, 9)), len(brotli))
        totals += figures
        yield part, *_in_kilobytes(figures)

    yield "all", *_in_kilobytes(totals)


def _in_kilobytes(figures: NDArray[np.float64]) -> tuple[str, str, str]:
    plain, gzipped, brotli = (f"{figure / 1000:,.0f}" for figure in figures)
    return plain, gzipped, brotli


def section(
    rows: Sequence[Sequence[str]],
    opening: list[float],
    first: Sequence[str],
    packed: Sequence[Any],
) -> str:
    """Return the section of docs/browser.md."""
    load = f"{os.getloadavg()[0]:.0f} programs that want a core"
    first_visit, *later = opening
    head = ("picture", "read", "the first reads, ms", "here, ms", "service, ms", "ratio, median")
    text = [
        HEADING,
        "",
        "Time from a picture to its reading in Chromium, on one core that the service shares: "
        f"median (least-most) of {len(later)} reads in turn. The first reads after opening take "
        "longer, since Chromium has not yet compiled everything as well as it can.",
        "",
        *table(head, rows),
        "",
        f"From opening the page, kept on the device, to the first answer: {spread(later)} ms (n "
        f"{len(later)}), if it was open for {SETTLED:g} s after a reading before, so that Chromium "
        f"keeps compiled code; {first_visit:,.0f} ms the first time.",
        "",
        *first,
        "",
        "Bytes on the way, in kB. A file server may send them packed.",
        "",
        *table(("part", "plain", "gzip", "brotli"), packed),
        "",
        f"Written by `make parity`; {in_words(machine('inkdigits', there=PACKAGE, load=load))}.",
    ]
    return "\n".join(text) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the section."""
    parser = command_line(__doc__, rounds=7)
    parser.add_argument("--runtime", type=Path, metavar="FILE", help="as for `inkdigits web`")
    options = parser.parse_args(arguments)
    use_processors(1)
    with tempfile.TemporaryDirectory(prefix="inkdigits-") as folder:
        site = Path(folder)
        write_site(site, options.runtime)
        rows = list(measure_reading(site, options.rounds))
        opening = measure_opening(site, options.rounds)
        first = first_reading.paragraphs(
            first_reading.measure_first(site, options.rounds), first_reading.measure_drawings(site)
        )
        text = section(rows, opening, first, list(sizes(site)))

    publish(text, options.write and ROOT / options.write, title=TITLE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
