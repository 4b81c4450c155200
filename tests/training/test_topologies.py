"""The same training on one rank and on two, through the launcher and without: the same losses.

SGD, because Adam hides wrong gradient scales; the default gradient clipping, which is reached, because a norm
that each rank takes of its own gradients would be another one.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CAPACITY = ("moe.mode=capacity", "moe.capacity_factor=0.75")
HALF = "training.batch_size=8"
TOPOLOGIES = {
    "ep 1": (HALF,),
    "ep 2": (HALF, "training.ep_size=2"),
    "ep 2, ZeRO 1": (HALF, "training.ep_size=2", "engine=zero1.json"),
    "ep 1, ZeRO 2": (HALF, "engine=zero2.json"),
    "ep 2, ZeRO 2, capacity": (HALF, "training.ep_size=2", "engine=zero2.json", *CAPACITY),
    "ep 1, capacity": (HALF, *CAPACITY),
}


@pytest.fixture(scope="module")
def alone(launcher: Any) -> dict[bool, Any]:
    """Twenty steps on one rank, dropless (False) and with capacity (True)."""
    finished = {
        False: launcher.train("alone"),
        True: launcher.train("alone_capacity", *CAPACITY),
    }
    for one in finished.values():
        assert one.statuses == (0,), one.output
        assert len(one.metrics()) == 20
        losses = one.series("loss/train")
        assert losses[-1] < 0.8 * losses[0], "twenty steps must change the model, or equal losses mean nothing"
    assert max(finished[True].series("dropped/h_nmr")) > 0.1
    assert max(finished[False].series("dropped/h_nmr")) == 0
    return finished


def assert_same_losses(one: Any, other: Any, tolerance: float = 1e-5) -> None:
    for tag in ("loss/train", "loss/total"):
        assert other.series(tag) == pytest.approx(one.series(tag), abs=tolerance), tag


@pytest.mark.parametrize("topology", TOPOLOGIES, ids=str)
def test_two_ranks_learn_what_one_learns(launcher: Any, alone: dict[bool, Any], topology: str) -> None:
    options = TOPOLOGIES[topology]
    name = topology.replace(" ", "_").replace(",", "")
    finished = launcher.train(name, *options, ranks=2)
    assert finished.statuses == (0, 0), finished.output
    reference = alone[CAPACITY[0] in options]
    assert_same_losses(reference, finished)
    for tag in (
        "auxiliary/balance",
        "auxiliary/entropy",
        "auxiliary/cost",
        "auxiliary/structure",
        "auxiliary/z",
    ):
        assert finished.series(tag) == pytest.approx(reference.series(tag), abs=1e-4), tag


@pytest.fixture(scope="module")
def launched(launcher: Any) -> Any:
    """Two ranks that share the experts, started by the launcher."""
    finished = launcher.by_deepspeed("launched", HALF, "training.ep_size=2", "engine=zero1.json", ranks=2)
    assert finished.statuses == (0,), finished.output
    return finished


def test_the_launcher_starts_the_same_training(alone: dict[bool, Any], launched: Any) -> None:
    assert_same_losses(alone[False], launched)


READ_WITHOUT_DEEPSPEED = """
import sys
from pathlib import Path

import torch

from mmspec_ds.data.collate import collate
from mmspec_ds.data.reading import read_dataset
from mmspec_ds.evaluation.predict import predict_dataset
from mmspec_ds.evaluation.trained import load_model
from mmspec_ds.models.elucidator import sequence_loss

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
