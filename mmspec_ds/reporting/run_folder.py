"""Read the folder of a run: its settings, metrics and evaluations."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError
from mmspec_ds.moe.routing_tables import RoutingTable
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.run_file import load_run
from mmspec_ds.trainer.monitor.record import METRICS, read_metrics
from mmspec_ds.trainer.usage import Usage, usage_of
from mmspec_ds.verification.calibration import Calibration, load_calibration

Entry = dict[str, Any]
Series = tuple[list[int], list[float]]
"""Steps, and the value at each."""


@dataclass(frozen=True)
class RunFolder:
    """The settings, metrics and evaluations of a run.

    Attributes:
        path: the folder.
        run: the settings.
        config: the text of `config.yaml`.
        entries: the lines of `metrics.jsonl`.
        evaluations: by file, and in it by the name of the evaluated model or control.
        comparisons: by file of several models, what was equal between their trainings, in one sentence.
        calibration: of verification and confidence.
    """

    path: Path
    run: ElucidationRun
    config: str
    entries: list[Entry]
    evaluations: dict[str, dict[str, Entry]]
    comparisons: dict[str, str]
    calibration: Calibration

    @classmethod
    def read(cls, path: Path) -> "RunFolder":
        """Read a folder that training wrote.

        Raises:
            DataError: it has no `config.yaml` or no metrics.
            ConfigError: a configuration that this version cannot read.
        """
        config = path / "config.yaml"
        if not config.is_file():
            raise DataError("holds no config.yaml: expected the folder of a run", path=path)
        entries = read_metrics(path)
        if not any(entry["kind"] == "train" for entry in entries):
            raise DataError(
                f"holds no step in {METRICS}: expected the folder of a run that has begun", path=path
            )
        run, text = load_run(config, (), ElucidationRun), config.read_text(encoding="utf-8")
        found = dict(_evaluations(path))
        rows = {name: content.get("rows") or {Path(name).stem: content} for name, content in found.items()}
        equal = {name: one["compared"]["sentence"] for name, one in found.items() if "compared" in one}
        return cls(path, run, text, entries, rows, equal, load_calibration(path))

    def of(self, kind: str) -> list[Entry]:
        """Return the entries of a kind."""
        return [entry for entry in self.entries if entry["kind"] == kind]

    def series(self, tag: str, kind: str = "train") -> Series:
        """Return a scalar over the steps; empty if no entry has the tag."""
        found = [(entry["step"], float(entry[tag])) for entry in self.of(kind) if tag in entry]
        return [step for step, _ in found], [value for _, value in found]

    def tags(self, beginning: str, kind: str = "train") -> list[str]:
        """Return the tags with this beginning, in the order of their first occurrence."""
        return list(dict.fromkeys(tag for entry in self.of(kind) for tag in entry if tag.startswith(beginning)))

    @cached_property
    def best(self) -> tuple[int, float] | None:
        """Step and value of the smallest validation loss."""
        steps, losses = self.series("loss/validation", "validation")
        return min(zip(steps, losses), key=lambda pair: pair[1], default=None)

    @cached_property
    def usage(self) -> Usage:
        """What the training used so far."""
        return usage_of(self.entries, self.run)

    @cached_property
    def routing(self) -> RoutingTable | None:
        """The routing table of the last validation."""
        found = [entry["routing"] for entry in self.of("validation") if "routing" in entry]
        return RoutingTable.from_json(found[-1]) if found else None

    @property
    def last_step(self) -> int:
        """The last step that has an entry."""
        return max(int(entry["step"]) for entry in self.entries)

    @property
    def about(self) -> Entry:
        """The start entry of the last part of the run; empty for a folder of an older version."""
        return (self.of("start") or [{}])[-1]

    @property
    def end(self) -> Entry:
        """The final entry; empty for a run that has not ended."""
        return (self.of("end") or [{}])[-1]


def _evaluations(folder: Path) -> Iterator[tuple[str, Entry]]:
    """Yield the files in the folder that `mmspec evaluate --json` wrote."""
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if not isinstance(content, dict) or not {"n", "top_1", "validity"} <= content.keys():
            continue
        yield path.name, content
