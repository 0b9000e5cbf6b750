"""Does a download survive everything? Mirrors with every fault, kills, damaged files and a crowd, on this machine only.

    python -m benchmarks.soak.downloads                                # about ten minutes
    python -m benchmarks.soak.downloads mirrors crowd --quick          # some of it, in short
    python -m benchmarks.soak.downloads --write docs/reliability.md    # what came out, between markers

Each check runs twice: against the program as it is, where it must pass, and in short with a fault planted, where it must fail.
Exit status 1 where either is not so. The mirrors are a process of their own, and so is whoever downloads.
"""

import bz2
import contextlib
import ctypes
import gzip
import hashlib
import json
import mmap
import os
import shutil
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.soak.frame import WHOLE, Checks, Fault, Found, child, ending, put, soak
from benchmarks.soak.mirrors import CONTENT, FAULTS, GOOD, LIMIT, PACKED, RIGHT, serving
from inkdigits.core.errors import DownloadFailed
from inkdigits.core.progress import ProgressCallback
from inkdigits.data import download

SEED = 0
TIMEOUT = 1.0  # seconds without a byte; a mirror may take twice as long
SLACK = 3.0  # seconds more, on a busy machine
AT_ONCE = 16  # downloads in threads, and processes in a crowd
REFUSED = "http://127.0.0.1:9/"  # nobody listens there
ALL_FAULTS = (*FAULTS, REFUSED)


def trusted(url: str) -> bool:
    """In the place of https: this machine by its number, not by its name."""
    return url.startswith("http://127.0.0.1:")


def bring(
    address: str,
    mirrors: Sequence[str],
    path: Path,
    packed: bool = False,
    progress: ProgressCallback | None = None,
) -> None:
    """Fetch CONTENT from the mirrors with these names. packed: by the hash of the packed file."""
    download.fetch(
        [mirror if mirror == REFUSED else address + mirror for mirror in mirrors],
        path,
        sha256=hashlib.sha256(PACKED).hexdigest() if packed else RIGHT,
        of_unpacked=not packed,
        limit=LIMIT,
        progress=progress,
        timeout=TIMEOUT,
        trusts=trusted,
    )


