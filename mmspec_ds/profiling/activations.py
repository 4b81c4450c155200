"""Memory of a forward and backward pass of any model at any batch size, from shapes alone.

The run's own modules run on meta tensors, so that a pass of a large model takes no memory and no arithmetic.
Integers are real, because the sparse layers ask for the number of rows of each expert; routers choose the
experts in turn, which spreads the tokens evenly.

Axes: B samples, S places, L target tokens, T tokens, K experts of a token, F fields, H heads, C head width.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from mmspec_ds.data.batch import Batch
from mmspec_ds.data.collate import collate
from mmspec_ds.moe.expert_settings import MoESettings
from mmspec_ds.moe.statistics import RoutingReport, to_vector
from mmspec_ds.profiling.generated import generated_dataset
from mmspec_ds.profiling.ledger import StageBytes, watch_pass
from mmspec_ds.profiling.stopwatch import replaced
from mmspec_ds.profiling.tokens import Load
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import TokenSchema
from mmspec_ds.systems.elucidation.factory import build_elucidator, structure_margin
from mmspec_ds.systems.elucidation.model import Elucidator, sequence_loss
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

_SMALL = 64
"""Floating-point tensors of up to this many elements stay real."""


def pass_stages(
    run: ElucidationRun,
    schemas: Mapping[Modality, TokenSchema],
    vocabulary: int,
    batch: Batch,
    *,
    width: float,
    dtype: torch.dtype,
    checkpointing: bool,
) -> list[StageBytes]:
    """Bytes of the stages of a pass, in the order of `sizes.stages`.

    Args:
        run: the settings.
        schemas: the fields of each modality's tokens.
        vocabulary: SMILES tokens, specials included.
        batch: see `generated_batch`.
        width: mean width of the experts of the rank.
        dtype: of the weights.
        checkpointing: whether the encoder's layers keep only their input.
    """
    state = torch.random.get_rng_state()
    try:
        with ShapesOnly(), replaced(F, "scaled_dot_product_attention", _attention):
            moe = _alike(run.moe, max(1, round(width))) if run.moe else None
            model = build_elucidator(
                run.model, moe, schemas, vocabulary,
                structure_margin=structure_margin(run.objective),
                activation_checkpointing=checkpointing,
            ).to(dtype).train()  # fmt: skip
            return watch_pass(model, batch_tensors(batch), lambda: pass_loss(model, batch))
    finally:
        torch.random.set_rng_state(state)


def pass_loss(model: Elucidator, batch: Batch) -> Tensor:
    """Return a scalar that depends on everything that the objective depends on."""
    output = model(batch, 1.0)
    total, count = sequence_loss(output.logits_BLV, batch.target_BL, batch.weight_B)
    reports = (*output.reports, *output.decoder_reports)
    sums = [to_vector(report).sum() for report in reports if isinstance(report, RoutingReport)]
    return total / count + sum(sums, start=torch.zeros(()))


def _alike(moe: MoESettings, width: int) -> MoESettings:
    """Return settings with experts of one width, all of them used: no capacity and no threshold, because
    memory must suffice for every token."""
    experts = tuple(expert.model_copy(update={"width": width}) for expert in moe.experts)
    return moe.model_copy(update={"experts": experts, "capacity_factor": 1e9, "dynamic_share": 0.0})


class ShapesOnly(TorchDispatchMode):
    """Inside the block, floating-point tensors are on the meta device and integers are real."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        on_meta = {**kwargs, "device": "meta"} if "device" in kwargs else kwargs
        if not tensors and on_meta is not kwargs:
            shape: Tensor = func(*args, **on_meta)
            return shape if shape.is_floating_point() else func(*args, **kwargs)
        if not any(tensor.is_meta for tensor in tensors):
            out = func(*args, **kwargs)
            return tree_map(_to_meta, out) if any(_is_large(leaf) for leaf in tree_leaves(out)) else out
        args, on_meta = tree_map(lambda leaf: leaf.to("meta") if _is_real(leaf) else leaf, (args, on_meta))
        out = func(*args, **on_meta)
        if func is torch.ops.aten.topk.default:
            value_TK, index_TK = out
            in_turn = torch.arange(index_TK.numel()) % args[0].shape[-1]
            return value_TK, in_turn.view(index_TK.shape)
        if func is torch.ops.aten.sort.stable:
            values, order = out
            along = kwargs["dim"]
            as_they_are = torch.arange(order.shape[along]).expand(order.transpose(along, -1).shape)
            return values, as_they_are.transpose(along, -1).contiguous()
        return out


def _is_real(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and not leaf.is_meta


def _is_large(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.numel() > _SMALL


def _to_meta(leaf: Any) -> Any:
    return leaf.to("meta") if _is_large(leaf) else leaf


def _attention(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Any:
    """Keep what a fused kernel keeps; on the meta device torch only has the plain products, which keep the
    matrix of scores. A `TorchFunctionMode` would be off while checkpointed layers are recomputed."""
    return _Attention.apply(query, key, value)


class _Attention(torch.autograd.Function):
    """Keeps the inputs, the output, and the log of the normaliser of each query and head."""

    @staticmethod
    def forward(ctx: Any, query_BHQC: Tensor, key_BHSC: Tensor, value_BHSC: Tensor) -> Tensor:
        batch, heads, queries, width = query_BHQC.shape
        out_BHQC = query_BHQC.new_empty(batch, queries, heads, width).transpose(1, 2)
        normaliser_BHQ = query_BHQC.new_empty(batch, heads, queries, dtype=torch.float32)
        ctx.save_for_backward(query_BHQC, key_BHSC, value_BHSC, out_BHQC, normaliser_BHQ)
        return out_BHQC

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(tensor) for tensor in ctx.saved_tensors[:3])


def generated_batch(
    load: Load, schemas: Mapping[Modality, TokenSchema], vocabulary: int, shares: Mapping[Modality, float]
) -> Batch:
    """Return a batch of this load with random contents. One sample has `load.places` tokens, and the others
    share the rest evenly.

    Args:
        load: its size.
        schemas: the fields of each modality's tokens.
        vocabulary: SMILES tokens, specials included.
        shares: of the modalities among the tokens.
    """
    others = np.diff(np.linspace(0, load.tokens - load.places, load.samples).astype(int))
    lengths = [load.places, *others]
    data = generated_dataset(lengths, shares, schemas, targets=load.targets, vocabulary=vocabulary)
    return collate(data, range(load.samples))


def batch_tensors(batch: Batch) -> list[Tensor]:
    """Return all tensors of a batch."""
    of_tokens = [t for part in batch.spectra.tokens.values() for t in vars(part).values()]
    return [batch.spectra.modality_BS, batch.target_BL, batch.weight_B, *of_tokens]
