"""Run files that cannot be meant are refused in one line, and an export has no path of this machine."""

from pathlib import Path
from typing import Any

import pytest

from mmspec_ds.errors import ConfigError
from mmspec_ds.settings import validated
from mmspec_ds.systems.alignment.run_settings import AlignmentRun
from tests.systems.alignment.tiny import run_content


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ({"objective": {"autoregressive": 0.0}}, "both 0: expected one above"),
        ({"objective": {"choices": 1.0}}, "objective.contrastive is 0: expected both above"),
        ({"training": {"ep_size": 2}}, "there are no experts: expected 1"),
        ({"training": {"activation_checkpointing": True}}, "expected false"),
        ({"training": {"start_from": "a", "projections_from": ["b"]}}, "both given: expected one"),
        (
            {"data": {"questions_together": 5}},
            "expected at most training.batch_size, 4, which counts questions",
        ),
        ({"data": {"questions_together": 2}, "objective": {"contrastive": 1.0}}, "expected 1, or objective"),
        (
            {"data": {"questions_together": 2}, "projection": {"question": True}},
            "expected 1, or projection.question=false",
        ),
        ({"projection": {"compare": True}}, "projection.question is false: expected both true"),
        ({"projection": {"soft_tokens": 9}}, "less than or equal to 8"),
        ({"encoders": {"metal": {"name": "x"}}}, "encoders.metal"),
        ({"language": {"precison": "bfloat16"}}, "did you mean 'precision'"),
    ],
)
def test_what_cannot_be_meant_is_refused(blocks: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        validated(AlignmentRun, run_content(Path("model"), **blocks), "run.yaml")
    assert "\n" not in str(refused.value)


def test_an_export_has_no_path_of_this_machine() -> None:
    data = {"train": ["/data/a.jsonl"], "validation": ["/data/b.jsonl"], "cache": "/data/cache"}
    training = {"projections_from": ["/data/runs/one"]}
    run = AlignmentRun.model_validate(run_content(Path("/data/model"), data=data, training=training))
    assert "/data" in run.to_yaml()
    assert "/data" not in run.without_paths().to_yaml()
    assert list(run.encoders) == ["molecule", "protein"]
