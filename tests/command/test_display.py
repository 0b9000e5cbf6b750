"""A terminal gets a bar that fits it, a log gets plain lines, and both only on standard error."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from inkdigits.command.display import (
    BESIDE_BAR,
    SHORTEST_BAR,
    fit_figures,
    follow,
    follow_page_reader,
    format_epoch,
    progress_figures,
    show_progress,
)
from inkdigits.command.text import wrap_for
from inkdigits.runs.artifacts import FinalFigures
from inkdigits.runs.page_reader.records import PageReaderFigures, StageProgress
from inkdigits.training.figures import Epoch, TrainingProgress
from inkdigits.training.page.look_loop import LookFigures, LookRecord
from inkdigits.training.page.loop import PageRecord
from inkdigits.training.page.measuring import PageFigures

SLOW = Epoch(100, 123.4567, 1.0, 0.5, 1.0, 12345.6, 1_234_567.8)
PAGE_READER = PageReaderFigures(
    0, 128, PageFigures(1.5, 0.85, 0.966, 0.755), LookFigures(0.4, 0.9, 0.8, 1271), 1.2
)
FINAL = FinalFigures("lenet", 0, 2, 1.0, 0.99, 0.98, 0.98, 0.05, 0.98, 60_074, "cpu")


def records(epochs: int = 2) -> Iterator[TrainingProgress | Epoch | FinalFigures]:
    for epoch in range(1, epochs + 1):
        yield TrainingProgress(epoch, 0.5, 0.25, 0.9, 12_345.6)
        yield TrainingProgress(epoch, 1.0, 0.2, 0.95, 12_000.0)
        yield Epoch(epoch, 0.2, 0.95, 0.1, 0.9786, 1.26, 12_000.0)
    yield FINAL


def test_follow_passes_on_what_counts(capsys):
    passed = list(follow(records(), 2))
    assert [type(record) for record in passed] == [Epoch, Epoch, FinalFigures]
    assert passed[-1] is FINAL


def test_a_log_gets_a_line_an_epoch_and_no_control_characters(capsys):
    list(follow(records(), 2))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "epoch 1/2  loss 0.2000  accuracy  95.00 %  validation  97.86 %  1.3 s\n"
        "epoch 2/2  loss 0.2000  accuracy  95.00 %  validation  97.86 %  1.3 s\n"
    )


def page_records() -> Iterator[object]:
    yield StageProgress("page", 0.0)
    yield StageProgress("page", 0.5)
    yield PageRecord(1_100, 12_000, 1.25, {"ink": 1.25})
    yield StageProgress("look", 0.1)
    yield LookRecord(1, 40, 21_345, 0.5)
    yield PAGE_READER


def test_the_page_reader_s_log_has_a_title_and_a_line_a_record_for_each_network(capsys):
    titles = {"page": "page, seed 0", "look": "a second look"}
    passed = list(follow_page_reader(page_records(), titles))
    assert [type(record) for record in passed] == [PageRecord, LookRecord, PageReaderFigures]
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "page, seed 0\n"
        "page network  step  1,100/12,000  loss 1.2500\n"
        "a second look\n"
        "look network  shard  1/40  loss 0.5000  21,345 looks\n"
    )
    assert list(follow_page_reader(iter([PAGE_READER]), titles)) == [PAGE_READER]
    assert capsys.readouterr().err == ""


def test_a_title_stands_above_what_there_is_to_show(capsys):
    list(follow(records(1), 1, "lenet, seed 0"))
    assert capsys.readouterr().err.splitlines()[0] == "lenet, seed 0"
    assert list(follow(iter([FINAL]), 1, "lenet, seed 0")) == [FINAL]
    assert capsys.readouterr().err == ""


def test_lines_fit_a_terminal_of_80_columns():
    assert len(format_epoch(SLOW, 100)) <= 80
    figures = progress_figures(TrainingProgress(100, 0.5, 123.4567, 1.0, 1_234_567.8))
    assert fit_figures(figures, 80 - BESIDE_BAR - len("epoch 100/100") - SHORTEST_BAR) == "  ".join(
        figures
    )


def test_a_narrow_terminal_gets_what_counts_most():
    figures = ("loss 0.1234", "", "accuracy  98.76 %", "12,345 images/s")
    assert fit_figures(figures, 100) == "loss 0.1234  accuracy  98.76 %  12,345 images/s"
    assert fit_figures(figures, 30) == "loss 0.1234  accuracy  98.76 %"
    assert fit_figures(figures, 29) == "loss 0.1234"
    assert fit_figures(figures, 10) == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


ROW = "lenet   98.76 %  the small classic: two tiny convolutions"


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (47, ["lenet   98.76 %  the small classic: two tiny", " " * 17 + "convolutions"]),
        (40, ["lenet   98.76 %  the small classic: two", "  tiny convolutions"]),
    ],
)
def test_a_row_is_fitted_to_a_terminal_and_to_nothing_else(columns, lines, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert wrap_for(Terminal(), ROW, indent=17).splitlines() == lines
    assert wrap_for(io.StringIO(), ROW, indent=17) == ROW


def test_no_address_is_broken(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    address = "https://example.org/a-long/path-with/hyphens-and-more.gz"
    assert address in wrap_for(Terminal(), f"nothing came from {address} today").splitlines()[1]


def test_downloads_say_once_what_they_do(capsys):
    with show_progress() as progress:
        for done in (1000, 5000, None):
            progress("downloading a.gz", done or 9000, 9000)

        progress("reading digits", 1, 2)
        progress("reading digits", 2, 2)
        progress("downloading b.gz", 1000, None)

    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["downloading a.gz", "reading digits", "downloading b.gz"]


def test_an_error_ends_the_bar_and_goes_on(capsys):
    def broken() -> Iterator[TrainingProgress]:
        yield TrainingProgress(1, 0.5, 1.0, 0.5, 100.0)
        raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        list(follow(broken(), 2))


@pytest.fixture
def on_terminal() -> Callable[..., str]:
    """Run a program whose standard error is a terminal of 80 columns; return what arrives there.

    printed: what arrives on standard output.
    """
    pty = pytest.importorskip("pty")

    def run(program: str, printed: str = "", **environment: str) -> str:
        terminal, theirs = pty.openpty()
        variables = os.environ | {"COLUMNS": "80", "TERM": "xterm"} | environment
        process = subprocess.Popen(
            [sys.executable, "-c", program], stderr=theirs, stdout=subprocess.PIPE, env=variables
        )
        os.close(theirs)
        seen = b""
        while chunk := _read(terminal):
            seen += chunk

        os.close(terminal)
        assert process.communicate()[0].decode() == printed
        assert process.returncode == 0, seen.decode()
        return seen.decode()

    return run


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so when the other side is closed
        return b""


def lines_drawn(seen: str) -> list[str]:
    uncoloured = re.sub(r"\x1b\[[0-9;]*m", "", seen)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", uncoloured)  # each movement begins a line
    return [line for line in re.split(r"[\r\n]+", plain) if line.strip()]


EPOCHS = """
import time
from inkdigits.command.display import follow
from inkdigits.training.figures import Epoch, TrainingProgress
def records():
    for epoch in (1, 2):
        for part in (1, 2, 3, 4):
            time.sleep(0.15)
            yield TrainingProgress(epoch, part / 4, 2.5 / part, 0.2 * part, 123456.7)
        yield Epoch(epoch, 0.2, 0.95, 0.1, 0.9786, 1.26, 12000.0)
