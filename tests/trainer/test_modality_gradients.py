"""Baselines that change the loss of a step: the same training on one rank and on two, and after a
resumption."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from mmspec_ds.data.collate import collate
from mmspec_ds.data.reading import read_dataset
from mmspec_ds.systems.elucidation.trained import load_model

SHORT = ("training.steps=6", "training.learning_rate=0.2")
DENSE = ("moe=null", "objective.balance=0")
RUNS = {
    "ogm_ge": ("training.modality_gradients=ogm_ge",),
    "ogm_ge_late": (*DENSE, "model.fusion=late", "training.modality_gradients=ogm_ge"),
    "pcgrad": ("training.modality_gradients=pcgrad",),
    "pcgrad_dense": (*DENSE, "training.modality_gradients=pcgrad"),
    "blending": (
        "training.modality_gradients=blending",
        "training.blending.every=2",
        "training.blending.batches=1",
    ),
    "alignment": ("objective.alignment=0.5",),
    "alignment_late": (*DENSE, "model.fusion=late", "objective.alignment=0.5"),
    "plain": (),
}
TOPOLOGIES = {1: ("engine=zero0.json",), 2: ("training.batch_size=8", "engine=zero1.json")}


@pytest.fixture(scope="module")
def runs(launcher: Any) -> dict[tuple[str, int], Any]:
    """Six steps of each, on one rank and on two, which share the experts."""
    found = {}
    for ranks, options in TOPOLOGIES.items():
        lists = {
            f"balanced_{name}_{ranks}": (
                *SHORT,
                *options,
                *overrides,
                f"training.ep_size={1 if 'moe=null' in overrides else ranks}",
            )
            for name, overrides in RUNS.items()
        }
        finished = launcher.train_many(lists, ranks)
        for name, one in finished.items():
            assert one.statuses == (0,) * ranks, one.output
            found[name.removeprefix("balanced_").rpartition("_")[0], ranks] = one
    return found


@pytest.mark.parametrize("name", RUNS)
def test_two_ranks_are_one(runs: dict[tuple[str, int], Any], name: str) -> None:
    alone, both = runs[name, 1], runs[name, 2]
    tags = [tag for tag in alone.metrics()[-1] if tag.startswith(("loss/", "auxiliary/"))]
    assert len(alone.series("loss/train")) == 6
    for tag in tags:
        assert both.series(tag) == pytest.approx(alone.series(tag), abs=2e-5), tag
    assert both.series("gradient/norm") == pytest.approx(alone.series("gradient/norm"), rel=2e-4)


@pytest.mark.parametrize("name", ["ogm_ge", "pcgrad", "blending", "alignment"])
def test_the_gradient_is_another_one(runs: dict[tuple[str, int], Any], name: str) -> None:
    plain, changed = runs["plain", 1], runs[name, 1]
    assert changed.series("loss/train")[0] == pytest.approx(plain.series("loss/train")[0], abs=1e-6)
    assert abs(changed.series("gradient/norm")[0] / plain.series("gradient/norm")[0] - 1) > 1e-3
    assert changed.series("loss/train")[-1] < changed.series("loss/train")[0]


def test_blending_weighs_anew(runs: dict[tuple[str, int], Any]) -> None:
    tags = [f"auxiliary/share_{one}" for one in ("all", "h_nmr", "c_nmr", "ms")]
    weights = list(zip(*(runs["blending", 1].series(tag) for tag in tags)))
    assert weights[0] == weights[3] == (0.25,) * 4  # the first estimate has nothing to compare with
    assert weights[4] == weights[5] != weights[3]
    assert sum(weights[4]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["alignment_late", "ogm_ge", "blending"])
def test_models_are_exported_and_evaluated_as_any(
    runs: dict[tuple[str, int], Any], launcher: Any, starter: Path, name: str
) -> None:
    folder = runs[name, 2].folder
    exported = folder.with_name(f"exported_{name}")
    done = launcher.start(f"export_{name}", "export", str(folder), str(exported))
    assert done.statuses == (0,), done.output
    report = folder.with_name(f"{name}.json")
    options = ("--data", str(starter / "test.parquet"), "--beam", "2", "--json", str(report))
    done = launcher.start(f"evaluate_{name}", "evaluate", str(exported), *options)
    assert done.statuses == (0,), done.output
    one, other = load_model(folder), load_model(exported)
    dataset = read_dataset((starter / "test.parquet",), one.encoding)
    assert json.loads(report.read_text())["n"] == len(dataset) > 0
    spectra = collate(dataset, [0, 1]).spectra
    assert torch.equal(one.model.encode(spectra).hidden_BSD, other.model.encode(spectra).hidden_BSD)


@pytest.mark.parametrize("kind", ["blending", "pcgrad", "ogm_ge"])
def test_a_resumed_run_goes_on_exactly(launcher: Any, kind: str) -> None:
    name = f"resumed_{kind}"
    options = (*SHORT, *RUNS[kind], "training.validate_every=5")
    whole = launcher.train(name, *options)
    assert whole.statuses == (0,), whole.output
    losses, totals = whole.series("loss/train"), whole.series("loss/total")
    shutil.rmtree(whole.folder / "checkpoints" / "step_00000006")
    again = launcher.train(name, *options, "--resume")
    assert again.statuses == (0,), again.output
    assert again.series("loss/train") == losses
    assert again.series("loss/total") == totals
