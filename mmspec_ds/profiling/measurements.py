"""The measured figures of a profile: names, units, and their mean and deviation over several runs."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmspec_ds.profiling.peak import PeakMemory
from mmspec_ds.profiling.trainee import MODEL, DecodingRun, TrainingRun


@dataclass(frozen=True)
class Figure:
    """The values of one figure, one for each run."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the runs."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation; None for a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


Figures = Mapping[str, Figure]


@dataclass(frozen=True)
class Row:
    """A row of the table. `scale` converts the figure to the unit in `label`; `compared` is whether the column
    A/B is filled."""

    key: str
    label: str
    scale: float = 1.0
    compared: bool = True


BASIC_ROWS = (
    Row("parameters/total", "parameters, M", 1e-6),
    Row("parameters/active", "active for a token, M", 1e-6),
    Row("parameters/nominal", "  k experts of mean width, M", 1e-6),
    Row("tokens/spectrum", "spectrum tokens of a sample"),
    Row("tokens/target", "SMILES tokens of a sample"),
    Row("flops/encoder_feedforward", "MFLOP of an encoder token: feed-forward", 1e-6),
    Row("flops/encoder_feedforward_share", "  over a dense model of equal parameters, %", 100, compared=False),
    Row("flops/encoder", "MFLOP of an encoder token: whole encoder", 1e-6),
    Row("flops/encoder_share", "  whole encoder over that of this dense model, %", 100, compared=False),
    Row("flops/forward_per_token", "MFLOP of a token, forward", 1e-6),
    Row("flops/backward_per_token", "MFLOP of a token, backward", 1e-6),
    Row("flops/per_sample", "MFLOP of a sample, both", 1e-6),
    Row("flops/forward_per_step", "GFLOP of a step, forward", 1e-9),
    Row("flops/backward_per_step", "GFLOP of a step, backward", 1e-9),
    Row("training/samples_per_second", "training, samples/s"),
    Row("training/tokens_per_second", "training, tokens/s"),
    Row("training/seconds_per_step", "ms of a step", 1e3),
    Row("training/processor_seconds_per_step", "processor ms of a step", 1e3),
    Row("training/flops_per_second", "GFLOP/s", 1e-9),
)
SHARE_ROWS = (
    Row("share/forward", "of a step: forward, %", 100, compared=False),
    Row("share/backward", "  backward, %", 100, compared=False),
    Row("share/optimizer", "  optimizer, %", 100, compared=False),
    Row("share/data", "  data, %", 100, compared=False),
    Row("share/engine", "  engine, %", 100, compared=False),
    Row("share/logging", "  logging, %", 100, compared=False),
    Row("share/loop", "  loop, %", 100, compared=False),
    Row("share/outside", "outside the model, %", 100, compared=False),
    Row("share/all-to-all", "all-to-all, % of a step", 100, compared=False),
    Row("all_to_all/bytes_per_step", "all-to-all, MB of a step", 1e-6),
)
MEMORY_ROWS = (
    Row("memory/peak", "peak memory, MB", 1e-6),
    Row("memory/weights", "  weights, MB", 1e-6),
    Row("memory/gradients", "  gradients, MB", 1e-6),
    Row("memory/optimizer", "  optimizer, MB", 1e-6),
    Row("memory/activations", "  activations, MB", 1e-6),
)


def all_rows(beams: Sequence[int]) -> tuple[Row, ...]:
    """Return all rows of the table, from top to bottom."""
    rows = [*BASIC_ROWS, *SHARE_ROWS, *MEMORY_ROWS]
    for beam in beams:
        rows.append(Row(f"decoding/beam_{beam}/latency", f"decoding, beam {beam}, ms of a sample", 1e3))
        rows.append(Row(f"decoding/beam_{beam}/samples_per_second", f"decoding, beam {beam}, samples/s"))
    return tuple(rows)


def training_figures(parameters: int, runs: Sequence[TrainingRun]) -> dict[str, Figure]:
    """Return the figures of the training runs of one model. Tokens are those of spectra and SMILES together."""
    found = [_of_run(run) for run in runs]
    figures = {key: Figure(tuple(one[key] for one in found)) for key in found[0]}
    return {"parameters/total": Figure((float(parameters),)), **figures}


def _of_run(run: TrainingRun) -> dict[str, float]:
    tokens, flops = run.spectrum_tokens + run.target_tokens, run.flops
    return {
        "parameters/active": run.activity.active,
        "parameters/nominal": run.activity.nominal,
        "flops/encoder_feedforward": run.activity.feedforward_flops,
        "flops/encoder_feedforward_share": run.activity.feedforward_share,
        "flops/encoder": run.activity.encoder_flops,
        "flops/encoder_share": run.activity.encoder_share,
        "tokens/spectrum": run.spectrum_tokens / run.samples,
        "tokens/target": run.target_tokens / run.samples,
        "flops/forward_per_token": flops.total_forward / tokens,
        "flops/backward_per_token": flops.total_backward / tokens,
        "flops/per_sample": flops.total / run.samples,
        "flops/forward_per_step": flops.total_forward / run.steps,
        "flops/backward_per_step": flops.total_backward / run.steps,
        **{f"flops/forward/{part}": value / run.steps for part, value in flops.forward.items()},
        **{f"flops/backward/{part}": value / run.steps for part, value in flops.backward.items()},
        "training/samples_per_second": run.samples / run.seconds,
        "training/tokens_per_second": tokens / run.seconds,
        "training/seconds_per_step": run.seconds / run.steps,
        "training/processor_seconds_per_step": run.processor_seconds / run.steps,
        "training/flops_per_second": flops.total / run.seconds,
        **{f"share/{name}": share for name, share in run.shares.items()},
        "share/outside": 1 - sum(run.shares[name] for name in MODEL),
        "all_to_all/bytes_per_step": run.all_to_all_bytes,
    }


def memory_figures(memory: PeakMemory) -> dict[str, Figure]:
    """Return the figures of the rank that needs most memory."""
    return {f"memory/{name}": Figure((value,)) for name, value in vars(memory).items()}


def decoding_figures(beam: int, runs: Sequence[DecodingRun]) -> dict[str, Figure]:
    """Return the figures of the decoding runs of one model and beam width."""
    return {
        f"decoding/beam_{beam}/latency": Figure(tuple(run.latency for run in runs)),
        f"decoding/beam_{beam}/samples_per_second": Figure(tuple(run.samples_per_second for run in runs)),
    }


def ratios(first: Figures, second: Figures) -> dict[str, Figure]:
    """Return first over second, run by run, because a slow moment of the machine slows both. A figure that is 0
    for the second is left out."""
    return {
        key: Figure(tuple(a / b for a, b in zip(figure.values, second[key].values)))
        for key, figure in first.items()
        if key in second and all(second[key].values)
    }
