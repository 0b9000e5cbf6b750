"""The commands about digits to learn from: datasets, corrections, pages and sheets."""

import argparse
import sys
from dataclasses import asdict

from inkdigits.command.display import show_progress
from inkdigits.command.results import OK, SOME_FAILED, report
from inkdigits.command.text import (
    format_collected,
    format_dataset,
    print_message,
    print_result,
    wrap_for,
)
from inkdigits.core.errors import needs_extra


def data_list(options: argparse.Namespace) -> int:
    """Run `inkdigits data list`: print the datasets that have a name."""
    from inkdigits.data.store import list_datasets

    listings = list_datasets(options.data_dir)
    rows = [wrap_for(sys.stdout, format_dataset(listing), indent=31) for listing in listings]
    report(options, [asdict(listing) for listing in listings], "\n".join(rows))
    return OK


def data_fetch(options: argparse.Namespace) -> int:
    """Run `inkdigits data fetch`: print where the dataset is."""
    from inkdigits.data.store import fetch_dataset

    with show_progress() as progress:
        folder = fetch_dataset(options.name, options.data_dir, progress)

    here = str(folder) if folder.is_dir() else None
    text = here or "scikit-learn has it, so that there is nothing to fetch"
    report(options, {"name": options.name, "folder": here}, f"{options.name}: {text}")
    return OK


def data_verify(options: argparse.Namespace) -> int:
    """Run `inkdigits data verify`: print a line for each file."""
    from inkdigits.data.store import verify_dataset

    findings = verify_dataset(options.name, options.data_dir)
    text = "\n".join(map(str, findings))
    report(options, [asdict(finding) for finding in findings], text)
    return OK if all(finding.right for finding in findings) else SOME_FAILED


def data_export_feedback(options: argparse.Namespace) -> int:
    """Run `inkdigits data export-feedback`: print how many corrections were written."""
    from inkdigits.service.feedback import export_feedback

    count, left_out = export_feedback(options.file, options.folder)
    record = {"folder": str(options.folder), "digits": count, "left_out": left_out}
    report(options, record, f"{options.folder}: {count:,} digits")
    if left_out:
        print_message(f"{left_out} left out, since a picture would not give them back exactly")
    return OK


def pages(options: argparse.Namespace) -> int:
    """Run `inkdigits pages`: print how many pages of each kind were made."""
    with needs_extra("drawing pages", "train"):
        from inkdigits.data.synthetic.pages import write_pages
    from inkdigits.data.datasets import load_dataset

    digits = None
    if not options.drawn:
        with show_progress() as progress:
            mnist = load_dataset("mnist", data_dir=options.data_dir, progress=progress)
        digits = mnist[options.split]

    kinds = write_pages(options.out, options.count, options.seed, digits)
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    record = {"folder": str(options.out), "pages": kinds}
    report(options, record, f"{options.out}: {listed}")
    return OK


def sheet(options: argparse.Namespace) -> int:
    """Run `inkdigits sheet`: write the page, and print its name."""
    from inkdigits.data.sheets.printing import write_sheet

    write_sheet(options.out)
    print_result(str(options.out))
    return OK


def collect(options: argparse.Namespace) -> int:
    """Run `inkdigits collect`: print a line for each sheet, and how much there is."""
    from inkdigits.data.sheets.collecting import collect as collect_digits

    with show_progress() as progress:
        collected = collect_digits(options.paths, options.out, progress)

    record = {
        "folder": str(options.out),
        "digits": collected.digits,
        "writers": collected.writers,
        **asdict(collected),
    }
    report(options, record, format_collected(collected, options.out))
    for bad in collected.unusable:
        print_message(bad.reason)

    return SOME_FAILED if collected.unusable else OK
