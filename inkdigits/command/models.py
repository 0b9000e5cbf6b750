"""The commands about what was trained: measure it, compare it, export it; and list the recipes."""

import argparse
import sys
from dataclasses import asdict

import inkdigits
from inkdigits.command.display import show_progress
from inkdigits.command.results import OK, SOME_FAILED, report
from inkdigits.command.text import format_page_recipe, format_recipe, print_message, wrap_for
from inkdigits.command.training import PAGE_RECIPE
from inkdigits.core.errors import BadValue, needs_extra


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
    report(options, evaluation.to_json(), describe_evaluation(evaluation, seen.classes))
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

    report(options, seen.to_json(), describe_robustness(seen))
    return OK


def compare(options: argparse.Namespace) -> int:
    """Run `inkdigits compare`: print what recipes reach, and whether they differ."""
    from inkdigits.runs import comparison

    with show_progress() as progress:
        compared = comparison.compare(
            options.runs, options.data, options.split, data_dir=options.data_dir, progress=progress
        )

    report(options, compared.to_json(), comparison.describe_comparison(compared))
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
    report(options, tables, table)
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

    report(options, asdict(written), text)
    return OK
