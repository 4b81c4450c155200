"""The sparse layer as DeepSpeed's own classes. The one file that touches DeepSpeed's private names.

DeepSpeed's engine finds MoE, MOELayer, TopKGate and Experts by isinstance: it makes their process groups and
reduces expert gradients over them. Each class here inherits from one of ours, which comes first and initialises
nn.Module only, and from one of DeepSpeed's. tests/moe/test_deepspeed_contract.py tests what is used of
deepspeed 0.19.8.
"""

from typing import Any, cast

import torch.distributed as dist
from deepspeed.moe.experts import Experts
from deepspeed.moe.layer import MoE
from deepspeed.moe.sharded_moe import MOELayer, TopKGate
from deepspeed.utils import groups
from torch import Tensor

from mmspec_ds.moe.expert_parallel import ALONE, Placement
from mmspec_ds.moe.expert_settings import MoESettings
from mmspec_ds.moe.experts import ExpertBank
from mmspec_ds.moe.layer import Gate, SparseDispatch, SparseFeedForward


class DeepSpeedGate(Gate, TopKGate):
    """The router as DeepSpeed's gate."""

    def __init__(
        self, d_model: int, settings: MoESettings, modalities: int, serves_ME: Tensor | None = None
    ) -> None:
        Gate.__init__(self, d_model, settings, modalities, serves_ME)
        self.wall_clock_breakdown = False
        self.ep_group = None


class DeepSpeedExperts(ExpertBank, Experts):
    """Experts whose gradients DeepSpeed reduces over the expert-data-parallel group."""

    def __init__(self, d_model: int, settings: MoESettings, placement: Placement) -> None:
        ExpertBank.__init__(self, d_model, settings, placement)
        self.num_local_experts = len(self.widths)
        for parameter in self.parameters():
            parameter.allreduce = False  # type: ignore[attr-defined]
            parameter.group_name = _group_name(placement)  # type: ignore[attr-defined]


class DeepSpeedDispatch(SparseDispatch, MOELayer):
    """The pass through gate and experts; the engine sets its process groups."""

    def __init__(
        self,
        gate: Gate,
        experts: ExpertBank,
        settings: MoESettings,
        modalities: tuple[str, ...],
        structure_margin: float | None,
    ) -> None:
        SparseDispatch.__init__(self, gate, experts, settings, modalities, structure_margin)
        self.wall_clock_breakdown = False
        self.time_falltoall = self.time_salltoall = self.time_moe = 0.0

    def _set_ep_group(self, ep_group: Any) -> None:
        self.ep_group = ep_group if dist.get_world_size(ep_group) > 1 else None
        self.data_group = dist.group.WORLD


class DeepSpeedSparseFeedForward(SparseFeedForward, MoE):
    """`SparseFeedForward` as DeepSpeed's MoE layer: expert parallel, checkpointed and partitioned by it."""

    gate_class = DeepSpeedGate
    bank_class = DeepSpeedExperts
    dispatch_class = DeepSpeedDispatch

    def __init__(
        self,
        d_model: int,
        settings: MoESettings,
        modalities: tuple[str, ...],
        structure_margin: float | None = None,
        placement: Placement = ALONE,
    ) -> None:
        SparseFeedForward.__init__(self, d_model, settings, modalities, structure_margin, placement)
        self.use_residual = False
        self.enable_expert_tensor_parallelism = False
        self.ep_size = placement.size
        self.expert_group_name = _group_name(placement)
        self.num_experts = len(settings.experts)
        self.num_local_experts = self.num_experts // placement.size

    def _create_process_groups(self, use_data_before_expert_parallel_: bool = False) -> None:
        if self.expert_group_name not in groups._get_expert_parallel_group_dict():
            groups._create_expert_and_data_parallel(
                self.ep_size, use_data_before_expert_parallel_=use_data_before_expert_parallel_
            )
        cast(DeepSpeedDispatch, self.deepspeed_moe)._set_ep_group(
            groups._get_expert_parallel_group(self.expert_group_name)
        )


def _group_name(placement: Placement) -> str:
    return f"ep_size_{placement.size}"
