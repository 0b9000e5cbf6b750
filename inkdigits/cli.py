"""The command `inkdigits`: parse, call one function, print. Results go to standard output, everything else to standard error.

Exit status: 0 all well; 1 some input could not be processed, the rest was; 2 wrong usage, or nothing could be done; 130 Ctrl-C.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import inkdigits
from inkdigits.errors import BadModel, InkdigitsError, MissingExtra

if TYPE_CHECKING:
    from inkdigits.recipe import Recipe
    from inkdigits.recogniser import Reading

OK, SOME_FAILED, NOTHING_DONE, INTERRUPTED = 0, 1, 2, 130

MODEL_HELP = "a shipped model's name, a folder made by train, or an .onnx file"
DATA_HELP = (
    "a dataset's name (see `inkdigits data list`), a folder with MNIST's four files, an IDX, .npz or .csv file, "
    "a folder of pictures sorted into folders called 0 to 9, or several of these joined by + (default: mnist)"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. arguments: None takes those of the process."""
    options = _parser().parse_args(arguments)
    try:
        status = int(options.command(options))
        sys.stdout.flush()
        return status
    except InkdigitsError as error:
        _say(f"inkdigits: {error}")
        return NOTHING_DONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def read(options: argparse.Namespace) -> int:
    """`inkdigits read`: a line a picture."""
    from inkdigits.recogniser import Recogniser
    from inkdigits.sources import read_paths

    recogniser = Recogniser(options.model)
    failed = 0
    for path, reading in read_paths(recogniser, options.paths, single=options.single):
        print(reading.to_json(path) if options.json else _reading_line(path, reading), flush=not options.json)
        if reading.error:
            failed += 1
            _say(f"inkdigits: {reading.error}")
    return SOME_FAILED if failed else OK


def _reading_line(path: str, reading: "Reading") -> str:
    """For people: what is read, how sure the least sure digit is, and what else they should know."""
    if reading.error:
        return f"{path}: could not be read"
    accepted = [digit for digit in reading.digits if digit.accepted]
    lines = "/".join((reading.text or "").split("\n")) or "no digit"
    sure = f"  {min(digit.confidence for digit in accepted):.1%} sure" if accepted else ""
    refused = "".join(f"  ({digit.reason})" for digit in reading.digits if not digit.accepted)
    warnings = "".join(f"  [{warning}]" for warning in reading.warnings)
    return f"{path}: {lines}{sure}{refused}{warnings}"


def train(options: argparse.Namespace) -> int:
    """`inkdigits train`: a line an epoch, then the final figures."""
    from inkdigits.recipe import load_recipe, parse_settings

    with _extra("training", "train"):
        from inkdigits.data import load_dataset
        from inkdigits.display import downloads, follow
        from inkdigits.run import Epoch, run, to_record

    settings = parse_settings(options.set) | ({} if options.epochs is None else {"epochs": options.epochs})
    recipe = load_recipe(options.recipe, settings)
    with downloads() as progress:
        dataset = load_dataset(options.data, data_dir=options.data_dir, progress=progress)
    records = run(recipe, Path(options.out), dataset, seed=options.seed, device=options.device, init=options.init)
    for record in follow(records, recipe.epochs):
        if options.json:
            print(json.dumps(to_record(record)), flush=True)
        elif not isinstance(record, Epoch):
            print(
                f"{record.recipe} on {dataset.name}: test accuracy {record.test_accuracy:.2%}, validation "
                f"{record.validation_accuracy:.2%}, after {record.epochs} epochs in {record.train_seconds:.1f} s\n"
                f"model and report: {Path(options.out) / 'report.html'}"
            )
    return OK


def evaluate(options: argparse.Namespace) -> int:
    """`inkdigits evaluate`: the figures of a model on a dataset."""
    from inkdigits.evaluation import evaluate_probabilities, predict, summary

    seen = predict(options.model, options.data, options.split, data_dir=options.data_dir)
    evaluation = evaluate_probabilities(seen.probabilities, seen.labels, model=seen.model, data=seen.data, split=seen.split)
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
        _say(f"report: {options.report}")
    print(json.dumps(evaluation.to_json()) if options.json else summary(evaluation, seen.classes))
    return OK


