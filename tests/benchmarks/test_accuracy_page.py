"""The page of accuracies, written again, keeps what it says of recipes without runs."""

import numpy as np
from few_digits import few_digits

from benchmarks.training import accuracy

HEAD = ["| recipe | figure |", "| --- | --- |"]
PAGE = """# Title

## First

| recipe | figure |
| --- | --- |
| `best` | 1 |
| `nano` | 2 |

a note

## Second

more
"""


def test_a_recipe_without_runs_keeps_its_line_and_the_order_is_the_pages():
    former = accuracy.former_section(PAGE, "First")
    assert accuracy.with_former([*HEAD, "| `tiny` | 3 |"], former) == [
        *HEAD,
        "| `best` | 1 |",
        "| `tiny` | 3 |",
        "| `nano` | 2 |",
    ]
    assert accuracy.with_former([*HEAD, "| `best` | 4 |"], former) == [
        *HEAD,
        "| `best` | 4 |",
        "| `nano` | 2 |",
    ]


def test_lines_of_other_columns_are_not_kept():
    table = ["| recipe | another figure |", "| --- | --- |", "| `tiny` | 3 |"]
    assert accuracy.with_former(table, accuracy.former_section(PAGE, "First")) == table
    assert accuracy.with_former(table, accuracy.former_section(PAGE, "Third")) == table


def test_a_table_of_nothing_is_the_former_one():
    assert accuracy.with_former(HEAD, accuracy.former_section(PAGE, "First")) == [
        *HEAD,
        "| `best` | 1 |",
        "| `nano` | 2 |",
    ]


def test_without_runs_there_is_no_ensemble_and_the_former_table_stays():
    table = accuracy.ensemble_section((), few_digits(3))
    assert len(table) == 2
    assert accuracy.with_former(table, [*table, "| 1 | 5 | ... |"])[2:] == ["| 1 | 5 | ... |"]


def test_a_card_has_the_lines_of_one_recipe():
    card = accuracy.card_section(
        "nano", [[*HEAD, "| `best` | 1 |", "| `nano` | 2 |"], [*HEAD, "| `best` | 3 |"]]
    )
    assert card.startswith(
        "## Figures\n\n| recipe | figure |\n| --- | --- |\n| `nano` | 2 |\n\nMade by"
    )


def test_subsets_are_all_of_them_or_a_draw_without_repetition_within_each():
    draw = np.random.default_rng(0)
    assert accuracy.subsets(4, 2, draw) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    drawn = accuracy.subsets(20, 10, draw)
    assert len(drawn) == accuracy.MOST_SUBSETS
    assert all(len(set(group)) == 10 for group in drawn)
