"""The exercises of the lessons in notebooks/: their hidden answers, and what each answer must hold.

An answer is Python code in a folded block, <details markdown>, of a Markdown cell. It runs after
the notebook's own cells, in quick mode, and then the check of that notebook runs.
"""

import re

import nbformat

ANSWER = re.compile(r"^<details markdown>\n<summary>.+?</summary>\n(.*?)^</details>$", re.M | re.S)
CODE = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)

# notebook -> code that runs after the answer and asserts what the exercise asks
CHECKS = {
    "mnist": """
for images in (tidy[:60], small[:60], moved(tidy[:60], 5, 2), moved(small[:60], 7, 7)):
    for image in images:
        made = tidied(image)
        assert made.shape == (28, 28) and made.dtype == np.uint8
        rows, columns = np.nonzero(made > 12)
        assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20, "the longer side"

        middles = np.arange(28) + 0.5
        for axis, ink in ((1, rows), (0, columns)):
            centre = made.sum(axis=axis, dtype=float) @ middles / made.sum()
            at_the_edge = made.any(axis=axis)[[0, -1]].any()
            assert abs(centre - 14) <= 0.75 or at_the_edge, "the centre of mass"

assert came_back["moved"] > accuracy_on(network, moved(tidy, 4, 4)) + 0.4
assert came_back["small"] > accuracy_on(network, small) + 0.2
""",
    "your-own-digits": """
truth_of_four, first, then = (np.array(each) for each in ([1, 2, 1, 2], [1, 1, 2, 2], [1, 2, 2, 1]))
assert [list(each) for each in changes(first, then, truth_of_four)] == [[1], [3]]
gained = int((after == truth).sum()) - int((before == truth).sum())
assert len(learned) - len(forgotten) == gained
""",
    "inside-the-network": """
def read_without(image, side, top, left):
    cover = image.copy()
    for row in range(top, top + side):
        for column in range(left, left + side):
            cover[row, column] = 0
    return cover


for image, place in zip(looked_at, found, strict=True):
    was = recogniser.classify(image[None]).argmax()
    if place:
        assert recogniser.classify(read_without(image, *place)[None]).argmax() != was
    for side in range(1, place[0] if place else 13):
        every = [(top, left) for top in range(29 - side) for left in range(29 - side)]
        covers = np.stack([read_without(image, side, *corner) for corner in every])
        assert (recogniser.classify(covers).argmax(axis=1) == was).all(), "a smaller one does it"
assert any(found)
""",
    "from-99-to-99.8": """
def wrong(name):
    runs = rungs[name]["runs"]
    return sum(round((1 - run["accuracy"]) * ablation["held_out"]) for run in runs) / len(runs)


for name, rung in rungs.items():
    if rung["after"]:
        removed = 1 - wrong(name) / wrong(rung["after"])
        assert np.isclose(errors_removed(name), removed, rtol=0, atol=1e-9), name
assert max(steps, key=steps.get) == "wider", "the answer says so"
""",
    "from-scratch": """
import torch

precise = {name: values.astype(float) for name, values in weights.items()}
ink, labels = train_ink[:50].astype(float), train_labels[:50]
known = {name: torch.tensor(values, requires_grad=True) for name, values in precise.items()}
hidden = torch.tanh(torch.tensor(ink) @ known["W1"] + known["b1"])
torch.nn.functional.cross_entropy(
    hidden @ known["W2"] + known["b2"], torch.tensor(labels)
).backward()

found = tanh_backward(precise, ink, labels)
assert found.keys() == known.keys()
for name, values in known.items():
    assert np.allclose(found[name], values.grad, rtol=0, atol=1e-12), name
assert tanh_right > 0.5
""",
    "how-a-page-is-read": """
y, x, found = owners(piece.maps, symbols)
assert len(y) == (piece.maps.ink > 0.5).sum()
for row, column, number in zip(y, x, found, strict=True):
    to_x = column + piece.maps.offset[0, row, column]
    to_y = row + piece.maps.offset[1, row, column]
    distances = []
    for symbol in symbols:
        left, top, right, bottom = symbol.box
        distances.append(np.hypot(to_x - (left + right) / 4, to_y - (top + bottom) / 4))
    assert distances[number] <= min(distances) + 1e-6

assert agreed[True] > 0.9
assert agreed[True] > agreed[False]
""",
    "how-sure": """
def promised(threshold, risk):
    accepted = confidence >= threshold
    return (~right[accepted]).sum() <= risk * accepted.sum()


for risk in (0.0, 0.01, 0.1):
    found = threshold_for(confidence, right, risk)
    assert promised(found, risk)
    assert not any(promised(lower, risk) for lower in confidence[confidence < found])
assert threshold_for(np.array([0.5, 0.5]), np.array([True, False]), 0.1) == np.inf
""",
    "is-it-better": """
looks = [
    (validation, test)
    for pair in zip(seen["validation"], seen["test"], strict=True)
    for validation, test in zip(*pair, strict=True)
]
(seed, epoch), figure = choose(seen)
assert seen["validation"][seed, epoch] == max(validation for validation, _ in looks)
assert figure == seen["test"][seed, epoch] <= max(test for _, test in looks)
""",
}


def answers(text: str) -> list[str]:
    """Return the code of each folded answer in a Markdown cell."""
    return ["\n".join(CODE.findall(found)) for found in ANSWER.findall(text)]


def hidden_answers(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the code of all answers of a notebook."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return [answer for text in texts for answer in answers(text)]


def exercise_cells(name: str, notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Return cells that run a notebook's answers, and then check them."""
    codes = [*hidden_answers(notebook), CHECKS.get(name, "")]
    return [nbformat.v4.new_code_cell(code) for code in codes if code]
