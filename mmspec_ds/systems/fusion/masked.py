"""Pretraining: the intensities of hidden tokens are predicted from the others of their spectrum.

Positions stay known: what is learnt is how strong a spectrum is where, which needs no label.

Axes: P pieces, T tokens, D model width, W intensities of a token.
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
        of_tokens_TD = encoded.hidden_BSD.flatten(0, 1).index_select(0, pieces.at_T)
        told_TW = model.reconstruct(of_tokens_TD).float()
        sample_T = pieces.sample_P[pieces.at_T // pieces.modality_PS.shape[1]]
        counted_TW = hidden_intensities(pieces) * batch.weight_B[sample_T, None]
        error_TW = (told_TW - pieces.values_TW).square() * counted_TW
        # Not needed here: so that the weights of the pooling have a gradient, which is zero.
        pooled_PD = model.encoder.pooling(encoded.hidden_BSD, encoded.mask_BS)
        local = tuple(one for one in encoded.reports if isinstance(one, RoutingReport))
        vectors = [to_vector(one) for one in local]
        if not any(weights_of(self.routing, schedule).values()):
            vectors = [one.detach() for one in vectors]
        counted = counted_TW.sum()
        tokens = counted.new_full((), len(pieces.at_T))
        sums = torch.stack([error_TW.sum() + 0.0 * pooled_PD.sum(), counted, tokens])
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
        count.linear(self.model.reconstruct, len(batch.pieces.at_T))
        return self.model.encoder.cost(batch.pieces) + count.cost


def hidden_intensities(pieces: Pieces) -> Tensor:
    """1 for each intensity that is to be predicted, [T, W]: all of a hidden patch, the one of a hidden peak,
    none of a precursor."""
    assert pieces.hidden_T is not None
    first_W = torch.arange(pieces.values_TW.shape[1], device=pieces.form_T.device) == 0
    of_patch_T1 = (pieces.form_T == Form.PATCH)[:, None]
    of_peak_T1 = (pieces.form_T == Form.PEAK)[:, None]
    return (pieces.hidden_T[:, None] & (of_patch_T1 | (of_peak_T1 & first_W))).float()
