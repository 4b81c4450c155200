"""Print a plan as text and tables, and write it as JSON."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console

from mmspec_ds.profiling.extrapolation import Cluster, StepTime, step_flops, step_time
from mmspec_ds.profiling.plan import (
    RESERVE,
    RULE,
    Help,
    Planner,
    PlanRow,
    check_request,
    recommended,
    smallest,
    ways_out,
)
from mmspec_ds.profiling.sizes import ModelSizes
from mmspec_ds.profiling.text_tables import say, show
from mmspec_ds.profiling.tokens import TokenFigures, token_figures
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.trainer.engine_file import EngineFile

HEADS = (
    "ZeRO", "ep", "bits", "weights", "gradients", "optimizer", "buffers", "activations", "working", "total",
    "host", "fits", "all-to-all fwd", "bwd", "gradients", "gather", "collectives", "",
)  # fmt: skip
SCALE_HEADS = (
    "GPUs", "row", "memory", "all-to-all", "gradients + gather", "ms a step", "compute", "exchange", "reduce",
    "efficiency", "",
)  # fmt: skip


@dataclass(frozen=True)
class Scaled:
    """The recommended row for a number of GPUs, or the run file's (see `kind`), and its estimated time."""

    row: PlanRow
    time: StepTime
    kind: str


@dataclass(frozen=True)
class Report:
    """The output of `mmspec plan`.

    Attributes:
        own: the row of the run file and its engine file.
        best: the recommended row; None where none fits, and then `ways` lists changes that help.
        scaled: the recommended row and the run file's, on this and other numbers of GPUs.
    """

    run: str
    gpus: int
    memory: float
    sizes: ModelSizes
    figures: TokenFigures
    rows: tuple[PlanRow, ...]
    own: PlanRow
    best: PlanRow | None
    ways: tuple[Help, ...]
    scaled: tuple[Scaled, ...]
    assumptions: tuple[str, ...]


def make_report(
    run: ElucidationRun,
    engine: EngineFile,
    gpus: int,
    memory: float,
    *,
    tokens: int | None = None,
    extrapolate: Sequence[int] = (),
) -> Report:
    """Make the plan of a run.

    Args:
        run, engine: the settings.
        gpus: number of GPUs, one rank each.
        memory: bytes of each GPU.
        tokens: of a sample; by default those of the data, or the maximum of the settings.
        extrapolate: other numbers of GPUs for which to give the recommended row.

    Raises:
        ConfigError: see `check_request`.
    """
    check_request(run, gpus, memory)
    planner = Planner(run, engine, token_figures(run, tokens))
    rows = planner.rows(gpus, memory)
    best = recommended(rows)
    own = _own(rows, run, engine)
    assert own is not None, "its ep was checked"
    return Report(
        run=run.name,
        gpus=gpus,
        memory=memory,
        sizes=planner.sizes,
        figures=planner.figures,
        rows=tuple(rows),
        own=own,
        best=best,
        ways=() if best else tuple(ways_out(planner, gpus, memory)),
        scaled=tuple(_scaled(planner, sorted({gpus, *extrapolate}), memory)),
        assumptions=(*_assumptions(run, rows[-1], engine), *Cluster().assumptions()),
    )


def _own(rows: Sequence[PlanRow], run: ElucidationRun, engine: EngineFile) -> PlanRow | None:
    """The row that the run file and its engine file ask for, where its ep works."""
    used = engine.on(rows[0].holding.world, bf16=bool(engine.bf16))
    asked = (used.stage, used.offload, run.training.ep_size)
    found = (r for r in rows if (r.holding.stage, r.holding.offload, r.holding.ep_size) == asked)
    return next(found, None)


