"""The engine file, DeepSpeed's settings: read and checked before anything starts.

It has ZeRO's stage, the precision and the place of the optimizer. Optimizer, batches, clipping and schedules
belong to the run file.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mmspec_ds.errors import ConfigError
from mmspec_ds.settings import nearest

OF_THE_RUN_FILE = {
    "optimizer": "training.optimizer",
    "scheduler": "training.learning_rate and training.warmup",
    "train_batch_size": "training.batch_size",
    "train_micro_batch_size_per_gpu": "training.batch_size",
    "gradient_accumulation_steps": "training.gradient_accumulation",
    "gradient_clipping": "training.gradient_clipping",
    "activation_checkpointing": "training.activation_checkpointing",
}
"""Keys of DeepSpeed that belong to the run file, and their names there."""

KNOWN = (
    "zero_optimization",
    "bf16",
    "communication_data_type",
    "comms_logger",
    "memory_breakdown",
    "wall_clock_breakdown",
)
"""Keys that are handed on. The rest of DeepSpeed's has not been tried with these models."""


@dataclass(frozen=True)
class EngineFile:
    """A checked engine file.

    Attributes:
        stage: of ZeRO, 0 to 2.
        bf16: whether weights and activations are bfloat16; "auto" where the device has it.
        offload: whether the optimizer and its states are in the CPU's memory.
        content: all keys, for DeepSpeed.
    """

    stage: int
    bf16: bool | Literal["auto"]
    offload: bool
    content: Mapping[str, Any]

    def on(self, ranks: int, *, bf16: bool) -> "EngineFile":
        """These settings as so many ranks use them.

        One rank has nothing to partition. In fp32, without offload, stages 1 and 2 compute what stage 0 does
        and copy every gradient and weight once more (15 to 19 % of a step of the demo on a CPU), so that it
        uses stage 0. In bf16 ZeRO keeps the fp32 weights, and the stage stays.
        """
        if ranks > 1 or bf16 or self.offload or not self.stage:
            return self
        zero = {**self.content.get("zero_optimization", {}), "stage": 0}
        return replace(self, stage=0, bf16=False, content={**self.content, "zero_optimization": zero})


def read_engine(path: Path) -> EngineFile:
    """Read and check an engine file.

    Raises:
        ConfigError: an unreadable file, an unknown key, or what cannot work, with what to do instead: ZeRO 3,
            bf16 or offload without ZeRO, what belongs into the run file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror or error
        raise ConfigError(f"{path}: {why}: expected DeepSpeed's settings in JSON") from None
    except ValueError as error:  # bad UTF-8 and bad JSON
        raise ConfigError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a JSON object, found {type(content).__name__}")
    for key in content:
        _check_key(path, key)
    for key in ("zero_optimization", "bf16"):
        if not isinstance(content.get(key, {}), dict):
            raise ConfigError(f"{path}: {key}: expected a JSON object, found {content[key]!r}")
    zero = content.get("zero_optimization", {})
    stage = _stage(path, zero)
    return EngineFile(stage, _bf16(path, content.get("bf16", {}), stage), _offload(path, zero, stage), content)


def _check_key(path: Path, key: str) -> None:
    if key in OF_THE_RUN_FILE:
        raise ConfigError(f"{path}: {key}: belongs into the run file, as {OF_THE_RUN_FILE[key]}")
    if key in ("fp16", "bfloat16", "amp"):
        raise ConfigError(f"{path}: {key}: not supported; expected bf16, which needs no loss scale")
    if key not in KNOWN:
        raise ConfigError(f"{path}: {key}: unknown key; {nearest(key, KNOWN)}")


def _stage(path: Path, zero: Mapping[str, Any]) -> int:
    stage = zero.get("stage", 0)
    if stage == 3 and not isinstance(stage, bool):
        raise ConfigError(
            f"{path}: zero_optimization.stage is 3: expected 2, which partitions optimizer and gradients;"
            " experts differ between ranks, so that stage 3 cannot partition them; training.ep_size does"
        )
    if isinstance(stage, bool) or stage not in (0, 1, 2):
        raise ConfigError(f"{path}: zero_optimization.stage is {stage!r}: expected 0, 1 or 2")
    if not zero.get("compute_grad_norm", True):
        raise ConfigError(
            f"{path}: zero_optimization.compute_grad_norm is false: expected true, the norm tells of faults"
        )
    for key in ("offload_param", "zero_quantized_weights", "zero_hpz_partition_size"):
        if zero.get(key):
            raise ConfigError(
                f"{path}: zero_optimization.{key}: needs stage 3, which experts rule out; expected none"
            )
    return int(stage)


def _bf16(path: Path, block: Mapping[str, Any], stage: int) -> bool | Literal["auto"]:
    wanted = block.get("enabled", False)
    if wanted == "auto":
        return False if stage == 0 else "auto"
    if not isinstance(wanted, bool):
        raise ConfigError(f'{path}: bf16.enabled is {wanted!r}: expected true, false or "auto"')
    if wanted and stage == 0:
        raise ConfigError(f"{path}: bf16 needs zero_optimization.stage 1 or 2, found 0")
    return wanted


def _offload(path: Path, zero: Mapping[str, Any], stage: int) -> bool:
    block = zero.get("offload_optimizer") or {}
    if not isinstance(block, dict):
        raise ConfigError(
            f"{path}: zero_optimization.offload_optimizer: expected a JSON object, found {block!r}"
        )
    device = block.get("device", "none")
    if device not in ("none", "cpu"):
        raise ConfigError(
            f"{path}: zero_optimization.offload_optimizer.device is {device!r}: expected 'cpu' or 'none'"
        )
    if device == "cpu" and stage == 0:
        raise ConfigError(f"{path}: offload_optimizer needs zero_optimization.stage 1 or 2, found 0")
    return bool(device == "cpu")
