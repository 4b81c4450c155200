"""Cells side by side, with a trainer that only counts steps."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mmspec_ds.errors import UserError
from mmspec_ds.studies.cells import CellFolder, described, distinct
from mmspec_ds.studies.commands import Commands, Place
from mmspec_ds.studies.display import Progress, duration
from mmspec_ds.studies.plan import Budget, Cell
from mmspec_ds.studies.results import StoredResults
from mmspec_ds.studies.runner import Runner, open_out, with_sources
from mmspec_ds.trainer.run_lock import RunLock
from tests.studies.conftest import DENSE, cell, finish, study_of, train_otherwise

Make = Callable[..., Commands]


def starts(folder: CellFolder) -> list[str]:
    """What the fake processes noted, a line for each start."""
    return (folder.path / "starts").read_text().split("\n")[:-1]


def test_cells_are_trained_measured_and_not_run_again(budget: Budget, out: Path, commands: Make) -> None:
    cells = distinct([cell(0), cell(1), cell(0, DENSE)], budget)
    outcome = Runner(cells, budget, out, [Place(), Place()], commands()).run()
    assert (outcome.finished, outcome.faults, outcome.stopped) == (3, {}, False)
    results = StoredResults(study_of(cells), budget, out, cells)
    assert results.values(cells, "accuracy", "top_1") == [0.0, 10.0, 0.0]
    trained = results.training(cells[1])
    assert trained is not None
    assert (trained["steps"], trained["samples"], trained["seconds"]) == (6, 48, 1.5)
    assert trained["best_validation_loss"] == 3.0
    folder = CellFolder.of(out, cells[1], budget)
    assert not (folder.run / "checkpoints").exists()
    assert (folder.run / "model.safetensors").exists()
    assert "../../data/smoke/shards-" in (folder.path / "run.yaml").read_text()

    again = distinct([*cells, cell(1, measures=("routing",))], budget)
    assert Runner(again, budget, out, [Place()], commands()).run().finished == 3
    assert starts(CellFolder.of(out, cells[0], budget)) == ["--resume", "accuracy"]
    assert starts(folder) == ["--resume", "accuracy", "routing"]


def test_a_cell_that_fails_ends_alone_with_its_log_named(budget: Budget, out: Path, commands: Make) -> None:
    cells = distinct([cell(13), cell(14), cell(0)], budget)
    outcome = Runner(cells, budget, out, [Place()], commands()).run()
    assert outcome.finished == 1
    folder = CellFolder.of(out, cells[0], budget)
    assert outcome.faults[described(cells[0])] == (
        f"train ended with status 1, see {folder.log}: the trainer fails"
    )
    assert folder.log.read_text() == "the trainer fails\n"
    assert "measure ended with status 1" in outcome.faults[described(cells[1])]
    assert CellFolder.of(out, cells[1], budget).result() is not None  # it is not trained again


def test_what_is_trained_again_is_measured_again(budget: Budget, out: Path, commands: Make) -> None:
    """The figures of a cell would be of two trainings, which differ where they are run on other machines."""
    cells, folder = (cell(0),), CellFolder.of(out, cell(0), budget)
    for _ in range(2):
        assert Runner(cells, budget, out, [Place()], commands()).run().finished == 1
        (folder.path / "result.json").unlink()
    assert starts(folder) == ["--resume", "accuracy", "--resume", "accuracy"]


def test_a_finished_cell_of_other_settings_is_no_finished_one(
    budget: Budget, out: Path, commands: Make
) -> None:
    train_otherwise(finish(out, cell(0), budget, 50.0), budget)
    cells = distinct([cell(0), cell(1)], budget)
    outcome = Runner(cells, budget, out, [Place()], commands()).run()
    assert outcome.finished == 1
    assert "was trained with moe.renormalise False" in outcome.faults[described(cells[0])]


def test_a_cell_that_begins_with_one_that_failed_is_not_run(budget: Budget, out: Path, commands: Make) -> None:
    source = cell(13, measures=())
    cells = distinct(with_sources([cell(1, start_from=source)]), budget)
    outcome = Runner(cells, budget, out, [Place()], commands()).run()
    assert outcome.finished == 0
    assert (
        outcome.faults["study, from trained weights, hard, seed 1"]
        == "begins with a cell that failed: study, hard, seed 13"
    )


def test_a_study_that_is_stopped_goes_on_where_it_was(budget: Budget, out: Path, commands: Make) -> None:
    one = cell(overrides={"training.steps": 200})
    folder = CellFolder.of(out, one, budget)
    runner = Runner([one], budget, out, [Place()], commands(0.02))

    def stop_when_it_trains() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            text = folder.run / "metrics.jsonl"
            if text.exists() and len(text.read_text().splitlines()) > 3:
                break
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_when_it_trains).start()
    outcome = runner.run()
    assert outcome.stopped
    assert outcome.finished == 0
    reached = int((folder.run / "checkpoints" / "step").read_text())
    assert 2 < reached < 200
    assert folder.result() is None

    outcome = Runner([one], budget, out, [Place()], commands()).run()
    assert (outcome.finished, outcome.stopped) == (1, False)
    lines = (folder.run / "metrics.jsonl").read_text().splitlines()
    assert sum('"kind": "train"' in line for line in lines) == 200  # no step was made twice


def test_a_cell_that_another_process_has_is_left_to_it(budget: Budget, out: Path, commands: Make) -> None:
    cells = distinct([cell(0), cell(1)], budget)
    theirs = CellFolder.of(out, cells[0], budget)
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom mmspec_ds.trainer.run_lock import RunLock\n"
        "print(RunLock(Path(sys.argv[1])).acquire(), flush=True)\ntime.sleep(60)"
    )
    path = os.pathsep.join(one for one in sys.path if one)
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(theirs.path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"None\n"
    mine = CellFolder.of(out, cells[1], budget)
    thread = threading.Thread(target=lambda: (wait_for(mine.path / "measures" / "accuracy.json"), other.kill()))
    thread.start()
    outcome = Runner(cells, budget, out, [Place()], commands()).run()  # takes the other cell, then this one
    other.wait()
    assert outcome.finished == 2
    assert (mine.path / "starts").stat().st_mtime_ns < (theirs.path / "starts").stat().st_mtime_ns


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def test_weights_that_are_gone_are_told(budget: Budget, out: Path, commands: Make) -> None:
    Runner([cell()], budget, out, [Place()], commands()).run()
    folder = CellFolder.of(out, cell(), budget)
    (folder.run / "model.safetensors").unlink()
    more = replace(cell(), measures=("accuracy", "routing"))
    outcome = Runner([more], budget, out, [Place()], commands()).run()
    assert "routing must be measured, and the weights are gone" in outcome.faults["study, hard, seed 0"]


def test_a_folder_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="is no folder of studies"):
        open_out(tmp_path)
    with pytest.raises(UserError, match="is a file"):
        open_out(tmp_path / "thesis.tex")
    open_out(tmp_path / "new")
    open_out(tmp_path / "new")
    assert not RunLock(tmp_path / "new").path.exists()


@pytest.mark.parametrize(
    ("seconds", "text"), [(40, "40 s"), (89.7, "90 s"), (720, "12 min"), (11_100, "3 h 5 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


class TimedJob:
    """A job as the display sees it, with a speed and a stage that are given."""

    def __init__(
        self, one: Cell, stage: str, step: int, speed: float | None, seconds: float, path: str
    ) -> None:
        self.cell, self.stage, self.name, self.folder = one, stage, described(one), CellFolder(Path(path))
        self.step, self.speed, self.seconds = (lambda: step), (lambda: speed), (lambda: seconds)


def test_the_time_left_by_hand(budget: Budget) -> None:
    cells = [cell(seed, overrides={"training.steps": 100}) for seed in range(6)]
    progress = Progress(cells, budget, 2)
    first = TimedJob(cells[0], "train", 20, 4.0, 5.0, "a")
    second = TimedJob(cells[1], "train", 60, 6.0, 5.0, "b")
    assert progress.state(0, 0, [first, second], cells[2:]).whole == "0 of 6 cells done, 2 running"
    progress.observe(first)
    progress.observe(second)
    # 80 + 40 + 4 x 100 steps at 5 a second, two at a time.
    assert progress.seconds_left([first, second], cells[2:]) == 520 / 5 / 2
    progress.observe(TimedJob(cells[5], "measure", 100, None, 30.0, "c"))
    # Measures of 30 s for the two that train and for three more.
    state = progress.state(1, 1, [first, second], cells[2:5])
    assert progress.seconds_left([first, second], cells[2:5]) == (420 / 5 + 30 * 5) / 2
    assert state.whole == "1 of 6 cells done, 2 running, 1 failed, about 2 min left"
    assert state.running[0] == "training.steps=100, hard, seed 0: step 20 of 100, 4.0 steps/s"


def test_no_time_is_told_while_a_training_of_unknown_length_is_to_come(budget: Budget) -> None:
    by_flops = cell(0, overrides={"training.steps": None, "training.flops": 1e9})
    by_steps = cell(1, overrides={"training.steps": 100})
    progress = Progress([by_flops, by_steps], budget, 1)
    running = TimedJob(by_flops, "train", 20, 4.0, 5.0, "a")
    progress.observe(running)
    assert progress.state(0, 0, [running], [by_steps]).whole == "0 of 2 cells done, 1 running"
    assert progress.seconds_left([], [by_flops]) is None
    assert progress.seconds_left([TimedJob(by_flops, "measure", 90, None, 1.0, "a")], [by_steps]) == 100 / 4


def test_a_fault_of_the_study_itself_ends_its_processes(
    budget: Budget, out: Path, commands: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cell(overrides={"training.steps": 2_000})
    folder = CellFolder.of(out, one, budget)

    def fail(*_: object) -> None:
        wait_for(folder.run / "metrics.jsonl")
        raise RuntimeError("no display")

    monkeypatch.setattr(Progress, "observe", fail)
    with pytest.raises(RuntimeError, match="no display"):
        Runner([one], budget, out, [Place()], commands(0.02)).run()
    assert int((folder.run / "checkpoints" / "step").read_text()) < 2_000  # it was asked to stop, and has
    assert RunLock(folder.path).acquire() is None
