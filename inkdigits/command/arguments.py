"""The parser of the command line: every command, its options and what they are for.

Words come in and an `argparse.Namespace` goes out. Its `command` is the name of the command, such
as "read" or "data fetch"; `cli` has the functions with these names.
"""

import argparse
from pathlib import Path
from typing import Any, NoReturn

import inkdigits

NOTHING_DONE = 2  # the exit status for wrong usage

# argparse has no public name for what `add_subparsers` returns.
Commands = Any

MODEL_HELP = (
    "a shipped model's name (tiny-int8 is tiny in eight bits), a folder made by train, or an .onnx "
    "file"
)
CASCADE_HELP = f"{MODEL_HELP}; nano+best reads with nano, and with best where nano is not sure"
DATA_HELP = (
    "a dataset's name (see `inkdigits data list`), a folder with MNIST's four files, an IDX, .npz "
    "or .csv file, a folder of pictures sorted into folders called 0 to 9 or with a labels.csv "
    "(file,written), or several of these joined by +"
)


class _Help(argparse.HelpFormatter):
    """Help with room for the longest command: argparse before Python 3.13 forgets its indent."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if action.nargs == argparse.PARSER:
            self._action_max_length += self._indent_increment


class _Parser(argparse.ArgumentParser):
    """A parser that answers wrong usage with one sentence, like every other error."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Help, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(NOTHING_DONE, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command line."""
    parser = _Parser(
        prog="inkdigits", description="Read handwritten digits, and train the networks that do."
    )
    parser.add_argument("--version", action="version", version=f"inkdigits {inkdigits.__version__}")

    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_read(commands)
    _add_train(commands)
    _add_evaluate(commands)
    _add_compare(commands)
    _add_recipes(commands)
    _add_data(commands)
    _add_export(commands)
    _add_reproduce(commands)
    _add_challenge(commands)
    _add_sweep(commands)
    _add_pages(commands)
    _add_sheet(commands)
    _add_collect(commands)
    _add_serve(commands)
    _add_web(commands)
    return parser


def _add_command(commands: Commands, name: str, text: str) -> argparse.ArgumentParser:
    """Add a command, or an action of `data`, with a text that says what it does."""
    description = f"{text[0].upper()}{text[1:]}."
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=description)
    parser.set_defaults(command=parser.prog.removeprefix("inkdigits "))
    return parser


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print machine-readable results only")


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="the folder with the datasets (default: $INKDIGITS_DATA, else the user's cache)",
    )


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        default="auto",
        metavar="D",
        help="auto, cpu, cuda or mps (default: auto)",
    )


def _add_read(commands: Commands) -> None:
    parser = _add_command(commands, "read", "read the handwritten digits in pictures")

    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a picture; a PDF, TIFF or GIF (each page or frame; scan.pdf[3] is one, counted from "
        "0); a folder (all pictures below it); - (one picture on standard input); or an .npz, "
        ".npy, IDX or CSV file of 28x28 images",
    )
    parser.add_argument(
        "--single", action="store_true", help="each picture holds at most one digit"
    )
    parser.add_argument(
        "--written",
        action="store_true",
        help="print numbers as they are written, with point, comma, minus, slash and colon, and "
        "with spaces where gaps are wide: 1.234,56 instead of 123456; --json has both",
    )
    parser.add_argument(
        "--below",
        type=float,
        metavar="P",
        help="print only what a person should look at: pictures of which the whole text is right "
        "with a probability below P, such as 0.9, and those in which nothing was read",
    )
    parser.add_argument(
        "--table",
        type=Path,
        metavar="OUT.csv",
        help="write the numbers of one picture into rows and columns instead, and how sure each is "
        "into OUT-confidence.csv; with --below, the doubtful ones get a question mark",
    )
    parser.add_argument(
        "--model",
        default="default",
        metavar="M",
        help=f"{CASCADE_HELP} (default: default)",
    )
    parser.add_argument(
        "--backend",
        default="onnxruntime",
        metavar="B",
        help="what runs the model: onnxruntime or openvino (the extra of this name), which reads "
        "files of thousands of digits faster with a shipped model in eight bits, such as "
        "default-int8 (default: onnxruntime)",
    )
    parser.add_argument(
        "--explain",
        type=Path,
        metavar="DIR",
        help="also explain each reading: a PNG in this folder, named after the picture, that shows "
        "the ink found, what the network saw, how sure it was, and why candidates were refused; "
        "for a file of many images, the first 100",
    )
    parser.add_argument(
        "--submission",
        type=Path,
        metavar="FILE.csv",
        help="write a table for Kaggle instead: ImageId,Label with a digit for every image of one "
        ".npz, IDX or CSV file, such as Kaggle's test.csv",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="how many pictures to read at the same time; the results and their order stay the "
        "same (default: one per processor)",
    )
    _add_json(parser)


