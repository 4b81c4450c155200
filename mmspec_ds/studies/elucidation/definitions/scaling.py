"""Resources (table 12), and accuracy against arithmetic for four sizes."""

from collections.abc import Sequence
from dataclasses import dataclass

from mmspec_ds.studies.cells import settings_of
from mmspec_ds.studies.elucidation.definitions.drawing import COLOURS, Axes, draw, logarithmic, rows_figure
from mmspec_ds.studies.elucidation.definitions.layout import (
    COMPARED,
    LOSS,
    asked_line,
    compared,
    equal_lines,
    full_row,
    top_columns,
)
from mmspec_ds.studies.elucidation.definitions.variants import (
    SPARSE,
    STANDARD,
    Variant,
    equal_active,
    equal_total,
    longer,
    scaled_model,
)
from mmspec_ds.studies.elucidation.paper_values import TABLE_12, TABLE_12_NOTE, Values
from mmspec_ds.studies.lookup import NOTHING, scaled
from mmspec_ds.studies.plan import Budget, Cell, Column, Entry, FigureFile, Results, Row, Study, Table, Value
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

FACTORS = (0.5, 0.75, 1.0, 1.5)
"""All widths of a model are multiplied by these."""


def _resource_variants(budget: Budget) -> list[Variant]:
    return [equal_active(budget), equal_total(budget), SPARSE]


def _resource_cells(budget: Budget) -> list[Cell]:
    cells = []
    for one in _resource_variants(budget):
        # Times and memory do not depend on the seed, and are dear to measure.
        cells += [one.cell(0, (*STANDARD, "resources")), *one.cells(budget.seeds)[1:]]
    return cells


def _resource_tables(results: Results) -> list[Table]:
    variants = _resource_variants(results.budget)
    papers: tuple[Values, ...] = (TABLE_12["dense"], {}, TABLE_12["sparse"])
    rows = [Row(one.name, _resources(results, one.cell()), paper) for one, paper in zip(variants, papers)]
    columns = [
        Column("top_1", "Top-1 %", better="higher"),
        Column("top_10", "Top-10 %", better="higher"),
        Column("parameters", "parameters, M"),
        Column("active", "active, M"),
        Column("throughput", "throughput, tokens/s", digits=0),
        Column("processor", "processor ms of a step", digits=0, paper=False),
        Column("memory", "peak memory, GB"),
        Column("latency", "latency, ms a sample", digits=1),
        Column("feed_forward", "encoder FFN, kFLOP a token", digits=1, paper=False),
        Column("share", "of the dense model of equal total parameters, %", digits=1, paper=False),
        Column("encoder", "whole encoder, kFLOP a token", digits=1, paper=False),
        Column("encoder_share", "of that model's encoder, %", digits=1, paper=False),
    ]
    return [
        Table(
            title="Table 12. Resources",
            columns=columns,
            rows=rows,
            names="model",
            about=[*equal_lines(results, variants), asked_line(results), *_machine(results, variants)],
            notes=(
                "Parameters that an average spectrum token uses, and FLOPs of a token, are counted with the"
                " experts that the trained routers choose for the test molecules. The decoder's are not in the"
                " FLOPs.",
                "Tokens are those of spectra and SMILES together. Latency: one sample alone, beam 5, as many"
                " tokens as the longest target. Times are of one process, measured while other work may run.",
                TABLE_12_NOTE,
            ),
        )
    ]


def _resources(results: Results, cell: Cell) -> dict[str, Entry]:
    def figure(name: str, factor: float = 1.0) -> Value | None:
        return scaled(results.value(cell, "resources", f"figures.{name}.mean"), factor)

    def counted(key: str, factor: float) -> Value | None:
        return scaled(results.value(cell, "compute", key), factor)

    dense = cell.overrides.get("moe", True) is None
    return {
        "top_1": results.value(cell, "accuracy", "top_1"),
        "top_10": results.value(cell, "accuracy", "top_10"),
        "parameters": counted("parameters", 1e-6),
        "active": counted("active", 1e-6),
        "throughput": figure("training/tokens_per_second"),
        "processor": figure("training/processor_seconds_per_step", 1e3),
        "memory": figure("memory/peak", 1e-9),
        "latency": figure("decoding/beam_5/latency", 1e3),
        "feed_forward": counted("feed_forward", 1e-3),
        "share": NOTHING if dense else counted("share_of_equal_total.feed_forward", 100),
        "encoder": counted("encoder", 1e-3),
        "encoder_share": NOTHING if dense else counted("share_of_equal_total.encoder", 100),
    }


def _machine(results: Results, variants: Sequence[Variant]) -> list[str]:
    for one in variants:
        found = results.of(one.cell(), "resources")
        if found is not None:
            about = found["environment"]
            return [f"Measured on {about['device']}, torch {about['torch']}, {about['ranks']} rank(s)."]
    return []


