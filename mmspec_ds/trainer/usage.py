"""What the training of a model used, read from the folder of a run or of an export."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmspec_ds.files import MANIFEST, read_manifest
from mmspec_ds.trainer.monitor.record import read_metrics
from mmspec_ds.trainer.run_settings import RunSettings

TRAINING = "training"
"""The key of an export's manifest."""


@dataclass(frozen=True)
class Usage:
    """Counts of a training over all ranks; None where the record has none, as those of older versions.

    Attributes:
        steps: updates.
        samples_per_step: of a full batch of all ranks.
        samples: trained on, repeats included.
        flops: of forward and backward passes.
        seconds: of training, validations included.
        parameters: of the model.
        active_parameters: that work on a spectrum token, by the experts that validation chose.
        ranks, threads: processes, and CPU threads of each.
        device: of the first rank.
        data: a fingerprint of the training data.
    """

    steps: int | None = None
    samples_per_step: int | None = None
    samples: float | None = None
    flops: float | None = None
    seconds: float | None = None
    parameters: int | None = None
    active_parameters: float | None = None
    ranks: int | None = None
    threads: int | None = None
    device: str | None = None
    data: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The attributes, unrounded."""
        return asdict(self)


def read_usage(folder: Path, run: RunSettings) -> Usage:
    """The usage of the model in a folder; `run` is its settings. A folder without a record has an empty one."""
    entries = read_metrics(folder)
    if entries:
        return usage_of(entries, run)
    if (folder / MANIFEST).is_file():
        stored = read_manifest(folder).get(TRAINING) or {}
        return Usage(**{name: stored.get(name) for name in Usage.__dataclass_fields__})
    return Usage()


def usage_of(entries: Sequence[Mapping[str, Any]], run: RunSettings) -> Usage:
    """The usage that the lines of `metrics.jsonl` tell: of a run that has not ended, up to its last
    validation."""
    start: Mapping[str, Any] = {}
    end, last = start, start
    for entry in entries:
        if entry["kind"] == "start":
            start, end = entry, {}  # a run that was stopped goes on
        elif entry["kind"] == "end":
            end = entry
        elif entry["kind"] == "validation":
            last = entry
    ranks, settings = start.get("ranks"), run.training
    return Usage(
        steps=end.get("step", last.get("step")),
        samples_per_step=ranks and ranks * settings.batch_size * settings.gradient_accumulation,
        samples=end.get("final/samples", last.get("samples")),
        flops=end.get("final/flops", last.get("flops")),
        seconds=end.get("final/seconds", last.get("seconds")),
        parameters=start.get("parameters"),
        active_parameters=end.get("final/active_parameters", last.get("active/parameters")),
        ranks=ranks,
        threads=start.get("threads"),
        device=start.get("device"),
        data=start.get("data"),
    )
