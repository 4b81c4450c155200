"""FLOPs of a step of fusion: against torch's counter, which watches the products of a real step, and against a
count by hand.

As in `tests/profiling/test_flops.py`, attention runs as plain products, and experts on the reference path.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmspec_ds.systems.fusion.task import FusionTask
from mmspec_ds.trainer.weights import write_weights
from tests.systems.fusion.conftest import EXPERTS, make_task

SPARSE = {"k": 2, "experts": EXPERTS}
STUDENT = {"d_model": 8, "ffn_width": 8, "heads": 1}


def watched(task: FusionTask) -> tuple[float, float]:
    """What torch counts in a step, and what we count. The gradient of the weight with which an expert's row is
    summed is a scalar product, of which torch knows nothing: it is added."""
    task.module.train()
    batch = task.batch(0)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        loss = task.module(batch, 0.3)
        loss.total.backward()
    rows = sum(float(one.load_ME.sum()) for one in loss.reports)
    of_weights = 2 * rows * task.run.model.d_model
    return counter.get_total_flops() + of_weights, float(task.flops(batch, loss))


def save(task: FusionTask, folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.yaml").write_text(task.run.to_yaml())
    write_weights(task.model.state_dict(), folder / "model.safetensors")
    task.save_files(folder)
    return folder


BLOCKS: dict[str, dict[str, Any]] = {
    "contribution": {},
    "mean pooling": {"model": {"pooling": "mean"}},
    "contribution_vectors": {"fusion": {"kind": "contribution_vectors"}, "objective": {"alone": 0.3}},
    "late_mean": {"fusion": {"kind": "late_mean"}, "balance": {"kind": "contribution"}},
    "gated": {"fusion": {"kind": "gated"}},
    "concatenated": {"fusion": {"kind": "concatenated"}, "balance": {"kind": "ogm_ge"}},
    "blending": {"balance": {"kind": "blending"}},
    "attention of vectors": {"fusion": {"attention": 2}, "objective": {"alone": 0.3}},
    "checkpointed": {"model": {"encoder_layers": 2}, "training": {"activation_checkpointing": True}},
    "sparse": {"moe": SPARSE},
    "sparse, checkpointed": {"moe": SPARSE, "training": {"activation_checkpointing": True}},
    "always on": {"moe": SPARSE | {"always_on": 16}},
    "masked": {"objective": {"kind": "masked"}},
    "masked, sparse": {"objective": {"kind": "masked"}, "moe": SPARSE},
}


@pytest.mark.parametrize("blocks", BLOCKS.values(), ids=BLOCKS)
def test_as_torch_counts(blocks: dict[str, Any]) -> None:
    theirs, ours = watched(make_task(**blocks))
    assert ours == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("moe", [None, SPARSE], ids=["dense", "sparse"])
@pytest.mark.parametrize("kind", ["logit", "feature", "flow"])
def test_a_student_with_its_teacher_as_torch_counts(
    tmp_path: Path, kind: str, moe: dict[str, Any] | None
) -> None:
    teacher = save(make_task(moe=moe), tmp_path / "teacher")
    settings = {"teacher": str(teacher), "kind": kind, "steps": 3, "width": 16}
    theirs, ours = watched(make_task(model=STUDENT, distillation=settings))
    assert ours == pytest.approx(theirs, rel=1e-9)
    assert ours > watched(make_task(model=STUDENT))[1]


@pytest.mark.parametrize("moe", [None, SPARSE], ids=["dense", "sparse"])
@pytest.mark.parametrize("kind", ["bottleneck", "lora"])
def test_adapters_on_a_frozen_base_as_torch_counts(
    tmp_path: Path, kind: str, moe: dict[str, Any] | None
) -> None:
    model = {"encoder_layers": 2}
    base = save(make_task(moe=moe, model=model), tmp_path / "base")
    adapt = {"base": str(base), "kind": kind, "width": 4, "most_share": 1.0}
    task = make_task(moe=moe, model=model, adapt=adapt)
    theirs, ours = watched(task)
    if moe is not None:  # the reference path makes gradients of frozen experts and routers, which nobody wants
        batch = task.batch(0)
        reports = task.module(batch, 0.3).reports
        widths = torch.tensor([32.0, 16.0, 32.0, 16.0])  # wide and narrow ones alternate
        theirs -= sum(float(4 * 16 * one.load_ME.sum(0) @ widths) for one in reports)
        theirs -= len(reports) * 2 * batch.pieces.modality_PS.numel() * 16 * len(EXPERTS)
    assert ours == pytest.approx(theirs, rel=1e-9)
    assert ours < watched(make_task(moe=moe, model=model))[1]


def test_a_step_by_hand() -> None:
    """Late fusion by mean of two modalities of one layer: D 16, feed-forward 32, 32 sinusoids, 2 classes, 6
    numbers of a token (4 intensities, extent, sign), mean pooling."""
    task = make_task(fusion={"kind": "late_mean"}, model={"pooling": "mean"})
    batch = task.batch(0)
    tokens = int(batch.pieces.mask_PS.sum())  # none has a second coordinate
    pieces, places = batch.pieces.modality_PS.shape
    rows = pieces * places
    embedding = 2 * tokens * 16 * (32 + 6 + 6)  # sinusoids; factor and summand of the numbers
    layer = 2 * rows * 16 * (48 + 16 + 32 + 32) + 2 * 2 * rows * places * 16
    pooling = 2 * rows * 16
    heads, mean = 2 * 2 * 8 * 16 * 2, 2 * 8 * 2 * 2
    # Positions and intensities have no gradient, nor have the shares of a mean.
    by_hand = 2 * embedding + 3 * layer + 2 * pooling + 3 * heads + 2 * mean
    assert float(task.flops(batch, task.module(batch, 0.0))) == by_hand


def test_two_ranks_share_the_count_of_one() -> None:
    whole, half = make_task(), make_task(0, 2, training={"batch_size": 4})
    batch, loss = whole.batch(0), whole.module(whole.batch(0), 0.0)
    other = make_task(1, 2, training={"batch_size": 4})
    counted = [float(one.flops(one.batch(0), loss)) for one in (half, other)]
    # Pieces of each are padded to its own longest, here of equal length.
    assert sum(counted) == float(whole.flops(batch, loss))
