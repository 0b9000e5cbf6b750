"""Do the browser and Python read alike? The same pictures, read by the static site and by `read`.

Pictures are decoded once and handed to both as PNG, since browsers decode JPEGs a little otherwise.
Alike are: the same text, the same candidates accepted, boxes within a pixel, and confidences within
0.001. Whatever differs is listed, and the exit status is 1.

    python -m benchmarks.reading.parity --write docs/browser.md
"""

import argparse
import base64
import contextlib
import http.server
import mimetypes
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from benchmarks.common import ROOT, command_line, encoded, in_words, machine, publish, table, tell
from inkdigits.core.pictures import pictures_below
from inkdigits.data.store import default_data_dir
from inkdigits.data.synthetic.pages import write_pages
from inkdigits.reading.recogniser import Recogniser
from inkdigits.service.site import LIBRARY, write_site
from inkdigits.service.site_runtime import PACKAGE

TITLE = "In the browser"
HEADING = "## The same answers"
MOST_PIXELS_OFF = 1  # of a side of a box
MOST_UNSURE = 0.001  # of a confidence
PATIENCE = 180_000  # ms for one picture on a busy machine
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

READ = """async ([library, data, single]) => {
    const { read } = await import(library);
    const bytes = Uint8Array.from(atob(data), (byte) => byte.charCodeAt(0));
    const begun = performance.now();
    const reading = await read(new Blob([bytes]), { single });
    const digits = reading.digits.map(({ field, probabilities, ...digit }) => digit);
    return { ...reading, digits, ms: performance.now() - begun };
}"""

Read = Callable[[bytes, bool], dict[str, Any]]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that says nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(
    folder: Path, kind: type[http.server.SimpleHTTPRequestHandler] = _Quiet
) -> Iterator[str]:
    """Serve a folder on this machine by handlers of a kind; yield its address."""
    mimetypes.add_type("text/javascript", ".mjs")
    mimetypes.add_type("application/manifest+json", ".webmanifest")
    handler = partial(kind, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()


@contextlib.contextmanager
def reading_in_browser(address: str) -> Iterator[Read]:
    """Open a page of the site in Chromium; yield what reads the bytes of a picture there."""
    from playwright.sync_api import sync_playwright

    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{address}example.html")

        def read(picture: bytes, single: bool = False) -> dict[str, Any]:
            data = base64.b64encode(picture).decode()
            return page.evaluate(READ, [address + LIBRARY.as_posix(), data, single])

        yield read
        browser.close()


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Return in what two readings differ, as `Reading.as_dict` gives them; nothing if alike."""
    found = [
        f"{key} {ours[key]!r}, there {theirs[key]!r}"
        for key in ("text", "written", "warnings")
        if ours[key] != theirs[key]
    ]
    for kind in ("digits", "signs"):
        if len(ours[kind]) != len(theirs[kind]):
            found.append(f"{len(ours[kind])} {kind}, there {len(theirs[kind])}")
            continue

        for own, other in zip(ours[kind], theirs[kind], strict=True):
            found += _of_symbols(own, other)

    return found


def _of_symbols(own: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return in what two digits, or two signs, differ."""
    name = own.get("digit", own.get("sign"))
    found = []
    if own.get("accepted") != other.get("accepted") or name != other.get(
        "digit", other.get("sign")
    ):
        found.append(f"{own}, there {other}")

    off = max(abs(one - two) for one, two in zip(own["box"], other["box"], strict=True))
    if off > MOST_PIXELS_OFF:
        found.append(f"the box of {name} is {off} pixels off")

    unsure = abs(own["confidence"] - other["confidence"])
    if unsure > MOST_UNSURE:
        found.append(f"the confidence of {name} is {unsure:.4f} off")

    return found


def as_png(path: Path) -> bytes:
    """Return a picture, upright, as PNG."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        has_alpha = upright.has_transparency_data
        return encoded(upright.convert("RGBA" if has_alpha else "RGB"))


def every(paths: Sequence[Path], count: int) -> list[Path]:
    """Return so many of some paths, evenly apart."""
    count = min(count, len(paths))
    return [paths[number * len(paths) // count] for number in range(count)]


def chosen(count: int, made: Path) -> dict[str, list[Path]]:
    """Return pictures of each kind: a quarter each of development, field, drawn and generated.

    Where a kind has too few, generated pages stand in.

    Args:
        count: of all.
        made: a new folder for generated pages.
    """
    data = default_data_dir()
    field = list(pictures_below(data / "field"))
    kinds = {
        "development pictures": list(pictures_below(data / "pictures")),
        "field pictures": [path for path in field if "drawn" not in path.parts],
        "field, drawn": [path for path in field if "drawn" in path.parts],
    }
    picked = {kind: every(paths, count // 4) for kind, paths in kinds.items()}
    rest = count - sum(map(len, picked.values()))
    write_pages(made, rest, seed=24)
    return {**picked, "generated pages": list(pictures_below(made))}


def compare(read: Read, pictures: dict[str, list[Path]]) -> dict[str, dict[Path, list[str]]]:
    """Return for each kind its pictures, each with what differs."""
    recogniser = Recogniser(threads=1)
    found: dict[str, dict[Path, list[str]]] = {}
    for kind, paths in pictures.items():
        found[kind] = {}
        for path in paths:
            picture = as_png(path)
            single = path.parent.name in ("singles", "crops")
            ours = recogniser.read(picture, single).as_dict()
            found[kind][path] = differences(ours, read(picture, single))
            tell(f"{kind}: {len(found[kind])} of {len(paths)}")

    return found


def section(found: dict[str, dict[Path, list[str]]]) -> str:
    """Return the section of docs/browser.md."""
    rows = []
    for kind, pictures in found.items():
        alike = sum(not differing for differing in pictures.values())
        rows.append((kind, len(pictures), alike))

    total = sum(count for _, count, _ in rows)
    alike = sum(count for *_, count in rows)
    listed = [
        f"- {path.parent.name}/{path.name}: {'; '.join(differing)}"
        for pictures in found.values()
        for path, differing in pictures.items()
        if differing
    ]
    facts = in_words(machine("inkdigits", "onnxruntime", there=PACKAGE))
    text = [
        HEADING,
        "",
        f"Of {total} pictures {alike} are read alike by the site in Chromium and by `inkdigits "
        f"read`: the same text, signs and warnings, the same candidates accepted, boxes within "
        f"{MOST_PIXELS_OFF} pixel, and confidences within {MOST_UNSURE}.",
        "",
        *table(("pictures", "n", "read alike"), [*rows, ("all", total, alike)]),
        "",
        *(["What differs:", "", *listed, ""] if listed else []),
        f"Written by `make parity`; {facts}.",
    ]
    return "\n".join(text) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print the section, and tell whether all is alike."""
    parser = command_line(__doc__)
    parser.add_argument("--count", type=int, default=400, metavar="N", help="pictures (400)")
    parser.add_argument("--runtime", type=Path, metavar="FILE", help="as for `inkdigits web`")
    options: argparse.Namespace = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="inkdigits-") as folder:
        site = Path(folder) / "site"
        write_site(site, options.runtime)
        pictures = chosen(options.count, Path(folder) / "pages")
        with served(site) as address, reading_in_browser(address) as read:
            found = compare(read, pictures)

    publish(section(found), options.write and ROOT / options.write, title=TITLE)
    return int(any(differing for each in found.values() for differing in each.values()))


if __name__ == "__main__":
    sys.exit(main())
