"""What pages can do to the service from a real Chromium: six pages, four ways, 24 cases."""

import base64
import contextlib
import http.server
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browser import BROWSER_MARKS, CHROMIUM, FLAGS
from drawn import line, written
from PIL import Image
from serving import encode_picture, running

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright, which drives the browser, is not installed"
)
pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytestmark = BROWSER_MARKS

# Names that stand for this machine, and none of the browser's own protection of this machine: the
# service has to be the one that refuses.
OPEN_FLAGS = (
    *FLAGS,
    "--host-resolver-rules=MAP *.example 127.0.0.1",
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
)
SEVEN = base64.b64encode(encode_picture(Image.fromarray(written(line("7"))))).decode()

# Each way is a function of the address of the service, and tells what the page can see.
BYTES = f"const bytes = Uint8Array.from(atob('{SEVEN}'), (letter) => letter.charCodeAt(0));"
WAYS = {
    "a form": """async (service) => {
        const form = Object.assign(document.createElement("form"), {
            method: "post", enctype: "multipart/form-data", target: "answer",
            action: `${service}/v1/feedback?label=7`,
        });
        const input = Object.assign(document.createElement("input"), {type: "file", name: "file"});
        const files = new DataTransfer();
        files.items.add(new File([bytes], "seven.png", {type: "image/png"}));
        input.files = files.files;
        form.append(input);
        const frame = Object.assign(document.createElement("iframe"), {name: "answer"});
        document.body.append(frame, form);
        await new Promise((done) => { frame.onload = done; form.submit(); });
    }""",
    "a request without an answer": """async (service) => {
        const body = new Blob([bytes], {type: "image/png"});
        const how = {method: "POST", mode: "no-cors", body};
        await fetch(`${service}/v1/feedback?label=7`, how).catch(() => null);
    }""",
    "a request with a header": """async (service) => {
        const headers = {"Content-Type": "image/png"};
        const how = {method: "POST", headers, body: bytes};
        await fetch(`${service}/v1/feedback?label=7`, how).catch(() => null);
    }""",
    "a reading": """async (service) => {
        const headers = {"Content-Type": "image/png"};
        const how = {method: "POST", headers, body: bytes};
        const answer = await fetch(`${service}/v1/read`, how).catch(() => null);
        return answer && answer.ok ? (await answer.json()).text : null;
    }""",
}
OURS, REBOUND = "http://127.0.0.1:{service}", "http://evil.example:{service}"

# The address of the page, the address that it asks, and whether that is allowed.
PAGES = {
    "our page": (OURS, OURS, True),
    "our page by another name": ("http://localhost:{service}", OURS, False),
    "another port": ("http://127.0.0.1:{pages}", OURS, False),
    "another site": ("http://evil.example:{pages}", OURS, False),
    "a name that leads here": (REBOUND, REBOUND, False),
    "an allowed site": ("http://school.example:{pages}", OURS, True),
}  # fmt: skip


class EmptyPage(http.server.BaseHTTPRequestHandler):
    """A page of somebody else."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>a page</title><body></body>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Scene:
    """A browser, the service, a server of other pages, and the file of corrections."""

    browser: Any
    ports: dict[str, int]
    file: Path

    def try_way(self, page: str, way: str) -> tuple[str | None, int]:
        """Return what a page sees, and how many corrections are stored then."""
        self.query("DELETE FROM feedback")
        at, service, _ = PAGES[page]
        with contextlib.closing(self.browser.new_page()) as tab:
            tab.goto(at.format(**self.ports) + "/healthz")
            seen = tab.evaluate(
                f"(service) => {{ {BYTES} return ({WAYS[way]})(service); }}",
                service.format(**self.ports),
            )

        return seen, self.query("SELECT count(*) FROM feedback")[0][0]

    def query(self, text: str) -> list[Any]:
        """Ask the file of corrections."""
        with contextlib.closing(sqlite3.connect(self.file)) as database, database:
            return database.execute(text).fetchall()


# Serve with what the other cases are about taken out.
UNGUARDED = """
import sys
from inkdigits.command import cli
from inkdigits.service.admission import Admission
Admission.refuse_unknown_host = Admission.refuse_other_origins = lambda *_: None
sys.exit(cli.main(["serve", "--port", "0", *sys.argv[1:]]))
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPEN_FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def played(browser: Any, file: Path, *command: str) -> Iterator[Scene]:
    """Run Python with this command line, which serves, beside a server of other pages."""
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    school = f"http://school.example:{pages.server_port}"
    options = ("--collect", file, "--allow-origin", school)
    with running(*command, *options) as server:
        yield Scene(browser, {"service": server.port, "pages": pages.server_port}, file)

    pages.shutdown()
    pages.server_close()


@pytest.fixture(scope="module")
def scene(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    file = tmp_path_factory.mktemp("collected") / "corrections"
    with played(browser, file, "-m", "inkdigits", "serve", "--port", "0") as scene:
        yield scene


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("page", PAGES)
def test_only_pages_that_may_store_and_see_something(scene: Scene, page: str, way: str) -> None:
    seen, stored = scene.try_way(page, way)
    allowed = PAGES[page][2]
    if way == "a reading":
        assert (seen, stored) == ("7" if allowed else None, 0)
    else:
        assert stored == allowed


def test_without_our_checks_the_browser_would_let_them(browser: Any, tmp_path: Path) -> None:
    with played(browser, tmp_path / "corrections", "-c", UNGUARDED) as scene:
        assert scene.try_way("another site", "a form")[1] == 1
        assert scene.try_way("another port", "a request without an answer")[1] == 1
        assert scene.try_way("a name that leads here", "a reading")[0] == "7"
