"""Progress of long work: plain lines where there is no terminal, a bar where there is one."""

import io

import pytest
from rich.console import Console

from mmspec_ds.progress import ProgressLines


def lines(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, in a list of one, for a test to change."""
    now = [100.0]
    monkeypatch.setattr("mmspec_ds.progress.time.monotonic", lambda: now[0])
    return now


def test_a_line_every_few_seconds_with_the_speed(clock: list[float]) -> None:
    console = Console(file=io.StringIO())
    with ProgressLines("preparing", unit="rows", last_line=True, console=console) as progress:
        for second, done in ((0, 1000), (4, 1200), (10, 1500), (19, 1950), (21, 2000)):
            clock[0] = 100.0 + second
            progress.at(done, 2000)
    # 1,000 rows were there at the start: 500 in 10 seconds, 1,000 in 21.
    assert lines(console) == [
        "preparing: 1,500 of 2,000 rows, 50 rows/s",
        "preparing: 2,000 of 2,000 rows, 48 rows/s",
    ]


def test_short_work_prints_nothing(clock: list[float]) -> None:
    console = Console(file=io.StringIO())
    with ProgressLines("predicting", console=console) as progress:
        progress.at(1, 1)
    assert lines(console) == []


def test_a_line_may_be_given(clock: list[float]) -> None:
    console = Console(file=io.StringIO())
    with ProgressLines("predicting", console=console, seconds=2.0) as progress:
        clock[0] += 3.0
        progress.at(1, status="[1] of many")
        clock[0] += 3.0
        progress.at(2, line="two")
    assert lines(console) == ["predicting: 1, [1] of many", "two"]


def test_a_terminal_has_a_bar_and_lines_above_it() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with ProgressLines("reading", 8, console=console) as progress:
        progress.at(2, status="loss 1.5")
        progress.say("step 3")
    told = "\n".join(lines(console))
    assert "step 3" in told
    assert "25%" in told
    assert "loss 1.5" in told
