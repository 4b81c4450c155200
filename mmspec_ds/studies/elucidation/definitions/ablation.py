"""Studies whose rows are variants of the sparse model: what each switch is worth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mmspec_ds.studies.elucidation.definitions.drawing import rows_figure
from mmspec_ds.studies.elucidation.definitions.layout import (
    COMPARED,
    LOSS,
    SHOWN,
    asked_line,
    equal_lines,
    full_row,
    top_columns,
)
from mmspec_ds.studies.elucidation.definitions.variants import Variant
from mmspec_ds.studies.plan import Budget, Cell, Column, Entry, FigureFile, Results, Study, Table


@dataclass(frozen=True)
class Line:
    """A row: a variant, the paper's values for it, and the head under which it stands."""

    variant: Variant
    paper: Mapping[str, Entry] = field(default_factory=dict)
    group: str = ""


Extra = tuple[Column, Callable[[Results, Sequence[Variant]], Sequence[Entry]]]
"""A column of the paper's that other tables lack, and what stands in it for each variant."""


def ablation(
    name: str,
    title: str,
    about: str,
    lines: Callable[[Budget], Sequence[Line]],
    *,
    ranks: Sequence[int] = SHOWN,
    extra: Sequence[Extra] = (),
    notes: Sequence[str] = (),
) -> Study:
    """A study with one table, a row for each variant, every one trained with the budget's seeds.

    Args:
        name, title, about: see `Study`.
        lines: the rows for a budget.
        ranks: which Top-K are shown.
        extra: further columns, behind accuracy and loss.
        notes: below the table.
    """

    def cells(budget: Budget) -> list[Cell]:
        return [cell for line in lines(budget) for cell in line.variant.cells(budget.seeds)]

    def tables(results: Results) -> list[Table]:
        chosen = lines(results.budget)
        variants, paper = [line.variant for line in chosen], any(line.paper for line in chosen)
        rows = [full_row(results, one.variant, one.paper, group=one.group, ranks=ranks) for one in chosen]
        for column, fill in extra:
            rows = [
                replace(row, entries={**row.entries, column.key: entry})
                for row, entry in zip(rows, fill(results, variants), strict=True)
            ]
        return [
            Table(
                title=title,
                columns=[*top_columns(ranks, paper=paper), LOSS, *(column for column, _ in extra), *COMPARED],
                rows=rows,
                names="variant",
                about=[*equal_lines(results, variants), asked_line(results)],
                notes=notes,
            )
        ]

    def figures(results: Results) -> list[FigureFile]:
        return rows_figure(name.replace("-", "_"), tables(results)[0])

    return Study(name, title, about, cells, tables, figures)
