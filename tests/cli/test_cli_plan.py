"""`mmspec plan` as a user meets it."""

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def at_home(house: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(house)
    return house


def test_plan(mmspec: Any, at_home: Path) -> None:
    told = mmspec("plan", "run.yaml", "--gpus", 2, "--memory", 4, "--extrapolate", "2,8", "--json", "plan.json")
    assert told.status == 0, told.err
    assert told.out.startswith("small on 2 GPU(s) of 4 GB\nparameters: ")
    assert "the first 4 records of data.train" in told.out
    assert "recommended: of the rows that fit" in told.out
    plan = json.loads((at_home / "plan.json").read_text())
    assert [row["holding"]["ep_size"] for row in plan["rows"]] == [1, 2] * 5
    assert {row["holding"]["world"] for row in plan["extrapolation"]} == {2, 8}
    assert not (at_home / "runs").exists()


def test_plan_without_data(mmspec: Any, at_home: Path) -> None:
    told = mmspec("plan", "run.yaml", "--gpus", 1, "--memory", 4, "data.train=[gone.parquet]")
    assert told.status == 0
    assert "data.train cannot be read (gone.parquet" in told.out
    told = mmspec("plan", "run.yaml", "--gpus", 1, "--memory", 4, "--tokens", 77)
    assert "mean 77, padded in its batch 77" in told.out


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("none.yaml", "--gpus", 1, "--memory", 1), ("none.yaml: there is no such file",)),
        (
            ("run.yaml", "--gpus", 3, "--memory", 1, "training.ep_size=2"),
            ("training.ep_size is 2", "--gpus is 3"),
        ),
        (
            ("run.yaml", "--gpus", 3, "--memory", 1, "training.ep_size=3"),
            ("training.ep_size is 3", "2 experts"),
        ),
        (("run.yaml", "--gpus", 1, "--memory", -1), ("--memory is -1",)),
        (("run.yaml", "--gpus", 1, "--memory", 1, "engine=none.json"), ("none.json",)),
        (("run.yaml", "--gpus", 1, "--memory", 1, "--json", "nowhere/plan.json"), ("nowhere/plan.json",)),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_what_plan_refuses(
    mmspec: Any, at_home: Path, arguments: tuple[object, ...], parts: tuple[str, ...]
) -> None:
    mmspec("plan", *arguments).is_one_line(*parts)


@pytest.mark.parametrize("gpus", ["0", "-1", "two"])
def test_gpus_that_are_no_number(mmspec: Any, at_home: Path, gpus: str) -> None:
    told = mmspec("plan", "run.yaml", f"--gpus={gpus}", "--memory", 1)
    assert told.status == 2
    assert "expected a positive whole number" in told.err
