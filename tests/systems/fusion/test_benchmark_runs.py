"""What benchmarks of fusion share: molecules that choose a step are not measured, and a folder holds one kind
of run."""

import importlib.util
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from mmspec_ds.spectra.parquet import write_records
from mmspec_ds.spectra.records import CarbonNMR, Record
from mmspec_ds.systems.fusion.data import FusionData
from mmspec_ds.systems.fusion.run_settings import FusionRun

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A benchmark's module; they find one another by their folder."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, name, raising=False)
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def write(path: Path, *smiles: str) -> Path:
    write_records(path, [Record(one, (CarbonNMR((20.0,)),), smiles=one) for one in smiles])
    return path


def test_a_molecule_on_both_sides_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = script("fusion_runs", monkeypatch)
    learnt, chosen = write(tmp_path / "train.parquet", "CCO", "CCN"), write(tmp_path / "val.parquet", "CCC")
    runs.check_apart([learnt, chosen], write(tmp_path / "test.parquet", "CCCC"))
    # Ethanol written in another way is the same molecule.
    with pytest.raises(
        SystemExit, match=r"test\.parquet: 1 molecules are in train\.parquet too, such as LFQSCWFL"
    ):
        runs.check_apart([learnt, chosen], write(tmp_path / "test.parquet", "OCC", "CCCC"))


def test_adapters_choose_their_step_on_a_part_of_what_is_learnt_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapters = script("domain_adapters", monkeypatch)
    options = Namespace(base_steps=8, steps=4, peaks=8)
    content = adapters.content(options, "full_0", 0, tmp_path / "target_train.parquet")
    run = FusionRun.model_validate({**content, "engine": "engine.json"})
    assert run.data.train == (tmp_path / "target_train.parquet",)
    assert run.data.validation == ()
    assert run.data.validation_fraction == 0.1


def test_a_folder_with_a_run_by_other_settings_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = script("fusion_runs", monkeypatch)
    started: list[list[str]] = []

    def call(command: list[str], **_: Any) -> Namespace:
        started.append(command)
        (tmp_path / "a").mkdir(exist_ok=True)
        return Namespace(returncode=0)

    monkeypatch.setattr(runs.subprocess, "run", call)
    content = {"name": "a", "data": {"train": ["x"]}}
    assert runs.train(tmp_path, content) == tmp_path / "a"
    assert runs.train(tmp_path, content) == tmp_path / "a"  # finished: not started again
    assert len(started) == 1
    with pytest.raises(SystemExit, match="a: was trained by other settings than now"):
        runs.train(tmp_path, {"name": "a", "data": {"train": ["x"], "validation": ["y"]}})


def test_groups_that_another_model_does_not_tell_are_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = script("fusion_runs", monkeypatch)
    probability = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    trained = SimpleNamespace(
        schema=SimpleNamespace(names=("alcohol", "ester")),
        model=torch.nn.Linear(2, 1),
        run=None,
        outcome=lambda data: SimpleNamespace(probability_NC=probability),
    )
    monkeypatch.setattr(runs, "load_fusion", lambda folder: trained)
    monkeypatch.setattr(runs, "read_usage", lambda folder, run: SimpleNamespace(flops=5.0))
    data = FusionData(("a", "b"), (), np.array([[1, 1], [0, 0]], dtype=np.float32), ("a", "b"))
    assert runs.measure(tmp_path, data)["auc"] == 0.5, "the first group is told rightly, the second wrongly"
    assert runs.measure(tmp_path, data, {"alcohol", "nitrile"})["auc"] == 1.0


def test_rows_are_appended_under_one_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, path = script("fusion_runs", monkeypatch), tmp_path / "rows.csv"
    for value in (1, 2):
        runs.append([{"b": value}], path, ("a", "b"))
    assert path.read_text() == "a,b\n,1\n,2\n"
    with pytest.raises(SystemExit, match=r"rows\.csv: has the columns a, b: expected a, c"):
        runs.append([], path, ("a", "c"))


def test_the_colorectal_study_is_the_documented_one(monkeypatch: pytest.MonkeyPatch) -> None:
    studies = script("cohort_studies", monkeypatch)
    text = (BENCHMARKS.parent / "docs" / "cohort.md").read_text(encoding="utf-8")
    start = text.index("    name: colorectal")
    documented = yaml.safe_load(text[start : text.index("\n\n", start)])
    run = studies.run_file("colorectal", Path("DATA"))
    for table, told in zip(run["tables"], documented["tables"], strict=True):
        table["file"] = Path(table["file"]).name
        if "metadata" in table:
            table["metadata"]["file"] = Path(table["metadata"]["file"]).name
        assert table == told
    assert {**run, "tables": documented["tables"]} == documented


def test_a_study_gives_a_row_for_each_method(monkeypatch: pytest.MonkeyPatch) -> None:
    studies = script("cohort_studies", monkeypatch)
    score = {"area": {"auc": 0.8, "low": 0.7, "high": 0.9}, "repeats": [0.75, 0.85], "mean_of_repeats": 0.8}
    controls = {
        "permuted": {"ill against well": {"ms": [0.4, 0.5]}},
        "p_value": {"ill against well": {"ms": 0.25}},
    }
    part = {
        "judged": {"ill": 3, "well": 4},
        "scores": {"ill against well": {"ms": score, "nmr": score}},
        "controls": controls,
    }
    ms, nmr = studies.rows("made", {"comparisons": {"any": part}}, {"date": "today"})
    assert (ms["area"], ms["low"], ms["high"], ms["samples"]) == ("0.8000", "0.7000", "0.9000", "3 ill, 4 well")
    assert (ms["shuffles"], ms["shuffled_mean"], ms["p"]) == ("2", "0.4500", "0.2500")
    assert "p" not in nmr, "of which no classes were shuffled"
    assert set(ms) <= set(studies.FIELDS)


def test_the_network_on_a_cohort_is_kept_at_its_last_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script("cohort_studies", monkeypatch)
    network = script("cohort_network", monkeypatch)
    contents: list[dict[str, Any]] = []

    def train(folder: Path, content: dict[str, Any], sources: Any = ()) -> Path:
        contents.append(content)
        return folder / content["name"]

    monkeypatch.setattr(network, "train", train)
    options = Namespace(width=8, layers=1, steps=30, pretraining_steps=50, held_back=0.3, learning_rate=0.01)
    encoder = network.pretrain(options, tmp_path / "study.yaml", tmp_path)
    for begins_with in (None, encoder):
        network.train_network(options, tmp_path / "study.yaml", tmp_path, ("ill", "well"), 4, begins_with)
    masked, anew, pretrained = (FusionRun.model_validate({**one, "engine": "e.json"}) for one in contents)
    for run in (masked, anew, pretrained):
        assert run.training.validate_every == run.training.steps, "one checkpoint, no choice"
        assert (run.model, run.tokens, run.moe) == (masked.model, masked.tokens, None)
    assert pretrained.training.encoder_from == encoder
    assert pretrained.data == anew.data
    assert (anew.data.split_seed, anew.data.validation_fraction) == (4, 0.3)
