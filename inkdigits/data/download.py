"""One file from one of several mirrors: whole, checked and under its final name, or not at all.

Addresses, a destination and a SHA-256 come in. The bytes go to a temporary file beside the
destination, are compared with the hash, and only then get their name. However many threads and
processes ask for a file at once, one of them downloads it and the others wait. Where it fails,
nothing is left behind.
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
from typing import IO, Any

from inkdigits import __version__
from inkdigits.core import unpacking
from inkdigits.core.errors import BadData, DownloadFailed
from inkdigits.core.files import file_lock, remove_file, report_write_errors
from inkdigits.core.progress import ProgressCallback

TIMEOUT = 30.0  # seconds without a byte after which a mirror is given up
SLOWEST = 5_000  # bytes a second on average; a slower mirror is given up, as it may drip for ever
DOWNLOAD_CHUNK = 1 << 18  # bytes
CHUNKS_AHEAD = 4  # chunks that wait to be written
LONGEST_REASON = 200  # characters

Chunk = tuple[bytes, int | None]  # bytes, and how many the mirror announced of all of them
Trusts = Callable[[str], bool]


class _MirrorError(Exception):
    """The reason why one mirror did not deliver; the next one is tried."""


def is_https(url: str) -> bool:
    """Tell whether what comes from this address cannot be changed on the way."""
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
    """Download a file from the first mirror that delivers it; if it is there, no mirror is asked.

    Args:
        urls: the file's addresses on the mirrors.
        path: its destination.
        sha256: its hash.
        of_unpacked: the hash is that of the unpacked bytes, as mirrors pack differently.
        limit: the most bytes that it may have, packed or not.
        progress: called with the bytes that have arrived and the bytes expected.
        timeout: seconds without a byte. All that a mirror gets is twice that, and a second for each
            SLOWEST bytes that it has sent.
        trusts: tells which addresses may be asked, redirections included.

    Returns:
        The destination.

    Raises:
        DownloadFailed: no mirror delivered it; the error says of each one why.
        CannotWrite: the destination cannot be written.
        MissingExtra: filelock is not installed.
    """
    with file_lock(path):
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

                    with report_write_errors(path):
                        return temporary.replace(path)
                except _MirrorError as reason:
                    failures.append(f"{url} {_in_a_line(reason)}")

        reasons = "; ".join(failures or ["there is none"])
        raise DownloadFailed(
            f"no mirror delivered {path.name}: {reasons}; "
            f"try again later, or put it into {path.parent} yourself"
        )


def _in_a_line(reason: object) -> str:
    """Return the words of a server without what a terminal cannot print, on one line."""
    printable = "".join(letter if letter.isprintable() else " " for letter in str(reason))
    return " ".join(printable.split())[:LONGEST_REASON]


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Yield a name for a temporary file in the same folder; at the end, the file is deleted.

    From there, renaming is one step. The name is always the same, so that the remains of a killed
    process are deleted, too: only one process at a time may have it.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        remove_file(temporary)
        yield temporary
    finally:
        remove_file(temporary)


def _has_hash(path: Path, sha256: str, of_unpacked: bool, limit: int) -> bool:
    """Tell whether a file has this hash. One that is damaged, too large or unreadable has not."""
    try:
        return unpacking.sha256(path, unpack=of_unpacked, limit=limit) == sha256
    except (BadData, OSError):
        return False


def _write(
    chunks: Iterator[Chunk], temporary: Path, path: Path, progress: ProgressCallback | None
) -> None:
    """Write the chunks to a temporary file and sync it to the disk."""
    with report_write_errors(path), temporary.open("xb") as file:
        for chunk, total in chunks:
            file.write(chunk)
            if progress:
                progress(f"downloading {path.name}", file.tell(), total)
        file.flush()
        os.fsync(file.fileno())


# ---- what a mirror sends


def _in_time(chunks: Iterator[Chunk], timeout: float) -> Generator[Chunk, None, None]:
    """Yield the same chunks, as long as they do not come too slowly.

    A thread of its own waits for them: a server may also drip its head, byte after byte, each of
    them within the timeout. What that thread raises is raised here.
    """
    arrived: Queue[Chunk | BaseException | None] = Queue(CHUNKS_AHEAD)
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


def _chunks(url: str, limit: int, timeout: float, trusts: Trusts) -> Iterator[Chunk]:
    """Yield a mirror's bytes as they arrive, with the length that it announced.

    Raises:
        _MirrorError: for every problem.
    """
    if not trusts(url):
        raise _MirrorError("is not https")

    try:
        with opener(trusts).open(url, timeout=timeout) as response:
            yield from _received(response, limit)
    except urllib.error.HTTPError as problem:
        problem.close()
        raise _MirrorError(f"answered {problem.code} {problem.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as problem:
        reason = getattr(problem, "reason", problem)
        words = getattr(reason, "strerror", None) or reason  # without its number
        raise _MirrorError(f"failed: {words or type(reason).__name__}") from None


def opener(trusts: Trusts) -> urllib.request.OpenerDirector:
    """Return an opener of addresses that follows redirections to trusted ones only."""
    director = urllib.request.build_opener(_Redirections(trusts))
    director.addheaders = [("User-Agent", f"inkdigits/{__version__}")]
    return director


class _Redirections(urllib.request.HTTPRedirectHandler):
    """Redirections to addresses that are trusted, as the first one is."""

    def __init__(self, trusts: Trusts) -> None:
        self.trusts = trusts

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not self.trusts(newurl):
            raise _MirrorError(f"redirected to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(self, req: Any, fp: IO[bytes], code: Any, msg: Any, headers: Any) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except Exception:
            fp.close()  # urllib leaves it open
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _received(response: http.client.HTTPResponse, limit: int) -> Iterator[Chunk]:
    """Yield the body of a response, and refuse one that is too long or too short."""
    announced = response.headers.get("Content-Length") or ""
    total = int(announced) if announced.isdecimal() else None
    if total and total > limit:
        raise _MirrorError(f"announced {total:,} bytes, more than the {limit:,} expected at most")

    received = 0
    # Not `read`, which would wait for the whole chunk however slowly it drips.
    while chunk := response.read1(DOWNLOAD_CHUNK):
        received += len(chunk)
        if received > limit:
            raise _MirrorError(f"sent more than the {limit:,} bytes expected at most")
        yield chunk, total

    if total is not None and received < total:
        raise _MirrorError(f"stopped after {received:,} of {total:,} bytes")
