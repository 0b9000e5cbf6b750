"""The static site: what is written, and what it reads in a real Chromium, with no network, too."""

import base64
import gzip
import io
import itertools
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from browser import BROWSER_MARKS, CHROMIUM, FIRST_PAINT, FLAGS
from drawn import line, written
from PIL import Image
from serving import encode_picture

from benchmarks.reading.parity import differences, reading_in_browser, served
from inkdigits.command.cli import main
from inkdigits.core.errors import BadData, CannotWrite, DownloadFailed
from inkdigits.reading.layers import look_inside
from inkdigits.reading.reading import Reading
from inkdigits.reading.recogniser import cached_recogniser
from inkdigits.reading.symbols import Digit, Sign
from inkdigits.reading.tables import Cell, Table
from inkdigits.service import site, site_runtime
from inkdigits.service.golden import OUTPUTS, golden
from inkdigits.service.page_files import PageFiles
from inkdigits.service.responses import Refused
from inkdigits.service.site import LIBRARY, PAGE, constants_module, site_files, write_site
from inkdigits.service.site_runtime import FILES, runtime_files

ASSETS = Path(__file__).parents[1] / "assets"
MARKS = Path(__file__).parents[2] / "docs" / "images" / "teachers.jpg"
PATIENCE = 60_000  # ms; a loaded machine is no reason to fail
SCRIPTS = sorted((PAGE / "reading").rglob("*.js"))
INSIDE = 6 + 2  # layers of the digit classifier, and views of the page network
READS = "(text) => document.getElementById('text').textContent === text"


def fake_runtime(_: Path | None = None) -> dict[str, bytes]:
    return dict.fromkeys(FILES, b"// as from npm")


@pytest.fixture
def without_npm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "runtime_files", fake_runtime)


# ---- what is written


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_constant_that_a_script_takes_is_written(script: Path) -> None:
    exported = {
        name: json.loads(values)
        for name, values in re.findall(r"export const (\w+) = (.+);", constants_module())
    }
    text = script.read_text()
    imported = re.search(r'import \{([^}]+)\} from "[./]+constants\.js"', text)
    for name, _, alias in (
        part.strip().partition(" as ") for part in (imported[1].split(",") if imported else [])
    ):
        taken = re.findall(rf"const \{{([^}}]+)\}} =\s+{alias or name};", text)
        names = {one.strip() for group in taken for one in group.split(",") if one.strip()}
        names |= set(re.findall(rf"\b{alias or name}\.([A-Z][A-Z_]+)\b", text))
        assert names
        assert names <= exported[name].keys()


def test_the_constants_are_those_of_python() -> None:
    written_module = constants_module()
    assert '"LEAST_CENTRE": 0.3' in written_module
    assert '"SIGNS": ".,-/:"' in written_module
    assert f'"threshold": {cached_recogniser("default").threshold}' in written_module


@pytest.mark.usefixtures("without_npm")
def test_a_site_is_written_and_written_again(tmp_path: Path) -> None:
    first = write_site(tmp_path / "site")
    assert first == write_site(tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text()
    assert "script-src 'self' 'wasm-unsafe-eval';" in page
    assert "<body data-local>" in page
    named = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page)
    assert {"page/page.js", "page/page.css", "manifest.webmanifest"} <= set(named)
    assert set(map(Path, named)) <= set(first)


@pytest.mark.usefixtures("without_npm")
def test_nothing_else_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(CannotWrite, match="not empty"):
        write_site(tmp_path)
    assert (tmp_path / "index.html").read_text() == "mine"


