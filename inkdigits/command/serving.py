"""The commands that serve: over HTTP, and as a site of files."""

import argparse

from inkdigits.command.results import OK, report
from inkdigits.command.text import print_message
from inkdigits.core.errors import BadValue, needs_extra


def serve(options: argparse.Namespace) -> int:
    """Run `inkdigits serve`, until Ctrl-C or SIGTERM."""
    if options.runtime and not options.local:
        raise BadValue("--runtime names the files that --local serves: give both, or neither")

    with needs_extra("serving", "serve"):
        from inkdigits.service import server

    def say_where(address: str) -> None:
        print_message(f"draw at {address} or post pictures to {address}v1/read")

    server.serve(
        options.model,
        options.host,
        options.port,
        say_where,
        options.collect,
        options.allow_host,
        options.allow_origin,
        options.local,
        options.runtime,
    )
    return OK


def web(options: argparse.Namespace) -> int:
    """Run `inkdigits web`: print how large the site is."""
    from inkdigits.service.site import write_site

    written = write_site(options.out, options.runtime)
    size = sum((options.out / path).stat().st_size for path in written)
    record = {"folder": str(options.out), "files": len(written), "bytes": size}
    report(options, record, f"{options.out}: {len(written)} files, {size:,} bytes")
    return OK
