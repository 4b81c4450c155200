"""Trainings with the switches of the sparse layer: the same losses on one rank and on two, however they share
the experts, and resumed bit for bit. SGD, because Adam hides wrong gradient scales."""

import shutil
from typing import Any

import pytest

from mmspec_ds.files import read_manifest
from mmspec_ds.systems.elucidation.trained import load_model

COMMON = ("training.steps=8", "training.gradient_clipping=0.5", "training.learning_rate=0.2")
SWITCHES = {
    "sigmoid": (
        "moe.gate=sigmoid",
        "moe.renormalise=true",
        "moe.always_on=32",
        "moe.selection_bias_rate=0.02",
        "moe.selection_bias_by=modality",
        "moe.decoder=true",
        "objective.interactions=0.3",
    ),
    "choosing": (
        "moe.choice=expert",
        "moe.decoder=true",
        "objective.interactions=0.3",
        "data.modality_dropout=0.3",
    ),
    "axis": (
        *("model.embedding=axis", "model.patch=128", "objective.interactions=0.3"),
        *("data.modality_dropout=0.3", "data.formula=true", "moe.decoder=true"),
    ),
}
TWO = ("training.batch_size=8",)
TOPOLOGIES = {
    "ep_1": (*TWO, "engine=zero1.json"),
    "ep_2": (*TWO, "training.ep_size=2", "engine=zero2.json"),
    "ep_2_chunks": (
        *TWO, "training.ep_size=2", "engine=zero0.json", "moe.exchange_chunks=2",
        "training.activation_checkpointing=true",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(launcher: Any) -> dict[str, Any]:
    """Eight steps of each."""
    one = launcher.train_many({f"{name}_1": (*COMMON, *how) for name, how in SWITCHES.items()}, 1)
    two = launcher.train_many(
        {
            f"{name}_{place}_2": (*COMMON, *how, *topology)
            for name, how in SWITCHES.items()
            for place, topology in TOPOLOGIES.items()
        },
        2,
    )
    for finished in (one | two).values():
        assert set(finished.statuses) == {0}, finished.output
    return one | two


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("place", TOPOLOGIES)
def test_two_ranks_learn_as_one(runs: dict[str, Any], name: str, place: str) -> None:
    alone, shared = runs[f"{name}_1"], runs[f"{name}_{place}_2"]
    assert len(alone.series("loss/train")) == 8
    for tag in ("loss/train", "loss/total", "auxiliary/interactions", "auxiliary/balance", "auxiliary/z"):
        assert shared.series(tag) == pytest.approx(alone.series(tag), abs=2e-5), tag
    assert shared.series("gradient/norm") == pytest.approx(alone.series("gradient/norm"), rel=1e-3)
    assert len(set(alone.series("auxiliary/interactions"))) == 8
    assert sum(alone.metrics()[-1][f"load_target/expert_{e}"] for e in range(4)) == pytest.approx(1)


def test_a_resumed_run_is_the_undisturbed_one(launcher: Any) -> None:
    how = ("training.steps=6", "training.validate_every=3", "model.dropout=0.1", "training.keep_checkpoints=2")
    how = (*how, *SWITCHES["sigmoid"], *TWO, "training.ep_size=2", "engine=zero1.json")
    whole = launcher.train("switched", *how, ranks=2)
    assert whole.statuses == (0, 0), whole.output
    last = whole.folder / "checkpoints" / "step_00000006"
    saved, losses = read_manifest(last)["files"], whole.series("loss/total")
    shutil.rmtree(last)
    resumed = launcher.train("switched", *how, "--resume", ranks=2)
    assert resumed.statuses == (0, 0), resumed.output
    assert read_manifest(last)["files"] == saved
    assert resumed.series("loss/total") == losses

    model = load_model(whole.folder).model
    gate = model.encoder.layers[0].feedforward.deepspeed_moe.gate
    assert gate.selection_bias.shape[0] > 1, "a row for each modality"
    assert gate.selection_bias.abs().max() > 0, "the biases are saved with the model"
