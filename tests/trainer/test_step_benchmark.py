"""`benchmarks/step.py` on several ranks: what it measures of a step, what is refused, and how it ends."""

import importlib
import json
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mmspec_ds.spectra.records import table_rows

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALL = (
    "--batch-size",
    "8",
    "--steps",
    "2",
    "--warm-up",
    "1",
    "--threads",
    "1",
    "--only",
    "sparse,dense equal",
)


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A benchmark's module; they find one another by their folder."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name)


def test_two_ranks_take_a_step_together(launcher: Any, run_file: Path, starter: Path, tmp_path: Path) -> None:
    records = str(starter / "train.parquet")
    command = (str(BENCHMARKS / "step.py"), records, "--run", str(run_file), "--ranks", "2", *SMALL)
    done = launcher.start("step", *command, "--rank-in", str(tmp_path), ranks=2)
    assert done.statuses == (0, 0), done.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert list(figures) == ["sparse", "dense equal"]
    # Of two steps the median is the mean. A step has the samples of both ranks, one of the epoch what is left.
    told = re.search(r"sparse: ([0-9]+) molecules to learn from.* expert-parallel size 2", done.output)
    assert told is not None, done.output
    left = int(told[1]) % 16
    for found in figures.values():
        samples = found["samples_per_second"] * found["step_ms"] / 1e3
        assert round(samples, 9) in (16, (16 + left) / 2)
    sparse, dense = figures.values()
    assert sparse["tokens_per_sample"] == dense["tokens_per_sample"]
    # One layer: experts of both ranks, the router's weights, tags and biases; dense 32 -> 80 -> 32.
    experts = sum(32 * width + width + width * 32 + 32 for width in (64, 16, 64, 16))
    router = 4 * 32 + 2 * table_rows(()) * 32
    assert sparse["parameters"] - dense["parameters"] == experts + router - (32 * 80 + 80 + 80 * 32 + 32)


def of_ranks(step: Any, monkeypatch: pytest.MonkeyPatch, *told: tuple[Any, ...]) -> Any:
    """A contestant where the ranks tell this."""
    monkeypatch.setattr("mmspec_ds.trainer.distributed.gather_objects", lambda value: list(told))
    return step.Contestant("sparse", None, [])


def test_a_step_takes_as_long_as_its_slowest_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    step = script("step_work", monkeypatch)
    monkeypatch.setattr("mmspec_ds.trainer.task.count_parameters", lambda task: 7)
    first = ([1.0, 4.0, 3.0], [0.5, 0.5, 1.0], [[0, 1], [2], [3]])
    second = ([2.0, 1.0, 3.0], [0.5, 1.0, 1.0], [[4, 5], [6], []])
    sparse = of_ranks(step, monkeypatch, first, second)
    sparse.join_ranks()
    assert sparse.seconds == [2.0, 4.0, 3.0]
    assert sparse.processor == [1.0, 1.5, 2.0]
    assert sparse.records == [[0, 1, 4, 5], [2, 6], [3]]
    task = SimpleNamespace(
        data=SimpleNamespace(train=SimpleNamespace(lengths=SimpleNamespace(mean=lambda: 34)))
    )
    sparse.session = SimpleNamespace(task=task)
    records = [[0] * 4, [0] * 2, [0]]
    dense = step.Contestant("dense", sparse.session, [], [2.0, 2.0, 2.0], [1.0, 1.0, 1.0], records)
    found = step.figures([sparse, dense])
    assert found["sparse"]["samples_per_second"] == 7 / 9
    assert (found["sparse"]["step_ms"], found["dense"]["step_ms"]) == (3000, 2000)
    assert (found["dense"]["clock_pairs"], found["dense"]["pairs"]) == (1.5, 1.5)
    dense.records[0].append(0)
    with pytest.raises(SystemExit, match="dense had 8 samples, sparse 7: expected as many"):
        step.figures([sparse, dense])


@pytest.mark.parametrize(
    ("losses", "records", "said"),
    [
        ((1.5, 1.5), ([0, 1], [2, 3]), None),
        ((1.5, 1.6), ([0, 1], [2, 3]), r"losses of the ranks \(1.5, 1.6\): expected one, finite"),
        ((float("nan"), float("nan")), ([0, 1], [2, 3]), "expected one, finite"),
        ((1.5, 1.5), ([0, 1], [1, 2]), "a record occurs twice: expected each on one rank"),
    ],
    ids=["right", "two losses", "not finite", "same record"],
)
def test_what_is_no_common_step_is_refused(
    losses: tuple[float, float],
    records: tuple[list[int], list[int]],
    said: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = script("step_work", monkeypatch)
    told = [([2.0, loss], [[8 + rank], own]) for rank, (loss, own) in enumerate(zip(losses, records))]
    contestant = of_ranks(step, monkeypatch, *told)
    if said is None:
        contestant.check()
        return
    with pytest.raises(SystemExit, match=f"sparse, step 1: {said}|sparse, step 1: .*{said}"):
        contestant.check()


def test_ranks_find_their_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = script("ranks", monkeypatch)
    names = "RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"
    code = f"import os; print(*(os.environ[name] for name in {names}))"
    ranks.run_ranks([sys.executable, "-c", code], 2, tmp_path)
    places = [(tmp_path / f"rank_{rank}.log").read_text().split() for rank in (0, 1)]
    assert [place[:4] for place in places] == [[r, r, "2", "127.0.0.1"] for r in ("0", "1")]
    assert places[0][4] == places[1][4]


def test_a_killed_rank_is_named_and_the_other_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = script("ranks", monkeypatch)
    monkeypatch.setattr(ranks, "GRACE", 0.2)
    code = (
        "import os, pathlib, sys, time\n"
        "if os.environ['RANK'] == '0':\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(600)\n"
        "while not pathlib.Path(sys.argv[1]).read_text(): time.sleep(0.01)\n"
        "os.kill(os.getpid(), 9)"
    )
    log = tmp_path / "rank_0.log"
    with pytest.raises(SystemExit) as refused:
        ranks.run_ranks([sys.executable, "-c", code, str(log)], 2, tmp_path)
    assert str(refused.value) == "rank 1 of 2 was killed by SIGKILL"
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.read_text()), 0)


def test_the_rank_that_failed_by_itself_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = script("ranks", monkeypatch)
    code = (
        "import os, sys\n"
        f"if os.environ['RANK'] == '0': sys.exit({ranks.LOST!r})\n"
        "raise ValueError('no such thing')"
    )
    with pytest.raises(SystemExit) as refused:
        ranks.run_ranks([sys.executable, "-c", code], 2, tmp_path)
    assert str(refused.value) == "rank 1 of 2 ended with status 1: ValueError: no such thing"
