"""How the code reads, in figures: `python benchmarks/readability.py [FOLDER]` prints them.

    syntax nodes                all nodes of `ast.walk`, and how many of them a line of code holds
    blank lines in functions    steps that are set apart
    lines over 100 columns
    functions that are knots    more than ten decisions, or nearly one in every line
    docstrings without a verb   first lines of public functions that do not say what they do

`--list` names the places behind the last three. `tests/test_readability.py` holds the package to
its limits.
"""

import argparse
import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

WIDEST = 100  # columns of a line
# Of a function. ruff's C901 has the same limit, but does not count conditions within one line.
MOST_DECISIONS = 10
FEW_DECISIONS = 5  # may be as dense as they like
DENSEST = 0.8  # decisions a line

DECISIONS = (
    ast.If,
    ast.For,
    ast.While,
    ast.ExceptHandler,
    ast.comprehension,
    ast.IfExp,
    ast.BoolOp,
)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# The verbs that first lines start with, in the imperative. A new one belongs here as well.
VERBS = frozenset(
    """
    accept acknowledge adapt add advance allow answer apply approximate arrange ask assemble
    assert assign attach attack augment average await balance begin believe bind blend blur
    break bring build calculate calibrate call cancel capture carry centre change check choose
    clamp classify clean clear clip close collect colour combine compare compile complete
    compose compress compute connect consume continue convert copy correct count cover create
    crop crowd cut darken decide declare decode decorate delete deliver describe detach detect
    determine dilate discard disconnect display distil divide do download draw drip drop embed
    empty encode end enter erode estimate evaluate exchange execute exit expand explain export
    extend extract extrapolate feed fetch fill filter find finish fit fix flatten flip fold
    follow forget form format forward fuse generate get give go group grow guess halve handle
    hash have help hold hurt ignore imitate implement import include increase infer initialise
    insert install interpolate interpret invert iterate join judge keep kill label launch lay
    leak leave let limit link list listen load locate lock log look lose lower make map mark
    mask match measure merge mirror mix move multiply name normalise note number observe offer
    open optimise order pack pad paint parse pass paste perform permit pick place plan plant
    plot point pool post predict prepare print produce project propose prove provide prune
    publish pull put quantise quote raise rank read rebuild receive recognise record recover
    redirect reduce refuse register reject release reload remember remove rename render renew
    reorder repair repeat replace reply report request resample reset reshape resize resolve
    respond restore restrict resume retry return reverse rise rotate round run sample save say
    scale scan schedule score search seed select send separate serve set shade share shear
    shift show shrink shuffle shut sign simulate skip slant slice smooth sort spell split
    spoil spread stack start step stop store straighten stretch strip subtract suggest sum
    summarise suppress swap sweep switch take tell test throw tidy time tint total trace track
    train transform translate trim try turn undo unpack update upload use validate vary verify
    view visit wait walk warm warn watch weigh widen wrap write yield
    """.split()  # noqa: SIM905 (a list of words reads like a list of words)
)


@dataclass
class Readability:
    """What one or several files have of each figure. Places are `file:line name`."""

    nodes: int = 0
    code_lines: int = 0
    function_lines: int = 0
    blank_lines: int = 0
    wide: list[str] = field(default_factory=list)
    knots: list[str] = field(default_factory=list)
    verbless: list[str] = field(default_factory=list)

    def add(self, other: "Readability") -> None:
        """Add what another has."""
        self.nodes += other.nodes
        self.code_lines += other.code_lines
        self.function_lines += other.function_lines
        self.blank_lines += other.blank_lines
        self.wide += other.wide
        self.knots += other.knots
        self.verbless += other.verbless

    @property
    def nodes_a_line(self) -> float:
        """Return how many syntax nodes a line of code holds."""
        return self.nodes / max(1, self.code_lines)

    @property
    def blank_share(self) -> float:
        """Return the share of a function's lines that are blank, 0 to 1."""
        return self.blank_lines / max(1, self.function_lines)


