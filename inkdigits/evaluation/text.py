"""An Evaluation in, a text for a terminal of 80 columns out."""

import textwrap
from collections.abc import Sequence

from inkdigits.core.digits import DIGITS
from inkdigits.evaluation.metrics import BINS, Evaluation, confusions, percent

TERMINAL_COLUMNS = 80
MOST_CONFUSIONS = 8  # are listed


def describe_evaluation(evaluation: Evaluation, classes: Sequence[str] = DIGITS) -> str:
    """Describe an evaluation in lines of at most 80 columns.

    Args:
        evaluation: the figures.
        classes: the names of the ten classes.
    """
    figures = "\n".join([_headline(evaluation), *_confidence(evaluation)])
    table = _class_table(evaluation, classes)
    return "\n\n".join([figures, table, _frequent_confusions(evaluation, classes)])


def _headline(evaluation: Evaluation) -> str:
    """Describe what was measured, and its main figures."""
    model = evaluation.model or "model"
    data = evaluation.data or "data"
    split = evaluation.split or "all"
    low, high = map(percent, evaluation.accuracy_ci95)

    return f"""{model} on {data}, {split}

  accuracy     {percent(evaluation.accuracy):>9}   95 % interval {low} to {high}
  errors       {evaluation.errors:9,}   of {evaluation.n:,}
  loss (nll)   {evaluation.nll:9.4f}   nats an image
  calibration  {percent(evaluation.ece):>9}   expected error of the confidence (ece, {BINS} bins)
  f1 (macro)   {evaluation.f1_macro:9.4f}"""


def _confidence(evaluation: Evaluation) -> list[str]:
    """Describe what confidence is good for, a line each."""
    surest = percent(evaluation.coverage_no_error)
    few = percent(evaluation.coverage_one_error_in_1000)
    lines = [f"  surest       {surest:>9}   without an error, {few} with at most 1 in 1,000"]

    if evaluation.auroc_errors is not None:
        meaning = "auroc of confidence, right against wrong answers"
        lines.append(f"  doubt        {evaluation.auroc_errors:9.4f}   {meaning}")
    if evaluation.auroc_no_digit is not None:
        meaning = f"auroc of sureness, digits against {evaluation.n_no_digit:,} other things"
        lines.append(f"  no digit     {evaluation.auroc_no_digit:9.4f}   {meaning}")

    return lines


def _class_table(evaluation: Evaluation, classes: Sequence[str]) -> str:
    """Describe each class in a row."""
    width = max(len("class"), *map(len, classes))
    lines = [f"  {'class':<{width}}  precision     recall      f1   images   errors"]
    for score, name in zip(evaluation.per_class, classes, strict=True):
        missed = score.support - evaluation.confusion[score.digit][score.digit]
        shares = f"{percent(score.precision):>9}  {percent(score.recall):>9}  {score.f1:.4f}"
        lines.append(f"  {name:<{width}}  {shares}  {score.support:7,}  {missed:7,}")

    return "\n".join(lines)


def _frequent_confusions(evaluation: Evaluation, classes: Sequence[str]) -> str:
    """List the most frequent confusions; lines break only between them."""
    phrases = [
        f"{classes[label]} read as {classes[read]} ({count:,})".replace(" ", "\xa0")
        for label, read, count in confusions(evaluation)[:MOST_CONFUSIONS]
    ]
    if not phrases:
        return "No errors."

    text = "Most frequent confusions: " + ", ".join(phrases)
    return textwrap.fill(text, TERMINAL_COLUMNS).replace("\xa0", " ")
