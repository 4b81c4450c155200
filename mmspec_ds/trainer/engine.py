"""The DeepSpeed engine of a run: its configuration, its optimizer, the wrapped model."""

import logging
import warnings
from typing import Any

import torch
import torch.distributed as dist
from pydantic import ValidationError
from torch import Tensor, nn

from mmspec_ds.errors import ConfigError
from mmspec_ds.trainer.engine_file import EngineFile
from mmspec_ds.trainer.training_settings import TrainingSettings


def engine_config(
    engine: EngineFile, settings: TrainingSettings, device: torch.device, ranks: int
) -> dict[str, Any]:
    """DeepSpeed's configuration: the engine file as `ranks` ranks use it, completed by the run file.

    The engine file has ZeRO's stage, the precision and offloading; optimizer and batches are the run file's.
    `"bf16": {"enabled": "auto"}` means where the device has it, which is a GPU that supports it.
    """
    bf16 = engine.bf16
    if bf16 == "auto":
        bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    engine = engine.on(ranks, bf16=bf16)
    return {
        **engine.content,
        "bf16": {"enabled": bf16},
        "train_micro_batch_size_per_gpu": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation,
        "gradient_clipping": settings.gradient_clipping if engine.stage else 0.0,  # see update
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,  # torch's fused AdamW is as fast, and needs no compilation
        "steps_per_print": 10**9,
    }


def make_optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """AdamW or SGD in DeepSpeed's parameter groups: experts apart, weight decay on matrices only."""
    from deepspeed.moe.utils import split_params_into_different_moe_groups_for_optimizer

    parameters = [p for p in model.parameters() if p.requires_grad]
    groups: Any = [
        {
            "params": [p for p in parameters if p.ndim > 1],
            "name": "matrices",
            "weight_decay": settings.weight_decay,
        },
        {"params": [p for p in parameters if p.ndim <= 1], "name": "vectors", "weight_decay": 0.0},
    ]
    groups = [g for g in split_params_into_different_moe_groups_for_optimizer(groups) if g["params"]]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate)
    return torch.optim.AdamW(
        groups, lr=settings.learning_rate, betas=settings.betas, eps=settings.eps, fused=True
    )


def make_engine(model: nn.Module, config: dict[str, Any], settings: TrainingSettings) -> Any:
    """`deepspeed.initialize` on a process group that exists; DeepSpeed's own log is cut to warnings.

    Raises:
        ConfigError: DeepSpeed does not know a key of the engine file, or refuses its value.
    """
    import deepspeed

    deepspeed.utils.logger.setLevel(logging.WARNING)
    leave_uncompiled()
    # DeepSpeed 0.19.8 calls collectives by names that torch 2.13 has renamed, and would say so on every rank.
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    try:
        engine, _, _, _ = deepspeed.initialize(
            model=model, optimizer=make_optimizer(model, settings), config=config, dist_init_required=False
        )
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"the engine file: {error.title}: {problems}") from None
    return engine


def leave_uncompiled() -> None:
    """Keep DeepSpeed from compiling its shared-memory all-reduce for the CPU when it first starts.

    It serves DeepSpeed's inference only. The build takes half a minute and a C++ compiler, and one that was
    killed leaves a lock behind on which every later start hangs (`deepspeed.comm.torch.build_shm_op`,
    DeepSpeed 0.19.8).
    """
    from deepspeed import ops

    ops.__compatible_ops__["deepspeed_shm_comm"] = False


def update(engine: Any, shards: int, largest: float) -> Tensor:
    """Clip, and let the engine step, at the end of a micro-batch that completes an update. Every rank calls
    this.

    Returns:
        The norm of the whole gradient before clipping, fp32, the same on every rank; not finite where the
        gradient is not.
    """
    if not engine.zero_optimization_stage():
        norm = clip_gradients(engine.module, shards, largest)
        engine.step()
        return norm
    engine.step()
    norm = torch.as_tensor(engine.get_global_grad_norm(), dtype=torch.float32)
    return torch.where(norm >= 0, norm, torch.inf)  # ZeRO marks an invalid norm by -1


@torch.no_grad()
def clip_gradients(model: nn.Module, shards: int, largest: float) -> Tensor:
    """Scale the gradients of a model without ZeRO so that the norm of all of them is at most `largest`, 0 for
    no limit; returns the norm. `shards` is the number of ranks that divide sharded parameters among them.

    DeepSpeed's own clipping takes on each rank the norm over the experts that live there, and the mean of those
    norms over ranks: another one than the model's, which depends on the expert-parallel size. With ZeRO 1 and 2
    its norm is right.
    """
    from deepspeed.moe.utils import is_moe_param

    gradients = [(p.grad, is_moe_param(p)) for p in model.parameters() if p.grad is not None]
    squares = torch.stack(torch._foreach_norm([gradient for gradient, _ in gradients])).square()
    of_experts = torch.tensor([one for _, one in gradients], device=squares.device)
    experts = squares[of_experts].sum()
    dist.all_reduce(experts)  # each expert is counted by as many ranks as have a copy of it
    copies = dist.get_world_size() // shards
    norm = (squares[~of_experts].sum() + experts / copies).sqrt()
    if largest:
        scale = (largest / (norm + 1e-6)).clamp_max(1.0)
        torch._foreach_mul_([gradient for gradient, _ in gradients], scale)
    return norm


class FirstFault:
    """Remembers the first update whose gradient was not finite, on the device, so that no step waits for it."""

    def __init__(self, device: torch.device) -> None:
        self._step = torch.zeros((), dtype=torch.int64, device=device)

    def record(self, step: int, norm: Tensor) -> None:
        """Note a step, from 1, if it is the first whose gradient's norm is not finite. No step waits for the
        device."""
        faulty = ~torch.isfinite(norm.to(self._step.device)) & (self._step == 0)
        self._step += faulty * step

    def step(self) -> int | None:
        """The step of the first such update, None if there was none."""
        return int(self._step) or None


def set_learning_rate(engine: Any, rate: float) -> None:
    """Set the learning rate of every parameter group for the next step."""
    for group in engine.optimizer.param_groups:
        group["lr"] = rate
