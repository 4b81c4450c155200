"""Whether the modalities pull the weights that they share in one direction.

The gradient of the task loss with respect to the weights of a feed-forward network is a sum over the tokens
that pass through it. Split by the modality of these tokens, it is a sum of one gradient per modality, exactly:
g = sum_m g_m. The conflict of two modalities is the cosine of their parts, over the shared experts of all
layers (over all experts where none is shared, over the whole feed-forward networks of a dense model). 1: what
one learns helps the other; 0: they use different directions; below 0: they undo each other's work.

Axes: B samples, S places, D model width, M modalities, P parameters.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmspec_ds.data.batch import Batch
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.spectra.records import Modality, table_rows
from mmspec_ds.systems.elucidation.model import Elucidator, sequence_loss


def modality_conflict(model: Elucidator, batch: Batch, group: Any | None = None) -> Tensor:
    """Cosines [M, M] between the gradients of the modalities, float64; NaN where a modality has none.

    One pass forward and backward to the networks' outputs, and for each modality in the batch one through the
    networks alone. Gradients of the parameters (`.grad`) are left alone.

    Every rank must call this, with the same batch: it makes the same collectives on all of them, and each rank
    that holds an expert sees the rows of all, so that gradients need not be exchanged.

    Args:
        model: in evaluation mode.
        batch: with targets.
        group: of the ranks that share the experts or hold copies of them; None for one process.
    """
    networks = [cast(nn.Module, layer.feedforward) for layer in cast(Any, model.encoder.layers)]
    with torch.enable_grad(), _watched(networks) as calls:
        output = model(batch)
        loss, tokens = sequence_loss(output.logits_BLV, batch.target_BL, batch.weight_B)
        pulls = torch.autograd.grad(loss / tokens.clamp_min(1), [out_BSD for _, out_BSD in calls])
    modality_BS = batch.spectra.modality_BS
    present = [modality for modality in Modality if modality in batch.spectra.tokens]
    rows = table_rows(present)
    gram_MM = torch.zeros(rows, rows, dtype=torch.float64, device=modality_BS.device)
    for network, (hidden_BSD, _), pull_BSD in zip(networks, calls, pulls):
        parts = {}
        for modality in present:
            of_it_BSD = pull_BSD * (modality_BS == modality)[..., None]
            parts[modality] = _gradient(network, (hidden_BSD, modality_BS, model.temperature), of_it_BSD)
        for one in present:
            for other in present:
                gram_MM[one, other] += parts[one] @ parts[other]
    if group is not None:
        dist.all_reduce(gram_MM, group=group)
    norm_M = gram_MM.diagonal().sqrt()
    return gram_MM / torch.where(norm_M > 0, norm_M, torch.nan).outer(norm_M)


def compared_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The parameters of a feed-forward network that hold weights which tokens of every modality meet, as far as
    they live here."""
    if not isinstance(network, SparseFeedForward):
        return list(network.parameters())
    return list(network.deepspeed_moe.experts.parameters())


def shared_part(network: nn.Module, gradients: Sequence[Tensor]) -> list[Tensor]:
    """The gradients, among those of `compared_parameters`, of the weights that tokens of every modality meet:
    those of the shared experts, or of all experts where none is shared."""
    if not isinstance(network, SparseFeedForward):
        return list(gradients)
    families = [one.family for one in physical_order(network.settings.experts)]
    wanted = [family == "shared" for family in families] if "shared" in families else [True] * len(families)
    experts = network.deepspeed_moe.experts.stacked.with_tensors(gradients).apart()
    here = network.placement.local(len(families))
    return [part for number, expert in zip(here, experts) if wanted[number] for part in expert]


def _gradient(network: nn.Module, arguments: tuple[Tensor, Tensor, float], pull_BSD: Tensor) -> Tensor:
    """The gradient [P] of a network's shared parameters, for this gradient of its output, in float64.

    The gradient of the input is asked for as well, on every rank: the way to it makes all the collectives of a
    backward pass, also where no shared expert lives.
    """
    hidden_BSD, modality_BS, temperature = arguments
    hidden_BSD = hidden_BSD.detach().requires_grad_()
    with torch.enable_grad():
        out_BSD: Tensor = network(hidden_BSD, modality_BS, temperature)[0]
    wanted = [hidden_BSD, *compared_parameters(network)]
    _, *found = torch.autograd.grad(out_BSD, wanted, pull_BSD, allow_unused=True)
    whole = [torch.zeros_like(p) if g is None else g for p, g in zip(wanted[1:], found)]
    flat = [part.double().flatten() for part in shared_part(network, whole)]
    return torch.cat(flat) if flat else pull_BSD.new_zeros(1, dtype=torch.float64)


@contextmanager
def _watched(networks: Sequence[nn.Module]) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Within, what goes into each network and what comes out is noted."""
    calls: list[tuple[Tensor, Tensor]] = []

    def note(_: nn.Module, arguments: tuple[Tensor, ...], out: tuple[Tensor, object]) -> None:
        calls.append((arguments[0].detach(), out[0]))

    handles = [network.register_forward_hook(note) for network in networks]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
