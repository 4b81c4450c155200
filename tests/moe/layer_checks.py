"""What ranks.py checks of whole layers: every rank's part is what one process computes that has all samples.

Axes: B samples, S places, D model width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmspec_ds.moe.capacity import keep_within_capacity
from mmspec_ds.moe.expert_parallel import ALONE, Placement
from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings
from mmspec_ds.moe.experts import ExpertBank
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.moe.statistics import RoutingReport, sum_over_ranks, to_vector
from mmspec_ds.nn.encoder import Encoder
from mmspec_ds.nn.model_settings import ModelSettings

D, WIDTHS, PLACES = 8, (32, 16, 48, 16), 5
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}
MODES: dict[str, dict[str, Any]] = {
    "dropless": {},
    "capacity": {"mode": "capacity", "capacity_factor": 0.7},
    "sigmoid and always on": {
        "gate": "sigmoid",
        "renormalise": True,
        "always_on": 32,
        "selection_bias_rate": 0.1,
        "selection_bias_by": "modality",
    },
    "experts choose": {"choice": "expert"},
}


def ep_sizes() -> tuple[int, ...]:
    """2, and the whole world."""
    return tuple({2, dist.get_world_size()})


def ep_group(size: int) -> Any:
    """The expert-parallel group of this rank: consecutive ranks, as DeepSpeed makes them."""
    world = dist.get_world_size()
    groups = [dist.new_group(list(range(first, first + size))) for first in range(0, world, size)]
    return groups[dist.get_rank() // size]


@dataclass(frozen=True)
class Layout:
    """Modalities of all samples [B, S], -1 for padding, and how many samples each rank has."""

    modality_BS: Tensor
    samples: tuple[int, ...]

    @property
    def own(self) -> tuple[slice, slice]:
        """The samples of this rank, and their places: none if they have no token, as in a batch of such."""
        rank = dist.get_rank()
        samples = slice(sum(self.samples[:rank]), sum(self.samples[: rank + 1]))
        return samples, slice(PLACES if bool((self.modality_BS[samples] >= 0).any()) else 0)


def layouts() -> dict[str, Layout]:
    """Uneven and empty in every way that a batch can be."""
    world = dist.get_world_size()
    source = torch.Generator().manual_seed(5)
    drawn = torch.randint(-1, 3, (2 * world, PLACES), generator=source)
    even, uneven = (2,) * world, tuple(1 if r % 2 else 3 for r in range(world))
    missing, padding, last = drawn.clone(), drawn.clone(), drawn.clone()
    missing[:2][missing[:2] == 1] = 0
    padding[:2] = -1
    last[2:] = -1
    return {
        "uneven": Layout(drawn, uneven),
        "a modality that the first rank lacks": Layout(missing, even),
        "no token on the first rank": Layout(padding, even),
        "tokens on the first rank only": Layout(last, even),
        "no sample on the first rank": Layout(drawn, (0, 4, *even[2:])),
        "no token anywhere": Layout(torch.full_like(drawn, -1), even),
    }


def make_layer(mode: str, placement: Placement, chunks: int = 1) -> SparseFeedForward:
    """A layer whose weights do not depend on where it stands."""
    torch.manual_seed(3)
    families = ("shared", "modality", "shared", "interaction")
    specs = tuple(
        ExpertSettings.model_validate(
            {"family": family, "width": width, "modalities": ("a",) if family == "modality" else ()}
        )
        for family, width in zip(families, WIDTHS)
    )
    settings = MoESettings.model_validate({"experts": specs, "exchange_chunks": chunks, **MODES[mode]})
    return SparseFeedForward(D, settings, ("a", "b", "c"), structure_margin=1.0, placement=placement)


def spread(layer: SparseFeedForward, group: Any) -> SparseFeedForward:
    """Give a layer its groups, as DeepSpeed's engine does."""
    layer.deepspeed_moe.ep_group, layer.deepspeed_moe.data_group = group, dist.group.WORLD
    return layer


def loss_of(out: Tensor, goal: Tensor, report: RoutingReport) -> Tensor:
    """A loss with a gradient through everything that a layer gives, additive over samples."""
    parts = torch.arange(report.importance_ME.numel(), dtype=torch.float32).view_as(report.importance_ME)
    return (
        (out * goal).sum() + 0.01 * (report.importance_ME * parts).sum()
        + 0.1 * (report.entropy_M.sum() + report.z) + 0.3 * report.agreement + 0.2 * report.separation
    )  # fmt: skip


