"""The draw page as a static site: it reads in the browser, and any file server can serve it.

A folder comes in; the page, its reader in JavaScript (page/reading), the networks and ONNX Runtime
for browsers go out. Constants of the reader are written from the Python modules that define them,
so that the two cannot differ in one.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from inkdigits.core import digits
from inkdigits.core.errors import MissingExtra
from inkdigits.core.files import new_folder, writable_folder, write_whole
from inkdigits.reading import layers, recogniser, signs, symbols, tables, turning
from inkdigits.reading.model_files import DEFAULT_MODEL, WEIGHTS, resolve_model
from inkdigits.reading.page import (
    decoding,
    find,
    lines,
    look,
    maps,
    networks,
    places,
    reader,
    survey,
)
from inkdigits.reading.page import warnings as page_warnings
from inkdigits.reading.preprocessing import fields, noise, picture, repeated, tiny
from inkdigits.service.golden import golden
from inkdigits.service.site_runtime import runtime_files

PAGE = Path(__file__).with_name("page")
SITE = PAGE / "site"  # what only a site has; it lies at its top
READING = Path("page/reading")  # of a site: the reader in JavaScript, with all it needs
LIBRARY = READING / "inkdigits.js"
GOLDEN = Path("golden.json")
SMALL = WEIGHTS / "tiny"  # reads drawings while the reader arrives
SUFFIXES = (".html", ".js", ".css", ".ts", ".svg", ".webmanifest")

POLICY = (  # nothing from elsewhere, and no script but the site's own
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "worker-src 'self'; img-src 'self' data: blob:; connect-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
HEAD = (
    f'<meta charset="utf-8">\n  <meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
    '  <link rel="manifest" href="manifest.webmanifest">'
)

NO_SCRIPT = "This page needs JavaScript."

# The modules whose constants the reader in JavaScript uses, each by its own name.
MODULES: tuple[ModuleType, ...] = (
    *(digits, maps, places, survey, decoding, look, find, lines, page_warnings, reader),
    *(picture, repeated, tiny, noise, fields, signs, symbols, tables, turning, recogniser, layers),
)


def write_site(out: Path, runtime: Path | None = None) -> list[Path]:
    """Write the site into a folder, which is new, empty, or holds a former site.

    Args:
        out: the folder.
        runtime: the packed onnxruntime-web; None lets npm download it.

    Returns:
        The files, relative to the folder, sorted.

    Raises:
        CannotWrite: the folder holds something else, or cannot be written.
        DownloadFailed, BadData: as `runtime_files` does.
    """
    if not (out / LIBRARY).is_file():
        new_folder(out)

    files = site_files(runtime)
    for path, content in files.items():
        writable_folder((out / path).parent)
        write_whole(out / path, content)

    return sorted(files)


def site_files(runtime: Path | None = None) -> dict[Path, bytes]:
    """Return the content of each file of the site by its path."""
    files: dict[Path, bytes] = {}
    for path in sorted(PAGE.rglob("*")):
        if path.suffix in SUFFIXES:
            in_site = path.is_relative_to(SITE)
            name = path.relative_to(SITE) if in_site else Path("page", path.relative_to(PAGE))
            files[name] = path.read_bytes()

    index = files.pop(Path("page/index.html")).decode()
    index = index.replace('<meta charset="utf-8">', HEAD).replace("<body>", "<body data-local>")
    index = index.replace("Drawing needs JavaScript; POST /v1/read does not.", NO_SCRIPT)
    files[Path("index.html")] = index.encode()
    files |= reader_files(runtime)

    files[Path("sw.js")] = _service_worker(files)
    files[GOLDEN] = golden().encode()  # for programmers, who need no service worker
    return files


def reader_files(runtime: Path | None = None) -> dict[Path, bytes]:
    """Return the content of each file that reading in a browser takes, by its path in a site.

    Raises:
        DownloadFailed, BadData: as `runtime_files` does.
    """
    scripts = (PAGE / "reading").rglob("*.js")
    files = {Path("page", path.relative_to(PAGE)): path.read_bytes() for path in scripts}

    weights = READING / "weights"
    for file in (networks.PAGE_FILE, networks.LOOK_FILE):
        files[weights / file] = (networks.FOLDER / file).read_bytes()
    for file, content in runtime_files(runtime).items():
        files[READING / "runtime" / file] = content

    # What a page has to wait for: scripts are small, and the rest is loaded when it is needed.
    large = [content for path, content in files.items() if path.suffix in (".onnx", ".wasm")]
    arriving = _exported("arriving", {"BYTES": sum(map(len, large))})
    files[READING / "constants.js"] = f"{constants_module()}\n{arriving}\n".encode()
    files[weights / "default.onnx"] = _classifier()[1]
    files[weights / "small.safetensors"] = (SMALL / "model.safetensors").read_bytes()
    return files


def constants_module() -> str:
    """Return the JavaScript module that exports the constants of each Python module by its name."""
    written = ["// Written by `inkdigits web` from the modules in inkdigits that have these names."]
    for module in MODULES:
        name = module.__name__.rpartition(".")[2]
        values = _constants(module)
        if module is recogniser:
            values["threshold"] = recogniser.cached_recogniser(DEFAULT_MODEL).threshold
        if module is layers:
            values["names"] = _classifier()[0]
        written.append(_exported(name, values))

    written.append(_exported("small", _small_constants()))
    return "\n\n".join(written) + "\n"


def _exported(name: str, values: Mapping[str, Any]) -> str:
    return f"export const {name} = {json.dumps(values)};"


def _small_constants() -> dict[str, float]:
    """Return what the small classifier does with pixels before its network, and with logits."""
    config = json.loads((SMALL / "config.json").read_bytes())
    preprocessing = config["preprocessing"]
    return {
        "MEAN": preprocessing["mean"],
        "SD": preprocessing["sd"],
        "TEMPERATURE": config["temperature"],
    }


def _classifier() -> tuple[list[str], bytes]:
    """Return the names of the digit classifier's layers, and the model with these as outputs.

    Without the package onnx there are none.
    """
    plain = resolve_model(DEFAULT_MODEL).read_bytes()
    try:
        return layers.with_layers(plain)
    except MissingExtra:
        return [], plain


def _constants(module: ModuleType) -> dict[str, Any]:
    """Return a module's constants that JSON can hold; a table becomes pairs, in its order."""
    found: dict[str, Any] = {}
    for name, value in vars(module).items():
        plain = value.tolist() if isinstance(value, np.ndarray) else value
        plain = list(value.items()) if isinstance(value, Mapping) else plain
        if name.isupper() and _is_plain(plain):
            found[name] = plain

    return found


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))

    return isinstance(value, int | float | str)


def _service_worker(files: Mapping[Path, bytes]) -> bytes:
    """Return the service worker, which knows the site's files and the version that they make."""
    whole = hashlib.sha256()
    for path, content in sorted(files.items()):
        whole.update(f"{path.as_posix()}\n{len(content)}\n".encode() + content)

    names = ["./", *(path.as_posix() for path in sorted(files) if path.name != "sw.js")]
    head = (
        f"const VERSION = {json.dumps(whole.hexdigest()[:12])};\n"
        f"const FILES = {json.dumps(names)};\n\n"
    )
    return head.encode() + files[Path("sw.js")]
