"""The objective of a student: that of its run, and its teacher's.

Axes: B samples, M modalities, D width of the teacher's vectors, C classes or groups, N steps of the flow.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmspec_ds.nn.module_flops import Cost, Pass, experts_cost
from mmspec_ds.systems.fusion.batch import FusionBatch
from mmspec_ds.systems.fusion.distillation.flow import FeatureFlow
from mmspec_ds.systems.fusion.distillation.losses import alignment, soft_loss
from mmspec_ds.systems.fusion.distillation.settings import DistillationSettings
from mmspec_ds.systems.fusion.distillation.teacher import Teacher, Told
from mmspec_ds.systems.fusion.encoder import Encoded
from mmspec_ds.systems.fusion.objective import FusionLoss, FusionObjectiveModule, Sums


class DistillingObjective(FusionObjectiveModule):
    """A student with its objective. In training the parts `soft`, `align` and `judged` come to those of the
    run; validation has those of the run alone.

    Args:
        teacher: frozen.
        distillation: what of it is learnt.
        rest: see `FusionObjectiveModule`; the student's `transfer` is what `make_transfer` has made.
    """

    def __init__(self, teacher: Teacher, distillation: DistillationSettings, *rest: Any) -> None:
        super().__init__(*rest)
        self.teacher, self.distillation = teacher, distillation
        self.weights = {name: getattr(distillation, name) for name in ("soft", "align", "judged")}

    def _total(self, parts: Mapping[str, Tensor]) -> Tensor:
        total = super()._total(dict(parts))
        for name, weight in self.weights.items():
            if name in parts:
                total = total + weight * parts[name]
        return total

    def _sums(self, batch: FusionBatch, encoded: Encoded) -> Sums:
        sums = super()._sums(batch, encoded)
        if not (self.training and torch.is_grad_enabled()):
            return sums
        told, weight_B = self.teacher.told(batch), batch.weight_B
        compared = self._compared(batch, encoded, told)
        flat = [torch.stack([(loss * weight_B).sum(), weight_B.sum()]) for loss in compared.values()]
        return Sums(torch.cat([sums.values, *flat]), [*sums.names, *compared], told.reports)

    def flops(self, batch: FusionBatch, loss: FusionLoss) -> float | Tensor:
        """See `FusionObjectiveModule.flops`; the teacher's forward pass is counted."""
        of_teacher = experts_cost(self.teacher.model.encoder.encoder, loss.of_teacher).forward
        return super().flops(batch, loss) + of_teacher

    def cost(self, batch: FusionBatch) -> Cost:
        """FLOPs of the student's passes and of the teacher's, without those of experts."""
        settings, transfer, samples = self.distillation, self.model.transfer, len(batch.weight_B)
        cost = super().cost(batch) + self.teacher.cost(batch)
        if settings.kind == "feature":
            assert transfer is not None
            count = Pass()
            count.linear(transfer, samples * batch.kept_BM.shape[1])
            return cost + count.cost
        cost += self.model.fuse_cost(samples)
        if settings.kind == "logit":
            return cost
        assert isinstance(transfer, FeatureFlow)
        return cost + transfer.cost(samples) + self.teacher.model.fuse_cost(samples * settings.steps)

    def _compared(self, batch: FusionBatch, encoded: Encoded, told: Told) -> dict[str, Tensor]:
        """The losses that compare the student with what its teacher told, [B] each, by name."""
        settings, kind, transfer = self.distillation, self.model.schema.kind, self.model.transfer
        kept_BM = encoded.present_BM & batch.kept_BM
        if settings.kind == "feature":
            assert isinstance(transfer, nn.Linear)
            return {"align": alignment(transfer(encoded.vectors_BMD), told.vectors_BMD, kept_BM)}
        own_BC = self.model.fuse(encoded.vectors_BMD, kept_BM).logits_BC
        if settings.kind == "logit":
            return {"soft": soft_loss(own_BC, told.logits_BC, kind, settings.temperature)}
        assert isinstance(transfer, FeatureFlow)
        predicted_NBMD = transfer(encoded.vectors_BMD)
        steps = len(predicted_NBMD)
        align_NB = [alignment(one, told.vectors_BMD, kept_BM) for one in predicted_NBMD]
        judged = self.teacher.judge(predicted_NBMD.flatten(0, 1), kept_BM.repeat(steps, 1))
        judged_NBC = judged.unflatten(0, (steps, -1))
        return {
            "soft": soft_loss(own_BC, judged_NBC.detach().float().mean(0), kind, settings.temperature),
            "align": torch.stack(align_NB).mean(0),
            "judged": torch.stack([self._loss(one, batch.target_BC) for one in judged_NBC]).mean(0),
        }