@pytest.mark.usefixtures("without_npm")
def test_the_service_worker_keeps_every_file_and_its_version_is_that_of_the_content(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = site_files()
    worker = files[Path("sw.js")].decode()
    found = re.match(r'const VERSION = "(\w+)";\nconst FILES = (.+);\n', worker)
    assert found
    kept = {Path(name) for name in json.loads(found[2])} - {Path()}
    assert kept == files.keys() - {Path("sw.js"), site.GOLDEN}

    monkeypatch.setattr(site, "runtime_files", lambda _: dict.fromkeys(FILES, b"newer"))
    assert found[1] not in site_files()[Path("sw.js")].decode()


@pytest.mark.usefixtures("without_npm")
def test_every_module_that_is_imported_is_part_of_the_site() -> None:
    files = site_files()
    for path, content in files.items():
        if path.suffix == ".js":
            for name in re.findall(r'(?:from|import\() ?"(\.[^"]+)"', content.decode()):
                beside = (Path("/") / path.parent / name).resolve().relative_to("/")
                assert beside in files, f"{path} imports {name}"


def test_a_service_sends_the_reader_once_and_then_only_if_it_has_changed() -> None:
    files = PageFiles(reader={Path("page/reading/runtime/ort.wasm"): b"program"})
    page = files.page("index.html")
    assert b"<body data-offers-local>" in page.body
    first = files.reader("runtime/ort.wasm", {})
    assert (first.status_code, first.body) == (200, b"program")
    assert first.headers["content-type"] == "application/wasm"
    for response in (page, first):
        assert "'wasm-unsafe-eval'" in response.headers["content-security-policy"]
    known = {"if-none-match": first.headers["etag"]}
    assert files.reader("runtime/ort.wasm", known).status_code == 304
    assert files.reader("runtime/ort.wasm", {"if-none-match": '"other"'}).status_code == 200
    packed = files.reader("runtime/ort.wasm", {"accept-encoding": "br, gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == b"program"
    with pytest.raises(Refused):
        files.reader("../page.js", {})


def test_without_its_reader_the_page_offers_none_and_allows_no_program() -> None:
    page = PageFiles().page("index.html")
    assert b"<body>" in page.body
    assert "wasm" not in page.headers["content-security-policy"]
    with pytest.raises(Refused):
        PageFiles().reader("constants.js", {})


def test_files_for_reading_on_the_device_are_of_use_only_where_it_is_offered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["serve", "--runtime", "onnxruntime-web.tgz"]) == 2
    assert "give both, or neither" in capsys.readouterr().err


def test_a_package_with_other_bytes_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "onnxruntime-web.tgz"
    with tarfile.open(package, "w:gz") as archive:
        entry = tarfile.TarInfo("package/dist/ort.wasm.min.mjs")
        archive.addfile(entry, io.BytesIO())
    with pytest.raises(BadData, match=r"is not onnxruntime-web@[\d.]+ as npm published it"):
        runtime_files(package)
    with pytest.raises(BadData, match="cannot be read: No such file"):
        runtime_files(tmp_path / "missing.tgz")


def test_without_npm_the_error_says_what_would_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_runtime.shutil, "which", lambda _: None)
    with pytest.raises(DownloadFailed, match=r"npm, .* is not installed; give .* --runtime FILE"):
        runtime_files()


def test_the_golden_file_holds_what_the_networks_answer() -> None:
    written_file = json.loads(golden())
    assert written_file["reading"]["text"] == "42"
    folder = site.networks.FOLDER
    for name in ("page", "look"):
        session = onnxruntime.InferenceSession((folder / f"{name}.onnx").read_bytes())
        inputs = {key: decoded(array) for key, array in written_file[name]["inputs"].items()}
        outputs = dict(zip(OUTPUT_NAMES[name], session.run(None, inputs), strict=True))
        assert [output.name for output in session.get_outputs()] == list(outputs)
        for key, array in written_file[name]["outputs"].items():
            assert np.allclose(decoded(array), outputs[key], atol=1e-4)


OUTPUT_NAMES = {"page": OUTPUTS, "look": ("probabilities",)}


def decoded(array: dict[str, Any]) -> np.ndarray:
    data = base64.b64decode(array["data"])
    return np.frombuffer(data, array["type"]).reshape(array["shape"])


SMALL = """
globalThis.fetch = async (path) => {
    const { buffer, byteOffset, length } = readFileSync(path);
    return { ok: true, arrayBuffer: async () => buffer.slice(byteOffset, byteOffset + length) };
};
const classify = await module.loadSmall();
const fields = given.map((field) => Uint8Array.from(field));
console.log(JSON.stringify(fields.map((field) => [...classify(field)])));
"""
RESIZE = """
const resized = given.map(({ pixels: [height, width, channels, values], filter, box }) => {
    const image = { width, height, channels, data: Uint8Array.from(values) };
    return [...module.resize(image, 32, 24, module[filter], box).data];
});
console.log(JSON.stringify(resized));
"""


def in_node(module: Path, program: str, given: Any) -> Any:
    """Return what a program prints, which has a module of the site and something given."""
    head = (
        'import { readFileSync } from "node:fs";\n'
        "const module = await import(process.argv[1]);\n"
        "const given = JSON.parse(readFileSync(0));\n"
    )
    command = ["node", "--input-type=module", "--eval", head + program, str(module)]
    done = subprocess.run(command, input=json.dumps(given).encode(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.fixture
def reading(without_npm: None, tmp_path: Path) -> Path:
    """Return the folder of the reader's modules in a site."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    write_site(tmp_path / "site")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path / "site" / site.READING


def test_the_small_classifier_answers_as_its_onnx_file_does(reading: Path, mnist: Any) -> None:
    fields = mnist["validation"].images[:300]
    ours = cached_recogniser(site.SMALL.name).classify(fields)
    theirs = in_node(reading / "small.js", SMALL, fields.reshape(300, -1).tolist())
    assert np.abs(np.array(theirs) - ours).max() < 1e-4


def test_scripts_resize_as_pillow_does_bit_for_bit(reading: Path) -> None:
    rng = np.random.default_rng(0)
    asked, ours = [], []
    for number in range(150):
        pixels = rng.integers(0, 256, (*rng.integers(40, 200, 2), 3), np.uint8)
        height, width, _ = pixels.shape
        left, top = rng.uniform(0, 20, 2)
        box = (left, top, left + rng.uniform(8, width - 20), top + rng.uniform(8, height - 20))
        name = ("BILINEAR", "HAMMING", "BICUBIC")[number % 3]
        kind = Image.Resampling[name]
        resized = Image.fromarray(pixels).resize((32, 24), kind, box=tuple(map(float, box)))
        ours.append(np.asarray(resized).ravel().tolist())
        asked.append(
            {"pixels": [*pixels.shape, pixels.ravel().tolist()], "filter": name, "box": box}
        )

    assert in_node(reading / "resampling.js", RESIZE, asked) == ours


# ---- in a browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    folder = tmp_path_factory.mktemp("site")
    try:
        write_site(folder)
    except DownloadFailed as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder) as address:
        yield address


def in_browser(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that needs Chromium; one process runs them all, as they share the site."""
    for mark in (*BROWSER_MARKS, pytest.mark.xdist_group("site")):
        test = mark(test)
    return test


def pictures() -> dict[str, bytes]:
    """Return a picture for each way through the reader."""
    seven = Image.fromarray(written(line("7"))).convert("L")
    sample = Image.open(ASSETS / "sample.jpg")
    noise = np.random.default_rng(0).integers(0, 255, (200, 200), np.uint8)
    column = np.vstack([written(line(text)) for text in ("27354", "47253", "35472") * 5])
    crowded = Image.fromarray(np.hstack([column, column]))
    return {
        "light on dark": (ASSETS / "blackboard.jpg").read_bytes(),
        "two lines on squares": (ASSETS / "squared-paper.jpg").read_bytes(),
        "transparent": (ASSETS / "transparent.png").read_bytes(),
        "upright by its metadata": (ASSETS / "turned-phone.jpg").read_bytes(),
        "on its side": encode_picture(sample.rotate(90, expand=True)),
        "crowded": encode_picture(crowded),
        "crowded, upside down": encode_picture(crowded.rotate(180)),
        "large": encode_picture(sample.resize((4000, 1300))),
        "tiny": encode_picture(seven.resize((16, 16), Image.Resampling.BILINEAR)),
        "pixels repeated": encode_picture(seven.resize((20, 20)).resize((300, 300), 0)),
        "noise": encode_picture(Image.fromarray(noise)),
        "blank": encode_picture(Image.new("L", (300, 200), 255)),
        "one pixel": encode_picture(Image.new("L", (1, 1), 255)),
    }


@in_browser
def test_the_browser_reads_as_python_does(address: str) -> None:
    recogniser = cached_recogniser("default")
    with reading_in_browser(address) as read:
        for name, picture in pictures().items():
            ours = recogniser.read(picture).as_dict()
            assert differences(ours, read(picture, False)) == [], name

        single = (ASSETS / "touching.jpg").read_bytes()
        ours = recogniser.read(single, single=True).as_dict()
        assert differences(ours, read(single, True)) == []


@in_browser
def test_images_of_mnist_go_to_the_classifier_as_they_are(address: str, mnist: Any) -> None:
    recogniser = cached_recogniser("default")
    with reading_in_browser(address) as read:
        for image in mnist["validation"].images[:3]:
            for pixels in (image, 255 - image):
                picture = encode_picture(Image.fromarray(pixels))
                assert differences(recogniser.read(picture).as_dict(), read(picture, False)) == []


def random_reading(rng: np.random.Generator) -> Reading:
    """Return digits and signs in slanting rows and columns, some refused, some far from others."""
    slant, drift = rng.normal(0, 4, 2)
    digits, signs = [], []
    rows, columns = rng.integers(1, 7, 2)
    for row, column in itertools.product(range(rows), range(columns)):
        left = 40 + 150 * column + drift * row + rng.integers(0, 30)
        for _ in range(rng.choice([0, 1, 2, 3, 4])):
            top = int(30 + 70 * row + slant * column)
            box = (int(left), top, int(left) + 20, top + int(rng.integers(30, 44)))
            if rng.random() < 0.1:
                signs.append(Sign("-", 0.9, box, int(row)))
            else:
                sure, accepted, line = float(rng.random()), bool(rng.random() < 0.9), int(row)
                digits.append(Digit(int(rng.integers(10)), sure, accepted, box, None, line))
            left += rng.choice([24, 24, 24, 50, 70])

    lines = {digit.line for digit in digits if digit.accepted}
    return Reading("", tuple(digits), signs=tuple(sign for sign in signs if sign.line in lines))


TABLES = """async ([library, readings]) => {
    const { tableOf } = await import(library);
    return readings.map(tableOf);
}"""


@in_browser
def test_the_browser_makes_the_tables_that_python_makes(address: str) -> None:
    rng = np.random.default_rng(3)
    readings = [random_reading(rng) for _ in range(300)]
    asked = [
        {"digits": list(map(asdict, reading.digits)), "signs": list(map(asdict, reading.signs))}
        for reading in readings
    ]
    theirs = in_a_page(address, TABLES, [address + LIBRARY.as_posix(), asked])
    for cell in (cell for table in theirs for row in table for cell in row if cell):
        cell["confidence"] = round(cell["confidence"], 6)
    ours = [reading.table().as_lists() for reading in readings]
    assert theirs == ours

    texts = {cell["written"] for table in ours for row in table for cell in row if cell}
    assert "" in texts  # where something was refused
    assert any(" " in text for text in texts)  # in two parts


@in_browser
def test_the_browser_writes_the_csv_that_python_writes(address: str) -> None:
    texts = ["12", "-1.5", "-", "-1/2", "--3", "=1+1", "+4", "@a", "1,5", 'a "b"', "", "-.5", "x y"]
    rows = [texts, texts[::-1]]
    script = "async ([module, rows]) => (await import(module)).csvOf(rows)"
    theirs = in_a_page(address, script, [f"{address}page/csv.js", rows])
    cells = [tuple(Cell(text, 1.0, (0, 0, 1, 1)) for text in row) for row in rows]
    assert theirs == Table(tuple(cells)).to_csv()
    assert "'=1+1" in theirs


def in_a_page(address: str, script: str, given: Any) -> Any:
    """Return what a script answers in a page of the site."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{address}example.html")
        answer = page.evaluate(script, given)
        browser.close()
        return answer


LOOK = """async ([module, field]) => {
    const { Recogniser } = await import(module);
    const inside = await (await Recogniser.load()).inside(Uint8Array.from(field));
    return { ...inside, layers: inside.layers.map((one) => ({ ...one, maps: [...one.maps] })) };
}"""


@in_browser
def test_the_browser_looks_inside_as_python_does(address: str) -> None:
    recogniser = cached_recogniser("default")
    field = recogniser.read(encode_picture(Image.fromarray(written(line("7"))))).digits[0].image
    assert field is not None
    ours = look_inside(recogniser, field)
    theirs = in_a_page(address, LOOK, [address + LIBRARY.as_posix(), field.ravel().tolist()])
    assert np.allclose(theirs["probabilities"], ours["probabilities"], atol=1e-4)
    assert np.allclose(theirs["occlusion"], ours["occlusion"], atol=1e-4)
    assert len(theirs["layers"]) == len(ours["layers"])
    for own, other in zip(ours["layers"], theirs["layers"], strict=True):
        maps = np.frombuffer(base64.b64decode(own["maps"]), np.uint8).astype(int)
        assert np.abs(maps - np.array(other["maps"])).max() <= 1
        for key in ("name", "shape", "shown"):
            assert own[key] == other[key]


@pytest.mark.usefixtures("without_npm")
def test_without_onnx_the_site_reads_and_has_no_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    files = site_files()
    plain = site.resolve_model("default").read_bytes()
    assert files[site.READING / "weights" / "default.onnx"] == plain
    assert '"names": []' in constants_module()


@in_browser
def test_the_page_shows_the_table_that_python_reads(address: str) -> None:
    from playwright.sync_api import sync_playwright

    ours = cached_recogniser("default").read(MARKS.read_bytes()).table()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.locator("#picture").set_input_files(MARKS)
        page.locator("#as-table").click()
        with page.expect_download() as downloading:
            page.locator("#download").click()
        assert downloading.value.suggested_filename == "teachers.csv"
        assert Path(downloading.value.path()).read_bytes().decode() == ours.to_csv()
        browser.close()


@in_browser
def test_what_is_no_picture_is_refused_in_a_sentence(address: str) -> None:
    from playwright.sync_api import Error

    with (
        reading_in_browser(address) as read,
        pytest.raises(Error, match="the data is not a picture that this browser can read"),
    ):
        read(b"Dear reader", False)


@in_browser
def test_the_page_reads_drawings_and_files_and_asks_nobody_else(address: str) -> None:
    from playwright.sync_api import sync_playwright

    troubles: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda asked: _note_stranger(asked.url, address, troubles))
        page.goto(address)
        page.wait_for_function(FIRST_PAINT)
        draw(page, [(0, -70), (-50, 20), (50, 20)], [(20, -20), (20, 80)])
        page.wait_for_function(READS, arg="4")
        assert page.locator("#boxes i").count() == 1
        assert not page.locator("#correction").is_visible()

        page.locator("#picture").set_input_files([ASSETS / "sample.jpg", ASSETS / "touching.jpg"])
        page.wait_for_function(READS, arg="27354")
        assert page.locator("#sure").inner_text().startswith("Picture 1 of 2; ")
        page.locator("#redo").click()
        page.wait_for_function(READS, arg="352")
        page.locator("summary").click()
        page.wait_for_function(
            f"() => document.querySelectorAll('#layers canvas').length === {INSIDE}"
        )
        captions = page.locator("#layers figcaption").all_inner_texts()
        assert captions[1:3] == [
            "the page network: whose ink is whose",
            "layer 1: 16 maps of 28x28",
        ]
        assert page.locator("#insight").inner_text().endswith("for the digit classifier.")
        assert page.locator("#storing").inner_text() == "Read on this device; nothing is sent."
        browser.close()

    assert troubles == []


@in_browser
def test_in_a_frame_the_page_has_no_title_and_is_as_high_as_what_it_shows(address: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        around = browser.new_page()
        around.set_default_timeout(PATIENCE)
        around.goto(f"{address}page/page.css")
        around.evaluate(
            """() => {
                const frame = document.createElement("iframe");
                frame.src = "../index.html";
                frame.width = 700;
                document.body.append(frame);
            }"""
        )
        page = around.wait_for_selector("iframe").content_frame()
        page.wait_for_selector(".framed #sheet")
        assert not page.locator("header").is_visible()
        before = _fitted_height(around)

        page.locator("#picture").set_input_files(ASSETS / "sample.jpg")
        page.wait_for_function(READS, arg="27354")
        assert _fitted_height(around) > before
        browser.close()


def _fitted_height(around: Any) -> float:
    """Return the height of a page's one frame, once nothing in it has to be scrolled."""
    around.wait_for_function(
        """() => {
            const frame = document.querySelector("iframe");
            const { scrollHeight } = frame.contentDocument.documentElement;
            return Math.abs(frame.clientHeight - scrollHeight) <= 1;
        }"""
    )
    return float(around.locator("iframe").bounding_box()["height"])


def _note_stranger(url: str, home: str, troubles: list[str]) -> None:
    if not url.startswith((home, "data:", "blob:")):
        troubles.append(url)


LARGE = re.compile(r"\.(onnx|wasm)$")
MOST_BYTES = 300_000  # on the way, packed, until a first drawing is read


@in_browser
def test_drawings_are_read_before_the_networks_have_arrived(folder: Path, address: str) -> None:
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        held: list[Any] = []
        asked: list[str] = []
        page.route(LARGE, lambda route: held.append(route))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.wait_for_function(FIRST_PAINT)
        said, text = page.locator("#arriving-said"), page.locator("#text")
        assert not said.is_visible()

        draw(page, [(0, -70), (-50, 20), (50, 20)], [(20, -20), (20, 80)], left=-90)
        draw(page, [(0, -70), (0, 80)], left=90)
        expect(text).to_have_text("41")
        expect(said).to_have_text("A first reading; the reader is arriving: 0 %")
        assert page.locator("#boxes i").count() == 2
        assert not page.locator("#inside").is_visible()
        names = [url.removeprefix(address).partition("?")[0] or "index.html" for url in asked]
        small = {name for name in names if not LARGE.search(name) and (folder / name).is_file()}
        assert "page/reading/weights/small.safetensors" in small
        assert sum(len(gzip.compress((folder / name).read_bytes())) for name in small) < MOST_BYTES

        draw(page, [(-90, 80), (90, 80)])  # they touch now
        expect(text).to_have_text("")
        expect(said).to_have_text("Waits for the reader, which is arriving: 0 %")
        page.locator("#undo").click()
        expect(text).to_have_text("41")

        for route in held:
            route.continue_()
        page.unroute(LARGE)
        expect(said).not_to_be_visible()
        page.locator("#inside").wait_for()
        expect(text).to_have_text("41")
        browser.close()


def draw(page: Any, *strokes: list[tuple[int, int]], left: int = 0) -> None:
    """Draw strokes, in pixels from the middle of the sheet and `left` more."""
    sheet = page.locator("#paper").bounding_box()
    x, y = sheet["x"] + sheet["width"] / 2 + left, sheet["y"] + sheet["height"] / 2
    for (first_across, first_down), *path in strokes:
        page.mouse.move(x + first_across, y + first_down)
        page.mouse.down()
        for across, down in path:
            page.mouse.move(x + across, y + down, steps=8)
        page.mouse.up()


@in_browser
def test_it_reads_without_a_network_after_the_browser_was_started_again(
    folder: Path, tmp_path: Path
) -> None:
    from playwright.sync_api import sync_playwright

    def launch() -> Any:
        context = driver.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=CHROMIUM, args=FLAGS
        )
        context.set_default_timeout(PATIENCE)
        return context

    with sync_playwright() as driver:
        with served(folder) as address:
            page = (context := launch()).new_page()
            page.goto(address)
            page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")
            context.close()

        # The server is gone, and the browser was started again.
        page = (context := launch()).new_page()
        page.goto(address)
        page.locator("#picture").set_input_files(ASSETS / "sample.jpg")
        page.wait_for_function(READS, arg="27354")
        context.close()


@in_browser
def test_a_newer_version_is_offered(folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    worker = folder / "sw.js"
    with sync_playwright() as driver, served(folder) as address:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")
        assert page.locator("#update").count() == 0

        before = worker.read_text()
        worker.write_text(re.sub(r'VERSION = "\w+"', 'VERSION = "newer"', before))
        try:
            page.reload()
            page.locator("#update").click()
            page.wait_for_function("async () => (await caches.keys()).join().endsWith('newer')")
        finally:
            worker.write_text(before)
        browser.close()
