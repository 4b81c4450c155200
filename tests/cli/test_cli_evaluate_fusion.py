"""`mmspec evaluate` for models that tell functional groups."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mmspec_ds.cli import main
from mmspec_ds.molecules.functional_groups import groups_of
from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.spectra.parquet import read_records, write_records
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.fusion.factory import make_model
from mmspec_ds.systems.fusion.schema import Schema
from mmspec_ds.systems.fusion.trained import load_fusion
from mmspec_ds.trainer.weights import write_weights
from tests.systems.fusion.conftest import make_run

SMILES = (
    "CCO",
    "CC(C)=O",
    "CCOC(C)=O",
    "c1ccccc1O",
    "CCN",
    "CC(=O)O",
    "CCCO",
    "CC=O",
    "COC",
    "NCCO",
    "CCC(=O)OC",
)
GROUPS = ("alcohol", "ketone", "ester", "nitrile")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with untrained weights, and `data.parquet`."""
    folder = tmp_path_factory.mktemp("run")
    records = [simulate_record(one) for one in SMILES]
    write_records(folder / "data.parquet", records)
    run, schema = make_run(), Schema(("c_nmr", "ms"), "groups", GROUPS, {})
    torch.manual_seed(0)
    model = make_model(run, schema)
    (folder / "config.yaml").write_text(run.to_yaml())
    write_weights(model.state_dict(), folder / "model.safetensors")
    schema.save(folder)
    return folder


def test_figures_of_known_molecules(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = folder / "figures.json"
    command = ["evaluate", str(folder), "--data", str(folder / "data.parquet"), "--json", str(written)]
    assert main([*command, "--spoil", "ms", "--rates", "0", "1"]) == 0
    told = json.loads(written.read_text())
    records = list(read_records(folder / "data.parquet", modalities=(Modality.C_NMR, Modality.MS)))
    outcome = load_fusion(folder).predict(records)
    truth = np.array([[name in groups_of(one) for name in GROUPS] for one in SMILES])
    expected = {
        name: roc_auc_score(truth[:, at], outcome.probability_NC[:, at])
        for at, name in enumerate(GROUPS[:3])  # none has a nitrile
    }
    assert told["by_name"] == pytest.approx(expected)
    assert told["auc"] == pytest.approx(np.mean(list(expected.values())))
    assert told["low"] <= told["auc"] <= told["high"]
    assert (told["samples"], told["groups"]) == (len(SMILES), len(SMILES))
    sound, gone = (
        next(one for one in told["spoilt"] if one["kind"] == "missing" and one["rate"] == rate)
        for rate in (0, 1)
    )
    assert sound["auc"] == pytest.approx(told["auc"])
    assert gone["auc"] == pytest.approx(told["alone"]["c_nmr"])
    output = capsys.readouterr().out
    assert "AUC of c_nmr alone" in output
    assert "ms spoilt" in output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--rates", "0.5"), "--rates are of --spoil: expected the modality that is spoilt"),
        (("--spoil", "ir"), "model run does not read ir: expected one of c_nmr, ms"),
        (("--spoil", "ms", "--rates", "2"), "--rates 2: expected shares from 0 to 1"),
        (("--limit", "1"), "no AUC of 1 sample: expected some with another functional group than others"),
        (("--beam", "5"), "--beam is for models that propose structures: these do not"),
    ],
)
def test_what_cannot_be_asked(
    folder: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], told: str
) -> None:
    assert main(["evaluate", str(folder), "--data", str(folder / "data.parquet"), *options]) == 1
    assert told in capsys.readouterr().err


def test_what_was_equal_between_trainings_is_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = []
    for name, flops in (("teacher", 2e12), ("student", 5e11)):
        runs.append(tmp_path / name)
        shutil.copytree(folder, runs[-1])
        lines = [
            {"kind": "start", "step": 0, "ranks": 1, "parameters": 1000, "data": "abc"},
            {"kind": "end", "step": 40, "final/samples": 320, "final/flops": flops, "final/seconds": 9.0},
        ]
        (runs[-1] / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    written = tmp_path / "figures.json"
    command = ["evaluate", *map(str, runs), "--data", str(folder / "data.parquet"), "--json", str(written)]
    assert main(command) == 0
    assert "Not equal: training FLOPs (2.00 T, 500 G)." in capsys.readouterr().out
    told = json.loads(written.read_text())
    assert told["rows"][str(runs[1])]["training"]["flops"] == 5e11
    assert told["compared"]["different"] == ["training FLOPs (2.00 T, 500 G)"]
    assert "data" in told["compared"]["equal"]
