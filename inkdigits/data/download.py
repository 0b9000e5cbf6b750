"""One file from one of several mirrors: whole, checked and under its final name, or not at all.

Takes https addresses, a destination and a SHA-256. Knows nothing of datasets. The bytes go to a
temporary file beside the destination, are compared with the hash, and only then get their name.
However many threads and processes ask for a file at once, one of them downloads it and the others
wait. Where it fails, nothing is left behind.
"""

import http.client
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from queue import Empty, Full, Queue
from typing import IO

from inkdigits import __version__
from inkdigits.core import unpacking
from inkdigits.core.errors import BadData, DownloadFailed
from inkdigits.core.files import alone, writing
from inkdigits.core.progress import ProgressCallback

TIMEOUT = 30.0  # seconds without a byte after which a mirror is given up
# bytes a second on average, below which it is given up as well: a server may drip for ever
SLOWEST = 5_000
CHUNK = 1 << 18  # bytes
AHEAD = 4  # chunks that wait to be written
LONGEST_REASON = 200  # characters

Chunk = tuple[bytes, int | None]  # bytes, and how many the mirror announced of all of them
Trusts = Callable[[str], bool]


class _MirrorError(Exception):
    """Why one mirror did not deliver; the next one is tried."""


def is_https(url: str) -> bool:
    """Whether nobody can have changed on the way what comes from this address."""
    return url.lower().startswith("https://")


def fetch(
    urls: Sequence[str],
    path: Path,
    *,
    sha256: str,
    of_unpacked: bool,
    limit: int,
    progress: ProgressCallback | None = None,
    timeout: float = TIMEOUT,
    trusts: Trusts = is_https,
) -> Path:
    """Bring the file with this SHA-256 to `path`, from the first of `urls` that delivers it; if it
    is there, ask nobody.

    of_unpacked: the hash is that of the unpacked bytes, as mirrors pack differently; else that of
        the file itself.
    limit: bytes at most, packed or not. timeout: seconds without a byte; twice that, and a second
        for each SLOWEST bytes that it has sent, is all that a mirror gets.
    trusts: which addresses may be asked, redirections included. Raises DownloadFailed, which says
    of each mirror why; CannotWrite; MissingExtra where filelock is not installed.
    """
    with alone(path):
        if path.is_file() and _has_hash(path, sha256, of_unpacked, limit):
            return path

        failures = []
        for url in urls:
            with temporary_beside(path) as temporary:
                try:
                    with closing(_in_time(_chunks(url, limit, timeout, trusts), timeout)) as chunks:
                        _write(chunks, temporary, path, progress)

                    if not _has_hash(temporary, sha256, of_unpacked, limit):
                        raise _MirrorError(
                            "sent something else, its SHA-256 is not the published one"
                        )

                    with writing(path):
                        return temporary.replace(path)
                except _MirrorError as reason:
                    failures.append(f"{url} {_in_a_line(reason)}")

        reasons = "; ".join(failures or ["there is none"])
        raise DownloadFailed(
            f"no mirror delivered {path.name}: {reasons}; try again later, or put it into {path.parent} yourself"
        )


def _in_a_line(reason: object) -> str:
    """Of what a server says, only what a terminal can bear."""
    printable = "".join(letter if letter.isprintable() else " " for letter in str(reason))
    return " ".join(printable.split())[:LONGEST_REASON]


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A name for a file in the same folder, from where renaming is one step; what lies there
    afterwards is deleted.

    Always the same one, so that what a killed process has left there is deleted too: to be had by
        one at a time.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.unlink(missing_ok=True)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _has_hash(path: Path, sha256: str, of_unpacked: bool, limit: int) -> bool:
    try:
        return unpacking.sha256(path, unpack=of_unpacked, limit=limit) == sha256
    except (
        BadData,
        OSError,
    ):  # it starts like gzip, but is not, or it is a bomb; or it cannot be read at all
        return False