def recipes(options: argparse.Namespace) -> int:
    """`inkdigits recipes`: what is shipped, with its evidence."""
    from inkdigits.recipe import load_recipe, shipped_recipes, to_table

    loaded = [load_recipe(name) for name in shipped_recipes()]
    if options.json:
        print(json.dumps([to_table(recipe) for recipe in loaded]))
        return OK
    print(f"{'recipe':<12}{'published':>10}{'measured':>18}  what it is")
    for recipe in loaded:
        print(f"{recipe.name:<12}{_published(recipe):>10}{_measured(recipe):>18}  {recipe.summary}")
    return OK


def _published(recipe: "Recipe") -> str:
    accuracy = recipe.published.get("test_accuracy")
    return f"{accuracy:.2%}" if accuracy else "-"


def _measured(recipe: "Recipe") -> str:
    mean, sd = recipe.measured.get("test_accuracy_mean"), recipe.measured.get("test_accuracy_sd")
    return "-" if mean is None else f"{mean:.2%} +- {sd * 100:.2f}" if sd is not None else f"{mean:.2%}"


def data_list(options: argparse.Namespace) -> int:
    """`inkdigits data list`."""
    from inkdigits.store import list_datasets

    listings = list_datasets(options.data_dir)
    if options.json:
        print(json.dumps([vars(listing) for listing in listings]))
        return OK
    for listing in listings:
        size = (
            f"{listing.nbytes / 2**20:.1f} MiB here"
            if listing.present and listing.nbytes
            else "here"
            if listing.present
            else "-"
        )
        print(f"{listing.name:<15}{size:>15}  {listing.description}")
    return OK


def data_fetch(options: argparse.Namespace) -> int:
    """`inkdigits data fetch`."""
    from inkdigits.store import fetch_dataset

    with _extra("downloading", "train"):
        from inkdigits.display import downloads

        with downloads() as progress:
            folder = fetch_dataset(options.name, options.data_dir, progress)
    print(json.dumps({"name": options.name, "folder": str(folder)}) if options.json else f"{options.name}: {folder}")
    return OK


def data_verify(options: argparse.Namespace) -> int:
    """`inkdigits data verify`: status 1 where a file is wrong or missing."""
    from inkdigits.store import verify_dataset

    findings = verify_dataset(options.name, options.data_dir)
    for finding in findings:
        print(json.dumps(vars(finding)) if options.json else finding)
    return OK if all(finding.right for finding in findings) else SOME_FAILED


def export(options: argparse.Namespace) -> int:
    """`inkdigits export`: the model as one file, compared with the network on real digits."""
    with _extra("exporting", "train"):
        from inkdigits.checkpoint import load_checkpoint
        from inkdigits.data import load_dataset
        from inkdigits.export import export_onnx
    from inkdigits.recogniser import shipped_folder

    folder = shipped_folder(options.model) or Path(options.model)
    if folder.is_file():
        raise BadModel(f"{folder} is a file already; wanted is a shipped model or a folder made by `inkdigits train`")
    checkpoint = load_checkpoint(folder)
    try:
        digits = load_dataset("mnist", data_dir=options.data_dir, download=False)
    except InkdigitsError:
        digits = load_dataset("optdigits")  # real digits that are always at hand
    facts = {"recipe": checkpoint.recipe.name, "data": checkpoint.config["data"]["name"], "seed": checkpoint.config["seed"]}
    target, temperature = Path(options.output), checkpoint.config["temperature"]
    difference = export_onnx(checkpoint.network, target, digits.train.images, temperature=temperature, facts=facts)
    result = {"path": str(target), "bytes": target.stat().st_size, "largest_difference": difference, "compared_on": digits.name}
    print(
        json.dumps(result)
        if options.json
        else f"{target}: {result['bytes']:,} bytes; probabilities differ from the network's by at most {difference:.1e} on {digits.name}"
    )
    return OK


