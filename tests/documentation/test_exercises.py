"""A lesson has its form, and its exercise an answer that is hidden. `test_notebooks` runs it."""

import ast
from pathlib import Path

import nbformat
import numpy as np
import pytest
from lessons import CHECKS, answers, exercise_cells, hidden_answers

ROOT = Path(__file__).parents[2]
A_SCREEN = 36  # lines of code, at the size in which JupyterLab shows them on a laptop
COLUMNS = 100

every_lesson = pytest.mark.parametrize("name", CHECKS)


def read(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


@every_lesson
def test_a_lesson_opens_with_a_question_and_says_what_it_costs(name):
    opening = read(name).cells[0].source
    assert opening.split("\n")[0].endswith("?")
    assert "**What it costs:** about " in opening


@every_lesson
def test_the_code_of_a_lesson_fits_on_a_screen(name):
    for cell in read(name).cells:
        if cell.cell_type == "code":
            lines = cell.source.split("\n")
            assert len(lines) <= A_SCREEN, cell.id
            assert max(map(len, lines)) <= COLUMNS, cell.id


@every_lesson
def test_a_lesson_ends_with_an_exercise_whose_answer_is_folded(name):
    notebook = read(name)
    last = notebook.cells[-1]
    assert last.cell_type == "markdown"
    assert last.source.endswith("</details>")

    (answer,) = hidden_answers(notebook)
    defined = [node.name for node in ast.parse(answer).body if isinstance(node, ast.FunctionDef)]
    before = last.source.split("<details", 1)[0]
    assert defined
    for function in defined:
        assert f"`{function}(" in before, f"the exercise does not ask for {function}"


def test_an_answer_is_found_only_where_it_is_folded():
    text = (
        "```python\nseen = 1\n```\n\n<details markdown>\n<summary>The answer</summary>\n\nSo:\n\n"
        "```python\nhidden = 2\n```\n\n</details>"
    )
    assert answers(text) == ["hidden = 2\n"]


def test_a_notebook_without_exercises_gets_no_cells():
    assert exercise_cells("mnist", read("mnist")) == []


def test_a_wrong_gradient_is_noticed():
    """The check runs on a small network, with ReLU's derivative for that of tanh."""
    rng = np.random.default_rng(0)
    shapes = {"W1": (784, 5), "b1": (5,), "W2": (5, 10), "b2": (10,)}
    names = {
        "np": np,
        "weights": {name: rng.normal(size=shape) / 9 for name, shape in shapes.items()},
        "train_ink": rng.random((50, 784)),
        "train_labels": rng.integers(0, 10, 50),
        "tanh_right": 0.9,
    }
    exec(hidden_answers(read("from-scratch"))[0].split("\n\n\ntanh_weights")[0], names)
    exec(CHECKS["from-scratch"], dict(names))

    correct = names["tanh_backward"]
    names["tanh_backward"] = lambda *given: correct(*given) | {"b1": np.zeros(5)}
    with pytest.raises(AssertionError, match="b1"):
        exec(CHECKS["from-scratch"], names)
