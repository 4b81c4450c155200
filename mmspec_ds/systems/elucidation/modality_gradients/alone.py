"""The loss of a model that is given one modality alone.

Axes: B samples, S places, X places of what is kept, M instruments.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmspec_ds.data.batch import PADDING, Batch, SpectraBatch
from mmspec_ds.moe.statistics import sum_over_ranks
from mmspec_ds.nn.late_fusion import places_of
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.elucidation.model import Elucidator, sequence_loss


def only(batch: Batch, modality: Modality) -> Batch:
    """The batch without the other instruments, padded no longer than needed; what is not an instrument, such as
    the formula, stays. Samples that lack the modality have no weight."""
    spectra = batch.spectra
    kept = [m for m in spectra.tokens if m == modality or not REGISTRY[m].is_instrument]
    kept_BS = torch.zeros_like(spectra.modality_BS, dtype=torch.bool)
    for one in kept:
        kept_BS |= spectra.modality_BS == one
    old_BX, is_token_BX = places_of(kept_BS)
    flat = spectra.modality_BS.flatten()
    new_S = torch.zeros_like(flat)
    new_S[old_BX[is_token_BX]] = torch.arange(old_BX.numel(), device=flat.device)[is_token_BX.flatten()]
    tokens = {m: replace(spectra.tokens[m], place_T=new_S[spectra.tokens[m].place_T]) for m in kept}
    has_B = (spectra.modality_BS == modality).any(1)
    return replace(
        batch,
        spectra=SpectraBatch(torch.where(is_token_BX, flat[old_BX], PADDING), tokens),
        weight_B=batch.weight_B * has_B,
    )


def alone_loss(
    model: Elucidator, batch: Batch, modality: Modality, temperature: float | None, group: Any | None
) -> tuple[Tensor, Tensor]:
    """The mean task loss over the global batch, nats of a target token, with one modality alone, and the number
    of target tokens; 0 and 0 where no sample has it. Every rank calls this."""
    alone = only(batch, modality)
    output = model(alone, temperature)
    loss_sum, count = sequence_loss(output.logits_BLV, alone.target_BL, alone.weight_B)
    sums = sum_over_ranks(torch.stack([loss_sum.float(), count.float()]), group)
    return sums[0] / sums[1].detach().clamp_min(1), sums[1].detach()


@torch.no_grad()
def alone_losses(
    model: Elucidator,
    batch: Batch,
    modalities: Sequence[Modality],
    temperature: float | None,
    group: Any | None,
) -> tuple[Tensor, Tensor]:
    """Losses [M] and numbers of target tokens [M] of each modality alone, without dropout and gradient."""
    with evaluating(model):
        found = [alone_loss(model, batch, one, temperature, group) for one in modalities]
    return torch.stack([loss for loss, _ in found]), torch.stack([count for _, count in found])


def seed_of_step(device: torch.device, group: Any | None) -> int:
    """A seed that is the same on every rank, and for any number of ranks: the next draw of the first rank,
    whose own chance depends on the run's seed and the number of the batch."""
    drawn = torch.randint(2**31, (1,), device=device)
    if group is not None and dist.get_world_size(group) > 1:
        dist.broadcast(drawn, src=0, group=group)
    return int(drawn)


def named(prefix: str, modalities: Sequence[Modality], values: Callable[[int], Tensor]) -> dict[str, Tensor]:
    """Parts of a `StepLoss` for each modality, detached."""
    return {f"{prefix}_{one.name.lower()}": values(at).detach() for at, one in enumerate(modalities)}


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within, a model is in evaluation mode; afterwards every module is as it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
