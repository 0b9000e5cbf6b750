"""The server: it listens on a port, serves the application, and stops without losing requests.

A model and an address come in. uvicorn handles HTTP, through the connection class in `connections`;
`application` has the endpoints.
"""

import asyncio
import ctypes
import gc
import logging
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import uvicorn

from inkdigits.core.errors import BadValue
from inkdigits.reading.model_check import stop_checks
from inkdigits.reading.model_files import resolve_model
from inkdigits.reading.recogniser import Recogniser
from inkdigits.service import connections
from inkdigits.service.admission import Admission
from inkdigits.service.application import Service
from inkdigits.service.connections import LAST_BYTES, Connection
from inkdigits.service.feedback import Feedback
from inkdigits.service.model_file import ModelFile
from inkdigits.service.page_files import NO_FILES, PageFiles
from inkdigits.service.site import reader_files

OWN_FILES = 64  # open files that are no connections: libraries, the model, corrections
FEWEST_CONNECTIONS = 16
BACKLOG = 1024  # connections that the system accepts before the server does
KEEP_ALIVE = 15  # seconds that a connection may stay open between two requests
DRAIN = 8  # seconds to finish requests that are under way when the server is told to stop


def serve(
    model: str,
    host: str,
    port: int,
    ready: Callable[[str], None],
    collect: Path | None = None,
    allow_hosts: Sequence[str] = (),
    allow_origins: Sequence[str] = (),
    local: bool = False,
    runtime: Path | None = None,
) -> None:
    """Serve a model until SIGINT or SIGTERM, and then finish the requests under way.

    Args:
        model: a shipped model's name, a folder made by `train`, or an .onnx file.
        host: the address to listen on.
        port: the port to listen on; 0 takes any free one.
        ready: called with the address of the draw page, once the server listens.
        collect: the file in which to store corrections of readings; None stores nothing.
        allow_hosts: more names that clients may call the service by.
        allow_origins: origins of other pages that may use it.
        local: whether the draw page offers to read on the device that shows it.
        runtime: with `local`, the packed onnxruntime-web; None lets npm download it.

    Raises:
        UnknownName: there is no such model.
        BadModel: the model cannot be used.
        BadValue: the server cannot listen there, or a name or origin is none.
        CannotWrite: corrections cannot be stored in that file.
        DownloadFailed, BadData: as `site_runtime.runtime_files` does.
    """
    admission = Admission(host, allow_hosts, allow_origins)
    model_file = ModelFile(resolve_model(model))
    recogniser = Recogniser(model_file.path, threads=1)
    corrections = Feedback(collect) if collect else None
    page_files = PageFiles(corrections is not None, reader_files(runtime) if local else NO_FILES)
    listening = _listen(host, port)

    name = _public_name(model_file.path)
    service = Service(name, recogniser, model_file, corrections, admission, page_files)
    server = _Server(_configure(service))

    # uvicorn finishes the requests under way, and then raises the signal again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    bound = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    ready(f"http://{shown}:{bound}/")

    give_memory_back()
    _spare_garbage_collector()
    server.run([listening])


def _configure(service: Service) -> uvicorn.Config:
    """Return the settings of uvicorn."""
    for talkative in ("uvicorn", "python_multipart"):
        logging.getLogger(talkative).setLevel(logging.ERROR)

    connection = partial(
        Connection,
        refused=partial(service.metrics.count, "none"),
        idle=service.idle,
        response_if_full=service.turnstile.response_if_full,
        most=_most_connections(),
    )
    return uvicorn.Config(
        service,
        http=connection,  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=DRAIN,
        backlog=BACKLOG,
    )


class _Server(uvicorn.Server):
    """uvicorn's server, which accepts all waiting connections before it closes the port.

    Closing the port at once would reset them.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        until = time.monotonic() + LAST_BYTES
        while sockets and select.select(sockets, [], [], 0)[0] and time.monotonic() < until:
            await asyncio.sleep(0)

        stop_checks()
        await super().shutdown(sockets)


def _most_connections() -> int:
    """Return how many connections the system's limit of open files allows.

    The limit is raised if that is too few and the user may. Without room, nobody could be accepted,
    not even to take the place of a silent client.

    Raises:
        BadValue: there is room for hardly any.
    """
    if sys.platform == "win32":
        return connections.MAX_CONNECTIONS

    import resource

    wanted = connections.MAX_CONNECTIONS + OWN_FILES
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))

    if allowed == resource.RLIM_INFINITY:
        return connections.MAX_CONNECTIONS

    fitting = min(connections.MAX_CONNECTIONS, allowed - OWN_FILES)
    if fitting < FEWEST_CONNECTIONS:
        needed = OWN_FILES + FEWEST_CONNECTIONS
        raise BadValue(f"{allowed} files may be open, and a service needs {needed}; see ulimit -n")

    return fitting


def give_memory_back() -> None:
    """Ask glibc to give the memory of large pictures back to the system.

    By default it starts to keep such blocks, which costs 30 MiB. So a page takes 1.2 times as long,
    and 1.3 times with a threshold of 256 KiB.
    """
    if sys.platform != "linux":
        return

    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(-3, 1 << 20)  # M_MMAP_THRESHOLD: what is larger is mapped, and unmapped
        libc.mallopt(-1, 1 << 20)  # M_TRIM_THRESHOLD
        libc.mallopt(-8, 2)  # M_ARENA_MAX


def _spare_garbage_collector() -> None:
    """Have Python's cyclic garbage collector look at what comes from now on only.

    What is there by now, 40,000 objects of imported modules, is needed until the end. Without
    looking through them again and again, 4 % more digits are answered a second.
    """
    gc.collect()
    gc.freeze()


def _public_name(path: Path) -> str:
    """Return a model's name for clients, without the folder that it is in."""
    return path.parent.name if path.name == "model.onnx" else path.stem


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a port."""
    if not 0 <= port < 65536:
        known = "ports are 0 to 65535, and 0 takes any free one"
        raise BadValue(f"there is no port {port}; {known}")

    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        reason = reason.partition(" (while")[0]  # the rest would repeat the address
        raise BadValue(
            f"cannot listen on port {port} of {host!r}: {reason}; --port 0 takes any free one"
        ) from None
