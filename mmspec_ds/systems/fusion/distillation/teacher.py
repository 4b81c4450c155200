"""The teacher of a student: a trained fusion model whose weights do not change.

Axes: B samples, M modalities, D width of the teacher's vectors, C classes or groups.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mmspec_ds.errors import ConfigError
from mmspec_ds.moe.statistics import RoutingReport
from mmspec_ds.nn.module_flops import Cost
from mmspec_ds.systems.fusion.batch import FusionBatch
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.stored import StoredFusion, load_classifier

SAME_SPLIT = ("validation_fraction", "split_seed", "validation_where", "train_where")
"""Settings of the data that decide which samples are held back."""


class Told(NamedTuple):
    """What a teacher makes of samples: its modality vectors [B, M, D], its logits [B, C], and the reports of
    its routers."""

    vectors_BMD: Tensor
    logits_BC: Tensor
    reports: tuple[RoutingReport, ...]


class Teacher:
    """A frozen model. It is no part of the student's module, so that neither an optimizer nor a checkpoint
    sees it.

    Args:
        stored: the trained model.
        device: where the student learns.
    """

    def __init__(self, stored: StoredFusion, device: torch.device) -> None:
        self.run, self.schema, self.identity = stored.run, stored.schema, stored.identity
        self.model = stored.model.requires_grad_(False).eval().to(device)

    @property
    def width(self) -> int:
        """D, the width of the teacher's modality vectors."""
        return self.run.model.d_model

    @torch.no_grad()
    def told(self, batch: FusionBatch) -> Told:
        """What the teacher makes of the samples of a batch, of all modalities that they have."""
        encoded = self.model.encode(batch.pieces)
        return Told(encoded.vectors_BMD, self.model.fuse(*encoded[:2]).logits_BC, encoded.reports)

    def cost(self, batch: FusionBatch) -> Cost:
        """FLOPs of `told`, without those of experts."""
        encoder, fusion = self.model.encoder.cost(batch.pieces), self.model.fuse_cost(len(batch.weight_B))
        return Cost(encoder.forward + fusion.forward)

    def judge(self, vectors_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """The logits [B, C] that the teacher's fuser makes of vectors in the place of its own; gradients go to
        the vectors alone."""
        return self.model.fuse(vectors_BMD.to(next(self.model.parameters()).dtype), present_BM).logits_BC


def load_teacher(run: FusionRun, device: torch.device) -> Teacher:
    """The teacher that a run names.

    Raises:
        DataError: it cannot be read.
        ConfigError: it reads other tokens than the student, or tells nothing.
    """
    assert run.distillation is not None
    folder = run.distillation.teacher
    stored = load_classifier(folder, "distillation.teacher")
    if stored.run.tokens != run.tokens:
        raise ConfigError(
            f"tokens: other ones than those of distillation.teacher, {folder}: expected {stored.run.tokens!r}"
        )
    if not stored.schema.tables and stored.run.data.chosen_modalities() != run.data.chosen_modalities():
        names = ", ".join(stored.schema.modalities)
        raise ConfigError(f"data.modalities: expected those of distillation.teacher, {folder}: {names}")
    return Teacher(stored, device)


def remarks_on_split(run: FusionRun, teacher: Teacher) -> tuple[str, ...]:
    """A remark where the teacher may have learnt from what the student is measured on."""
    ours, theirs = (one.model_dump(include=set(SAME_SPLIT)) for one in (run.data, teacher.run.data))
    differ = [name for name in SAME_SPLIT if ours[name] != theirs[name]]
    if not differ:
        return ()
    return (
        f"the teacher was trained with another data.{differ[0]}: it may know samples that are held back here",
    )
