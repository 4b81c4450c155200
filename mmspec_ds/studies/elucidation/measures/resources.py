"""Throughput, peak memory and latency of a model (table 12), measured as `mmspec profile` measures them."""

import tempfile
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError
from mmspec_ds.profiling.compare import Effort, profile
from mmspec_ds.studies.plan import MeasureContext

LATENCY_BEAM = 5
"""Beam width of the latency in table 12."""

KEYS = (
    "training/tokens_per_second",
    "training/samples_per_second",
    "training/seconds_per_step",
    "training/processor_seconds_per_step",
    "flops/per_sample",
    "memory/peak",
    f"decoding/beam_{LATENCY_BEAM}/latency",
    f"decoding/beam_{LATENCY_BEAM}/samples_per_second",
)


def resources(context: MeasureContext) -> dict[str, Any]:
    """The measure `resources`.

    A model of the same settings is trained for a few steps on the same data, untrained weights and all: what is
    measured does not depend on the weights, but for the loads of the experts. A hypothesis is as long as the
    longest target. Wall times are of a machine on which other cells may run; `processor_seconds_per_step` is
    affected less.

    Returns:
        `figures`: mean and standard deviation over the repetitions by the names of `KEYS` (seconds, bytes);
        `environment`: device and versions; `repetitions`, `steps` of each.

    Raises:
        DataError: the profile has no result.
    """
    smoke = context.budget.name == "smoke"
    effort = Effort(
        runs=1 if smoke else 3,
        steps=2 if smoke else 20,
        warm_up=1 if smoke else 5,
        beams=(LATENCY_BEAM,),
        samples=2 if smoke else 16,
    )
    with tempfile.TemporaryDirectory(dir=context.folder) as scratch:
        run = context.trained.run.model_copy(update={"output": Path(scratch)})
        found = profile((run,), effort, lambda line: None)
    if found is None:
        raise DataError("the profile gave no result")
    (model,) = found.models
    return {
        "figures": {
            key: {"mean": model.figures[key].mean, "sd": model.figures[key].deviation}
            for key in KEYS
            if key in model.figures
        },
        "environment": dict(found.environment),
        "repetitions": effort.runs,
        "steps": effort.steps,
    }
