"""The same training on one rank, two and four, however they share experts and states: the same losses.

SGD, because Adam hides wrong gradient scales; with gradient clipping, which is reached in every step, because a
norm that each rank takes of its own gradients would be another one; and without it.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CAPACITY = ("moe.mode=capacity", "moe.capacity_factor=0.75")
UNCLIPPED = ("training.gradient_clipping=0", "training.learning_rate=0.1")
MODES = {"dropless": (), "capacity": CAPACITY}
CLIPPING = {"clipped": ("training.gradient_clipping=0.5", "training.learning_rate=0.2"), "unclipped": UNCLIPPED}
EXPERT_PARALLEL_SIZES = {1: (1,), 2: (1, 2), 4: (1, 2, 4)}
STAGES = (0, 1, 2)


CHUNKED = ("moe.exchange_chunks=3", "training.activation_checkpointing=true")
ACCUMULATED = ("training.gradient_accumulation=2",)
SPECIAL = {
    # name: ranks, overrides, and the run that it must equal
    "chunked": (2, ("training.ep_size=2", "engine=zero1.json", *CHUNKED), "dropless_1_ranks_ep_1_zero_0"),
    "chunked_capacity": (
        4,
        ("training.ep_size=4", "engine=zero2.json", *CHUNKED, *CAPACITY),
        "capacity_1_ranks_ep_1_zero_0",
    ),
    "accumulated": (1, ACCUMULATED, "special_accumulated"),
    "accumulated_2": (2, ("training.ep_size=2", "engine=zero2.json", *ACCUMULATED), "special_accumulated"),
    "accumulated_4": (4, ("training.ep_size=2", "engine=zero0.json", *ACCUMULATED), "special_accumulated"),
}
"""Switches that must change nothing, or nothing between topologies, with clipping."""


def name_of(clipping: str, mode: str, ranks: int, ep_size: int, stage: int) -> str:
    return f"{clipping}_{mode}_{ranks}_ranks_ep_{ep_size}_zero_{stage}"


def matrix(clipping: str, ranks: int) -> dict[str, tuple[str, ...]]:
    """Every run of a table on so many ranks: its name and overrides."""
    special = {
        f"clipped_special_{name}": (f"training.batch_size={16 // ranks}", *CLIPPING[clipping], *overrides)
        for name, (on, overrides, _) in SPECIAL.items()
        if on == ranks and clipping == "clipped"
    }
    return special | {
        name_of(clipping, mode, ranks, ep_size, stage): (
            f"training.batch_size={16 // ranks}",
            f"training.ep_size={ep_size}",
            f"engine=zero{stage}.json",
            *CLIPPING[clipping],
            *MODES[mode],
        )
        for mode in MODES
        for ep_size in EXPERT_PARALLEL_SIZES[ranks]
        for stage in STAGES
    }


@pytest.fixture(scope="module", params=list(CLIPPING))
def table(request: pytest.FixtureRequest, launcher: Any) -> tuple[str, dict[str, Any]]:
    """Twenty steps of every topology, with clipping or without."""
    runs: dict[str, Any] = {}
    for ranks in EXPERT_PARALLEL_SIZES:
        finished = launcher.train_many(matrix(request.param, ranks), ranks)
        for one in finished.values():
            assert one.statuses == (0,) * ranks, one.output
        runs |= finished
    return request.param, runs


def assert_same(one: Any, other: Any, tags: tuple[str, ...], tolerance: float) -> None:
    for tag in tags:
        assert other.series(tag) == pytest.approx(one.series(tag), abs=tolerance), tag


@pytest.mark.parametrize("mode", MODES)
def test_every_topology_learns_alike(table: tuple[str, dict[str, Any]], mode: str) -> None:
    clipping, runs = table
    alone = runs[name_of(clipping, mode, 1, 1, 0)]
    losses, norms = alone.series("loss/train"), alone.series("gradient/norm")
    assert len(losses) == 20
    assert losses[-1] < 0.85 * losses[0], "twenty steps must change the model, or equal losses mean nothing"
    if clipping == "clipped":
        assert min(norms) > 0.5, "the limit is reached in every step"
    dropped = max(alone.series("dropped/h_nmr"))
    assert dropped > 0.1 if mode == "capacity" else dropped == 0
    for ranks, sizes in EXPERT_PARALLEL_SIZES.items():
        for ep_size in sizes:
            for stage in STAGES:
                other = runs[name_of(clipping, mode, ranks, ep_size, stage)]
                assert_same(alone, other, ("loss/train", "loss/total"), 1e-5)
                parts = ("balance", "entropy", "cost", "structure", "z")
                assert_same(alone, other, tuple(f"auxiliary/{part}" for part in parts), 1e-4)
                assert other.series("gradient/norm") == pytest.approx(norms, rel=1e-4)


@pytest.mark.parametrize("name", SPECIAL)
def test_switches_change_nothing(table: tuple[str, dict[str, Any]], name: str) -> None:
    clipping, runs = table
    if clipping != "clipped":
        pytest.skip("run once, with clipping")
    expected, found = runs[f"clipped_{SPECIAL[name][2]}"], runs[f"clipped_special_{name}"]
    assert len(found.series("loss/train")) == 20
    assert_same(expected, found, ("loss/train", "loss/total"), 1e-5)
    assert found.series("gradient/norm") == pytest.approx(expected.series("gradient/norm"), rel=1e-4)


@pytest.fixture(scope="module")
def launched(launcher: Any) -> Any:
    """Two ranks that share the experts, started by the launcher."""
    options = ("training.batch_size=8", "training.ep_size=2", "engine=zero1.json")
    finished = launcher.by_deepspeed("launched", *options, ranks=2)
    assert finished.statuses == (0,), finished.output
    return finished


def test_the_launcher_starts_the_same_training(launcher: Any, launched: Any) -> None:
    alone = launcher.train("alone")
    assert alone.statuses == (0,), alone.output
    assert_same(alone, launched, ("loss/train", "loss/total"), 1e-5)


READ_WITHOUT_DEEPSPEED = """
import sys
from pathlib import Path

import torch

from mmspec_ds.data.collate import collate
from mmspec_ds.data.reading import read_dataset
from mmspec_ds.systems.elucidation.predict import predict_dataset
from mmspec_ds.systems.elucidation.trained import load_model
from mmspec_ds.systems.elucidation.model import sequence_loss

torch.set_num_threads(1)
trained = load_model(Path(sys.argv[1]))
dataset = read_dataset((Path(sys.argv[2]),), trained.encoding)
predict_dataset(trained.model, dataset.subset([0, 1]), trained.vocabulary, beam=2, n_best=2)
known = dataset.with_targets(trained.vocabulary)
batch = collate(known, range(len(known)))
with torch.no_grad():
    total, count = sequence_loss(trained.model(batch).logits_BLV, batch.target_BL, batch.weight_B)
assert "deepspeed" not in sys.modules
print(float(total / count))
"""


def test_experts_of_two_ranks_make_one_model_that_needs_no_deepspeed(
    launched: Any, launcher: Any, starter: Path
) -> None:
    read = subprocess.run(
        [sys.executable, "-c", READ_WITHOUT_DEEPSPEED, str(launched.folder), str(starter / "val.parquet")],
        capture_output=True,
        text=True,
        env=launcher.environment,
        timeout=120,
    )
    assert read.returncode == 0, read.stderr
    logged = launched.metrics("validation")[-1]["loss/validation"]
    assert float(read.stdout.splitlines()[-1]) == pytest.approx(logged, abs=1e-5)
