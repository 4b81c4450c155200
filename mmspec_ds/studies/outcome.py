"""What is known of a cell's training when it is finished."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError
from mmspec_ds.trainer.monitor.record import read_metrics
from mmspec_ds.trainer.run_settings import RunSettings

Lines = Sequence[Mapping[str, Any]]


def training_result(folder: Path, run: RunSettings) -> dict[str, Any]:
    """The figures of a finished run, from its `metrics.jsonl`.

    Returns:
        steps, samples (seen in training, each time counted), seconds (of training, validations included),
        flops (forward and backward, of all steps), parameters, active_parameters (None where the run did not
        count them), best_validation_loss, final_validation_loss, validations (pairs of step and loss),
        final_validation (every figure of the last validation, by its name), molecules (of the training and the
        validation data), device, versions, commit.

    Raises:
        DataError: the run has not spent its budget.
    """
    lines = read_metrics(folder)
    ends = [line for line in lines if line["kind"] == "end"]
    if not ends or not ends[-1].get("finished"):
        raise DataError("is not finished: expected a run that has spent its budget", path=folder)
    start, end = next(line for line in reversed(lines) if line["kind"] == "start"), ends[-1]
    losses = [
        (line["step"], float(line["loss/validation"]))
        for line in lines
        if line["kind"] == "validation" and "loss/validation" in line
    ]
    steps = int(end["step"])
    training = run.training
    samples = end.get(
        "final/samples", steps * training.batch_size * training.gradient_accumulation * start["ranks"]
    )
    return {
        "steps": steps,
        "samples": int(samples),
        "seconds": float(end["final/seconds"]),
        "flops": end.get("final/flops", _flops(lines, samples / max(steps, 1))),
        "parameters": start["parameters"],
        "active_parameters": end.get("final/active_parameters"),
        "best_validation_loss": min((loss for _, loss in losses), default=None),
        "final_validation_loss": losses[-1][1] if losses else None,
        "validations": losses,
        "final_validation": _final_validation(lines),
        "molecules": start.get("molecules"),
        "device": start.get("device"),
        "versions": start.get("versions"),
        "commit": start.get("commit"),
    }


def _final_validation(lines: Lines) -> dict[str, float]:
    """The figures of the last validation, whose tags in a record end with "/validation"."""
    last: Mapping[str, Any] = next((one for one in reversed(lines) if one["kind"] == "validation"), {})
    parts = ((name.partition("/"), value) for name, value in last.items())
    return {what: float(value) for (what, _, where), value in parts if where == "validation"}


def _flops(lines: Lines, samples_per_step: float) -> float | None:
    """The operations of a run that did not add them up: a logged step stands for those since the log before."""
    total, before = 0.0, 0
    for line in lines:
        if line["kind"] != "train" or "resources/megaflops_per_token" not in line:
            continue
        tokens = line["throughput/tokens_per_second"] / line["throughput/samples_per_second"] * samples_per_step
        total += 1e6 * line["resources/megaflops_per_token"] * tokens * (line["step"] - before)
        before = line["step"]
    return total or None