def docstring_lines(tree: ast.Module) -> set[int]:
    """Return the numbers of all lines that belong to a docstring."""
    lines = set[int]()
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)) or not node.body:
            continue

        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            lines |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))

    return lines


def lines_with_code(text: str) -> set[int]:
    """Return the numbers of the lines that hold more than a comment."""
    ignored = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines = set[int]()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in ignored and token.type != tokenize.ENDMARKER:
            lines |= set(range(token.start[0], token.end[0] + 1))

    return lines


def decisions(function: ast.AST) -> int:
    """Count a function's branches, loops, conditions and handlers, and one for itself."""
    count = 1
    for node in ast.walk(function):
        if isinstance(node, ast.BoolOp):
            count += len(node.values) - 1
        elif isinstance(node, DECISIONS):
            count += 1

    return count


def is_knot(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a function decides too much, or too much in too few lines."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    count = decisions(function)
    is_dense = count > FEW_DECISIONS and count > DENSEST * lines
    return count > MOST_DECISIONS or is_dense


def is_public(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a function is meant for other modules, and is no property, which is a thing."""
    names = {ast.unparse(decorator) for decorator in function.decorator_list}
    return not function.name.startswith("_") and not names & {"property", "cached_property"}


def starts_with_verb(docstring: str) -> bool:
    """Tell whether the first word of a docstring is a verb in the imperative."""
    words = docstring.split()
    return bool(words) and words[0].strip(".,:;").lower() in VERBS


def measure_file(path: Path, name: str) -> Readability:
    """Measure one Python file, which places call `name`."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    lines = text.splitlines()
    in_docstrings = docstring_lines(tree)
    found = Readability(nodes=sum(1 for _ in ast.walk(tree)))
    found.code_lines = len(lines_with_code(text) - in_docstrings)
    found.wide = [f"{name}:{number}" for number, line in enumerate(lines, 1) if len(line) > WIDEST]

    inside = set[int]()
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            inside |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            judge_function(node, f"{name}:{node.lineno} {node.name}", found)

    inside -= in_docstrings
    found.function_lines = len(inside)
    found.blank_lines = sum(not lines[number - 1].strip() for number in inside)
    return found


def judge_function(
    function: ast.FunctionDef | ast.AsyncFunctionDef, place: str, found: Readability
) -> None:
    """Add a function to the knots and to the docstrings without a verb, if it is one."""
    if is_knot(function):
        found.knots.append(f"{place} ({decisions(function)})")

    docstring = ast.get_docstring(function)
    if docstring and is_public(function) and not starts_with_verb(docstring):
        found.verbless.append(f"{place}: {docstring.splitlines()[0]}")


def measure_folder(folder: Path) -> Readability:
    """Measure all Python files in a folder together, or one file."""
    total = Readability()
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*.py"))
    for path in paths:
        total.add(measure_file(path, str(path)))

    return total


def rows(found: Readability) -> Iterator[str]:
    """Yield the lines that are printed."""
    yield f"{found.nodes:>10,} syntax nodes"
    yield f"{found.code_lines:>10,} lines of code"
    yield f"{found.nodes_a_line:>10.1f} syntax nodes a line of code"
    yield f"{found.blank_share:>10.1%} of the lines in functions are blank"
    yield f"{len(found.wide):>10,} lines over {WIDEST} columns"
    yield f"{len(found.knots):>10,} functions that are knots"
    yield f"{len(found.verbless):>10,} public functions whose docstring starts without a verb"


def main() -> None:
    """Print the figures of a folder."""
    parser = argparse.ArgumentParser(description="How the code of a folder reads, in figures.")
    parser.add_argument("folder", nargs="?", default="inkdigits", type=Path)
    parser.add_argument("--list", action="store_true", help="name the places, too")
    arguments = parser.parse_args()
    if not arguments.folder.exists():
        sys.exit(f"there is no {arguments.folder}; name a folder of Python files, or one file")

    found = measure_folder(arguments.folder)
    print("\n".join(rows(found)))
    if arguments.list:
        print("\n".join(["", *found.wide, "", *found.knots, "", *found.verbless]))


if __name__ == "__main__":
    main()
