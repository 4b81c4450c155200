"""Which settings make a cell another one."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.settings import Settings
from mmspec_ds.studies.cells import (
    CellFolder,
    _differing,
    described,
    distinct,
    identity_of,
    identity_of_run,
    read_json,
    settings_of,
)
from mmspec_ds.studies.elucidation.budgets import BUDGETS, experts
from mmspec_ds.studies.elucidation.definitions import STUDIES
from mmspec_ds.studies.plan import Budget, DataRecipe
from mmspec_ds.studies.runner import with_sources
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.run_file import load_run
from tests.studies.conftest import DENSE, cell, finish, train_otherwise


@pytest.mark.parametrize(
    "same",
    [
        cell(measures=("routing",)),
        cell(overrides={"training.steps": 6}),  # what the budget says already
        cell(overrides={"training.threads": 7, "training.log_every": 3}),
        cell(overrides={"training.validate_every": 6}),  # once at the end, as with any larger number
        cell(overrides={"data.compression.ms": {"max_peaks": 3}}),
    ],
    ids=["measures", "budget", "threads", "validations", "block"],
)
def test_cells_that_are_the_same_training(budget: Budget, same: Any) -> None:
    assert identity_of(same, budget) == identity_of(cell(), budget)


@pytest.mark.parametrize(
    "other",
    [
        cell(1),
        cell(overrides=DENSE),
        cell(overrides={"training.steps": 7}),
        cell(overrides={"training.validate_every": 3}),
        cell(overrides={"engine": "../engine/zero1.json"}),
        cell(data="hard_text"),
        cell(start_from=cell(overrides=DENSE)),
        cell(trains=False),
    ],
    ids=["seed", "dense", "steps", "validations", "engine", "data", "start", "nothing"],
)
def test_cells_that_are_another_training(budget: Budget, other: Any) -> None:
    assert identity_of(other, budget) != identity_of(cell(), budget)


def test_the_data_are_part_of_a_cell(budget: Budget) -> None:
    run = settings_of(cell(), budget, ElucidationRun)
    recipes = [
        DataRecipe("a", molecules=10, max_heavy_atoms=6),
        DataRecipe("a", molecules=11, max_heavy_atoms=6),
        DataRecipe("a", molecules=10, max_heavy_atoms=6, seed=1),
        DataRecipe("a", molecules=10, max_heavy_atoms=6, simulation={"noise": {"carbon_ppm": 3.0}}),
    ]
    assert len({identity_of_run(run, one) for one in recipes}) == 4
    moved = replace(recipes[0], folder="b", given=Path("/somewhere"))
    assert identity_of_run(run, moved) == identity_of_run(run, recipes[0])


def test_a_setting_that_is_new_leaves_the_cells_of_before() -> None:
    class Before(Settings):
        width: int = 1
        inner: Settings | None = None

    class Inner(Settings):
        depth: int = 2

    class After(Before):
        added: bool = False
        block: Inner = Inner()

    assert _differing(After(width=3)) == _differing(Before(width=3)) == {"width": 3}
    assert _differing(After(block=Inner(depth=4))) == {"block": {"depth": 4}}
    assert _differing(Before(inner=Inner())) == {"inner": {}}  # a block where there is none by default


def test_a_run_file_that_was_written_back_is_the_same_cell(budget: Budget, tmp_path: Path) -> None:
    run = settings_of(cell(), budget)
    (tmp_path / "engine.json").write_text(json.dumps(json.loads(run.engine.read_text()), indent=7))
    (tmp_path / "config.yaml").write_text(
        run.model_copy(update={"engine": Path("engine.json"), "name": "other"}).to_yaml()
    )
    again = load_run(tmp_path / "config.yaml", (), type(run))
    assert identity_of_run(again, budget.data["hard"]) == identity_of(cell(), budget)


def test_equal_cells_are_trained_once_and_measured_for_both_studies(budget: Budget) -> None:
    cells = [cell(), cell(1), cell(overrides={"training.steps": 6}, measures=("routing", "accuracy"))]
    found = distinct(cells, budget)
    assert [one.seed for one in found] == [0, 1]
    assert found[0].measures == ("accuracy", "routing")


def test_every_budget_gives_settings_that_a_run_can_have() -> None:
    for budget in BUDGETS.values():
        for data in budget.data:
            sparse = settings_of(cell(data=data), budget, ElucidationRun)
            assert sparse.moe is not None
            widths = [one.width for one in sparse.moe.experts]
            assert widths == [budget.width, budget.width // 4] * 4
            dense = settings_of(cell(data=data, overrides=DENSE), budget, ElucidationRun)
            assert dense.model.dense_width == budget.width


def test_the_experts_are_those_of_the_shipped_run_file() -> None:
    run = load_run(Path("study"))
    assert run.model_dump(mode="json")["moe"]["experts"] == [
        {"modalities": [], **one} for one in experts(256, 64)
    ]


def test_faults_are_named(budget: Budget, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the smoke budget has no data 'soft': known: hard, hard_text"):
        settings_of(cell(data="soft"), budget)
    with pytest.raises(ConfigError, match=r"cell of study with .*modell: unknown key; did you mean 'model'?"):
        settings_of(cell(overrides={"modell.d_model": 3}), budget)
    with pytest.raises(ConfigError, match=r"study: name\.x: name is 'study', not a section"):
        settings_of(cell(overrides={"name.x": 3}), budget)
    folder = finish(tmp_path, cell(), budget, 1.0)
    train_otherwise(folder, budget)
    with pytest.raises(DataError, match=r"was trained with moe\.renormalise False, and True is asked for"):
        folder.check(cell(), budget)


def test_a_measure_without_values_is_told(budget: Budget, tmp_path: Path) -> None:
    folder = finish(tmp_path, cell(), budget, 1.0)
    path = folder.path / "measures" / "accuracy.json"
    path.write_text(json.dumps({"budget": json.loads(path.read_text())["budget"]}))
    with pytest.raises(DataError, match=r"accuracy\.json: holds no values: remove it to measure again"):
        folder.measure("accuracy", budget)


def test_a_cell_in_words() -> None:
    assert described(cell(2)) == "study, hard, seed 2"
    assert described(cell(overrides=DENSE)) == "moe=None, hard, seed 0"


COMMITTED = Path(__file__).parents[2] / "benchmarks" / "results" / "studies" / "cells"


def test_cells_that_were_trained_long_ago_keep_their_names() -> None:
    """Their figures are in the repository by these names."""
    names = {
        identity_of(one, budget): (one, budget)
        for budget in (BUDGETS["cpu"], BUDGETS["cpu-hard"])
        for study in STUDIES.values()
        for one in with_sources(study.cells(budget))
    }
    stored = {path.parent.name for path in COMMITTED.glob("*/run.yaml") if _system(path) == "elucidation"}
    assert stored
    assert stored - names.keys() == set()
    some = sorted(stored)[::4]  # a default that has changed is in all of them
    faults = {name: CellFolder(COMMITTED / name).fault(*names[name]) for name in some}
    assert set(faults.values()) == {None}, faults


def test_a_stored_run_file_gives_the_name_of_its_cell() -> None:
    for name in ("034c43643aea", "57da5398af62", "d7e9b4060aa2"):
        run = load_run(COMMITTED / name / "run.yaml")
        recipe = read_json(COMMITTED / name / "cell.json")
        assert recipe is not None
        assert identity_of_run(run, BUDGETS["cpu"].data[recipe["data"]]) == name


def _system(path: Path) -> str:
    return str(yaml.safe_load(path.read_text()).get("system", "elucidation"))


def test_a_cell_in_words_has_whole_settings() -> None:
    short = cell(2, {"moe": None, "moe.experts": [{}, {}], "objective.cost": 0.001})
    assert described(short) == "moe=None, moe.experts=[2 entries], objective.cost=0.001, hard, seed 2"
    long = {"moe": None, "model.encoder_ffn_width": 320, "training.steps": 2500, "training.flops": 3.2e13}
    assert described(cell(0, long)) == (
        "moe=None, model.encoder_ffn_width=320, training.steps=2500, 1 more, hard, seed 0"
    )
