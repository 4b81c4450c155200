"""What a training used, from its record."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmspec_ds.files import write_manifest
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.trainer.usage import TRAINING, Usage, read_usage

RUN = ElucidationRun.model_validate(
    {"name": "run", "engine": "e.json", "training": {"steps": 8, "batch_size": 16, "gradient_accumulation": 3}}
)
START = {
    "kind": "start",
    "step": 0,
    "ranks": 2,
    "threads": 1,
    "parameters": 900,
    "device": "a CPU",
    "data": "f00",
}
HALF = {
    "kind": "validation",
    "step": 4,
    "samples": 380.0,
    "flops": 5e9,
    "seconds": 7.0,
    "active/parameters": 600.0,
}
END = {
    "kind": "end",
    "step": 8,
    "finished": True,
    "final/samples": 760.0,
    "final/flops": 1e10,
    "final/seconds": 15.0,
    "final/active_parameters": 610.0,
}
HALFWAY = Usage(4, 96, 380.0, 5e9, 7.0, 900, 600.0, 2, 1, "a CPU", "f00")
WHOLE = Usage(8, 96, 760.0, 1e10, 15.0, 900, 610.0, 2, 1, "a CPU", "f00")


def written(folder: Path, *lines: dict[str, Any]) -> Path:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((START, HALF, END), WHOLE),
        ((START, HALF), HALFWAY),
        # Stopped after step 4 and begun again: the end of the first part is no end.
        (
            (START, HALF, END | {"step": 4}, START),
            Usage(4, 96, 380.0, 5e9, 7.0, 900, 600.0, 2, 1, "a CPU", "f00"),
        ),
        # An older version counted neither samples nor operations.
        (
            (START, {"kind": "end", "step": 8, "final/seconds": 15.0}),
            Usage(8, 96, None, None, 15.0, 900, None, 2, 1, "a CPU", "f00"),
        ),
        ((), Usage()),
    ],
    ids=["ended", "going on", "resumed", "older", "nothing"],
)
def test_from_the_record(tmp_path: Path, lines: tuple[dict[str, Any], ...], expected: Usage) -> None:
    assert read_usage(written(tmp_path, *lines), RUN) == expected


def test_from_an_export(tmp_path: Path) -> None:
    write_manifest(tmp_path, {}, **{TRAINING: WHOLE.to_json()})
    assert read_usage(tmp_path, RUN) == WHOLE
    write_manifest(tmp_path, {}, name="of an older version")
    assert read_usage(tmp_path, RUN) == Usage()
