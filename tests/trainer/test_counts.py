"""Budgets of samples and of floating-point operations, and what a run says that it used."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from mmspec_ds.systems.run_file import load_run_of, system_of
from mmspec_ds.trainer.export import export
from mmspec_ds.trainer.usage import read_usage

FULL = ("seed=1", "training.validate_every=2")  # of 115 molecules, the last three come after the fourth step
SAMPLES = (*FULL, "training.steps=null", "training.samples=64")
FLOPS = (*FULL, "training.steps=null")
TWO = ("training.batch_size=8", "training.ep_size=2", "engine=zero1.json")


def end_of(finished: Any) -> dict[str, Any]:
    """The record of the end of a run, with its figures."""
    assert set(finished.statuses) == {0}, finished.output
    last: dict[str, Any] = finished.metrics("end")[-1]
    return last


@pytest.fixture(scope="module")
def steps(launcher: Any) -> Any:
    """Four steps of sixteen molecules."""
    return launcher.train("by_steps", *FULL, "training.steps=4")


@pytest.fixture(scope="module")
def budget_of_flops(steps: Any) -> tuple[str, ...]:
    return (*FLOPS, f"training.flops={end_of(steps)['final/flops']}")


def test_what_a_run_used(steps: Any) -> None:
    end, (start,) = end_of(steps), steps.metrics("start")
    assert (end["step"], end["final/samples"], end["final/parameters"]) == (4, 64, start["parameters"])
    halfway, last = steps.metrics("validation")
    assert [halfway["samples"], last["samples"]] == [32, 64]
    assert 0.4 < halfway["flops"] / last["flops"] < 0.6
    assert last["flops"] == end["final/flops"]
    assert end["final/active_parameters"] == last["active/parameters"] < end["final/parameters"]


def test_an_export_takes_it_along(steps: Any, tmp_path: Path) -> None:
    run = load_run_of(steps.folder)
    export(run, system_of(run), steps.folder, tmp_path / "model")
    there, here = (read_usage(folder, run) for folder in (tmp_path / "model", steps.folder))
    assert there == here
    assert (here.steps, here.samples_per_step, here.samples) == (4, 16, 64)
    assert here.flops == end_of(steps)["final/flops"]


def test_a_budget_of_samples_is_that_of_as_many_full_steps(launcher: Any, steps: Any) -> None:
    by_samples = launcher.train("by_samples", *SAMPLES)
    assert end_of(by_samples)["step"] == 4
    assert by_samples.series("loss/train") == steps.series("loss/train")
    rates = by_samples.series("schedule/learning_rate")
    assert rates == pytest.approx(steps.series("schedule/learning_rate"), rel=1e-12)


def test_samples_that_only_fill_a_batch_do_not_count(launcher: Any) -> None:
    short = launcher.train("short_batch", "seed=0", "training.steps=4", *TWO, ranks=2)
    assert end_of(short)["final/samples"] == 3 * 16 + 3


def test_ranks_count_together(launcher: Any, steps: Any) -> None:
    shared = launcher.train("by_samples_2", *SAMPLES, *TWO, ranks=2)
    assert end_of(shared)["step"] == 4
    assert end_of(shared)["final/samples"] == 64
    assert shared.series("loss/train") == pytest.approx(steps.series("loss/train"), abs=1e-5)
    # Each rank pads its own half of a batch, and projects the tables of the embedding, much for so small
    # a model.
    assert 0.8 < end_of(shared)["final/flops"] / end_of(steps)["final/flops"] < 1.25
    assert end_of(shared)["final/active_parameters"] == pytest.approx(
        end_of(steps)["final/active_parameters"], rel=1e-3
    )


@pytest.mark.parametrize(("ranks", "topology"), [(1, ()), (2, TWO)], ids=["1 rank", "2 ranks"])
def test_a_budget_of_flops_resumes_exactly(
    launcher: Any, budget_of_flops: tuple[str, ...], ranks: int, topology: tuple[str, ...]
) -> None:
    name = f"by_flops_{ranks}"
    whole = launcher.train(name, *budget_of_flops, *topology, ranks=ranks)
    end, losses = end_of(whole), whole.series("loss/train")
    rates = whole.series("schedule/learning_rate")
    assert end["final/flops"] == pytest.approx(float(budget_of_flops[-1].split("=")[1]), rel=0.3)
    assert rates[0] == 0.0, "nothing is known of the first step"
    last = max((whole.folder / "checkpoints").glob("step_*"))
    shutil.rmtree(last)
    again = launcher.train(name, *budget_of_flops, *topology, "--resume", ranks=ranks)
    assert end_of(again)["final/flops"] == end["final/flops"]
    assert again.series("loss/train") == losses
    assert again.series("schedule/learning_rate") == rates