def _scaled(planner: Planner, numbers: Sequence[int], memory: float) -> Iterator[Scaled]:
    flops = step_flops(planner.run, planner.figures)
    for number in numbers:
        rows = planner.rows(number, memory)
        best, own = recommended(rows), _own(rows, planner.run, planner.engine)
        if best is not None:
            kind = "recommended, run file" if best is own else "recommended"
            yield Scaled(best, step_time(best, flops), kind)
        if own is not None and own is not best:
            yield Scaled(own, step_time(own, flops), "run file" if own.fits else "run file, does not fit")


def _assumptions(run: ElucidationRun, row: PlanRow, engine: EngineFile) -> list[str]:
    second = ["the second pass of the encoder for objective.interactions counts in traffic and not in memory"]
    bucket = row.holding.bucket
    precision = (
        "bf16 where there is ZeRO, as the engine file says" if engine.bf16 else "fp32, as the engine file says"
    )
    return [
        "each column is the maximum of its kind in a step; kinds peak at different times, so the total is less",
        f"{RESERVE:.0%} of the memory is reserved for the driver, the collectives' buffers and fragmentation",
        "activations and work space are those of the longest batch, from the run's own modules on tensors"
        " without data, in plain torch; the Triton kernels keep fewer copies of rows",
        "tokens are spread evenly over the experts; memory and traffic of the rank with the widest ones",
        f"the reduce bucket takes {bucket:,} elements, needed or not (zero_optimization.reduce_bucket_size)",
        f"weights in {precision}; ZeRO keeps an fp32 copy of a rank's share in either case",
        "bytes are those that a rank sends in a step, in rings; padding is not routed; ZeRO 1 and 2 reduce"
        " gradients to all ranks, as DeepSpeed 0.19.8 does",
        *(second if run.objective.interactions else ()),
    ]  # fmt: skip


def head_lines(report: Report) -> list[str]:
    """Return the lines before the table."""
    sizes, figures = report.sizes, report.figures
    lines = [
        f"{report.run} on {report.gpus} GPU(s) of {_gb(report.memory)} GB",
        f"parameters: {_million(sizes.total)} in all"
        + (f", {_million(sizes.nominal)} with k experts of mean width alone" if sizes.widths else ""),
    ]
    if sizes.widths:
        per_width = Counter(zip(sizes.widths, sizes.by_expert))
        experts = ", ".join(
            f"{n} of width {w:,} with {_million(size)} each" for (w, size), n in per_width.items()
        )
        lines.append(f"  dense part {_million(sizes.dense)}; experts, all layers together: {experts}")
    lines.append(
        f"tokens of a sample: mean {figures.mean:.0f}, padded in its batch {figures.padded:.0f}, in the longest"
        f" batch {figures.largest.places}; of a SMILES {figures.target:.0f}, at most {figures.largest.targets}"
    )
    lines.append(f"  from {figures.source}")
    return lines


def tail_lines(report: Report) -> list[str]:
    """Return the lines after the table."""
    lines = ["all bytes in GB (10^9), for one rank; the last five columns are what it sends in a step"]
    if report.best:
        lines.append(f"{RULE}: {report.best.name}, {_gb(report.best.memory.total)} GB")
    else:
        least = smallest(report.rows)
        here = smallest([row for row in report.rows if not row.holding.offload])
        lines.append(
            f"fits nowhere: the least is {_gb(least.memory.total)} GB ({least.name}),"
            f" {_gb(here.memory.total)} GB without offload ({here.name}), and {_gb(report.memory)} GB"
            f" less {RESERVE:.0%} are {_gb((1 - RESERVE) * report.memory)} GB. What would help, each alone:"
        )
        for way in report.ways:
            verdict = "fits" if way.row.fits else "does not fit"
            lines.append(f"  {way.change}: {_gb(way.row.memory.total)} GB ({way.row.name}), {verdict}")
    return lines


def table_rows(report: Report) -> list[tuple[str, ...]]:
    """Return the cells of the table."""
    return [_cells(row, report) for row in report.rows]