def is_right(path: Path) -> bool:
    """Whether it is CONTENT, packed or not, by other means than ours."""
    content = path.read_bytes()
    try:
        return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content) == CONTENT
    except (OSError, EOFError):
        return False


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The address of mirrors in a process of their own, so that this one has no threads when it forks."""
    reading, writing = os.pipe()

    def serve() -> None:
        with serving() as address:
            os.write(writing, address.encode())
            threading.Event().wait()

    number = child(serve)
    try:
        yield os.read(reading, 100).decode()
    finally:
        os.kill(number, signal.SIGKILL)
        ending(number)
        os.close(reading)
        os.close(writing)


def asked(address: str) -> dict[str, int]:
    """How often each mirror has been."""
    with urllib.request.urlopen(address + "asked") as answer:
        return json.load(answer)


class Tally(ctypes.Structure):
    """What came of the downloads: shared with the child that counts."""

    _fields_ = tuple(
        (name, ctypes.c_int64) for name in ("done", "accepted", "missed", "untyped", "left", "late")
    )

    @classmethod
    def shared(cls) -> "Tally":
        """All zeros."""
        return cls.from_buffer(mmap.mmap(-1, ctypes.sizeof(cls)))


# ---- the checks


def mixes(n: int) -> list[list[str]]:
    """Each fault alone, each before a good mirror, and n times up to four with a good one somewhere."""
    chance = Random(SEED)
    lists = [[fault] for fault in ALL_FAULTS] + [[fault, "good"] for fault in ALL_FAULTS]
    for _ in range(n):
        names = chance.sample(ALL_FAULTS, chance.randint(1, 4))
        names.insert(chance.randrange(len(names) + 1), chance.choice(GOOD))
        lists.append(names)
    return lists


def mirrors(n: int, folder: Path, plant: Fault) -> Found:
    """Each fault of a mirror as the only one, before a good one, and in random lists with one good mirror."""
    tally, lock, failures = Tally.shared(), threading.Lock(), folder / "failures"
    failures.touch()

    def judged(address: str, number: int, names: list[str]) -> None:
        place, begun = folder / str(number) / "file.gz", time.monotonic()
        good = not set(GOOD).isdisjoint(names)
        found = {"done": True}
        try:
            bring(address, names, place)
        except DownloadFailed:
            found["missed"] = good
        except Exception:
            found["untyped"] = True
        found["late"] = time.monotonic() - begun > 2 * TIMEOUT * len(names) + SLACK
        found["accepted"] = place.exists() and not (good and is_right(place))
        found["left"] = [path.name for path in place.parent.iterdir()] not in ([], ["file.gz"])
        shutil.rmtree(place.parent)
        with lock:
            for name, value in found.items():
                setattr(tally, name, getattr(tally, name) + value)
            if sum(found.values()) > 1:
                with failures.open("a") as file:
                    file.write(
                        f"{', '.join(names)}: {', '.join(name for name in found if found[name])}\n"
                    )

    def work() -> None:
        plant()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(partial(judged, address), range(len(lists)), lists))

    lists = mixes(n)
    with server() as address:
        status = ending(child(work))
        strangers = asked(address).get("untrusted", 0)
    figures = (
        f"{tally.accepted} bad files accepted, {tally.missed} times a good mirror was left and not used, {strangers} requests to "
        f"strangers, {tally.left} times something left behind, {tally.late} later than allowed, {tally.untyped} other errors"
    )
    bad = tally.accepted + tally.missed + strangers + tally.left + tally.late + tally.untyped
    passed = status == WHOLE and tally.done == len(lists) and not bad
    return Found(
        passed,
        f"{tally.done:,} downloads, {len(ALL_FAULTS)} faults",
        figures,
        tuple(failures.read_text().splitlines()),
    )


def kills(n: int, folder: Path, plant: Fault) -> Found:
    """Killed (-9) at a random moment of a download that takes a quarter of a second, and asked for again."""
    chance, path = Random(SEED), folder / "data" / "file.gz"
    killed = bad = unhealed = left = 0

    def work() -> None:
        plant()
        bring(address, ["steady"], path)

    with server() as address:
        while killed < n:
            number = child(work)
            time.sleep(chance.uniform(0, 0.4))
            os.kill(number, signal.SIGKILL)
            if ending(number) == -signal.SIGKILL:
                killed += 1
                bad += path.exists() and not is_right(path)
                unhealed += ending(child(work)) != WHOLE or not is_right(path)
                left += [each.name for each in path.parent.iterdir()] != ["file.gz"]
            shutil.rmtree(path.parent, ignore_errors=True)
    figures = f"{bad} bad files under the right name, {unhealed} caches that did not heal, {left} times something left behind"
    return Found(bad == unhealed == left == 0, f"{killed} kills", figures)


def damaged_contents(chance: Random) -> Iterator[bytes]:
    """What may have become of a file that was right."""
    place = chance.randrange(len(PACKED))
    yield PACKED[:place]
    yield bytes((*PACKED[:place], PACKED[place] ^ 1 << chance.randrange(8), *PACKED[place + 1 :]))
    yield PACKED + chance.randbytes(20)
    yield PACKED[:place] + bytes(len(PACKED) - place)
    yield from (
        b"",
        bytes(len(PACKED)),
        b"<html>",
        gzip.compress(CONTENT[:-1]),
        PACKED[:2],
        bz2.compress(CONTENT)[:-30],
    )
    yield from (
        CONTENT[:-1],
        gzip.compress(bytes(10 * LIMIT)),
        chance.randbytes(1000),
        b"BZh9" + chance.randbytes(99),
    )


def links(path: Path) -> None:
    """To nowhere."""
    path.symlink_to("nowhere")


def circle(path: Path) -> None:
    """A link to itself."""
    path.symlink_to(path.name)


def fifo(path: Path) -> None:
    """What would keep its reader waiting."""
    os.mkfifo(path)


def damage(n: int, folder: Path, plant: Fault) -> Found:
    """A cached file cut, changed, zeroed, emptied, or exchanged for a bomb, a broken link or a pipe; and asked for again."""
    chance, tally = Random(SEED), Tally.shared()

    def work() -> None:
        plant()
        while tally.done < n:
            hurts: list[Callable[[Path], object]] = [
                partial(Path.write_bytes, data=each) for each in damaged_contents(chance)
            ]
            for hurt in (*hurts, links, circle, fifo):
                path, packed = folder / str(tally.done) / "file.gz", chance.random() < 0.5
                path.parent.mkdir()
                hurt(path)
                tally.done += 1
                bring(address, ["good"], path, packed)
                tally.accepted += not is_right(path)
                tally.left += [each.name for each in path.parent.iterdir()] != ["file.gz"]
                shutil.rmtree(path.parent)

    with server() as address:
        status = ending(child(work))
    figures = f"{tally.accepted} not healed, {tally.left} times something left behind"
    return Found(
        status == WHOLE and tally.accepted == tally.left == 0, f"{tally.done:,} files", figures
    )


def told(path: Path, processes: list[int]) -> int:
    """Which of them has written its number into this file, as soon as one has."""
    end = time.monotonic() + 60
    while (text := path.read_text() if path.is_file() else "") not in map(str, processes):
        assert time.monotonic() < end, "nobody downloads"
        time.sleep(0.001)
    return int(text)


def crowd(n: int, folder: Path, plant: Fault) -> Found:
    """Sixteen processes that ask for the same file at once; every other time the one that downloads is killed (-9)."""
    more = wrong = left = killed = 0

    def work(path: Path, downloading: Path) -> None:
        def tell(*_: object) -> None:
            downloading.write_text(str(os.getpid()))

        plant()
        bring(address, ["steady"], path, progress=tell)
        assert is_right(path)

    with server() as address:
        for number in range(n):
            path, downloading = folder / str(number) / "file.gz", folder / f"{number}.pid"
            before = asked(address).get("steady", 0)
            processes = [child(partial(work, path, downloading)) for _ in range(AT_ONCE)]
            if number % 2:
                os.kill(told(downloading, processes), signal.SIGKILL)
            statuses = [ending(process) for process in processes]
            died = statuses.count(-signal.SIGKILL)
            killed += died
            wrong += AT_ONCE - died - statuses.count(WHOLE)
            more += max(0, asked(address)["steady"] - before - 1 - died)
            left += [each.name for each in path.parent.iterdir()] != ["file.gz"]
            shutil.rmtree(path.parent)
    figures = f"{more} downloads more than needed, {wrong} processes without the right file, {left} times something left behind"
    return Found(more == wrong == left == 0, f"{n} crowds, {killed} kills", figures)


# ---- what is planted


def unchecked_hash() -> None:
    """The SHA-256 is not compared."""
    put(download, "_has_hash", lambda path, *_: path.stat().st_size > 0)


def first_mirror_only() -> None:
    """Only the first mirror is asked."""
    fetch = download.fetch
    put(
        download,
        "fetch",
        lambda urls, *arguments, **options: fetch(urls[:1], *arguments, **options),
    )


def patient() -> None:
    """A mirror may take for ever, as long as a byte comes within the timeout."""
    put(download, "_in_time", lambda chunks, _: chunks)


def trusting() -> None:
    """Redirections lead anywhere."""
    put(download, "_opener", lambda _: urllib.request.build_opener())


def no_temporary_file() -> None:
    """What arrives is written under its final name."""

    @contextlib.contextmanager
    def itself(path: Path) -> Iterator[Path]:
        path.unlink(missing_ok=True)
        yield path

    put(download, "temporary_beside", itself)


def other_names() -> None:
    """Temporary files are called otherwise each time, and nobody looks for old ones."""
    beside = download.temporary_beside
    put(
        download,
        "temporary_beside",
        lambda path: beside(path.with_name(f"{os.getpid()}-{path.name}")),
    )


def no_lock() -> None:
    """Nobody waits for anybody."""

    @contextlib.contextmanager
    def together(path: Path) -> Iterator[bool]:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield True

    put(download, "alone", together)


CHECKS: Checks = {
    mirrors: (2_000, 0, (unchecked_hash, first_mirror_only, patient, trusting)),
    kills: (300, 20, (no_temporary_file, other_names)),
    damage: (2_000, 34, (unchecked_hash,)),
    crowd: (100, 2, (no_lock,)),
}
TOLD = (
    f"Faults: {', '.join(FAULTS).replace('_', ' ')}, nobody listening. A mirror may be silent for {TIMEOUT:.0f} s and take twice "
    f"as long, here; {SLACK:.0f} s more are allowed on a busy machine."
)

if __name__ == "__main__":
    sys.exit(soak(CHECKS, description=__doc__, title="Downloads", told=TOLD))
