"""PCGrad: gradients of the losses with each modality alone and with all of them, conflicting parts projected
away (Yu et al., NeurIPS 2020, arXiv:2001.06782).

The tasks of the paper are here to write the same structure from each modality alone, and from all together.
Each task's gradient loses, for each other task in a random order, its component along that task's gradient if
the two point against each other (algorithm 1). What remains is averaged over the tasks, as the paper's sum but
for the scale. Auxiliary losses of routers belong to the task with all modalities.

The result is a linear combination of the gradients whose coefficients depend on their inner products alone. The
engine differentiates sum(parameter * gradient), whose gradient it is, so that averaging, clipping and ZeRO work
as ever.

Costs a forward and a backward pass of each modality alone beside those of all, and memory for one gradient more
for each.

Axes: N tasks, P elements of all parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmspec_ds.data.batch import Batch
from mmspec_ds.moe.schedule import curriculum_at
from mmspec_ds.systems.elucidation.modality_gradients.alone import alone_loss, named, seed_of_step
from mmspec_ds.systems.elucidation.objective import ElucidationLoss, Objective
from mmspec_ds.trainer.task import Sharding


class PCGradObjective(Objective):
    """An objective whose gradient is that of PCGrad; the arguments are those of `Objective`, and `sharding`,
    which parameters differ between ranks."""

    def __init__(self, *arguments: Any, sharding: Sharding) -> None:
        super().__init__(*arguments)
        self.sharding = sharding

    def forward(self, batch: Batch, progress: float) -> ElucidationLoss:
        """See `Objective`; adds the losses of each modality alone, and the share of each task's gradient, to
        the parts."""
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(batch, progress)
        seed = seed_of_step(batch.weight_B.device, self.group)
        parameters = Parameters.of(self.model, self.sharding, self.group)
        whole = super().forward(batch, progress)
        gradients = [parameters.gradient(whole.total)]
        temperature, losses = curriculum_at(progress, self.settings).temperature, []
        for modality in self.instruments:
            loss, _ = alone_loss(self.model, batch, modality, temperature, self.group)
            gradients.append(parameters.gradient(loss))
            losses.append(loss.detach())
        gradient_NP = torch.stack(gradients)
        share_N = projected_shares(gram(gradient_NP), seed)
        surrogate = parameters.surrogate(share_N.to(gradient_NP.dtype) @ gradient_NP)
        shares = {"share_all": share_N[0], **named("share", self.instruments, lambda at: share_N[at + 1])}
        alone = named("alone", self.instruments, lambda at: losses[at])
        return replace(
            whole,
            total=whole.total.detach() + (surrogate - surrogate.detach()),
            parts={**whole.parts, **alone, **shares},
        )


def gram(gradient_NP: Tensor) -> Tensor:
    """Inner products of all gradients, float64 [N, N], summed in pieces that fit into a cache."""
    products = torch.zeros(len(gradient_NP), len(gradient_NP), dtype=torch.float64, device=gradient_NP.device)
    for piece in gradient_NP.split(1 << 20, dim=1):
        as_double = piece.double()
        products += as_double @ as_double.T
    return products


def projected_shares(gram_NN: Tensor, seed: int) -> Tensor:
    """The weight of each gradient in the mean of the projected ones, float64 [N].

    Row i of a table of coefficients stands for the gradient of task i while the others are projected away, one
    after the other in an order that is drawn from `seed`.
    """
    products, tasks = gram_NN.cpu(), len(gram_NN)
    source = torch.Generator().manual_seed(seed)
    rows_NN = torch.eye(tasks, dtype=torch.float64)
    for own in range(tasks):
        for other in torch.randperm(tasks, generator=source).tolist():
            along, length = rows_NN[own] @ products[:, other], products[other, other]
            if other != own and along < 0 and length > 0:
                rows_NN[own, other] -= along / length
    return (rows_NN.sum(0) / tasks).to(gram_NN.device)


@dataclass(frozen=True)
class Parameters:
    """All parameters of a model that learn, as one vector [P]: first what every rank holds, then what is shared
    out among ranks, with room for the parts of all of them.

    Attributes:
        whole, sharded: the parameters of this rank.
        sizes: elements of the sharded parameters of each rank that holds another part.
        place: which of these ranks this one is.
        group: of all ranks, None for one process.
    """

    whole: Sequence[nn.Parameter]
    sharded: Sequence[nn.Parameter]
    sizes: tuple[int, ...]
    place: int
    group: Any | None

    @classmethod
    def of(cls, model: nn.Module, sharding: Sharding, group: Any | None) -> "Parameters":
        """Those of a model, of which some may be shared out. Every rank calls this."""
        learnt = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        whole = [p for name, p in learnt if not sharding.is_sharded(name)]
        sharded = [p for name, p in learnt if sharding.is_sharded(name)]
        sizes, place = [sum(p.numel() for p in sharded)], 0
        if sharding.size > 1:
            told = torch.zeros(dist.get_world_size(group), dtype=torch.int64, device=learnt[0][1].device)
            told[dist.get_rank(group)] = sizes[0]
            dist.all_reduce(told, group=group)
            # Consecutive ranks hold different parts.
            sizes, place = told[: sharding.size].tolist(), dist.get_rank(group) % sharding.size
        return cls(whole, sharded, tuple(sizes), place, group)

    def gradient(self, loss: Tensor) -> Tensor:
        """The gradient of the loss of the global batch, fp32 [P], the same on every rank."""
        mine = [*self.whole, *self.sharded]
        found = torch.autograd.grad(loss, mine, allow_unused=True)
        flat = [(torch.zeros_like(p) if g is None else g).float().flatten() for p, g in zip(mine, found)]
        count = len(self.whole)
        parts = [torch.zeros(size, device=loss.device) for size in self.sizes]
        if self.sharded:
            parts[self.place] = torch.cat(flat[count:])
        vector_P = torch.cat([*flat[:count], *parts])
        if self.group is not None and dist.get_world_size(self.group) > 1:
            # As the engine does: the mean over all ranks, also of what only some of them hold.
            dist.all_reduce(vector_P, group=self.group)
            vector_P /= dist.get_world_size(self.group)
        return vector_P

    def surrogate(self, gradient_P: Tensor) -> Tensor:
        """A scalar which the engine, averaging over ranks, finds to have this gradient [P]."""
        before = sum(self.sizes[: self.place])
        held = sum(p.numel() for p in self.whole)
        pieces = (
            [(p, gradient_P[:held]) for p in self.whole],
            [(p, gradient_P[held + before :] * len(self.sizes)) for p in self.sharded],
        )
        total = gradient_P.new_zeros(())
        for group in pieces:
            start = 0
            for parameter, source in group:
                piece = source[start : start + parameter.numel()].view_as(parameter)
                total = total + (parameter * piece.to(parameter.dtype)).sum().float()
                start += parameter.numel()
        return total