_SPENT = {
    "throughput, tokens/s": {"": "throughput"},
    "peak memory, GB": {"": "memory"},
    "latency, ms a sample": {"": "latency"},
}
"""What the figure of the resources shows."""

RESOURCES = Study(
    "resources",
    "Table 12. Parameters, arithmetic, throughput, memory and latency",
    "What the sparse model costs beside the dense ones of equal active and of equal total parameters.",
    _resource_cells,
    _resource_tables,
    lambda results: rows_figure("resources", _resource_tables(results)[0], _SPENT),
)


@dataclass(frozen=True)
class Sized:
    """A model of the scaling study: its factor, and whether it is sparse."""

    factor: float
    sparse: bool
    variant: Variant


def sized(budget: Budget) -> list[Sized]:
    """Dense and sparse models of all sizes."""
    d_model = settings_of(SPARSE.cell(), budget, ElucidationRun).model.d_model
    return [
        Sized(factor, sparse, longer(budget, scaled_model(budget, d_model, factor, sparse=sparse)))
        for sparse in (False, True)
        for factor in FACTORS
    ]


def _scaling_cells(budget: Budget) -> list[Cell]:
    return [cell for one in sized(budget) for cell in one.variant.cells(budget.seeds)]


def _scaling_tables(results: Results) -> list[Table]:
    lines = sized(results.budget)
    encoder = Column("encoder", "whole encoder, kFLOP a token", digits=0, paper=False)
    rows = []
    for one in lines:
        group = "sparse" if one.sparse else "dense, equal active"
        row = full_row(results, one.variant, group=group, name=f"{group}, widths x {one.factor:g}")
        entries = {
            **row.entries,
            "encoder": scaled(results.value(one.variant.cell(), "compute", "encoder"), 1e-3),
        }
        rows.append(Row(row.name, entries, group=group))
    return [
        Table(
            title="Accuracy against arithmetic",
            columns=[*top_columns(paper=False), LOSS, *COMPARED, encoder],
            rows=rows,
            names="model",
            about=[*equal_lines(results, [one.variant for one in lines]), asked_line(results)],
            notes=(
                "All widths are multiplied, those of experts to the nearest multiple of 16; depth and heads"
                " stay. A dense model has as many active parameters as the sparse one of its factor.",
            ),
        )
    ]


def _scaling_figures(results: Results) -> list[FigureFile]:
    lines = sized(results.budget)
    if all(results.value(one.variant.cell(), "accuracy", "top_1") is None for one in lines):
        return []

    def fill(panels: Sequence[Sequence[Axes]]) -> None:
        for axes, (key, label) in zip(panels[0], _AXES.items()):
            for sparse in (False, True):
                chosen = [one for one in lines if one.sparse == sparse]
                _curve(axes, results, [one.variant for one in chosen], key, sparse=sparse)
            logarithmic(axes)
            axes.set_xlabel(label)
        panels[0][0].set_ylabel("Top-1, %")
        panels[0][0].legend(fontsize=7, frameon=False)

    caption = (
        "Top-1 against forward FLOPs of an encoder token, training FLOPs and all parameters, for four sizes of"
        " the dense model of equal active parameters and of the sparse one. Bars: one standard deviation over"
        " seeds."
    )
    return [FigureFile("scaling", draw((8.6, 3.0), 1, len(_AXES), fill), caption)]


_AXES = {
    "encoder": "encoder, kFLOP a token, forward",
    "flops": "training, TFLOP",
    "parameters": "parameters, M",
}


def _curve(axes: Axes, results: Results, variants: Sequence[Variant], key: str, *, sparse: bool) -> None:
    points = []
    for one in variants:
        cell = one.cell()
        top = results.value(cell, "accuracy", "top_1")
        at = {**compared(results, cell), "encoder": scaled(results.value(cell, "compute", "encoder"), 1e-3)}[
            key
        ]
        if top is not None and isinstance(at, Value):
            points.append((at.mean, top.mean, top.sd or 0.0))
    if points:
        x, y, spread = zip(*points)
        colour, name = (COLOURS[1], "sparse") if sparse else (COLOURS[0], "dense, equal active")
        axes.errorbar(x, y, yerr=spread, color=colour, label=name, marker="o", markersize=4, linewidth=1.4,
                      capsize=2)  # fmt: skip


SCALING = Study(
    "scaling",
    "Accuracy against FLOPs for dense and sparse models of four sizes",
    "Where experts begin to pay: accuracy against the forward FLOPs of a token and against training FLOPs.",
    _scaling_cells,
    _scaling_tables,
    _scaling_figures,
)

STUDIES = (RESOURCES, SCALING)