def _add_train(commands: Commands) -> None:
    parser = _add_command(commands, "train", "train a recipe")

    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        help="a shipped recipe's name (see `inkdigits recipes`), or a .toml file of your own; page "
        "trains the two networks that find the digits in a picture, on pages that it draws itself",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="the new folder for the model, its figures and its report",
    )
    parser.add_argument("--data", metavar="D", help=f"{DATA_HELP} (default: the recipe's)")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="stop at the first picture that cannot be used, instead of leaving it out and listing "
        "it in DIR/unusable.csv",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="the same seed gives the same bits on the same machine (default: 0)",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="passes over the training digits (default: the recipe's)",
    )
    _add_device(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a key of the recipe, such as batch=32 or options.dropout=0.3; can be given "
        "several times",
    )
    parser.add_argument(
        "--init",
        metavar="MODEL",
        help="fine-tune: start from the weights of this model, which is a shipped model's name or "
        "a folder made by train (of the recipe page: page or a folder made by train page)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in DIR where it was stopped or killed, to the same bits; start it "
        "if there is none, and leave it as it is if it has finished",
    )
    parser.add_argument(
        "--checkpoint-every",
        default="60s",
        metavar="N",
        help="how often to save what --resume needs: every so many steps (500) or seconds (30s), "
        "or only when stopped (off) (default: 60s)",
    )
    parser.add_argument(
        "--tensorboard",
        action="store_true",
        help="also write the curves, the errors, the confusion matrix and the recipe for "
        "TensorBoard, into DIR/tensorboard",
    )
    _add_data_dir(parser)
    _add_json(parser)


def _add_evaluate(commands: Commands) -> None:
    parser = _add_command(commands, "evaluate", "measure a model")

    parser.add_argument("model", metavar="MODEL", help=CASCADE_HELP)
    parser.add_argument(
        "--data",
        default="mnist",
        metavar="D",
        help=f"{DATA_HELP}; mnist-c for MNIST's digits under fifteen corruptions, mnist-c/fog for "
        "one of them (default: mnist)",
    )
    parser.add_argument(
        "--split",
        metavar="S",
        help="train, validation, test, all, or qmnist's test50k (default: test; all for digits of "
        "your own that the model has not learned from)",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE.html", help="also write a report for the browser"
    )
    _add_data_dir(parser)
    _add_json(parser)


def _add_compare(commands: Commands) -> None:
    parser = _add_command(
        commands, "compare", "compare recipes over several seeds, or two runs with each other"
    )

    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="a folder made by train, a folder that holds several, or a shipped model's name; runs "
        "that differ only in their seed are taken together",
    )
    parser.add_argument(
        "--data", default="mnist", metavar="D", help=f"{DATA_HELP} (default: mnist)"
    )
    parser.add_argument(
        "--split",
        default="test",
        metavar="S",
        help="train, validation, test or all (default: test)",
    )
    _add_data_dir(parser)
    _add_json(parser)


def _add_recipes(commands: Commands) -> None:
    text = "list the shipped recipes with their sources, published and measured figures"
    _add_json(_add_command(commands, "recipes", text))


def _add_data(commands: Commands) -> None:
    parser = _add_command(
        commands, "data", "list, fetch and verify datasets; export corrections as a dataset"
    )

    actions = parser.add_subparsers(required=True, metavar="ACTION")

    listing = _add_command(actions, "list", "list the datasets that have a name")
    _add_data_dir(listing)
    _add_json(listing)

    for name, text in (
        ("fetch", "download a dataset, unless it is there already"),
        ("verify", "check a dataset's files against their hashes"),
    ):
        action = _add_command(actions, name, text)
        action.add_argument(
            "name", metavar="NAME", help="a dataset's name (see `inkdigits data list`)"
        )
        _add_data_dir(action)
        _add_json(action)

    feedback = _add_command(
        actions,
        "export-feedback",
        "write the digits that people corrected in the browser as pictures to train on",
    )
    feedback.add_argument(
        "file", type=Path, metavar="FILE", help="the file of `inkdigits serve --collect FILE`"
    )
    feedback.add_argument(
        "folder", type=Path, metavar="DIR", help="the new folder, with folders 0 to 9 in it"
    )
    _add_json(feedback)


def _add_export(commands: Commands) -> None:
    parser = _add_command(commands, "export", "write a model as one self-contained ONNX file")

    parser.add_argument(
        "model", metavar="MODEL", help="a shipped model's name, or a folder made by train"
    )
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE.onnx", help="the file to write"
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="quantise to eight bits: smaller, up to three times as fast, and almost always the "
        "same answer",
    )
    _add_data_dir(parser)
    _add_json(parser)


def _add_reproduce(commands: Commands) -> None:
    parser = _add_command(
        commands,
        "reproduce",
        "train shipped recipes over several seeds and compare them with their sources",
    )

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
        help="runs of each recipe, with seeds 0 to N - 1 (default: 3)",
    )
    parser.add_argument(
        "--out",
        default="runs/reproduce",
        type=Path,
        metavar="DIR",
        help="the folder for the runs; finished ones are kept, and stopped ones are continued "
        "(default: runs/reproduce)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="how many runs to make at a time, each in its own process (default: 1)",
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="local makes the runs on this machine; ray on the cluster that Ray finds, as many at "
        "a time as it has processors (default: local)",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="also write docs/results.md and the recipes' measured figures",
    )
    _add_data_dir(parser)


