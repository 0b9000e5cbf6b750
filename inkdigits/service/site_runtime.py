"""ONNX Runtime's WebAssembly build, which reads in browsers: it comes from npm, at one version.

A packed npm package, or none, comes in; the three files of it that a site needs go out. The package
is compared with the SHA-512 that npm published for this version.
"""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from inkdigits.core.errors import BadData, DownloadFailed
from inkdigits.core.files import read_small

# Of 1.20 to 1.30 it is the newest with which a whole site takes less than 5 MB, packed by brotli:
# its program takes 1.97 MB so, that of 1.30.0 2.36 MB. Both read equally fast.
VERSION = "1.23.2"
PACKAGE = f"onnxruntime-web@{VERSION}"
SHA512 = (  # as `npm view onnxruntime-web@1.23.2 dist.integrity` prints it, in base64
    "T09JUtMn+CZLk3mFwqiH0lgQf+4S7+oYHHtk6uhaYAAJI95bTcKi5bOOZYwORXfS/RLZCjDDEXGWIuOCAFlEjg=="
)
MAX_PACKAGE = 64 << 20  # bytes; the package has 26 million

# The entry without WebGPU, which also does without `eval`.
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def runtime_files(package: Path | None = None) -> dict[str, bytes]:
    """Return the files of ONNX Runtime for browsers by their names.

    Args:
        package: what `npm pack` wrote for PACKAGE; None lets npm download it from the registry that
            npm is set up for.

    Raises:
        DownloadFailed: npm is missing, or did not deliver.
        BadData: the package is missing, or is not the published one.
    """
    if package:
        return _unpacked(package)

    with tempfile.TemporaryDirectory(prefix="inkdigits-") as folder:
        return _unpacked(_packed_by_npm(Path(folder)))


def _packed_by_npm(folder: Path) -> Path:
    """Let npm download PACKAGE into a folder; return the file."""
    npm = shutil.which("npm")
    if npm is None:
        raise DownloadFailed(
            f"npm, which brings {PACKAGE}, is not installed; give the file that "
            f"`npm pack {PACKAGE}` writes elsewhere as --runtime FILE"
        )

    command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 # fixed words
    packages = list(folder.glob("*.tgz"))
    if done.returncode or not packages:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise DownloadFailed(f"npm did not deliver {PACKAGE}: {said[0]}")

    return packages[0]


def _unpacked(package: Path) -> dict[str, bytes]:
    """Return the files of a packed package, once its hash was checked."""
    try:
        content = read_small(package, MAX_PACKAGE)
    except OSError as error:
        raise BadData(f"{str(package)!r} cannot be read: {error.strerror or error}") from error

    hashed = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if hashed != SHA512:
        raise BadData(
            f"{str(package)!r} is not {PACKAGE} as npm published it: its SHA-512 is {hashed}"
        )

    with tarfile.open(package) as archive:
        return {name: _member(archive, f"package/dist/{name}") for name in FILES}


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None, "the hash says what is in it"
    return file.read()
