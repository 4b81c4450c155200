"""`mmspec profile` as a user meets it, on one rank and on two that share the experts."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmspec_ds.systems.run_file import load_run

QUICK = ("--runs", "2", "--steps", "2", "--warm-up", "1", "--beams", "2", "--samples", "3", "--no-memory")


def values(figures: Any, key: str) -> list[float]:
    found: list[float] = figures[key]["values"]
    return found


def test_sparse_against_dense_on_two_ranks(launcher: Any, run_file: Path) -> None:
    folder = run_file.parent
    before = set(folder.iterdir())
    sparse, dense = ("training.ep_size=2",), ("moe=null", "name=dense")
    told = ("--json", "profile.json", "--tensorboard", "board")
    command = ("profile", str(run_file), *sparse, "--against", str(run_file), *dense)
    done = launcher.start("profiled", *command, "--both", "engine=zero1.json", *QUICK, *told, ranks=2)
    assert done.statuses == (0, 0), done.output
    assert done.output.count("training, samples/s") == 1
    assert "2 rank(s) on CPU" in done.output
    assert {path.name for path in set(folder.iterdir()) - before} == {
        "profile.json", "board", "profiled.log.0", "profiled.log.1",
    }  # fmt: skip

    found = json.loads((folder / "profile.json").read_text())
    a, b = (model["figures"] for model in found["models"])
    assert [model["about"]["ep_size"] for model in found["models"]] == [2, 1]
    assert found["effort"]["beams"] == [2]
    assert values(a, "tokens/spectrum") == values(b, "tokens/spectrum")  # the same records in the same batches
    # A pair of a token and an expert of the other rank goes there and comes back, and so do its gradients: four
    # times 32 numbers. Before that each rank tells the other one how many rows its two experts get. Two steps.
    sent = 2 * 2 * values(a, "all_to_all/bytes_per_step")[0]
    pairs, left = divmod(sent - 2 * 2 * 2 * 8, 4 * 32 * 4)
    assert left == 0
    samples = 2 * values(a, "training/samples_per_second")[0] * values(a, "training/seconds_per_step")[0]
    assert 0.2 < pairs / (2 * samples * values(a, "tokens/spectrum")[0]) < 0.9
    assert values(b, "all_to_all/bytes_per_step") == [0, 0]
    assert 0 < values(a, "share/all-to-all")[0] < 1
    for figures in (a, b):
        parts = ("data", "forward", "backward", "optimizer", "engine", "logging", "loop")
        assert sum(values(figures, f"share/{part}")[0] for part in parts) == pytest.approx(1)
        assert min(values(figures, f"share/{part}")[0] for part in parts) > 0
        assert values(figures, "share/hooks")[0] > 0
        assert len(values(figures, "decoding/beam_2/latency")) == 2
    per_second, seconds = (values(a, f"training/{key}") for key in ("samples_per_second", "seconds_per_step"))
    assert (
        sum(x * y for x, y in zip(per_second, seconds)) <= 2 * 32
    )  # what fills up a short batch does not count
    assert set(values(b, "parameters/active")) == set(values(b, "parameters/total"))
    assert values(a, "parameters/active")[0] < values(a, "parameters/total")[0]


def test_made_up_tokens_on_one_rank(launcher: Any, run_file: Path) -> None:
    folder = run_file.parent
    command = ("profile", str(run_file), "--tokens", "23", "--no-decoding", "--json", "made_up.json")
    done = launcher.start("made_up", *command, *QUICK)
    assert done.statuses == (0,), done.output
    assert "data: generated records of 23 spectrum tokens each, as asked" in done.output
    figures = json.loads((folder / "made_up.json").read_text())["models"][0]["figures"]
    assert values(figures, "tokens/spectrum") == [23, 23]
    assert not any(key.startswith(("decoding", "memory")) for key in figures)
    run = load_run(run_file)
    assert values(figures, "training/samples_per_second")[0] * values(figures, "training/seconds_per_step")[
        0
    ] == pytest.approx(run.training.batch_size)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("training.ep_size=2",), "training.ep_size is 2, but there are 1 ranks: expected a divisor"),
        (("--against", "none.yaml"), "none.yaml: there is no such file"),
        (("--json", "nowhere/profile.json"), "nowhere/profile.json: cannot be written"),
        (("training.start_from=nowhere",), "nowhere"),
    ],
    ids=["ranks", "no run", "no folder", "no weights"],
)
def test_faults_are_one_line(launcher: Any, run_file: Path, arguments: tuple[str, ...], said: str) -> None:
    done = launcher.start("fault", "profile", str(run_file), *arguments, *QUICK)
    assert done.statuses == (1,)
    lines = [line for line in done.output.splitlines() if line.startswith("mmspec: ")]
    assert len(lines) == 1, done.output
    assert said in lines[0]
    assert not list(run_file.parent.glob(".profile-*"))