def _add_challenge(commands: Commands) -> None:
    parser = _add_command(
        commands,
        "challenge",
        "train a recipe of your own over several seeds, and place it among the shipped ones",
    )

    parser.add_argument("recipe", metavar="RECIPE", help="your .toml file, or a shipped name")
    parser.add_argument(
        "--seeds",
        type=int,
        default=3,
        metavar="N",
        help="runs, with seeds 0 to N - 1; 3 is the least (default: 3)",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="the folder for the runs, challenge.json and a plot for size and one for seconds; "
        "finished runs are kept, and stopped ones are continued",
    )
    _add_data_dir(parser)
    _add_json(parser)


def _add_sweep(commands: Commands) -> None:
    parser = _add_command(
        commands,
        "sweep",
        "search for the best values of a recipe's keys, judged on validation digits",
    )

    parser.add_argument(
        "space",
        type=Path,
        metavar="SPACE.toml",
        help="a recipe, which of its keys to search, and how",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="the folder for the trials, trials.csv and best.toml. The same command continues what "
        "is there; started twice, the two share the work",
    )
    parser.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="how many trials, counting those that are there already (default: the space's)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="how many trials to run at a time, each in its own process (default: 1)",
    )
    parser.add_argument(
        "--engine",
        choices=("optuna", "ray"),
        default="optuna",
        help="optuna runs the trials on this machine; ray on the cluster that Ray finds, as many "
        "at a time as it has processors (default: optuna)",
    )
    parser.add_argument(
        "--data", metavar="D", help=f"{DATA_HELP} (default: the space's, else the recipe's)"
    )
    _add_device(parser)
    _add_data_dir(parser)
    _add_json(parser)


def _add_pages(commands: Commands) -> None:
    parser = _add_command(
        commands, "pages", "make pictures of handwriting with known content, to train and test on"
    )

    parser.add_argument(
        "--count",
        required=True,
        type=int,
        metavar="N",
        help="how many pages; each writer writes ten",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="the new folder for the pictures and truth.csv, which says what kind each one is and "
        "what is written in it",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="the same seed gives the same pages (default: 0)",
    )
    parser.add_argument(
        "--split",
        choices=("validation", "train"),
        default="validation",
        help="which of MNIST's training digits to write with: validation, which no recipe learns "
        "from, or train (default: validation)",
    )
    parser.add_argument(
        "--drawn",
        action="store_true",
        help="write only with strokes that the program draws itself, so that no dataset is needed",
    )
    _add_data_dir(parser)
    _add_json(parser)


def _add_sheet(commands: Commands) -> None:
    parser = _add_command(
        commands, "sheet", "write a page of boxes to print, for people to fill in with digits"
    )

    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="FILE",
        help="the new file; its name ends in .pdf or .png",
    )


def _add_collect(commands: Commands) -> None:
    parser = _add_command(
        commands, "collect", "cut the digits out of photos of filled sheets, to train on"
    )

    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PICTURE",
        help="a photo or scan of one filled sheet, a PDF or TIFF of such pages, or a folder of "
        "them; it may lie on its side or upside down",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="the new folder for the pictures, in folders called 0 to 9, and writers.csv, which "
        "says who wrote each one: the number on the sheet, or else the name of its photo",
    )
    _add_json(parser)


def _add_serve(commands: Commands) -> None:
    parser = _add_command(
        commands, "serve", "read pictures over HTTP, and digits as they are drawn in the browser"
    )

    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="HOST",
        help="the address to listen on; 0.0.0.0 lets other machines in, by any name unless "
        "--allow-host says by which (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8000,
        metavar="N",
        help="the port to listen on; 0 takes any that is free (default: 8000)",
    )
    parser.add_argument(
        "--model",
        default="default",
        metavar="M",
        help=f"{MODEL_HELP} (default: default)",
    )
    parser.add_argument(
        "--collect",
        type=Path,
        metavar="FILE",
        help="store what people correct in the browser in this file, with its picture (default: "
        "nothing is stored)",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that clients may call this service by, such as that of a proxy in front of "
        "it; can be given several times (default: localhost, 127.0.0.1, ::1 and HOST; any name if "
        "HOST is 0.0.0.0 or ::)",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a web page's origin, such as https://example.org, whose scripts may use this "
        "service; can be given several times (default: the service's own page only)",
    )
    parser.add_argument(
        "--local",
        action="store_true",
        help="let people choose to read on the device that shows the draw page, so that nothing is "
        "sent; the files for it come from npm, unless --runtime names one",
    )
    _add_runtime(parser)


def _add_runtime(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runtime",
        type=Path,
        metavar="FILE",
        help="the packed npm package onnxruntime-web, whose version and SHA-512 are checked "
        "(default: npm downloads it from the registry that it is set up for)",
    )


def _add_web(commands: Commands) -> None:
    parser = _add_command(
        commands, "web", "write a static site that reads in the browser, without a server"
    )

    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="the folder for the site, which is new, empty, or holds a former site",
    )
    _add_runtime(parser)
    _add_json(parser)