def reproduce(options: argparse.Namespace) -> int:
    """`inkdigits reproduce`: the shipped recipes over several seeds, as a table of published beside measured figures."""
    with _extra("training", "train"):
        from inkdigits.reproduction import reproduce as run_all

    table = run_all(options.recipes, options.seeds, Path(options.out), data_dir=options.data_dir, write=options.write)
    print(table)
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


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inkdigits", description="Reads handwritten digits, and trains the networks that do.")
    parser.add_argument("--version", action="version", version=f"inkdigits {inkdigits.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Any, text: str, *, within: Any = commands) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = within.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        added.set_defaults(command=function)
        added.add_argument("--json", action="store_true", help="print machine-readable results only")
        return added

    def with_data_dir(added: argparse.ArgumentParser) -> argparse.ArgumentParser:
        text = "where datasets lie (default: $INKDIGITS_DATA, else the user's cache folder)"
        added.add_argument("--data-dir", type=Path, metavar="DIR", help=text)
        return added

    _read_options(command("read", read, "read the handwritten digits in pictures"))
    _train_options(with_data_dir(command("train", train, "train a recipe")))
    _evaluate_options(with_data_dir(command("evaluate", evaluate, "measure a model")))
    command("recipes", recipes, "list the shipped recipes with source, published and measured figures")

    data = commands.add_parser("data", help="list, fetch and verify datasets").add_subparsers(required=True, metavar="ACTION")
    with_data_dir(command("list", data_list, "list the datasets that have a name", within=data))
    for name, function, text in (
        ("fetch", data_fetch, "download a dataset, unless it lies there whole"),
        ("verify", data_verify, "check a dataset's files against their hashes"),
    ):
        with_data_dir(command(name, function, text, within=data)).add_argument("name", metavar="NAME", help="a dataset's name")

    exporting = with_data_dir(command("export", export, "write a model as one self-contained ONNX file"))
    exporting.add_argument("model", metavar="MODEL", help="a shipped model's name, or a folder made by train")
    exporting.add_argument("-o", "--output", required=True, metavar="FILE.onnx", help="the file to write")

    again = with_data_dir(
        command("reproduce", reproduce, "train shipped recipes over several seeds and compare with their sources")
    )
    again.add_argument("recipes", nargs="*", metavar="RECIPE", help="the recipes (default: the five reference systems)")
    again.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each recipe, seeds 0 to N - 1 (default: 3)")
    again.add_argument(
        "--out", default="runs/reproduce", metavar="DIR", help="where runs lie; finished ones are kept and not run again"
    )
    again.add_argument("--write", action="store_true", help="also write docs/results.md and the recipes' measured figures")
    return parser


def _read_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a picture, a folder (all pictures below it), - (one picture on standard input), or an .npz, IDX or CSV file of 28x28 images",
    )
    parser.add_argument("--single", action="store_true", help="each picture holds at most one digit")
    parser.add_argument("--model", default="default", metavar="M", help=f"{MODEL_HELP} (default: default)")


def _train_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe", metavar="RECIPE", help="a shipped recipe's name (see `inkdigits recipes`) or a .toml file of yours"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="the new folder for the model, its figures and its report")
    parser.add_argument("--data", default="mnist", metavar="D", help=DATA_HELP)
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="same seed, same bits on the same machine (default: 0)"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the training digits (default: the recipe's)")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda or mps (default: auto)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the recipe; can be given again"
    )
    parser.add_argument("--init", metavar="MODEL", help="start from this model's weights (fine-tuning), not from fresh ones")


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--data", default="mnist", metavar="D", help=DATA_HELP)
    parser.add_argument(
        "--split", metavar="S", help="train, validation, test or all (default: test, or all where there is no test split)"
    )
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="also write a page to look at")
