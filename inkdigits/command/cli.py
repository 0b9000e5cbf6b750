"""The command `inkdigits`: it parses, calls one function and prints what that returns.

Words of the command line come in. Results go to standard output, messages to standard error, and
the exit status is

    0    all well
    1    some input could not be processed; the rest was
    2    wrong usage, or nothing could be done
    130  stopped by Ctrl-C
    143  stopped by SIGTERM

Other rooms are imported where they are needed, so that each command starts as fast as it can.
"""

import argparse
import contextlib
import json
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from io import TextIOWrapper
from itertools import islice
from typing import TYPE_CHECKING

import inkdigits
from inkdigits.command.arguments import NOTHING_DONE, build_parser
from inkdigits.command.display import (
    follow,
    follow_page_reader,
    follow_reproduction,
    follow_sweep,
    show_progress,
)
from inkdigits.command.text import (
    format_collected,
    format_dataset,
    format_final,
    format_page_reader,
    format_page_recipe,
    format_reading,
    format_recipe,
    print_line,
    print_message,
    print_result,
    replace_control_characters,
    wrap_for,
)
from inkdigits.core.errors import BadValue, InkdigitsError, needs_extra, shortened
from inkdigits.core.signals import Interrupted, interruptible

if TYPE_CHECKING:
    from pathlib import Path

    from inkdigits.reading.explanation.folder import Explanations
    from inkdigits.reading.reading import Reading

OK = 0
SOME_FAILED = 1
INTERRUPTED = 130

PAGE_RECIPE = "page"  # trains two networks, and is no recipe of one network like all others
# Options of `train` that it has no use for, and why.
NOT_FOR_PAGES = {
    "data": "draws its own pages to learn from; leave out --data",
    "data_dir": "takes MNIST's digits from $INKDIGITS_DATA; set that instead of giving --data-dir",
    "epochs": "counts steps and shards, not epochs; change them with --set steps=N --set shards=N",
    "strict": "draws its own pages to learn from; leave out --strict",
    "tensorboard": "writes nothing for TensorBoard; its curves are in report.html",
}


