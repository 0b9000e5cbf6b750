"""Does a download survive everything? Mirrors with every fault, kills, damaged files and a crowd.

    python -m benchmarks.soak.downloads                                # about ten minutes
    python -m benchmarks.soak.downloads mirrors crowd --quick          # some checks, in short
    python -m benchmarks.soak.downloads --write docs/reliability.md    # between markers

Each check runs twice: against the program as it is, where it must pass, and in short with a fault
planted, where it must fail. Exit status 1 where either is not so. Everything stays on this machine;
the mirrors are a process of their own, and so is each that downloads.
"""

import bz2
import contextlib
import ctypes
import gzip
import hashlib
import json
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

from benchmarks.soak.frame import (
    WHOLE,
    Check,
    Outcome,
    Suite,
    Trial,
    child,
    ending,
    main,
    outcome_of,
    put,
    shared,
)
from benchmarks.soak.mirrors import CONTENT, FAULTS, GOOD, LIMIT, PACKED, RIGHT, serving
from inkdigits.core.errors import DownloadFailed
from inkdigits.core.progress import ProgressCallback
from inkdigits.data import download

SEED = 0
TIMEOUT = 1.0  # seconds without a byte; a mirror may take twice as long
SLACK = 3.0  # seconds more, on a busy machine
AT_ONCE = 16  # downloads in threads, and processes in a crowd
REFUSED = "http://127.0.0.1:9/"  # no server listens there
ALL_FAULTS = (*FAULTS, REFUSED)
KILLED = -signal.SIGKILL


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
        trusts=lambda url: url.startswith("http://127.0.0.1:"),  # by its number, not by its name
    )


def is_right(path: Path) -> bool:
    """Tell whether a file is CONTENT, packed or not, by other means than ours."""
    content = path.read_bytes()
    try:
        return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content) == CONTENT
    except (OSError, EOFError):
        return False