def named_gradients(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter's gradient by the names of state dicts: those of experts apart."""
    found: dict[str, Tensor] = {}
    for prefix, module in model.named_modules():
        dot = f"{prefix}." if prefix else ""
        own = {name: parameter.grad for name, parameter in module.named_parameters(recurse=False)}
        for name, gradient in own.items():
            assert gradient is not None, f"{dot}{name} has no gradient"
        if isinstance(module, ExpertBank):
            stacked = module.stacked.with_tensors([cast(Tensor, gradient) for gradient in own.values()])
            for number, expert in enumerate(stacked.apart()):
                found |= {f"{dot}deepspeed_experts.{number}.{n}": t for n, t in expert._asdict().items()}
        else:
            found |= {f"{dot}{name}": cast(Tensor, gradient) for name, gradient in own.items()}
    return found


def global_gradients(model: nn.Module, placement: Placement, experts: int) -> dict[str, Tensor]:
    """Every parameter's gradient summed over ranks, experts by their global numbers."""
    place = ".deepspeed_experts."
    found: dict[str, Tensor] = {}
    for name, gradient in named_gradients(model).items():
        if place not in name:
            found[name] = gradient.clone()
            continue
        head, _, tail = name.partition(place)
        number, _, part = tail.partition(".")
        for owner in range(placement.size):
            share = experts // placement.size
            key = f"{head}{place}{owner * share + int(number)}.{part}"
            # Widths differ between ranks: gradients are compared in a row, padded to one length.
            flat = torch.zeros(max(WIDTHS) * D)
            if owner == placement.rank:
                flat[: gradient.numel()] = gradient.flatten()
            found[key] = flat
    for name in sorted(found):
        dist.all_reduce(found[name])
    return found


def check_layer(mode: str) -> None:
    """Outputs, every gradient and the report, for every layout, group and in one and several chunks."""
    for ep_size in ep_sizes():
        group, placement = ep_group(ep_size), Placement(ep_size, dist.get_rank() % ep_size)
        for name, layout in layouts().items():
            for chunks in (1, 3) if name == "uneven" else (3,):
                _compare(mode, layout, group, placement, chunks, f"{name}, ep {ep_size}, {chunks} chunks")


def _compare(mode: str, layout: Layout, group: Any, placement: Placement, chunks: int, where: str) -> None:
    source = torch.Generator().manual_seed(4)
    shape = (*layout.modality_BS.shape, D)
    hidden, goal = torch.randn(2, *shape, generator=source)
    goal = goal * (layout.modality_BS >= 0)[..., None]  # what is always on is not zero at padding
    whole_hidden, own_hidden = hidden.clone().requires_grad_(), hidden[layout.own].clone().requires_grad_()

    alone = make_layer(mode, ALONE)
    expected, whole_report = alone(whole_hidden, layout.modality_BS, 1.3)
    loss_of(expected, goal, whole_report).backward()
    assert whole_hidden.grad is not None

    ranked = spread(make_layer(mode, placement, chunks), group)
    out, report = ranked(own_hidden, layout.modality_BS[layout.own], 1.3)
    loss_of(out, goal[layout.own], report).backward()
    assert own_hidden.grad is not None

    torch.testing.assert_close(out, expected[layout.own], **CLOSE, msg=lambda m: f"output, {where}: {m}")
    torch.testing.assert_close(
        own_hidden.grad, whole_hidden.grad[layout.own], **CLOSE, msg=lambda m: f"gradient, {where}: {m}"
    )
    summed = sum_over_ranks(to_vector(report), dist.group.WORLD)
    torch.testing.assert_close(summed, to_vector(whole_report), **CLOSE)
    if mode == "capacity" and bool((layout.modality_BS >= 0).any()):
        assert whole_report.dropped_M.sum() > 0
    ours = global_gradients(ranked, placement, len(WIDTHS))
    for key, reference in named_gradients(alone).items():
        got = ours[key].flatten()[: reference.numel()].view_as(reference)
        torch.testing.assert_close(got, reference, **CLOSE, msg=lambda m, k=key: f"{k}, {where}: {m}")

    with torch.no_grad():
        told, _ = ranked.eval()(own_hidden, layout.modality_BS[layout.own], 1.3)
        torch.testing.assert_close(told, alone.eval()(hidden, layout.modality_BS, 1.3)[0][layout.own], **CLOSE)


def check_initial_weights() -> None:
    """They do not depend on where a layer stands."""
    everyone = make_layer("dropless", ALONE).deepspeed_moe.experts.weights()
    for size in ep_sizes():
        placement = Placement(size, dist.get_rank() % size)
        local = make_layer("dropless", placement).deepspeed_moe.experts.weights()
        for number, expert in zip(placement.local(len(WIDTHS)), local, strict=True):
            for ours, theirs in zip(expert, everyone[number]):
                assert torch.equal(ours, theirs)


def check_capacity() -> None:
    """What is dropped of blocks of a batch is what is dropped of the whole."""
    rank, world = dist.get_rank(), dist.get_world_size()
    source = torch.Generator().manual_seed(2)
    whole = torch.stack([torch.randperm(4, generator=source)[:2] for _ in range(40)])
    whole[5] = whole[30:36] = -1
    whole[7, 1] = -1
    for cut in (0, 1, 13, 20, 40):
        bounds = [0, *(min(cut + 2 * r, 40) for r in range(world - 1)), 40]
        own = slice(bounds[rank], bounds[rank + 1])
        for factor in (0.3, 0.8, 1.0, 1.25):
            kept = keep_within_capacity(whole[own], 4, factor, dist.group.WORLD)
            assert torch.equal(kept, keep_within_capacity(whole, 4, factor)[own]), (cut, factor)


def check_sum() -> None:
    """Values are sums over ranks; the mean over ranks of the gradients is the gradient of the global loss."""
    rank, world = dist.get_rank(), dist.get_world_size()
    total = world * (world + 1) / 2
    shared = torch.tensor([0.5, 2.0], requires_grad=True)
    everywhere = sum_over_ranks(shared * (rank + 1.0), dist.group.WORLD)
    torch.testing.assert_close(everywhere.detach(), total * shared.detach())
    everywhere.square().sum().backward()  # (total s)^2, whose gradient is 2 total^2 s
    assert shared.grad is not None
    dist.all_reduce(shared.grad)
    torch.testing.assert_close(shared.grad / world, 2 * total**2 * shared.detach())


def check_checkpointing(mode: str) -> None:
    """Encoder layers that are computed again give every number bit for bit, with dropout, on ranks that have
    tokens and on one that has none."""
    sizes = {"d_model": D, "heads": 2, "encoder_layers": 2, "ffn_width": 16, "dropout": 0.2}
    for ep_size in ep_sizes():
        group, placement = ep_group(ep_size), Placement(ep_size, dist.get_rank() % ep_size)
        for name in ("uneven", "no token on the first rank", "no sample on the first rank"):
            layout, found = layouts()[name], []
            for checkpointing in (False, True):
                torch.manual_seed(6)
                encoder = Encoder(
                    ModelSettings.model_validate(sizes),
                    lambda layer: spread(make_layer(mode, placement, 2), group),  # noqa: B023
                    activation_checkpointing=checkpointing,
                )
                source = torch.Generator().manual_seed(7)
                hidden, goal = torch.randn(2, *layout.modality_BS.shape, D, generator=source)[:, *layout.own]
                hidden.requires_grad_()
                torch.manual_seed(8 + dist.get_rank())
                encoded = encoder(hidden, layout.modality_BS[layout.own], 1.3)
                reports = cast(tuple[RoutingReport, ...], encoded.reports)
                loss = sum(loss_of(encoded.hidden_BSD, goal, report) for report in reports)
                cast(Tensor, loss).backward()
                gradients = [hidden.grad, *(parameter.grad for parameter in encoder.parameters())]
                found.append([encoded.hidden_BSD.detach(), *map(to_vector, reports), *gradients])
            for plain, again in zip(*found, strict=True):
                assert torch.equal(plain, again)


CHECKS: dict[str, Callable[[], None]] = {
    "capacity": check_capacity,
    "sum over ranks": check_sum,
    "initial weights": check_initial_weights,
    **{f"layer, {mode}": partial(check_layer, mode) for mode in MODES},
    **{f"activation checkpointing, {mode}": partial(check_checkpointing, mode) for mode in MODES},
}
