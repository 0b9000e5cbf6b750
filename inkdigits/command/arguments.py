"""What the command line takes: the parser, with every command's options and what they are for.

Knows the commands by their names alone; cli.py has what they do.
"""

import argparse
from pathlib import Path
from typing import Any, NoReturn

import inkdigits

NOTHING_DONE = 2  # the exit status for wrong usage

MODEL_HELP = "a shipped model's name (tiny-int8: tiny in eight bits), a folder made by train, or an .onnx file"
CASCADE_HELP = f"{MODEL_HELP}; nano+best: best reads what nano is not sure of"
DATA_HELP = (
    "a dataset's name (see `inkdigits data list`), a folder with MNIST's four files, an IDX, .npz or .csv file, "
    "a folder of pictures sorted into folders called 0 to 9, or several of these joined by +"
)


class _Help(argparse.HelpFormatter):
    """Leaves room for the longest command, whose indent argparse before Python 3.13 forgets."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if action.nargs == argparse.PARSER:
            self._action_max_length += self._indent_increment


class _Parser(argparse.ArgumentParser):
    """Wrong usage gets one sentence, as every other error does."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Help, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(NOTHING_DONE, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def parser() -> argparse.ArgumentParser:
    """Of the whole command line. `command` of what it parses is the command's name, with its action where it has some."""
    parser = _Parser(
        prog="inkdigits", description="Reads handwritten digits, and trains the networks that do."
    )
    parser.add_argument("--version", action="version", version=f"inkdigits {inkdigits.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _read_options(_command(commands, "read", "read the handwritten digits in pictures"))
    _train_options(_command(commands, "train", "train a recipe"))
    _evaluate_options(_command(commands, "evaluate", "measure a model"))
    _compare_options(
        _command(commands, "compare", "compare recipes over several seeds, or two runs")
    )
    _command(
        commands, "recipes", "list the shipped recipes with source, published and measured figures"
    )
    text = "list, fetch and verify datasets; make one of corrections"
    _data_commands(
        commands.add_parser(
            "data", help=text, description=f"{text.capitalize()}.", allow_abbrev=False
        )
    )
    _export_options(_command(commands, "export", "write a model as one self-contained ONNX file"))
    text = "train shipped recipes over several seeds and compare them with their sources"
    _reproduce_options(_command(commands, "reproduce", text))
    _sweep_options(
        _command(
            commands,
            "sweep",
            "search for the best values of a recipe's keys, judged on validation digits",
        )
    )
    text = (
        "make pictures of handwriting with known content, to train on, to test and to measure with"
    )
    _pages_options(_command(commands, "pages", text))
    text = "read pictures over HTTP, and digits that are drawn in the browser"
    _serve_options(_command(commands, "serve", text))
    return parser


def _command(commands: Any, name: str, text: str, of: str = "") -> argparse.ArgumentParser:
    """A command, or an action of one. All print JSON where they are asked to, but those whose result is a page or a service."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False
    )
    parser.set_defaults(command=f"{of} {name}".lstrip())
    if name not in ("reproduce", "serve"):
        parser.add_argument(
            "--json", action="store_true", help="print machine-readable results only"
        )
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
    parser.add_argument(
        "--single", action="store_true", help="each picture holds at most one digit"
    )
    parser.add_argument(
        "--model", default="default", metavar="M", help=f"{CASCADE_HELP} (default: default)"
    )
    text = (
        "also draw, for each picture, why it was read so: a PNG in this folder, named after the picture, that shows the ink found, "
        "what the network saw, how sure it was, and why candidates were refused; of an array, the first 100 images"
    )
    parser.add_argument("--explain", type=Path, metavar="DIR", help=text)
    text = "write a table for Kaggle instead: ImageId,Label, a digit for every image of one .npz, IDX or CSV file (its test.csv)"
    parser.add_argument("--submission", type=Path, metavar="FILE.csv", help=text)
    text = "how many are read at the same time; results and their order stay the same (default: one a processor)"
    parser.add_argument("--jobs", type=int, metavar="N", help=text)


def _train_options(parser: argparse.ArgumentParser) -> None:
    text = "a shipped recipe's name (see `inkdigits recipes`) or a .toml file of yours"
    parser.add_argument("recipe", metavar="RECIPE", help=text)
    text = "the new folder for the model, its figures and its report"
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help=text)
    parser.add_argument("--data", metavar="D", help=f"{DATA_HELP} (default: the recipe's)")
    text = "same seed, same bits on the same machine (default: 0)"
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=text)
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="passes over the training digits (default: the recipe's)",
    )
    parser.add_argument(
        "--device", default="auto", metavar="D", help="auto, cpu, cuda or mps (default: auto)"
    )
    text = "change a key of the recipe, such as batch=32 or options.dropout=0.3; can be given several times"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)
    text = "go on with the run in DIR where it was stopped or killed, to the same bits; without one, start; a finished one stays"
    parser.add_argument("--resume", action="store_true", help=text)
    text = "save what --resume needs every so many steps (500) or seconds (30s), or only when stopped (off) (default: 60s)"
    parser.add_argument("--checkpoint-every", default="60s", metavar="N", help=text)
    text = "also write what TensorBoard shows, into DIR/tensorboard: curves, errors and the confusion matrix, the recipe"
    parser.add_argument("--tensorboard", action="store_true", help=text)
    text = "start from this model's weights (fine-tuning), not from fresh ones: a shipped model's name, or a folder made by train"
    parser.add_argument("--init", metavar="MODEL", help=text)
    _data_dir_option(parser)


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=CASCADE_HELP)
    text = "mnist-c for MNIST's digits through fifteen corruptions, mnist-c/fog and its like for one of them"
    parser.add_argument(
        "--data", default="mnist", metavar="D", help=f"{DATA_HELP}; {text} (default: mnist)"
    )
    text = (
        "train, validation, test, all, or qmnist's test50k (default: test, or all of digits of your own that the model has not "
        "learned from)"
    )
    parser.add_argument("--split", metavar="S", help=text)
    parser.add_argument(
        "--report", type=Path, metavar="FILE.html", help="also write a page to look at"
    )
    _data_dir_option(parser)


def _compare_options(parser: argparse.ArgumentParser) -> None:
    text = (
        "a folder made by train, a folder that holds several, or a shipped model's name. Runs that differ in nothing but their "
        "seed are taken together; two runs are compared with each other"
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help=text)
    parser.add_argument(
        "--data", default="mnist", metavar="D", help=f"{DATA_HELP} (default: mnist)"
    )
    parser.add_argument(
        "--split",
        default="test",
        metavar="S",
        help="train, validation, test or all (default: test)",
    )
    _data_dir_option(parser)


def _data_commands(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _data_dir_option(_command(actions, "list", "list the datasets that have a name", "data"))
    for name, text in (
        ("fetch", "download a dataset, unless it lies there whole"),
        ("verify", "check a dataset's files against their hashes"),
    ):
        action = _command(actions, name, text, "data")
        action.add_argument(
            "name", metavar="NAME", help="a dataset's name (see `inkdigits data list`)"
        )
        _data_dir_option(action)
    text = "write what people corrected in the browser as a folder of pictures, to train on"
    action = _command(actions, "export-feedback", text, "data")
    action.add_argument(
        "file", type=Path, metavar="FILE", help="what `inkdigits serve --collect FILE` has stored"
    )
    action.add_argument(
        "folder", type=Path, metavar="DIR", help="the new folder, with the folders 0 to 9 in it"
    )


def _export_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="MODEL", help="a shipped model's name, or a folder made by train"
    )
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE.onnx", help="the file to write"
    )
    text = "in eight bits: smaller, up to three times as fast, and hardly another answer"
    parser.add_argument("--int8", action="store_true", help=text)
    _data_dir_option(parser)


def _reproduce_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipes",
        nargs="*",
        metavar="RECIPE",
        help="the recipes (default: the five reference systems)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=3,
        metavar="N",
        help="runs of each recipe, seeds 0 to N - 1 (default: 3)",
    )
    text = "where the runs lie; finished ones are kept, stopped ones gone on with (default: runs/reproduce)"
    parser.add_argument("--out", default="runs/reproduce", type=Path, metavar="DIR", help=text)
    parser.add_argument(
        "--write",
        action="store_true",
        help="also write docs/results.md and the recipes' measured figures",
    )
    _data_dir_option(parser)


def _sweep_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "space",
        type=Path,
        metavar="SPACE.toml",
        help="a recipe, which of its keys to search, and how",
    )
    text = (
        "the folder for the trials, trials.csv and best.toml. The same command goes on with what is there; started twice, both "
        "share the work"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help=text)
    parser.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="how many, those that are there included (default: the space's)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="trials at a time, each in a process of its own (default: 1)",
    )
    text = "ray trains on the cluster that Ray finds, as many trials at a time as it has processors (default: optuna, here)"
    parser.add_argument("--engine", choices=("optuna", "ray"), default="optuna", help=text)
    parser.add_argument(
        "--data", metavar="D", help=f"{DATA_HELP} (default: the space's, else the recipe's)"
    )
    parser.add_argument(
        "--device", default="auto", metavar="D", help="auto, cpu, cuda or mps (default: auto)"
    )
    _data_dir_option(parser)


def _pages_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--count",
        required=True,
        type=int,
        metavar="N",
        help="how many pages; every ten are by another writer",
    )
    text = "the new folder for the pictures and truth.csv, which says for each one its kind and what is written in it"
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help=text)
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="same seed, same pages (default: 0)"
    )
    text = "which of MNIST's training digits to write with: validation, which no recipe learns from, or train (default: validation)"
    parser.add_argument("--split", choices=("validation", "train"), default="validation", help=text)
    parser.add_argument(
        "--drawn",
        action="store_true",
        help="write with strokes of the program's own only; needs no dataset",
    )
    _data_dir_option(parser)


def _serve_options(parser: argparse.ArgumentParser) -> None:
    text = "the address to listen on; 0.0.0.0 lets other machines in (default: 127.0.0.1)"
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST", help=text)
    text = "the port to listen on; 0 takes any that is free (default: 8000)"
    parser.add_argument("--port", type=int, default=8000, metavar="N", help=text)
    text = "store what people correct in the browser, with its picture, in this file (default: nothing is stored)"
    parser.add_argument("--collect", type=Path, metavar="FILE", help=text)
    parser.add_argument(
        "--model", default="default", metavar="M", help=f"{MODEL_HELP} (default: default)"
    )