def is_alone(path: Path) -> bool:
    """Tell whether a file is the only one in its folder."""
    return list(path.parent.iterdir()) == [path]


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Start mirrors in a process of their own, so that this one has no threads when it forks.

    Yields:
        Their address.
    """
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


def asked(address: str, mirror: str) -> int:
    """Return how often a mirror has been asked."""
    with urllib.request.urlopen(address + "asked") as answer:
        return int(json.load(answer).get(mirror, 0))


class Tally(ctypes.Structure):
    """What came of the downloads: shared with the child that counts."""

    _fields_ = tuple(
        (name, ctypes.c_int64) for name in ("done", "accepted", "missed", "untyped", "left", "late")
    )


# ---- the checks


def mixes(n: int) -> list[list[str]]:
    """List each fault alone, each before a good mirror, and n times up to four with a good one."""
    chance = Random(SEED)
    lists = [[fault] for fault in ALL_FAULTS] + [[fault, "good"] for fault in ALL_FAULTS]
    for _ in range(n):
        names = chance.sample(ALL_FAULTS, chance.randint(1, 4))
        names.insert(chance.randrange(len(names) + 1), chance.choice(GOOD))
        lists.append(names)

    return lists


def mirrors(trial: Trial) -> Outcome:
    """Ask each faulty mirror alone, before a good one, and in random lists with one good mirror."""
    lists = mixes(trial.choose(2_000, 0))
    tally = shared(Tally)
    lock = threading.Lock()
    complaints = trial.folder / "complaints"
    complaints.touch()

    def judge(address: str, number: int, names: list[str]) -> None:
        path = trial.folder / str(number) / "file.gz"
        begun = time.monotonic()
        good = not set(GOOD).isdisjoint(names)
        found = {"done": True}
        try:
            bring(address, names, path)
        except DownloadFailed:
            found["missed"] = good
        except Exception:
            found["untyped"] = True

        found["late"] = time.monotonic() - begun > 2 * TIMEOUT * len(names) + SLACK
        found["accepted"] = path.exists() and not (good and is_right(path))
        found["left"] = bool(set(path.parent.iterdir()) - {path})
        shutil.rmtree(path.parent)
        with lock:
            for name, value in found.items():
                setattr(tally, name, getattr(tally, name) + value)

            if sum(found.values()) > 1:
                what = ", ".join(name for name in found if found[name])
                with complaints.open("a") as file:
                    file.write(f"{', '.join(names)}: {what}\n")

    def work() -> None:
        trial.plant()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(partial(judge, address), range(len(lists)), lists))

    with server() as address:
        status = ending(child(work))
        strangers = asked(address, "untrusted")

    faults = {
        "bad files accepted": tally.accepted,
        "times a good mirror was left and not used": tally.missed,
        "requests to strangers": strangers,
        "times something left behind": tally.left,
        "later than allowed": tally.late,
        "other errors": tally.untyped,
    }
    failures = complaints.read_text().splitlines()
    if status != WHOLE or tally.done != len(lists):
        failures.append(f"{tally.done} of {len(lists)} downloads, exit status {status}")

    n = f"{tally.done:,} downloads, {len(ALL_FAULTS)} faults"
    return outcome_of(n, faults, failures=failures)


def kills(trial: Trial) -> Outcome:
    """Kill a download of a quarter of a second (-9) at a random moment, and ask again."""
    n = trial.choose(300, 20)
    chance = Random(SEED)
    path = trial.folder / "data" / "file.gz"
    killed = bad = unhealed = left = 0

    def work() -> None:
        trial.plant()
        bring(address, ["steady"], path)

    with server() as address:
        while killed < n:
            number = child(work)
            time.sleep(chance.uniform(0, 0.4))
            os.kill(number, signal.SIGKILL)
            if ending(number) == KILLED:
                killed += 1
                bad += path.exists() and not is_right(path)
                unhealed += ending(child(work)) != WHOLE or not is_right(path)
                left += not is_alone(path)

            shutil.rmtree(path.parent, ignore_errors=True)

    faults = {
        "bad files under the right name": bad,
        "caches that did not heal": unhealed,
        "times something left behind": left,
    }
    return outcome_of(f"{killed} kills", faults)


def damaged_contents(chance: Random) -> list[bytes]:
    """Return what may have become of a file that was right."""
    place = chance.randrange(len(PACKED))
    flipped = bytearray(PACKED)
    flipped[place] ^= 1 << chance.randrange(8)
    return [
        PACKED[:place],
        bytes(flipped),
        PACKED + chance.randbytes(20),
        PACKED[:place] + bytes(len(PACKED) - place),
        b"",
        bytes(len(PACKED)),
        b"<html>",
        gzip.compress(CONTENT[:-1]),
        PACKED[:2],
        bz2.compress(CONTENT)[:-30],
        CONTENT[:-1],
        gzip.compress(bytes(10 * LIMIT)),
        chance.randbytes(1000),
        b"BZh9" + chance.randbytes(99),
    ]


def hurts(chance: Random) -> Iterator[Callable[[Path], object]]:
    """Yield functions that put something wrong in the place of a file."""
    for content in damaged_contents(chance):
        yield partial(Path.write_bytes, data=content)

    yield lambda path: path.symlink_to("nowhere")
    yield lambda path: path.symlink_to(path.name)
    yield os.mkfifo  # would keep its reader waiting


def damage(trial: Trial) -> Outcome:
    """Cut, change, zero or empty a cached file, or put a bomb, a broken link or a pipe there.

    Then the file is asked for again.
    """
    n = trial.choose(2_000, 34)
    chance = Random(SEED)
    tally = shared(Tally)

    def work() -> None:
        trial.plant()
        while tally.done < n:
            for hurt in hurts(chance):
                path = trial.folder / str(tally.done) / "file.gz"
                path.parent.mkdir()
                hurt(path)
                tally.done += 1
                bring(address, ["good"], path, packed=chance.random() < 0.5)
                tally.accepted += not is_right(path)
                tally.left += not is_alone(path)
                shutil.rmtree(path.parent)

    with server() as address:
        status = ending(child(work))

    faults = {"not healed": tally.accepted, "times something left behind": tally.left}
    failures = [f"exit status {status}"] if status != WHOLE else []
    return outcome_of(f"{tally.done:,} files", faults, failures=failures)


def told(path: Path, processes: list[int]) -> int:
    """Return which process has written its number into this file, as soon as one has."""
    end = time.monotonic() + 60
    known = {str(number) for number in processes}
    while True:
        text = path.read_text() if path.is_file() else ""
        if text in known:
            return int(text)

        assert time.monotonic() < end, "no process downloads"
        time.sleep(0.001)


def crowd(trial: Trial) -> Outcome:
    """Ask for the same file by sixteen processes at once; kill (-9) every other downloading one."""
    n = trial.choose(100, 2)
    more = wrong = left = killed = 0

    def work(path: Path, downloading: Path) -> None:
        def tell(*_: object) -> None:
            downloading.write_text(str(os.getpid()))

        trial.plant()
        bring(address, ["steady"], path, progress=tell)
        assert is_right(path)

    with server() as address:
        for number in range(n):
            path = trial.folder / str(number) / "file.gz"
            downloading = trial.folder / f"{number}.pid"
            before = asked(address, "steady")
            processes = [child(partial(work, path, downloading)) for _ in range(AT_ONCE)]
            if number % 2:
                os.kill(told(downloading, processes), signal.SIGKILL)

            statuses = [ending(process) for process in processes]
            died = statuses.count(KILLED)
            killed += died
            wrong += AT_ONCE - died - statuses.count(WHOLE)
            more += max(0, asked(address, "steady") - before - 1 - died)
            left += not is_alone(path)
            shutil.rmtree(path.parent)

    faults = {
        "downloads more than needed": more,
        "processes without the right file": wrong,
        "times something left behind": left,
    }
    return outcome_of(f"{n} crowds, {killed} kills", faults)


# ---- what is planted


def unchecked_hash() -> None:
    """Do not compare the SHA-256."""
    put(download, "_has_hash", lambda path, *_: path.stat().st_size > 0)


def first_mirror_only() -> None:
    """Ask only the first mirror."""
    fetch = download.fetch
    put(download, "fetch", lambda urls, *rest, **options: fetch(urls[:1], *rest, **options))


def patient() -> None:
    """Let a mirror take for ever, as long as a byte comes within the timeout."""
    put(download, "_in_time", lambda chunks, _: chunks)


def trusting() -> None:
    """Follow redirections anywhere."""
    put(download, "opener", lambda _: urllib.request.build_opener())


def no_temporary_file() -> None:
    """Write what arrives under its final name."""

    @contextlib.contextmanager
    def itself(path: Path) -> Iterator[Path]:
        path.unlink(missing_ok=True)
        yield path

    put(download, "temporary_beside", itself)


def other_names() -> None:
    """Name temporary files differently each time, and look for no old ones."""
    beside = download.temporary_beside
    put(
        download,
        "temporary_beside",
        lambda path: beside(path.with_name(f"{os.getpid()}-{path.name}")),
    )


def no_lock() -> None:
    """Wait for no other process."""

    @contextlib.contextmanager
    def together(path: Path) -> Iterator[bool]:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield True

    put(download, "file_lock", together)


SUITE = Suite(
    "Downloads",
    f"Faults: {', '.join(FAULTS).replace('_', ' ')}, no server listening. A mirror may be silent "
    f"for {TIMEOUT:.0f} s and take twice as long, here; {SLACK:.0f} s more are allowed on a busy "
    "machine.",
    (
        Check(
            mirrors,
            "the right file or a reason, in time",
            unchecked_hash,
            first_mirror_only,
            patient,
            trusting,
        ),
        Check(kills, "the right file, nothing left behind", no_temporary_file, other_names),
        Check(damage, "all healed, nothing left behind", unchecked_hash),
        Check(crowd, "one download, all with the right file", no_lock),
    ),
    ("numpy",),
)

if __name__ == "__main__":
    sys.exit(main(SUITE, __doc__))
