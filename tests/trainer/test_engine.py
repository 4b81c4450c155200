"""DeepSpeed's configuration: what is taken from the engine file, and what is refused in our own words."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from mmspec_ds.errors import ConfigError
from mmspec_ds.trainer.engine import engine_config, make_optimizer
from mmspec_ds.trainer.engine_file import read_engine
from mmspec_ds.trainer.training_settings import TrainingSettings

CPU = torch.device("cpu")
SETTINGS = TrainingSettings(steps=10, batch_size=12, gradient_accumulation=3, gradient_clipping=0.5)


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        engine_config(read_engine(path), SETTINGS, CPU, 2)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"zero_optimization": {"stage": 3}}, "zero_optimization.stage is 3: expected 2, which partitions"),
        ({"zero_optimization": {"stage": "1"}}, "zero_optimization.stage is '1'"),
        ({"zero_optimization": {"stage": True}}, "zero_optimization.stage is True"),
        ({"zero_optimization": 1}, "zero_optimization: expected a JSON object, found 1"),
        ({"bf16": {"enabled": True}}, "bf16 needs zero_optimization.stage 1 or 2, found 0"),
        ({"bf16": {"enabled": "yes"}}, "bf16.enabled is 'yes'"),
        ({"bf16": True}, "bf16: expected a JSON object"),
        ({"fp16": {"enabled": True}}, "fp16: not supported"),
        ({"zero_optimisation": {"stage": 1}}, "did you mean 'zero_optimization'?"),
        ({"zero_optimizaton": {"stage": 1}}, "did you mean 'zero_optimization'?"),
        ({"bfloat16": {"enabled": True}}, "bfloat16: not supported; expected bf16"),
        ({"optimizer": {"type": "Adam"}}, "optimizer: belongs into the run file"),
        ({"scheduler": {}}, "scheduler: belongs into the run file"),
        ({"train_batch_size": 64}, "train_batch_size: belongs into the run file"),
        ({"train_micro_batch_size_per_gpu": 64}, "train_micro_batch_size_per_gpu: belongs into the run file"),
        ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps: belongs into the run file"),
        ({"gradient_clipping": 1.0}, "gradient_clipping: belongs into the run file"),
        ({"activation_checkpointing": {}}, "belongs into the run file, as training.activation_checkpointing"),
        ({"pipeline": {"stages": 2}}, "pipeline: unknown key; known keys: zero_optimization, bf16"),
        (
            {"zero_optimization": {"stage": 0, "offload_optimizer": {"device": "cpu"}}},
            "offload_optimizer needs zero_optimization.stage 1 or 2, found 0",
        ),
        (
            {"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "nvme"}}},
            "offload_optimizer.device is 'nvme': expected 'cpu' or 'none'",
        ),
        (
            {"zero_optimization": {"stage": 2, "offload_optimizer": "cpu"}},
            "expected a JSON object, found 'cpu'",
        ),
        (
            {"zero_optimization": {"stage": 2, "offload_param": {"device": "cpu"}}},
            "offload_param: needs stage 3",
        ),
        ({"zero_optimization": {"stage": 1, "compute_grad_norm": False}}, "compute_grad_norm is false"),
        ([1], "expected a JSON object, found list"),
    ],
    ids=str,
)
def test_what_cannot_work(tmp_path: Path, content: object, told: str) -> None:
    path = tmp_path / "engine.json"
    path.write_text(json.dumps(content))
    assert told in refusal(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "none.json")
    for content in (b"{", b"\xff\xfe", b"zero_optimization: 1"):
        path = tmp_path / "broken.json"
        path.write_bytes(content)
        assert "not JSON" in refusal(path)


@pytest.mark.parametrize(
    ("content", "bf16"),
    [
        ({}, False),
        ({"zero_optimization": {"stage": 1}, "bf16": {"enabled": "auto"}}, False),
        ({"zero_optimization": {"stage": 2}, "bf16": {"enabled": True}}, True),
        ({"zero_optimization": {"stage": 1}, "bf16": {"enabled": False}}, False),
    ],
    ids=str,
)
def test_the_run_file_completes_the_engine_file(tmp_path: Path, content: dict[str, object], bf16: bool) -> None:
    path = tmp_path / "engine.json"
    path.write_text(json.dumps(content | {"wall_clock_breakdown": True}))
    config = engine_config(read_engine(path), SETTINGS, CPU, 2)
    assert config["train_micro_batch_size_per_gpu"] == 12
    assert config["gradient_accumulation_steps"] == 3
    # Without ZeRO the gradients are clipped by clip_gradients.
    assert config["gradient_clipping"] == (0.5 if "zero_optimization" in content else 0.0)
    assert config["bf16"] == {"enabled": bf16}
    assert config["wall_clock_breakdown"] is True


def test_shipped_engine_files_are_accepted() -> None:
    folder = Path(__file__).parents[2] / "ds_configs" / "engine"
    stages = {
        path.stem: engine_config(read_engine(path), SETTINGS, CPU, 2)["zero_optimization"]["stage"]
        for path in sorted(folder.glob("zero*.json"))
    }
    assert stages == {"zero0": 0, "zero1": 1, "zero2": 2, "zero2_offload": 2}


@pytest.mark.parametrize(
    ("content", "stage"),
    [
        ({"zero_optimization": {"stage": 1, "reduce_bucket_size": 100}, "bf16": {"enabled": "auto"}}, 0),
        ({"zero_optimization": {"stage": 2}}, 0),
        ({"zero_optimization": {"stage": 1}, "bf16": {"enabled": True}}, 1),
        ({"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}}, 2),
        ({}, 0),
    ],
    ids=str,
)
def test_one_rank_in_fp32_partitions_nothing(tmp_path: Path, content: dict[str, object], stage: int) -> None:
    path = tmp_path / "engine.json"
    path.write_text(json.dumps(content))
    config = engine_config(read_engine(path), SETTINGS, CPU, 1)
    assert config.get("zero_optimization", {"stage": 0})["stage"] == stage
    assert config["gradient_clipping"] == (0.5 if stage else 0.0)
    assert config["bf16"] == {"enabled": stage == 1}


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_only_matrices_decay(name: str) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    settings = TrainingSettings.model_validate({"steps": 1, "optimizer": name, "weight_decay": 0.25})
    groups = make_optimizer(model, settings).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert decay == {id(p): 0.25 if p.ndim > 1 else 0.0 for p in model.parameters()}
