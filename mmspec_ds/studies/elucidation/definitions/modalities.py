"""Which modalities a model learns from: table 1, and whether all of them are too much for the dense model on
text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mmspec_ds.studies.elucidation.definitions.drawing import rows_figure
from mmspec_ds.studies.elucidation.definitions.layout import (
    COMPARED,
    LOSS,
    asked_line,
    equal_lines,
    equal_lines_by_group,
    full_row,
    top_columns,
)
from mmspec_ds.studies.elucidation.definitions.variants import (
    CHANNELS,
    SPARSE,
    Variant,
    dense_text,
    equal_active,
    on_channels,
)
from mmspec_ds.studies.elucidation.paper_values import MODALITY_NOTE, TABLE_1
from mmspec_ds.studies.lookup import NOTHING
from mmspec_ds.studies.plan import Budget, Cell, Entry, FigureFile, Results, Row, Study, Table
from mmspec_ds.studies.results import mean_of

SUBSETS: Sequence[tuple[str, ...]] = (
    ("nmr",),
    ("ms",),
    ("ir",),
    ("nmr", "ms"),
    ("nmr", "ir"),
    ("ms", "ir"),
    ("nmr", "ms", "ir"),
)
GROUPS = {1: "single modality", 2: "two modalities", 3: "three modalities"}
RANKS = range(1, 11)


@dataclass(frozen=True)
class _Line:
    variant: Variant
    name: str
    group: str
    paper: str


def _lines(budget: Budget) -> list[_Line]:
    """The rows of table 1, in its order; its name of the paper's row is "dense nmr+ms" and so on."""
    lines = []
    for channels in SUBSETS:
        label, group = " + ".join(one.upper() for one in channels), GROUPS[len(channels)]
        key = "+".join(channels)
        if len(channels) == len(CHANNELS):
            lines.append(_Line(dense_text(budget), f"{label} (dense, text)", group, f"dense {key}"))
            lines.append(_Line(equal_active(budget), f"{label} (dense, compressed)", group, ""))
        else:
            dense = on_channels(equal_active(budget), channels)
            lines.append(_Line(dense, f"{label} (dense)", group, f"dense {key}"))
        if len(channels) > 1:
            sparse = on_channels(SPARSE, channels)
            lines.append(_Line(sparse, f"{label} (sparse)", group, f"sparse {key}"))
    return lines


def _cells(budget: Budget) -> list[Cell]:
    return [cell for line in _lines(budget) for cell in line.variant.cells(budget.seeds)]


def _improvement(results: Results) -> Row:
    """The last row of table 1: the sparse model on all modalities less the dense one on text, seed by seed."""
    entries: dict[str, Entry] = {column.key: NOTHING for column in (LOSS, *COMPARED)}
    for rank in RANKS:
        dense, sparse = (
            {cell.seed: results.values([cell], "accuracy", f"top_{rank}") for cell in results.alike(one.cell())}
            for one in (dense_text(results.budget), SPARSE)
        )
        both = [seed for seed, found in sparse.items() if found and dense.get(seed)]
        entries[f"top_{rank}"] = mean_of([sparse[seed][0] - dense[seed][0] for seed in both])
    one, other = TABLE_1["sparse nmr+ms+ir"], TABLE_1["dense nmr+ms+ir"]
    return Row("sparse less dense on text", entries, {key: one[key] - other[key] for key in one}, "improvement")


def _tables(results: Results) -> list[Table]:
    lines = _lines(results.budget)
    rows = [
        full_row(results, one.variant, TABLE_1.get(one.paper), group=one.group, ranks=RANKS, name=one.name)
        for one in lines
    ]
    return [
        Table(
            title="Table 1. Modality combinations",
            columns=[*top_columns(RANKS), LOSS, *COMPARED],
            rows=[*rows, _improvement(results)],
            names="modalities (model)",
            about=[*equal_lines(results, [one.variant for one in lines]), asked_line(results)],
            notes=(
                "NMR is 1H and 13C. Every row is a model of its own, trained with these modalities alone.",
                "Dense models read the same compressed spectra as the sparse ones and have as many parameters"
                " as these use for a token; the paper's read text, as the row that says so.",
                MODALITY_NOTE,
            ),
        )
    ]


def _figures(results: Results) -> list[FigureFile]:
    (table,) = _tables(results)
    return rows_figure("modalities", replace(table, rows=table.rows[:-1]))


MODALITIES = Study(
    "modalities",
    "Table 1. Modality combinations",
    "Models that learn from each of the seven combinations of NMR, MS and IR: dense for all, sparse for those"
    " with more than one. Does more evidence help, and whom?",
    _cells,
    _tables,
    _figures,
)


EQUAL_FLOPS = {"smoke": 4e9, "cpu": 3.2e13, "gpu": 1.6e16}
"""Training FLOPs of the pair of rows with equal FLOPs, by budget: with the cpu budget about 300 steps of the
model on all modalities, and 7,000 of that on NMR alone. A molecule of 10 heavy atoms has 657 tokens of text, 33
of them of NMR. The paper's budget has no such pair."""


def _collapse(budget: Budget) -> list[tuple[str, Variant, str]]:
    """Group, variant and name of each row."""
    everything, alone = dense_text(budget), dense_text(budget, ("nmr",))
    lines = [("equal steps", everything, "all modalities"), ("equal steps", alone, "NMR alone")]
    flops = EQUAL_FLOPS.get(budget.name)
    if flops is not None:
        spent = {"steps": None, "flops": flops}
        lines += [
            ("equal FLOPs", one.but(f"{one.name}, equal FLOPs", training=spent), name)
            for one, name in ((everything, "all modalities"), (alone, "NMR alone"))
        ]
    compressed = equal_active(budget)
    lines += [
        ("the same, compressed spectra", compressed, "all modalities"),
        ("the same, compressed spectra", on_channels(compressed, ("nmr",)), "NMR alone"),
    ]
    return lines


def _collapse_cells(budget: Budget) -> list[Cell]:
    return [cell for _, variant, _ in _collapse(budget) for cell in variant.cells(budget.seeds)]


def _collapse_tables(results: Results) -> list[Table]:
    lines = _collapse(results.budget)
    paper = {"all modalities": TABLE_1["dense nmr+ms+ir"], "NMR alone": TABLE_1["dense nmr"]}
    rows = [
        full_row(results, one, paper[name] if group == "equal steps" else None, group=group, name=name)
        for group, one, name in lines
    ]
    table = Table(
        title="Does the dense model on text collapse with all modalities?",
        columns=[*top_columns(), LOSS, *COMPARED],
        rows=rows,
        names="dense model",
        about=[*equal_lines_by_group(results, [(group, one) for group, one, _ in lines]), asked_line(results)],
        notes=("A collapse is a lower accuracy with all modalities than with NMR alone, under one head.",),
    )
    return [table]


TEXT_COLLAPSE = Study(
    "text-collapse",
    "Whether the dense model on text collapses with all modalities",
    "The paper's central observation: 44 % with all modalities against 70 % with NMR alone. Here at equal"
    " steps, at equal training FLOPs (all modalities make longer sequences and dearer steps), and for"
    " compressed spectra.",
    _collapse_cells,
    _collapse_tables,
    lambda results: rows_figure("text_collapse", _collapse_tables(results)[0]),
)

STUDIES = (MODALITIES, TEXT_COLLAPSE)
