"""The DeepSpeed engine of a run: its configuration, its optimizer, the wrapped model."""

import difflib
import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from pydantic import ValidationError
from torch import nn

from mmspec_ds.errors import ConfigError
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.training.settings import TrainingSettings

OF_THE_RUN_FILE = (
    "optimizer",
    "scheduler",
    "train_batch_size",
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "gradient_clipping",
)
BLOCKS = ("zero_optimization", "bf16")


def engine_config(path: Path, settings: TrainingSettings, device: torch.device) -> dict[str, Any]:
    """DeepSpeed's configuration: the engine file, completed by the run file.

    The engine file says how a model is held (ZeRO stage, precision, offload); what is learnt is the run file's.
    `"bf16": {"enabled": "auto"}` means where the device has it, which is a GPU that supports it.

    Raises:
        ConfigError: an unreadable file, or what cannot work: ZeRO 3, bf16 without ZeRO, what
            belongs into the run file.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}: expected DeepSpeed's settings in JSON") from None
    except ValueError as error:  # bad UTF-8 and bad JSON
        raise ConfigError(f"{path}: not JSON: {error}") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: expected a JSON object, found {type(config).__name__}")
    for key in OF_THE_RUN_FILE:
        if key in config:
            raise ConfigError(f"{path}: {key}: belongs into the run file's training block")
    for key in ("fp16", "bfloat16", "amp"):
        if key in config:
            raise ConfigError(f"{path}: {key}: not supported; expected bf16, which needs no loss scale")
    for key in config:
        near = difflib.get_close_matches(key, BLOCKS, 1, cutoff=0.7)
        if near and key not in BLOCKS:
            raise ConfigError(f"{path}: {key}: unknown key; did you mean {near[0]!r}?")
    for key in BLOCKS:
        if not isinstance(config.get(key, {}), dict):
            raise ConfigError(f"{path}: {key}: expected a JSON object, found {config[key]!r}")
    stage = config.get("zero_optimization", {}).get("stage", 0)
    if isinstance(stage, bool) or stage not in (0, 1, 2):
        raise ConfigError(
            f"{path}: zero_optimization.stage is {stage!r}: expected 0, 1 or 2; experts that differ between"
            " ranks cannot be partitioned by stage 3"
        )
    config["bf16"] = {"enabled": _bf16(config.get("bf16", {}), stage, device, path)}
    return config | {
        "train_micro_batch_size_per_gpu": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation,
        "gradient_clipping": settings.gradient_clipping if stage else 0.0,  # see clip_gradients
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
    }


def _bf16(block: Mapping[str, Any], stage: int, device: torch.device, path: Path) -> bool:
    wanted = block.get("enabled", False)
    if wanted == "auto":
        return stage > 0 and device.type == "cuda" and torch.cuda.is_bf16_supported()
    if not isinstance(wanted, bool):
        raise ConfigError(f'{path}: bf16.enabled is {wanted!r}: expected true, false or "auto"')
    if wanted and stage == 0:
        raise ConfigError(f"{path}: bf16 needs zero_optimization.stage 1 or 2, found 0")
    return wanted


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


@torch.no_grad()
def clip_gradients(engine: Any, placement: Placement, largest: float) -> None:
    """Scale the gradients of a model without ZeRO so that the norm of all of them is at most `largest`.

    DeepSpeed's own clipping takes on each rank the norm over the experts that live there, and the mean of those
    norms over ranks: another one than the model's, which depends on the expert-parallel size. With ZeRO 1 and 2
    its norm is right. Every rank calls this after the backward pass.
    """
    if engine.zero_optimization_stage() or not largest:
        return
    from deepspeed.moe.utils import is_moe_param

    gradients = [(p.grad, is_moe_param(p)) for p in engine.module.parameters() if p.grad is not None]
    squares = torch.stack([gradient.float().square().sum() for gradient, _ in gradients])
    of_experts = torch.tensor([one for _, one in gradients], device=squares.device)
    experts = squares[of_experts].sum()
    dist.all_reduce(experts)  # each expert is counted by as many ranks as have a copy of it
    copies = dist.get_world_size() // placement.size
    norm = (squares[~of_experts].sum() + experts / copies).sqrt()
    scale = (largest / (norm + 1e-6)).clamp_max(1.0)
    for gradient, _ in gradients:
        gradient.mul_(scale)


def set_learning_rate(engine: Any, rate: float) -> None:
    """The learning rate of every parameter group for the next step."""
    for group in engine.optimizer.param_groups:
        group["lr"] = rate