def _cells(row: PlanRow, report: Report) -> tuple[str, ...]:
    holding, memory, traffic = row.holding, row.memory, row.traffic
    marks = ["recommended"] * (row is report.best) + ["run file"] * (row is report.own)
    kinds = (memory.most(kind) for kind in ("buffers", "activations", "working"))
    held = (memory.weights, memory.most("gradients"), memory.optimizer, *kinds, memory.total, memory.host)
    sent = (traffic.forward, traffic.backward, traffic.reduce, traffic.gather)
    return (
        f"{holding.stage}{' offload' if holding.offload else ''}",
        str(holding.ep_size),
        str(8 * holding.element),
        *(_gb(value) for value in held),
        "yes" if row.fits else "no",
        *(_gb(value) for value in sent),
        str(sum(traffic.collectives.values())),
        ", ".join(marks),
    )


def scale_rows(report: Report) -> list[tuple[str, ...]]:
    """Return the cells of the extrapolation."""
    return [
        (
            str(scaled.row.holding.world),
            scaled.row.name,
            _gb(scaled.row.memory.total),
            _gb(scaled.row.traffic.all_to_all),
            _gb(scaled.row.traffic.reduce + scaled.row.traffic.gather),
            *(f"{1e3 * value:.3g}" for value in (scaled.time.total, scaled.time.compute, scaled.time.exchange)),
            f"{1e3 * scaled.time.reduce:.3g}",
            f"{scaled.time.efficiency:.1%}",
            scaled.kind,
        )
        for scaled in report.scaled
    ]


def print_report(report: Report, console: Console | None = None) -> None:
    """Print the plan: tables on a terminal, aligned lines elsewhere."""
    console = console or Console()
    for line in head_lines(report):
        say(console, line)
    show(console, HEADS, table_rows(report))
    for line in tail_lines(report):
        say(console, line)
    if report.scaled:
        say(console, "estimated time of a step, traffic in GB of a rank:")
        show(console, SCALE_HEADS, scale_rows(report))
    say(console, "assumed:")
    for line in report.assumptions:
        say(console, f"  - {line}")


def to_json(report: Report) -> dict[str, Any]:
    """Return the plan as plain values, bytes and seconds unrounded."""
    sizes, figures = report.sizes, report.figures
    return {
        "run": report.run,
        "gpus": report.gpus,
        "memory": report.memory,
        "parameters": {
            "total": sizes.total,
            "nominal": sizes.nominal,
            "dense": sizes.dense,
            "experts": [{"width": w, "parameters": p} for w, p in zip(sizes.widths, sizes.by_expert)],
        },
        "tokens": {
            "mean": figures.mean,
            "padded": figures.padded,
            "target": figures.target,
            "largest_batch": asdict(figures.largest),
            "vocabulary": figures.vocabulary,
            "source": figures.source,
        },
        "rows": [_row_json(row, report) for row in report.rows],
        "fits": report.best is not None,
        "ways_out": [{"change": way.change, **_row_json(way.row, report)} for way in report.ways],
        "extrapolation": [
            {
                **_row_json(one.row, report),
                "kind": one.kind,
                "seconds": asdict(one.time) | {"total": one.time.total, "efficiency": one.time.efficiency},
            }
            for one in report.scaled
        ],
        "assumptions": list(report.assumptions),
    }


def _row_json(row: PlanRow, report: Report) -> dict[str, Any]:
    memory = asdict(row.memory)
    memory |= {kind: row.memory.most(kind) for kind in ("gradients", "buffers", "activations", "working")}
    return {
        "holding": asdict(row.holding),
        "memory": memory | {"total": row.memory.total, "peak": row.memory.peak.name},
        "traffic": asdict(row.traffic) | {"all_to_all": row.traffic.all_to_all, "total": row.traffic.total},
        "fits": row.fits,
        "recommended": row is report.best,
        "run_file": row is report.own,
    }


def _gb(value: float) -> str:
    """Format bytes as GB with three digits."""
    return f"{value / 1e9:.3g}" if value >= 5e5 else "0"


def _million(count: float) -> str:
    return f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count:,.0f}"
