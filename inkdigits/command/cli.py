"""The command `inkdigits`: parse, call one function, print. Results go to standard output, everything else to standard error.

Exit status: 0 all well; 1 some input could not be processed, the rest was; 2 wrong usage, or nothing could be done; 130 Ctrl-C;
143 SIGTERM.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from io import TextIOWrapper

import inkdigits
from inkdigits.command.arguments import NOTHING_DONE, build_parser
from inkdigits.command.text import (
    format_dataset,
    format_final,
    format_reading,
    format_recipe,
    print_message,
    print_result,
    wrap_for,
)
from inkdigits.core.errors import BadValue, InkdigitsError, MissingExtra
from inkdigits.core.signals import Interrupted, interruptible

OK, SOME_FAILED, INTERRUPTED = 0, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. arguments: None takes those of the process."""
    options = build_parser().parse_args(arguments)
    command = COMMANDS[options.command]
    _accept_any_text(sys.stdout)
    try:
        with interruptible() if command in (train, reproduce, sweep) else contextlib.nullcontext():
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
    except BrokenPipeError:  # whoever reads our output has seen enough
        return OK
    except OSError as error:  # a sentence of the system's, such as of a name that is too long
        print_message(
            ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
        )
        return NOTHING_DONE


def _accept_any_text(stream: object) -> None:
    """A file's name need not be valid Unicode; as an escape it can be printed, and JSON reads it back."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def read(options: argparse.Namespace) -> int:
    """`inkdigits read`: a line a picture."""
    if options.submission:
        return _submit(options)
    from inkdigits.reading.network import processors
    from inkdigits.reading.paths import read_paths
    from inkdigits.reading.recogniser import Recogniser

    # Several pictures at once gain more than several threads for one.
    status, recogniser, explanations = OK, Recogniser(options.model, threads=1), None
    if options.explain:
        from inkdigits.reading.explanation.folder import Explanations

        explanations = Explanations(options.explain)
    jobs = processors() if options.jobs is None else options.jobs
    for path, trace in read_paths(recogniser, options.paths, single=options.single, jobs=jobs):
        reading = trace.reading
        print_result(reading.to_json(path) if options.json else format_reading(path, reading))
        if reading.error:
            status = SOME_FAILED
            print_message(str(reading.error))
        if explanations:
            explanations.add(path, trace)
    if explanations:
        print_message(str(explanations))
    return status


def _submit(options: argparse.Namespace) -> int:
    """`inkdigits read --submission`: a digit for every image, in one table."""
    from inkdigits.command.display import show_progress
    from inkdigits.reading.recogniser import Recogniser
    from inkdigits.reading.submission import write_submission

    if options.explain:
        raise BadValue(
            "--explain draws what is read, and --submission writes it into a table: choose one of them"
        )
    with show_progress() as progress:
        written = write_submission(
            Recogniser(options.model), options.paths, options.submission, progress
        )
    print_result(
        json.dumps(asdict(written))
        if options.json
        else f"{written.path}: {written.images:,} images"
    )
    if written.doubtful:
        print_message(
            f"{written.doubtful:,} of {written.images:,} are doubtful: the most likely digit stands for them as well"
        )
    return OK


def train(options: argparse.Namespace) -> int:
    """Run `inkdigits train`: print a line for each epoch, then the final figures."""
    from inkdigits.training.recipe import load_recipe, parse_settings

    with _extra("training", "train"):
        from inkdigits.runs.artifacts import Final, to_record
        from inkdigits.runs.resume import Interval
        from inkdigits.runs.run import iter_train
    from inkdigits.command.display import follow, show_progress
    from inkdigits.data.datasets import load_dataset

    settings = parse_settings(options.set)
    if options.epochs is not None:
        settings["epochs"] = options.epochs
    recipe = load_recipe(options.recipe, settings)
    with show_progress() as progress:
        dataset = load_dataset(
            options.data or recipe.data, data_dir=options.data_dir, progress=progress
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
    title = (
        f"{recipe.name} on {dataset.name}, seed {options.seed}: {images:,} images to learn from"
    )
    followed = follow(running, recipe.total_epochs, title)
    with contextlib.closing(running), contextlib.closing(followed) as records:
        for record in records:
            if options.json:
                _print_while_read(json.dumps(to_record(record)))
            elif isinstance(record, Final):
                _print_while_read(format_final(record, dataset.name, options.out))

    return OK


def _print_while_read(result: str) -> None:
    """A result that is not the point: whether anybody reads it or not, the run goes on and leaves its folder."""
    with contextlib.suppress(BrokenPipeError):
        print_result(result)


def evaluate(options: argparse.Namespace) -> int:
    """`inkdigits evaluate`: the figures of a model on a dataset."""
    from inkdigits.command.display import show_progress
    from inkdigits.evaluation import robustness
    from inkdigits.evaluation.measurement import evaluate_predictions, predict
    from inkdigits.evaluation.text import describe_evaluation

    if options.data == robustness.MNIST_C:
        return _evaluate_corrupted(options)
    look = robustness.predict_corrupted if robustness.is_corrupted(options.data) else predict
    with show_progress() as progress:
        seen = look(
            options.model, options.data, options.split, data_dir=options.data_dir, progress=progress
        )
    evaluation = evaluate_predictions(seen)
    print_result(
        json.dumps(evaluation.to_json())
        if options.json
        else describe_evaluation(evaluation, seen.classes)
    )
    if options.report:
        from inkdigits.evaluation.report import write_report

        write_report(
            options.report,
            evaluation=evaluation,
            probabilities=seen.probabilities,
            images=seen.images,
            labels=seen.labels,
            config={"classes": seen.classes, "versions": {"inkdigits": inkdigits.__version__}},
        )
        print_message(f"the report is {options.report}")
    return OK


def _evaluate_corrupted(options: argparse.Namespace) -> int:
    """All fifteen corruptions, a line each."""
    from inkdigits.command.display import show_progress
    from inkdigits.evaluation.robustness import describe_robustness, evaluate_corrupted

    if options.report:
        raise BadValue(
            "--report shows one set of digits, not fifteen; --data mnist-c/fog and its like can have one"
        )
    with show_progress() as progress:
        seen = evaluate_corrupted(
            options.model, options.split, data_dir=options.data_dir, progress=progress
        )
    print_result(json.dumps(seen.to_json()) if options.json else describe_robustness(seen))
    return OK


def compare(options: argparse.Namespace) -> int:
    """`inkdigits compare`: what recipes reach over their seeds, and whether they differ."""
    from inkdigits.command.display import show_progress
    from inkdigits.runs.comparison import compare as compare_runs
    from inkdigits.runs.comparison import summary

    with show_progress() as progress:
        comparison = compare_runs(
            options.runs, options.data, options.split, data_dir=options.data_dir, progress=progress
        )
    print_result(json.dumps(comparison.to_json()) if options.json else summary(comparison))
    return OK


def recipes(options: argparse.Namespace) -> int:
    """`inkdigits recipes`: what is shipped, with its evidence."""
    from inkdigits.training.recipe import load_recipe, shipped_recipes, to_table

    loaded = [load_recipe(name) for name in shipped_recipes()]
    if options.json:
        print_result(json.dumps([to_table(recipe) for recipe in loaded]))
    else:
        rows = [
            f"{'recipe':<11}{'published':>9}  {'measured':>16}  test accuracy, and what it is",
            *map(format_recipe, loaded),
        ]
        print_result("\n".join(wrap_for(sys.stdout, row, indent=40) for row in rows))
    return OK


def data_list(options: argparse.Namespace) -> int:
    """`inkdigits data list`."""
    from inkdigits.data.store import list_datasets

    listings = list_datasets(options.data_dir)
    if options.json:
        print_result(json.dumps([asdict(listing) for listing in listings]))
    else:
        rows = map(format_dataset, listings)
        print_result("\n".join(wrap_for(sys.stdout, row, indent=31) for row in rows))
    return OK


def data_fetch(options: argparse.Namespace) -> int:
    """`inkdigits data fetch`."""
    from inkdigits.command.display import show_progress
    from inkdigits.data.store import fetch_dataset

    with show_progress() as progress:
        folder = fetch_dataset(options.name, options.data_dir, progress)
    here = str(folder) if folder.is_dir() else None
    if options.json:
        print_result(json.dumps({"name": options.name, "folder": here}))
    else:
        print_result(
            f"{options.name}: {here or 'scikit-learn carries it, there is nothing to fetch'}"
        )
    return OK


def data_verify(options: argparse.Namespace) -> int:
    """`inkdigits data verify`: status 1 where a file is wrong or missing."""
    from inkdigits.data.store import verify_dataset

    findings = verify_dataset(options.name, options.data_dir)
    print_result(
        json.dumps([asdict(finding) for finding in findings])
        if options.json
        else "\n".join(map(str, findings))
    )
    return OK if all(finding.right for finding in findings) else SOME_FAILED


def data_export_feedback(options: argparse.Namespace) -> int:
    """`inkdigits data export-feedback`: what people corrected, to train on."""
    from inkdigits.service.feedback import export_feedback

    count, left_out = export_feedback(options.file, options.folder)
    if options.json:
        print_result(
            json.dumps({"folder": str(options.folder), "digits": count, "left_out": left_out})
        )
    else:
        print_result(f"{options.folder}: {count:,} digits")
    if left_out:
        print_message(
            f"left out, because they would not come back from a picture as they are: {left_out}"
        )
    return OK


def export(options: argparse.Namespace) -> int:
    """`inkdigits export`: the model as one file, compared with the network on real digits."""
    with _extra("exporting", "train"):
        from inkdigits.runs.export import export_run

    written = export_run(
        options.model, options.output, int8=options.int8, data_dir=options.data_dir
    )
    if options.json:
        print_result(json.dumps(asdict(written)))
    else:
        compared = f"its probabilities differ from the network's by at most {written.largest_difference:.1e} on {written.compared_on}"
        if options.int8:
            compared += (
                f", and it reads {written.read_otherwise} of {written.compared:,} digits otherwise"
            )
        print_result(f"{written.path}: {written.bytes:,} bytes; {compared}")
    return OK


def reproduce(options: argparse.Namespace) -> int:
    """`inkdigits reproduce`: the shipped recipes over several seeds, as a table of published beside measured figures."""
    with _extra("training", "train"):
        from inkdigits.runs.reproduction import reproduce as run_all
    from inkdigits.command.display import follow

    print_result(
        run_all(
            options.recipes,
            options.seeds,
            options.out,
            data_dir=options.data_dir,
            write=options.write,
            follow=follow,
        )
    )
    return OK


def sweep(options: argparse.Namespace) -> int:
    """`inkdigits sweep`: every trial as it comes to its end, and a table of the best."""
    with _extra("sweeping", "sweep"):
        from inkdigits.runs.sweep.workers import sweep as search
    from inkdigits.command.display import follow_sweep, show_progress
    from inkdigits.data.datasets import load_dataset
    from inkdigits.runs.sweep.space import load_space
    from inkdigits.runs.sweep.trials import best, summary

    space, results = load_space(options.space, data=options.data, trials=options.trials), []
    with show_progress() as progress:
        dataset = load_dataset(space.recipe.data, data_dir=options.data_dir, progress=progress)
    given = {name: getattr(options, name) for name in ("device", "jobs", "engine", "data_dir")}
    running = search(space, options.out, dataset, **given)
    with contextlib.closing(running), contextlib.closing(follow_sweep(running, space)) as records:
        for result in records:
            results.append(result)
            if options.json:
                _print_while_read(json.dumps(result.to_record()))
    if not options.json:
        rows = summary(results, space, options.out)
        print_result(
            "\n".join(
                wrap_for(sys.stdout, row, indent=44 if row.startswith(" ") else 2) for row in rows
            )
        )
    return OK if best(results, space.metric) else NOTHING_DONE


def pages(options: argparse.Namespace) -> int:
    """`inkdigits pages`: a folder of made-up pages, and what is written on them."""
    from inkdigits.command.display import show_progress
    from inkdigits.data.datasets import load_dataset
    from inkdigits.data.synthetic.pages import write_pages

    digits = None
    if not options.drawn:
        with show_progress() as progress:
            digits = load_dataset("mnist", data_dir=options.data_dir, progress=progress)[
                options.split
            ]
    kinds = write_pages(options.out, options.count, options.seed, digits)
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    print_result(
        json.dumps({"folder": str(options.out), "pages": kinds})
        if options.json
        else f"{options.out}: {listed}"
    )
    return OK


def serve(options: argparse.Namespace) -> int:
    """`inkdigits serve`: until Ctrl-C or SIGTERM."""
    with _extra("serving", "serve"):
        from inkdigits.service.server import serve as serve_until_stopped

    def ready(address: str) -> None:
        print_message(f"draw at {address} or post pictures to {address}v1/read")

    serve_until_stopped(options.model, options.host, options.port, ready, options.collect)
    return OK


@contextlib.contextmanager
def _extra(what: str, extra: str) -> Iterator[None]:
    """Name the extra that is missing, where a library of it is."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("inkdigits"):
            raise
        raise MissingExtra(what, extra) from error


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
    "serve": serve,
}
