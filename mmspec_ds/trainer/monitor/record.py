"""`metrics.jsonl`: one JSON object a line, each with its `kind` and the `step` that it belongs to.

start        where a part of the run begins: versions, device, ranks, sizes of data and model
train        the scalars of a step, by tag
validation   the score of a validation by tag, and what a task adds, such as `routing`, a `RoutingTable`
end          where a part of the run ends, and its final figures

A task may add kinds of its own; elucidation writes

conflict     the cosines of `conflict.modality_conflict`, by tag
proposals    `examples`: molecules with the structures that the model proposes for them
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmspec_ds.files import replacing

METRICS = "metrics.jsonl"


class MetricsFile:
    """A file of metrics that grows.

    Args:
        folder: of the run.
        resume_at: a resumed run's step: what an interrupted run wrote beyond it is superseded.
    """

    def __init__(self, folder: Path, resume_at: int = 0) -> None:
        if resume_at:
            forget_beyond(folder / METRICS, resume_at)
        self._file = (folder / METRICS).open("a", encoding="utf-8")

    def write(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Add a line; it is in the file when this returns."""
        self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file of metrics."""
        self._file.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's file, in order, none without a file; one that a crash cut short is passed over."""
    try:
        lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            found.append(entry)
    return found


def forget_beyond(path: Path, step: int) -> None:
    """Remove the lines of later steps, and one that a crash cut short."""
    if not path.exists():
        return
    kept = [entry for entry in read_metrics(path.parent) if entry["step"] <= step]
    with replacing(path) as partial:
        partial.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
