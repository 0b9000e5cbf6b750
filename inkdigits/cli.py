"""The command `inkdigits`: parse, call one function, print. Results go to standard output, everything else to standard error.

Exit status: 0 all well; 1 some input could not be processed, the rest was; 2 wrong usage, or nothing could be done; 130 Ctrl-C;
143 SIGTERM.
"""

import argparse
import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import inkdigits
from inkdigits.errors import BadValue, CannotWrite, InkdigitsError, MissingExtra
from inkdigits.interruption import Interrupted, interruptible

if TYPE_CHECKING:
    from inkdigits.outcome import Final
    from inkdigits.recipe import Recipe
    from inkdigits.recogniser import Reading
    from inkdigits.store import Listing

OK, SOME_FAILED, NOTHING_DONE, INTERRUPTED = 0, 1, 2, 130

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # but for line feeds; a file's name may hold any of them

MODEL_HELP = "a shipped model's name, a folder made by train, or an .onnx file"
DATA_HELP = (
    "a dataset's name (see `inkdigits data list`), a folder with MNIST's four files, an IDX, .npz or .csv file, "
    "a folder of pictures sorted into folders called 0 to 9, or several of these joined by +"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. arguments: None takes those of the process."""
    options = _parser().parse_args(arguments)
    _accept_any_text(sys.stdout)
    try:
        with interruptible() if options.command in (train, reproduce) else contextlib.nullcontext():
            return int(options.command(options))
    except InkdigitsError as error:
        _say("; ".join([str(error), *getattr(error, "__notes__", [])]))
        return NOTHING_DONE
    except Interrupted as reason:
        _say(str(reason))
        return reason.status
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads our output has seen enough
        return OK
    except OSError as error:  # a sentence of the system's, such as of a name that is too long
        _say(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
        return NOTHING_DONE


def _say(message: str) -> None:
    """To the person at the terminal, who may be a log file."""
    print(f"inkdigits: {CONTROL.sub('?', message)}", file=sys.stderr, flush=True)


def _print(result: str) -> None:
    """A result, at once. Raises CannotWrite where the disk is full, BrokenPipeError where nobody reads on."""
    try:
        print(result, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again when it ends
        if isinstance(error, BrokenPipeError):
            raise
        raise CannotWrite(f"cannot write to standard output: {error.strerror}") from error


def _accept_any_text(stream: object) -> None:
    """A file's name need not be valid Unicode; as an escape it can be printed, and JSON reads it back."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def read(options: argparse.Namespace) -> int:
    """`inkdigits read`: a line a picture."""
    from inkdigits.recogniser import Recogniser
    from inkdigits.sources import read_paths

    status, recogniser, explanations = OK, Recogniser(options.model), None
    if options.explain:
        from inkdigits.explained import Explanations

        explanations = Explanations(options.explain)
    for path, trace in read_paths(recogniser, options.paths, single=options.single):
        reading = trace.reading
        _print(reading.to_json(path) if options.json else _reading_line(path, reading))
        if reading.error:
            status = SOME_FAILED
            _say(str(reading.error))
        if explanations:
            explanations.add(path, trace)
    if explanations:
        _say(str(explanations))
    return status


def _reading_line(path: str, reading: "Reading") -> str:
    """For people: what is read, how sure the least sure digit is, and what else they should know."""
    name = CONTROL.sub("?", path.replace("\n", "?"))
    if reading.error:
        return f"{name}: could not be read"
    accepted = [digit for digit in reading.digits if digit.accepted]
    lines = "/".join((reading.text or "").split("\n")) or "no digit"
    sure = f"  {min(accepted, key=lambda digit: digit.confidence).sureness} sure" if accepted else ""
    refused = "".join(f"  ({digit.reason})" for digit in reading.digits if not digit.accepted)
    warnings = "".join(f"  [{warning}]" for warning in reading.warnings)
    return f"{name}: {lines}{sure}{refused}{warnings}"


def train(options: argparse.Namespace) -> int:
    """`inkdigits train`: a line an epoch, then the final figures."""
    from inkdigits.recipe import load_recipe, parse_settings

    with _extra("training", "train"):
        from inkdigits.outcome import Final, to_record
        from inkdigits.resume import Interval
        from inkdigits.run import mnist_to_compare, run
    from inkdigits.data import load_dataset
    from inkdigits.display import downloads, follow

    settings = parse_settings(options.set) | ({} if options.epochs is None else {"epochs": options.epochs})
    recipe = load_recipe(options.recipe, settings)
    with downloads() as progress:
        dataset = load_dataset(options.data or recipe.data, data_dir=options.data_dir, progress=progress)
    given = {"seed": options.seed, "device": options.device, "init": options.init}
    interval = Interval.parse(options.checkpoint_every)
    mnist = mnist_to_compare(dataset, options.data_dir) if options.init else None
    running = run(recipe, options.out, dataset, **given, resume=options.resume, interval=interval, mnist=mnist)
    with contextlib.closing(running), contextlib.closing(follow(running, recipe.total_epochs)) as records:
        for record in records:
            if options.json:
                _print_while_read(json.dumps(to_record(record)))
            elif isinstance(record, Final):
                _print_while_read(_outcome(record, dataset.name, options.out))
    return OK


def _print_while_read(result: str) -> None:
    """A result that is not the point: whether anybody reads it or not, the run goes on and leaves its folder."""
    with contextlib.suppress(BrokenPipeError):
        _print(result)


def _outcome(final: "Final", data: str, folder: Path) -> str:
    from inkdigits.evaluation import percent

    epochs = f"{final.epochs} epoch{'s' if final.epochs > 1 else ''}"
    mnist = ""
    if final.mnist_before is not None and final.mnist_after is not None:
        mnist = f"MNIST's test digits: {percent(final.mnist_before)} before, {percent(final.mnist_after)} after\n"
    return (
        f"{final.recipe} on {data}, {epochs} in {final.train_seconds:.1f} s on {final.device}\n"
        f"test accuracy {percent(final.test_accuracy)}, loss {final.test_loss:.4f}, F1 {final.test_f1_macro:.4f}; "
        f"validation accuracy {percent(final.validation_accuracy)}\n"
        f"{mnist}model and report: {folder}, {folder / 'report.html'}"
    )


def evaluate(options: argparse.Namespace) -> int:
    """`inkdigits evaluate`: the figures of a model on a dataset."""
    from inkdigits import robustness
    from inkdigits.display import downloads
    from inkdigits.evaluation import evaluate_predictions, predict, summary

    if options.data == robustness.MNIST_C:
        return _evaluate_corrupted(options)
    look = robustness.predict_corrupted if robustness.is_corrupted(options.data) else predict
    with downloads() as progress:
        seen = look(options.model, options.data, options.split, data_dir=options.data_dir, progress=progress)
    evaluation = evaluate_predictions(seen)
    _print(json.dumps(evaluation.to_json()) if options.json else summary(evaluation, seen.classes))
    if options.report:
        from inkdigits.report import write_report

        write_report(
            options.report,
            evaluation=evaluation,
            probabilities=seen.probabilities,
            images=seen.images,
            labels=seen.labels,
            config={"classes": seen.classes, "versions": {"inkdigits": inkdigits.__version__}},
        )
        _say(f"the report is {options.report}")
    return OK


def _evaluate_corrupted(options: argparse.Namespace) -> int:
    """All fifteen corruptions, a line each."""
    from inkdigits.display import downloads
    from inkdigits.robustness import evaluate_corrupted, summary

    if options.report:
        raise BadValue("--report shows one set of digits, not fifteen; --data mnist-c/fog and its like can have one")
    with downloads() as progress:
        seen = evaluate_corrupted(options.model, options.split, data_dir=options.data_dir, progress=progress)
    _print(json.dumps(seen.to_json()) if options.json else summary(seen))
    return OK


def compare(options: argparse.Namespace) -> int:
    """`inkdigits compare`: what recipes reach over their seeds, and whether they differ."""
    from inkdigits.comparison import compare as compare_runs
    from inkdigits.comparison import summary
    from inkdigits.display import downloads

    with downloads() as progress:
        comparison = compare_runs(options.runs, options.data, options.split, data_dir=options.data_dir, progress=progress)
    _print(json.dumps(comparison.to_json()) if options.json else summary(comparison))
    return OK


def recipes(options: argparse.Namespace) -> int:
    """`inkdigits recipes`: what is shipped, with its evidence."""
    from inkdigits.recipe import load_recipe, shipped_recipes, to_table

    loaded = [load_recipe(name) for name in shipped_recipes()]
    if options.json:
        _print(json.dumps([to_table(recipe) for recipe in loaded]))
    else:
        _print(
            "\n".join(
                [f"{'recipe':<11}{'published':>9}  {'measured':>16}  test accuracy, and what it is", *map(_recipe_line, loaded)]
            )
        )
    return OK


def _recipe_line(recipe: "Recipe") -> str:
    from inkdigits.evaluation import percent

    published = recipe.published.get("test_accuracy")
    mean, sd = recipe.measured.get("test_accuracy_mean"), recipe.measured.get("test_accuracy_sd")
    ours = "-" if mean is None else percent(mean) if sd is None else f"{percent(mean)} ± {100 * sd:.2f}"
    return f"{recipe.name:<11}{percent(published) if published else '-':>9}  {ours:>16}  {recipe.summary}"


def data_list(options: argparse.Namespace) -> int:
    """`inkdigits data list`."""
    from inkdigits.store import list_datasets

    listings = list_datasets(options.data_dir)
    if options.json:
        _print(json.dumps([asdict(listing) for listing in listings]))
    else:
        _print("\n".join(f"{listing.name:<15}{_whether_here(listing):>14}  {listing.description}" for listing in listings))
    return OK


def _whether_here(listing: "Listing") -> str:
    if not listing.present:
        return "-"
    return f"{listing.nbytes / 1e6:.1f} MB here" if listing.nbytes else "here"


def data_fetch(options: argparse.Namespace) -> int:
    """`inkdigits data fetch`."""
    from inkdigits.display import downloads
    from inkdigits.store import fetch_dataset

    with downloads() as progress:
        folder = fetch_dataset(options.name, options.data_dir, progress)
    here = str(folder) if folder.is_dir() else None
    if options.json:
        _print(json.dumps({"name": options.name, "folder": here}))
    else:
        _print(f"{options.name}: {here or 'scikit-learn carries it, there is nothing to fetch'}")
    return OK


def data_verify(options: argparse.Namespace) -> int:
    """`inkdigits data verify`: status 1 where a file is wrong or missing."""
    from inkdigits.store import verify_dataset

    findings = verify_dataset(options.name, options.data_dir)
    _print(json.dumps([asdict(finding) for finding in findings]) if options.json else "\n".join(map(str, findings)))
    return OK if all(finding.right for finding in findings) else SOME_FAILED


def data_export_feedback(options: argparse.Namespace) -> int:
    """`inkdigits data export-feedback`: what people corrected, to train on."""
    from inkdigits.feedback import export as export_feedback

    count, left_out = export_feedback(options.file, options.folder)
    if options.json:
        _print(json.dumps({"folder": str(options.folder), "digits": count, "left_out": left_out}))
    else:
        _print(f"{options.folder}: {count:,} digits")
    if left_out:
        _say(f"left out, because they would not come back from a picture as they are: {left_out}")
    return OK


def export(options: argparse.Namespace) -> int:
    """`inkdigits export`: the model as one file, compared with the network on real digits."""
    with _extra("exporting", "train"):
        from inkdigits.export import export_run

    written = export_run(options.model, options.output, data_dir=options.data_dir)
    if options.json:
        _print(json.dumps(asdict(written)))
    else:
        compared = (
            f"its probabilities differ from the network's by at most {written.largest_difference:.1e} on {written.compared_on}"
        )
        _print(f"{written.path}: {written.bytes:,} bytes; {compared}")
    return OK


def reproduce(options: argparse.Namespace) -> int:
    """`inkdigits reproduce`: the shipped recipes over several seeds, as a table of published beside measured figures."""
    with _extra("training", "train"):
        from inkdigits.reproduction import reproduce as run_all

    _print(run_all(options.recipes, options.seeds, options.out, data_dir=options.data_dir, write=options.write))
    return OK


def pages(options: argparse.Namespace) -> int:
    """`inkdigits pages`: a folder of made-up pages, and what is written on them."""
    from inkdigits.data import load_dataset
    from inkdigits.display import downloads
    from inkdigits.pages import write_pages

    digits = None
    if not options.drawn:
        with downloads() as progress:
            digits = load_dataset("mnist", data_dir=options.data_dir, progress=progress)[options.split]
    kinds = write_pages(options.out, options.count, options.seed, digits)
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    _print(json.dumps({"folder": str(options.out), "pages": kinds}) if options.json else f"{options.out}: {listed}")
    return OK


def serve(options: argparse.Namespace) -> int:
    """`inkdigits serve`: until Ctrl-C or SIGTERM."""
    with _extra("serving", "serve"):
        from inkdigits.server import serve as serve_until_stopped

    def ready(address: str) -> None:
        _say(f"draw at {address} or post pictures to {address}v1/read")

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


class _Parser(argparse.ArgumentParser):
    """Wrong usage gets one sentence, as every other error does."""

    def error(self, message: str) -> NoReturn:
        self.exit(NOTHING_DONE, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="inkdigits", description="Reads handwritten digits, and trains the networks that do.")
    parser.add_argument("--version", action="version", version=f"inkdigits {inkdigits.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _read_options(_command(commands, "read", read, "read the handwritten digits in pictures"))
    _train_options(_command(commands, "train", train, "train a recipe"))
    _evaluate_options(_command(commands, "evaluate", evaluate, "measure a model"))
    _compare_options(_command(commands, "compare", compare, "compare recipes over several seeds, or two runs"))
    _command(commands, "recipes", recipes, "list the shipped recipes with source, published and measured figures")
    text = "list, fetch and verify datasets; make one of corrections"
    _data_commands(commands.add_parser("data", help=text, description=f"{text.capitalize()}.", allow_abbrev=False))
    _export_options(_command(commands, "export", export, "write a model as one self-contained ONNX file"))
    text = "train shipped recipes over several seeds and compare them with their sources"
    _reproduce_options(_command(commands, "reproduce", reproduce, text))
    text = "make pictures of handwriting with known content, to train on, to test and to measure with"
    _pages_options(_command(commands, "pages", pages, text))
    text = "read pictures over HTTP, and digits that are drawn in the browser"
    _serve_options(_command(commands, "serve", serve, text))
    return parser


def _command(commands: Any, name: str, function: Any, text: str) -> argparse.ArgumentParser:
    """A command, or an action of one. All print JSON where they are asked to, but those whose result is a page or a service."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False
    )
    parser.set_defaults(command=function)
    if function not in (reproduce, serve):
        parser.add_argument("--json", action="store_true", help="print machine-readable results only")
    return parser


def _data_dir_option(parser: argparse.ArgumentParser) -> None:
    text = "where datasets lie (default: $INKDIGITS_DATA, else the user's cache folder)"
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help=text)


def _read_options(parser: argparse.ArgumentParser) -> None:
    text = (
        "a picture, a folder (all pictures below it), - (one picture on standard input), "
        "or an .npz, IDX or CSV file of 28x28 images"
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help=text)
    parser.add_argument("--single", action="store_true", help="each picture holds at most one digit")
    parser.add_argument("--model", default="default", metavar="M", help=f"{MODEL_HELP} (default: default)")
    text = (
        "also draw, for each picture, why it was read so: a PNG in this folder, named after the picture, that shows the ink found, "
        "what the network saw, how sure it was, and why candidates were refused; of an array, the first 100 images"
    )
    parser.add_argument("--explain", type=Path, metavar="DIR", help=text)


def _train_options(parser: argparse.ArgumentParser) -> None:
    text = "a shipped recipe's name (see `inkdigits recipes`) or a .toml file of yours"
    parser.add_argument("recipe", metavar="RECIPE", help=text)
    text = "the new folder for the model, its figures and its report"
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help=text)
    parser.add_argument("--data", metavar="D", help=f"{DATA_HELP} (default: the recipe's)")
    text = "same seed, same bits on the same machine (default: 0)"
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=text)
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the training digits (default: the recipe's)")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda or mps (default: auto)")
    text = "change a key of the recipe, such as batch=32 or options.dropout=0.3; can be given several times"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)
    text = "go on with the run in DIR where it was stopped or killed, to the same bits; without one, start; a finished one stays"
    parser.add_argument("--resume", action="store_true", help=text)
    text = "save what --resume needs every so many steps (500) or seconds (30s), or only when stopped (off) (default: 60s)"
    parser.add_argument("--checkpoint-every", default="60s", metavar="N", help=text)
    text = "start from this model's weights (fine-tuning), not from fresh ones: a shipped model's name, or a folder made by train"
    parser.add_argument("--init", metavar="MODEL", help=text)
    _data_dir_option(parser)


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    text = "mnist-c for MNIST's digits through fifteen corruptions, mnist-c/fog and its like for one of them"
    parser.add_argument("--data", default="mnist", metavar="D", help=f"{DATA_HELP}; {text} (default: mnist)")
    text = (
        "train, validation, test, all, or qmnist's test50k (default: test, or all of digits of your own that the model has not "
        "learned from)"
    )
    parser.add_argument("--split", metavar="S", help=text)
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="also write a page to look at")
    _data_dir_option(parser)


def _compare_options(parser: argparse.ArgumentParser) -> None:
    text = (
        "a folder made by train, a folder that holds several, or a shipped model's name. Runs that differ in nothing but their "
        "seed are taken together; two runs are compared with each other"
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help=text)
    parser.add_argument("--data", default="mnist", metavar="D", help=f"{DATA_HELP} (default: mnist)")
    parser.add_argument("--split", default="test", metavar="S", help="train, validation, test or all (default: test)")
    _data_dir_option(parser)


def _data_commands(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _data_dir_option(_command(actions, "list", data_list, "list the datasets that have a name"))
    for name, function, text in (
        ("fetch", data_fetch, "download a dataset, unless it lies there whole"),
        ("verify", data_verify, "check a dataset's files against their hashes"),
    ):
        action = _command(actions, name, function, text)
        action.add_argument("name", metavar="NAME", help="a dataset's name (see `inkdigits data list`)")
        _data_dir_option(action)
    text = "write what people corrected in the browser as a folder of pictures, to train on"
    action = _command(actions, "export-feedback", data_export_feedback, text)
    action.add_argument("file", type=Path, metavar="FILE", help="what `inkdigits serve --collect FILE` has stored")
    action.add_argument("folder", type=Path, metavar="DIR", help="the new folder, with the folders 0 to 9 in it")


def _export_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a shipped model's name, or a folder made by train")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE.onnx", help="the file to write")
    _data_dir_option(parser)


def _reproduce_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="the recipes (default: the five reference systems)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each recipe, seeds 0 to N - 1 (default: 3)")
    text = "where the runs lie; finished ones are kept, stopped ones gone on with (default: runs/reproduce)"
    parser.add_argument("--out", default="runs/reproduce", type=Path, metavar="DIR", help=text)
    parser.add_argument("--write", action="store_true", help="also write docs/results.md and the recipes' measured figures")
    _data_dir_option(parser)


def _pages_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", required=True, type=int, metavar="N", help="how many pages; every ten are by another writer")
    text = "the new folder for the pictures and truth.csv, which says for each one its kind and what is written in it"
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help=text)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same pages (default: 0)")
    text = "which of MNIST's training digits to write with: validation, which no recipe learns from, or train (default: validation)"
    parser.add_argument("--split", choices=("validation", "train"), default="validation", help=text)
    parser.add_argument("--drawn", action="store_true", help="write with strokes of the program's own only; needs no dataset")
    _data_dir_option(parser)


def _serve_options(parser: argparse.ArgumentParser) -> None:
    text = "the address to listen on; 0.0.0.0 lets other machines in (default: 127.0.0.1)"
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST", help=text)
    text = "the port to listen on; 0 takes any that is free (default: 8000)"
    parser.add_argument("--port", type=int, default=8000, metavar="N", help=text)
    text = "store what people correct in the browser, with its picture, in this file (default: nothing is stored)"
    parser.add_argument("--collect", type=Path, metavar="FILE", help=text)
    parser.add_argument("--model", default="default", metavar="M", help=f"{MODEL_HELP} (default: default)")