def _in_time(chunks: Iterator[Chunk], timeout: float) -> Generator[Chunk, None, None]:
    """The same chunks, as long as they do not come too slowly. Raises what their iterator raises,
    and _MirrorError.

    A thread of its own waits for them: a server may also drip its head, byte after byte, each of
        them within the timeout.
    """
    arrived: Queue[Chunk | BaseException | None] = Queue(AHEAD)
    given_up = threading.Event()

    def put(item: Chunk | BaseException | None) -> None:
        while not given_up.is_set():
            with suppress(Full):
                arrived.put(item, timeout=0.1)
                return

    def bring() -> None:
        try:
            for chunk in chunks:
                put(chunk)
                if given_up.is_set():
                    return
            put(None)
        except BaseException as problem:
            put(problem)

    threading.Thread(target=bring, daemon=True).start()
    latest = time.monotonic() + 2 * timeout
    try:
        while item := arrived.get(timeout=max(0.0, latest - time.monotonic())):
            if isinstance(item, BaseException):
                raise item
            latest += len(item[0]) / SLOWEST
            yield item
    except Empty:
        raise _MirrorError(f"sent less than {SLOWEST:,} bytes a second") from None
    finally:
        given_up.set()


def _write(
    chunks: Iterator[Chunk], temporary: Path, path: Path, progress: ProgressCallback | None
) -> None:
    with writing(path), temporary.open("xb") as file:
        for chunk, total in chunks:
            file.write(chunk)
            if progress:
                progress(f"downloading {path.name}", file.tell(), total)
        file.flush()
        os.fsync(file.fileno())


def _chunks(url: str, limit: int, timeout: float, trusts: Trusts) -> Iterator[Chunk]:
    """What the mirror sends, piece by piece, each with the length that it announced. Raises nothing
    but _MirrorError.
    """
    if not trusts(url):
        raise _MirrorError("is not https")

    try:
        with _opener(trusts).open(_request(url), timeout=timeout) as response:
            total = response.headers.get("Content-Length")
            total = int(total) if total and total.isdecimal() else None
            if total and total > limit:
                raise _MirrorError(
                    f"announced {total:,} bytes, more than the {limit:,} expected at most"
                )

            yield from ((chunk, total) for chunk in _received(response, total, limit))
    except urllib.error.HTTPError as problem:
        problem.close()
        raise _MirrorError(f"answered {problem.code} {problem.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as problem:
        reason = getattr(problem, "reason", problem)
        words = getattr(reason, "strerror", None) or reason  # without its number
        raise _MirrorError(f"failed: {words or type(reason).__name__}") from None


def _request(url: str) -> urllib.request.Request:
    return urllib.request.Request(url, headers={"User-Agent": f"inkdigits/{__version__}"})  # noqa: S310 (trusts has seen it)


def _opener(trusts: Trusts) -> urllib.request.OpenerDirector:
    class Redirections(urllib.request.HTTPRedirectHandler):
        def redirect_request(
            self,
            req: urllib.request.Request,
            fp: IO[bytes],
            code: int,
            msg: str,
            headers: http.client.HTTPMessage,
            newurl: str,
        ) -> urllib.request.Request | None:
            if not trusts(newurl):
                raise _MirrorError(f"redirected to {newurl}, which is not https")
            return super().redirect_request(req, fp, code, msg, headers, newurl)

        def http_error_302(
            self,
            req: urllib.request.Request,
            fp: IO[bytes],
            code: int,
            msg: str,
            headers: http.client.HTTPMessage,
        ) -> IO[bytes] | None:
            try:
                return super().http_error_302(req, fp, code, msg, headers)
            except Exception:
                fp.close()  # which nobody else does
                raise

        http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    return urllib.request.build_opener(Redirections)


def _received(response: http.client.HTTPResponse, total: int | None, limit: int) -> Iterator[bytes]:
    received = 0
    while chunk := response.read1(
        CHUNK
    ):  # not read, which would wait for the whole chunk however slowly it drips
        received += len(chunk)
        if received > limit:
            raise _MirrorError(f"sent more than the {limit:,} bytes expected at most")
        yield chunk

    if total is not None and received < total:
        raise _MirrorError(f"stopped after {received:,} of {total:,} bytes")
