"""Pretraining: the intensities of hidden tokens are predicted from the others of their spectrum.

Positions stay known: what is learnt is how strong a spectrum is where, which needs no label.

Axes: P pieces, S places, W intensities of a token.
"""

import torch
from torch import Tensor

from mmspec_ds.moe.losses import auxiliary_losses, weighted_sum, weights_of
from mmspec_ds.moe.schedule import curriculum_at
from mmspec_ds.moe.statistics import RoutingReport, sum_over_ranks, to_vector, with_values
from mmspec_ds.nn.module_flops import Cost, Pass
from mmspec_ds.spectra.axes import Form
from mmspec_ds.systems.fusion.batch import FusionBatch, Pieces
from mmspec_ds.systems.fusion.objective import FusionLoss, FusionObjectiveModule


class MaskedObjective(FusionObjectiveModule):
    """A model with the objective of pretraining; the arguments are those of `FusionObjectiveModule`."""

    def forward(self, batch: FusionBatch, progress: float) -> FusionLoss:
        """The mean squared error of the hidden intensities of the global batch; see `FusionObjectiveModule`.
        The `weight` of this loss is the number of those intensities."""
        schedule = curriculum_at(progress, self.routing)
        model, pieces = self.model, batch.pieces
        assert model.reconstruct is not None
        if self.training:
            model.encoder.keep_temperature(schedule.temperature)
        encoded = model.encoder.states(pieces, schedule.temperature if self.training else None)
        told_PSW = model.reconstruct(encoded.hidden_BSD).float()
        counted_PSW = hidden_intensities(pieces) * batch.weight_B[pieces.sample_P, None, None]
        error_PSW = (told_PSW - pieces.values_PSW).square() * counted_PSW
        # Not needed here: so that the weights of the pooling have a gradient, which is zero.
        pooled_PD = model.encoder.pooling(encoded.hidden_BSD, encoded.mask_BS)
        local = tuple(one for one in encoded.reports if isinstance(one, RoutingReport))
        vectors = [to_vector(one) for one in local]
        if not any(weights_of(self.routing, schedule).values()):
            vectors = [one.detach() for one in vectors]
        tokens = pieces.mask_PS.sum().float()
        sums = torch.stack([error_PSW.sum() + 0.0 * pooled_PD.sum(), counted_PSW.sum(), tokens])
        everywhere = sum_over_ranks(torch.cat([sums, *vectors]), self.group)
        task = everywhere[0] / everywhere[1].detach().clamp_min(1)
        reports = with_values(local, everywhere[3:]) if local else ()
        auxiliary = dict(auxiliary_losses(reports, self.cost_E, self.routing)) if reports else {}
        total = task + weighted_sum(auxiliary, self.routing, schedule) if auxiliary else task
        return FusionLoss(
            total=total,
            parts={name: value.detach() for name, value in {"task": task, **auxiliary}.items()},
            weight=everywhere[1].detach(),
            tokens=everywhere[2].detach(),
            reports=with_values(local, everywhere[3:].detach()) if local else (),
        )

    def cost(self, batch: FusionBatch) -> Cost:
        """FLOPs of a pass of a batch, without those of experts."""
        assert self.model.reconstruct is not None
        count = Pass()
        count.linear(self.model.reconstruct, batch.pieces.modality_PS.numel())
        return self.model.encoder.cost(batch.pieces) + count.cost


def hidden_intensities(pieces: Pieces) -> Tensor:
    """1 for each intensity that is to be predicted, [P, S, W]: all of a hidden patch, the one of a hidden peak,
    none of a precursor."""
    assert pieces.hidden_PS is not None
    first_W = torch.arange(pieces.values_PSW.shape[2], device=pieces.form_PS.device) == 0
    of_patch_PS1 = (pieces.form_PS == Form.PATCH)[..., None]
    of_peak_PS1 = (pieces.form_PS == Form.PEAK)[..., None]
    return (pieces.hidden_PS[..., None] & (of_patch_PS1 | (of_peak_PS1 & first_W))).float()