list(follow(records(), 2))
"""


@pytest.mark.slow
def test_a_terminal_gets_a_bar_with_loss_accuracy_and_speed(on_terminal):
    seen = on_terminal(EPOCHS)
    drawn = lines_drawn(seen)
    bars = [line for line in drawn if "images/s" in line]
    assert any(
        re.fullmatch(r"epoch 1/2 .*━.* loss \d\.\d{4}  accuracy  \d0\.00 %  123,457 images/s", line)
        for line in bars
    )
    assert max(map(len, drawn)) <= 80
    assert sum(line.startswith("epoch 1/2  loss 0.2000") for line in drawn) == 1
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h") > 0  # the cursor comes back
    assert not lines_drawn(seen.rpartition("\x1b[?25h")[2])  # and nothing of the bar stays


@pytest.mark.slow
def test_a_wide_terminal_is_told_the_time_that_is_left(on_terminal):
    drawn = lines_drawn(on_terminal(EPOCHS, COLUMNS="120"))
    assert any(re.search(r"images/s  0:00:0\d left$", line) for line in drawn)


@pytest.mark.slow
def test_what_is_printed_reaches_its_file_and_not_the_terminal(on_terminal):
    line = "a result " * 20
    seen = on_terminal(
        EPOCHS.replace(
            "list(follow(records(), 2))", f"for _ in follow(records(), 2): print({line!r})"
        ),
        f"{line}\n" * 2,
    )
    assert "a result" not in seen


@pytest.mark.slow
@pytest.mark.parametrize("columns", [20, 40, 120])
def test_the_bar_fits_other_terminals_too(columns, on_terminal):
    bars = [line for line in lines_drawn(on_terminal(EPOCHS, COLUMNS=str(columns))) if "━" in line]
    assert bars
    assert max(map(len, bars)) <= columns - BESIDE_BAR
    assert all("…" not in line for line in bars)
    assert any("loss" in line for line in bars) == (columns >= 40)


@pytest.mark.slow
def test_no_color_turns_the_colours_off(on_terminal):
    coloured = re.compile(r"\x1b\[[0-9;]*[349][0-9][;m]")
    assert coloured.search(on_terminal(EPOCHS))
    assert not coloured.search(on_terminal(EPOCHS, NO_COLOR="1"))


@pytest.mark.slow
def test_a_terminal_that_cannot_move_its_cursor_gets_the_lines(on_terminal):
    assert on_terminal(EPOCHS, TERM="dumb").splitlines() == [
        "epoch 1/2  loss 0.2000  accuracy  95.00 %  validation  97.86 %  1.3 s",
        "epoch 2/2  loss 0.2000  accuracy  95.00 %  validation  97.86 %  1.3 s",
    ]


@pytest.mark.slow
def test_a_terminal_without_rich_gets_the_lines(on_terminal):
    assert lines_drawn(on_terminal(f"import sys; sys.modules['rich.progress'] = None{EPOCHS}")) == [
        "epoch 1/2  loss 0.2000  accuracy  95.00 %  validation  97.86 %  1.3 s",
        "epoch 2/2  loss 0.2000  accuracy  95.00 %  validation  97.86 %  1.3 s",
    ]


def test_a_download_shows_how_much_has_arrived(on_terminal):
    program = """
import time
from inkdigits.command.display import show_progress
with show_progress() as progress:
    for done in (1_000_000, 2_500_000, 9_912_422):
        progress("downloading a.gz", done, 9_912_422)
        time.sleep(0.2)
    progress("downloading [b].gz", 5, None)
    time.sleep(0.2)
"""
    drawn = lines_drawn(on_terminal(program))
    assert any("2.5 of 9.9 MB" in line for line in drawn)
    assert [line for line in drawn if line.startswith("downloading")] == [
        "downloading a.gz",
        "downloading [b].gz",
    ]
