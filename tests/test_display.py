"""A terminal gets a bar that fits it, a log gets plain lines, and both only on standard error."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from inkdigits.display import downloads, epoch_line, follow, progress_figures
from inkdigits.outcome import Final
from inkdigits.training import Epoch, Progress

SLOW = Epoch(100, 123.4567, 1.0, 0.5, 1.0, 12345.6, 1_234_567.8)
FINAL = Final("lenet", 0, 2, 1.0, 0.99, 0.98, 0.98, 0.05, 0.98, 60_074, "cpu")


def records(epochs: int = 2) -> Iterator[Progress | Epoch | Final]:
    for epoch in range(1, epochs + 1):
        yield Progress(epoch, 0.5, 0.25, 0.9, 12_345.6)
        yield Progress(epoch, 1.0, 0.2, 0.95, 12_000.0)
        yield Epoch(epoch, 0.2, 0.95, 0.1, 0.9786, 1.26, 12_000.0)
    yield FINAL


def test_follow_passes_on_what_counts(capsys):
    passed = list(follow(records(), 2))
    assert [type(record) for record in passed] == [Epoch, Epoch, Final]
    assert passed[-1] is FINAL


def test_a_log_gets_a_line_an_epoch_and_no_control_characters(capsys):
    list(follow(records(), 2))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "epoch 1/2  loss 0.2000  accuracy  95.00 %  validation  97.86 %  1.3 s\n"
        "epoch 2/2  loss 0.2000  accuracy  95.00 %  validation  97.86 %  1.3 s\n"
    )


def test_lines_fit_a_terminal_of_80_columns():
    assert len(epoch_line(SLOW, 100)) <= 80
    assert len(f"epoch 100/100 {'-' * 10} {progress_figures(Progress(100, 0.5, 123.4567, 1.0, 1_234_567.8))}") <= 80


def test_downloads_say_once_what_they_do(capsys):
    with downloads() as progress:
        for done in (1000, 5000, None):
            progress("downloading a.gz", done or 9000, 9000)
        progress("reading digits", 1, 2)
        progress("downloading b.gz", 1000, None)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["downloading a.gz", "reading digits", "downloading b.gz"]


def test_an_error_ends_the_bar_and_goes_on(capsys):
    def broken() -> Iterator[Progress]:
        yield Progress(1, 0.5, 1.0, 0.5, 100.0)
        raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        list(follow(broken(), 2))


@pytest.fixture
def on_terminal() -> Callable[..., str]:
    """Run a program whose standard error is a terminal of 80 columns; return what arrives there."""
    pty = pytest.importorskip("pty")

    def run(program: str, **environment: str) -> str:
        terminal, theirs = pty.openpty()
        variables = os.environ | {"COLUMNS": "80", "TERM": "xterm"} | environment
        process = subprocess.Popen([sys.executable, "-c", program], stderr=theirs, stdout=subprocess.PIPE, env=variables)
        os.close(theirs)
        seen = b""
        while chunk := _read(terminal):
            seen += chunk
        os.close(terminal)
        assert process.communicate()[0] == b""
        assert process.returncode == 0, seen.decode()
        return seen.decode()

    return run


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so when the other side is closed
        return b""


def lines_drawn(seen: str) -> list[str]:
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", re.sub(r"\x1b\[[0-9;]*m", "", seen))  # colours, then movements
    return [line for line in re.split(r"[\r\n]+", plain) if line.strip()]


EPOCHS = """
import time
from inkdigits.display import follow
from inkdigits.training import Epoch, Progress
def records():
    for epoch in (1, 2):
        for part in (1, 2, 3, 4):
            time.sleep(0.15)
            yield Progress(epoch, part / 4, 2.5 / part, 0.2 * part, 123456.7)
        yield Epoch(epoch, 0.2, 0.95, 0.1, 0.9786, 1.26, 12000.0)
list(follow(records(), 2))
"""


def test_a_terminal_gets_a_bar_with_loss_accuracy_and_speed(on_terminal):
    seen = on_terminal(EPOCHS)
    drawn = lines_drawn(seen)
    bars = [line for line in drawn if "images/s" in line]
    assert any(re.fullmatch(r"epoch 1/2 .*━.* loss \d\.\d{4}  accuracy  \d0\.00 %  123,457 images/s", line) for line in bars)
    assert max(map(len, drawn)) <= 80
    assert sum(line.startswith("epoch 1/2  loss 0.2000") for line in drawn) == 1
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h") == 1  # the cursor comes back


def test_a_terminal_without_rich_gets_the_lines(on_terminal):
    assert lines_drawn(on_terminal(f"import sys; sys.modules['rich.progress'] = None{EPOCHS}")) == [
        "epoch 1/2  loss 0.2000  accuracy  95.00 %  validation  97.86 %  1.3 s",
        "epoch 2/2  loss 0.2000  accuracy  95.00 %  validation  97.86 %  1.3 s",
    ]


def test_a_download_shows_how_much_has_arrived(on_terminal):
    program = """
import time
from inkdigits.display import downloads
with downloads() as progress:
    for done in (1_000_000, 2_500_000, 9_912_422):
        progress("downloading a.gz", done, 9_912_422)
        time.sleep(0.2)
    progress("downloading [b].gz", 5, None)
    time.sleep(0.2)
"""
    drawn = lines_drawn(on_terminal(program))
    assert any("2,500,000 of 9,912,422" in line for line in drawn)
    assert [line for line in drawn if line.startswith("downloading")] == ["downloading a.gz", "downloading [b].gz"]