class LogLines(logging.Handler):
    """Prints what is logged on standard error; a name in it may be a stranger's."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        print_line(replace_control_characters(record.getMessage()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after `inkdigits`; None means those of this process.

    Returns:
        The exit status.
    """
    options = build_parser().parse_args(arguments)
    command = COMMANDS[options.command]
    saves_its_work = command in (train, reproduce, sweep)
    _accept_any_text(sys.stdout)
    _silence_pillow()
    logging.lastResort = LogLines(logging.WARNING)

    try:
        with interruptible() if saves_its_work else contextlib.nullcontext():
            return command(options)
    except InkdigitsError as error:
        print_message("; ".join([str(error), *getattr(error, "__notes__", [])]))
        return NOTHING_DONE
    except Interrupted as reason:
        print_message(str(reason))
        return reason.status
    except KeyboardInterrupt:
        print_message("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the program that reads our output has seen enough
        return OK
    except OSError as error:  # the system's own sentence, such as for a name that is too long
        parts = (error.filename, error.strerror or error)
        print_message(": ".join(shortened(part) for part in parts if part))
        return NOTHING_DONE


def _accept_any_text(stream: object) -> None:
    """Let a stream print the names of files that are not valid Unicode.

    They are printed with escapes, which JSON reads back.
    """
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _silence_pillow() -> None:
    """Keep what Pillow says of a picture from standard error: a small file may have 12 MB said.

    It is set for the whole process, because several threads open pictures.
    """
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _report(options: argparse.Namespace, record: object, text: str) -> None:
    """Print a result: the record as JSON if --json is given, else the text."""
    print_result(json.dumps(record) if options.json else text)


def _print_while_read(result: str) -> None:
    """Print a result on the way. If its reader has gone, the work goes on nevertheless."""
    with contextlib.suppress(BrokenPipeError):
        print_result(result)


def read(options: argparse.Namespace) -> int:
    """Run `inkdigits read`: print a line for each picture."""
    _check_probability(options.below)
    if options.submission:
        return _write_submission(options)
    if options.table:
        return _write_table(options)

    from inkdigits.reading.network import processors
    from inkdigits.reading.paths import read_paths
    from inkdigits.reading.recogniser import Recogniser

    # Several pictures at once gain more than several threads for one.
    recogniser = Recogniser(options.model, threads=1)
    explanations = _explanations_in(options.explain)
    jobs = processors() if options.jobs is None else options.jobs
    count = unread = doubtful = 0
    for path, trace in read_paths(recogniser, options.paths, single=options.single, jobs=jobs):
        _print_reading(path, trace.reading, options)
        count += 1
        unread += trace.reading.error is not None
        doubtful += trace.reading.is_less_sure_than(options.below)
        if explanations:
            explanations.add(path, trace)

    if options.below is not None:
        print_message(f"{doubtful:,} of {count:,} pictures are less sure than {options.below:g}")
    if explanations:
        print_message(str(explanations))

    return SOME_FAILED if unread else OK


def _check_probability(below: float | None) -> None:
    """Refuse a --below that is none."""
    if below is not None and not 0 < below <= 1:
        raise BadValue(f"--below is a probability above 0, at most 1, not {below:g}")


def _explanations_in(folder: "Path | None") -> "Explanations | None":
    """Return what draws explanations into a folder, if there is one."""
    if folder is None:
        return None

    from inkdigits.reading.explanation.folder import Explanations

    return Explanations(folder)


def _print_reading(path: str, reading: "Reading", options: argparse.Namespace) -> None:
    """Print what was read in a picture, unless it is surer than asked for, and what went wrong."""
    if options.below is None or reading.is_less_sure_than(options.below):
        line = format_reading(path, reading, options.written)
        print_result(reading.to_json(path) if options.json else line)

    if reading.error:
        print_message(str(reading.error))


def _write_table(options: argparse.Namespace) -> int:
    """Run `inkdigits read --table`: write the numbers of one picture into rows and columns."""
    if options.explain:
        raise BadValue("--explain and --table do not go together: choose one of them")

    from inkdigits.reading.paths import read_paths
    from inkdigits.reading.recogniser import Recogniser
    from inkdigits.reading.tables import write_table

    recogniser = Recogniser(options.model)
    read_pictures = read_paths(recogniser, options.paths, single=options.single)
    (path, trace), *others = islice(read_pictures, 2)
    if others:
        raise BadValue("--table takes one picture; give them one after the other")
    if trace.reading.error:
        print_message(str(trace.reading.error))
        return SOME_FAILED

    table = trace.reading.table()
    below = options.below or 0.0
    beside = write_table(table, options.table, below)
    written = {
        "path": path,
        "table": str(options.table),
        "confidences": str(beside),
        "rows": len(table.rows),
        "columns": table.width,
        "doubtful": sum(cell.confidence < below for row in table.rows for cell in row if cell),
    }
    text = f"{options.table}: {table.width} columns, {len(table.rows)} rows"
    doubts = f", {written['doubtful']} numbers to look at" if below else ""
    _report(options, written, text + doubts)
    return OK


def _write_submission(options: argparse.Namespace) -> int:
    """Run `inkdigits read --submission`: write a digit for every image into one table."""
    from inkdigits.reading.recogniser import Recogniser
    from inkdigits.reading.submission import write_submission

    if options.explain:
        raise BadValue(
            "--explain draws what is read, and --submission writes it into a table: choose one of "
            "them"
        )

    recogniser = Recogniser(options.model)
    with show_progress() as progress:
        written = write_submission(recogniser, options.paths, options.submission, progress)

    images = f"{written.images:,}"
    _report(options, asdict(written), f"{written.path}: {images} images")
    if written.doubtful:
        print_message(
            f"{written.doubtful:,} of {images} are doubtful; the table has the most likely digit "
            "for these, too"
        )
    return OK


def train(options: argparse.Namespace) -> int:
    """Run `inkdigits train`: print a line for each epoch, then the final figures."""
    if options.recipe == PAGE_RECIPE:
        return _train_page_reader(options)

    from inkdigits.training.recipe import load_recipe, parse_settings

    with needs_extra("training", "train"):
        from inkdigits.runs.artifacts import UNUSABLE_FILE, FinalFigures, to_record
        from inkdigits.runs.resume import Interval
        from inkdigits.runs.run import iter_train
    from inkdigits.data.datasets import load_dataset

    settings = parse_settings(options.set)
    if options.epochs is not None:
        settings["epochs"] = options.epochs
    recipe = load_recipe(options.recipe, settings)
    with show_progress() as progress:
        dataset = load_dataset(
            options.data or recipe.data,
            data_dir=options.data_dir,
            progress=progress,
            strict=options.strict,
        )

    running = iter_train(
        recipe,
        options.out,
        data=dataset,
        seed=options.seed,
        device=options.device,
        init=options.init,
        data_dir=options.data_dir,
        resume=options.resume,
        tensorboard=options.tensorboard,
        interval=Interval.parse(options.checkpoint_every),
    )
    images = len(dataset.splits.get("train", ()))
    title = f"{recipe.name} on {dataset.name}, seed {options.seed}: {images:,} images to learn from"
    followed = follow(running, recipe.total_epochs, title)
    with contextlib.closing(running), contextlib.closing(followed) as records:
        for record in records:
            if options.json:
                _print_while_read(json.dumps(to_record(record)))
            elif isinstance(record, FinalFigures):
                _print_while_read(format_final(record, dataset.name, options.out))

    if not dataset.unusable:
        return OK

    count = len(dataset.unusable)
    what = "1 picture was" if count == 1 else f"{count:,} pictures were"
    print_message(f"{what} left out, as {options.out / UNUSABLE_FILE} says")
    return SOME_FAILED


def _train_page_reader(options: argparse.Namespace) -> int:
    """Run `inkdigits train page`: print a line for each record, then the final figures."""
    with needs_extra("training", "train"):
        from inkdigits.runs.page import train_page_reader
        from inkdigits.runs.page_records import PageReaderFigures, to_page_record
        from inkdigits.runs.resume import Interval
    from inkdigits.data.store import fetch_dataset
    from inkdigits.training.page.recipe import load_page_recipe, parse_page_settings

    _refuse_for_pages(options)
    settings = parse_page_settings(options.set)
    recipe = load_page_recipe(settings)
    interval = Interval.parse(options.checkpoint_every)
    with show_progress() as progress:
        fetch_dataset("mnist", progress=progress)  # whose digits are written on the pages

    running = train_page_reader(
        options.out,
        seed=options.seed,
        device=options.device,
        settings=settings,
        init=options.init,
        resume=options.resume,
        interval=interval,
    )
    titles = {
        "page": f"page, seed {options.seed}: {recipe.steps:,} steps of {recipe.batch:,} pages",
        "look": f"a second look: {recipe.shards:,} shards of {recipe.pages:,} pages",
    }
    followed = follow_page_reader(running, titles)
    with contextlib.closing(running), contextlib.closing(followed) as records:
        for record in records:
            if options.json:
                _print_while_read(json.dumps(to_page_record(record)))
            elif isinstance(record, PageReaderFigures):
                _print_while_read(format_page_reader(record, options.out))

    return OK


def _refuse_for_pages(options: argparse.Namespace) -> None:
    """Raise BadValue for an option that `train page` has no use for."""
    for option, why in NOT_FOR_PAGES.items():
        given = getattr(options, option)
        if given is not None and given is not False:  # 0 is given, too
            raise BadValue(f"the recipe {PAGE_RECIPE!r} {why}")


def evaluate(options: argparse.Namespace) -> int:
    """Run `inkdigits evaluate`: print the figures of a model on a dataset."""
    from inkdigits.evaluation.measurement import MNIST_C, evaluate_predictions, predict
    from inkdigits.evaluation.text import describe_evaluation

    if options.data == MNIST_C:
        return _evaluate_corrupted(options)

    with show_progress() as progress:
        seen = predict(
            options.model, options.data, options.split, data_dir=options.data_dir, progress=progress
        )

    evaluation = evaluate_predictions(seen)
    _report(options, evaluation.to_json(), describe_evaluation(evaluation, seen.classes))
    if options.report:
        from inkdigits.evaluation.report import write_report

        write_report(
            options.report,
            evaluation=evaluation,
            seen=seen,
            config={"versions": {"inkdigits": inkdigits.__version__}},
        )
        print_message(f"the report is {options.report}")
    return SOME_FAILED if seen.left_out else OK


def _evaluate_corrupted(options: argparse.Namespace) -> int:
    """Run `inkdigits evaluate --data mnist-c`: print a line for each of fifteen corruptions."""
    from inkdigits.evaluation.robustness import describe_robustness, evaluate_corrupted

    if options.report:
        raise BadValue(
            "--report shows one set of digits, not fifteen; choose one of them, such as --data "
            "mnist-c/fog"
        )

    with show_progress() as progress:
        seen = evaluate_corrupted(
            options.model, options.split, data_dir=options.data_dir, progress=progress
        )

    _report(options, seen.to_json(), describe_robustness(seen))
    return OK


def compare(options: argparse.Namespace) -> int:
    """Run `inkdigits compare`: print what recipes reach, and whether they differ."""
    from inkdigits.runs import comparison

    with show_progress() as progress:
        compared = comparison.compare(
            options.runs, options.data, options.split, data_dir=options.data_dir, progress=progress
        )

    _report(options, compared.to_json(), comparison.describe_comparison(compared))
    return OK


def recipes(options: argparse.Namespace) -> int:
    """Run `inkdigits recipes`: print what is shipped, with its evidence."""
    from inkdigits.training.page.recipe import load_page_recipe, to_page_table
    from inkdigits.training.recipe import load_recipe, shipped_recipes, to_table

    loaded = [load_recipe(name) for name in shipped_recipes()]
    page = load_page_recipe()
    heading = f"{'recipe':<11}{'published':>9}  {'measured':>16}  test accuracy, and what it is"
    rows = [heading, *map(format_recipe, loaded), format_page_recipe(PAGE_RECIPE, page)]
    table = "\n".join(wrap_for(sys.stdout, row, indent=40) for row in rows)

    tables = [*map(to_table, loaded), to_page_table(page)]
    _report(options, tables, table)
    return OK


def data_list(options: argparse.Namespace) -> int:
    """Run `inkdigits data list`: print the datasets that have a name."""
    from inkdigits.data.store import list_datasets

    listings = list_datasets(options.data_dir)
    rows = [wrap_for(sys.stdout, format_dataset(listing), indent=31) for listing in listings]
    _report(options, [asdict(listing) for listing in listings], "\n".join(rows))
    return OK


def data_fetch(options: argparse.Namespace) -> int:
    """Run `inkdigits data fetch`: print where the dataset is."""
    from inkdigits.data.store import fetch_dataset

    with show_progress() as progress:
        folder = fetch_dataset(options.name, options.data_dir, progress)

    here = str(folder) if folder.is_dir() else None
    text = here or "scikit-learn has it, so that there is nothing to fetch"
    _report(options, {"name": options.name, "folder": here}, f"{options.name}: {text}")
    return OK


def data_verify(options: argparse.Namespace) -> int:
    """Run `inkdigits data verify`: print a line for each file."""
    from inkdigits.data.store import verify_dataset

    findings = verify_dataset(options.name, options.data_dir)
    text = "\n".join(map(str, findings))
    _report(options, [asdict(finding) for finding in findings], text)
    return OK if all(finding.right for finding in findings) else SOME_FAILED


def data_export_feedback(options: argparse.Namespace) -> int:
    """Run `inkdigits data export-feedback`: print how many corrections were written."""
    from inkdigits.service.feedback import export_feedback

    count, left_out = export_feedback(options.file, options.folder)
    record = {"folder": str(options.folder), "digits": count, "left_out": left_out}
    _report(options, record, f"{options.folder}: {count:,} digits")
    if left_out:
        print_message(f"{left_out} left out, since a picture would not give them back exactly")
    return OK


def export(options: argparse.Namespace) -> int:
    """Run `inkdigits export`: print how far the file and the network differ on real digits."""
    with needs_extra("exporting", "train"):
        from inkdigits.runs.export import export_run

    written = export_run(
        options.model, options.output, int8=options.int8, data_dir=options.data_dir
    )
    text = (
        f"{written.path}: {written.bytes:,} bytes; its probabilities differ from the network's by "
        f"at most {written.largest_difference:.1e} on {written.compared_on}"
    )
    if options.int8:
        text += f", and it reads {written.read_otherwise} of {written.compared:,} digits otherwise"

    _report(options, asdict(written), text)
    return OK


def reproduce(options: argparse.Namespace) -> int:
    """Run `inkdigits reproduce`: print published figures beside those that were measured."""
    with needs_extra("training", "train"):
        from inkdigits.runs import reproduction, results

    running = reproduction.reproduce(
        options.recipes,
        options.seeds,
        options.out,
        jobs=options.jobs,
        engine=options.engine,
        data_dir=options.data_dir,
        write=options.write,
    )
    with contextlib.closing(running):
        recipes_measured = follow_reproduction(running)
    print_result(results.as_markdown(recipes_measured))
    return OK


def sweep(options: argparse.Namespace) -> int:
    """Run `inkdigits sweep`: print each trial when it ends, then a table of the best."""
    with needs_extra("sweeping", "sweep"):
        from inkdigits.runs.sweep import workers
    from inkdigits.data.datasets import load_dataset
    from inkdigits.runs.sweep.space import load_space
    from inkdigits.runs.sweep.trials import describe_sweep, rank_results

    space = load_space(options.space, data=options.data, trials=options.trials)
    with show_progress() as progress:
        dataset = load_dataset(space.recipe.data, data_dir=options.data_dir, progress=progress)

    running = workers.sweep(
        space,
        options.out,
        dataset,
        device=options.device,
        jobs=options.jobs,
        engine=options.engine,
        data_dir=options.data_dir,
    )
    results = []
    with contextlib.closing(running), contextlib.closing(follow_sweep(running, space)) as records:
        for result in records:
            results.append(result)
            if options.json:
                _print_while_read(json.dumps(result.to_record()))

    if not options.json:
        for row in describe_sweep(results, space, options.out):
            print_result(wrap_for(sys.stdout, row, indent=44 if row.startswith(" ") else 2))
    return OK if rank_results(results, space.metric) else NOTHING_DONE


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
    _report(options, record, f"{options.out}: {listed}")
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
    _report(options, record, format_collected(collected, options.out))
    for bad in collected.unusable:
        print_message(bad.reason)

    return SOME_FAILED if collected.unusable else OK


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
    _report(options, record, f"{options.out}: {len(written)} files, {size:,} bytes")
    return OK


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "read": read,
    "train": train,
    "evaluate": evaluate,
    "compare": compare,
    "recipes": recipes,
    "data list": data_list,
    "data fetch": data_fetch,
    "data verify": data_verify,
    "data export-feedback": data_export_feedback,
    "export": export,
    "reproduce": reproduce,
    "sweep": sweep,
    "pages": pages,
    "sheet": sheet,
    "collect": collect,
    "serve": serve,
    "web": web,
}
