"""What the tables of several studies share: columns, rows of a variant, and what was equal between them."""

from collections.abc import Iterable, Mapping, Sequence

from mmspec_ds.studies.elucidation.definitions.variants import Variant
from mmspec_ds.studies.lookup import scaled
from mmspec_ds.studies.plan import Cell, Column, Entry, Results, Row, Value
from mmspec_ds.studies.results import TRAINING

SHOWN = (1, 5, 10)
"""The ranks that most tables of the paper show."""


def top_columns(ranks: Iterable[int] = SHOWN, *, paper: bool = True) -> list[Column]:
    """Top-K accuracy in per cent, the best in bold."""
    return [Column(f"top_{k}", f"Top-{k} %", better="higher", paper=paper) for k in ranks]


LOSS = Column("loss", "loss, nats a token", digits=4, better="lower", paper=False)

COMPARED = (
    Column("steps", "steps", digits=0, paper=False),
    Column("samples", "samples seen", digits=0, paper=False),
    Column("flops", "training TFLOP", digits=1, paper=False),
    Column("parameters", "parameters, M", digits=2, paper=False),
    Column("active", "active, M", digits=2, paper=False),
    Column("feed_forward", "encoder FFN, kFLOP a token", digits=0, paper=False),
    Column("seconds", "training, s", digits=0, paper=False),
)
"""What a comparison may hold equal: every table of ours prints all of it."""


def compared(results: Results, cell: Cell) -> dict[str, Entry]:
    """The entries of `COMPARED` for a cell, means over its seeds."""
    return {
        "steps": results.value(cell, TRAINING, "steps"),
        "samples": results.value(cell, TRAINING, "samples"),
        "flops": scaled(results.value(cell, TRAINING, "flops"), 1e-12),
        "parameters": scaled(results.value(cell, "compute", "parameters"), 1e-6),
        "active": scaled(results.value(cell, "compute", "active"), 1e-6),
        "feed_forward": scaled(results.value(cell, "compute", "feed_forward"), 1e-3),
        "seconds": results.value(cell, TRAINING, "seconds"),
    }


def accuracy(results: Results, cell: Cell, ranks: Iterable[int] = SHOWN) -> dict[str, Entry]:
    """Top-K and loss of a cell, means over its seeds."""
    tops = {f"top_{k}": results.value(cell, "accuracy", f"top_{k}") for k in ranks}
    return {**tops, "loss": results.value(cell, "accuracy", "loss")}


def full_row(
    results: Results,
    variant: Variant,
    paper: Mapping[str, Entry] | None = None,
    *,
    group: str = "",
    ranks: Iterable[int] = SHOWN,
    name: str | None = None,
) -> Row:
    """The row of a variant: accuracy, loss and what was equal, with the paper's values beside."""
    cell = variant.cell()
    entries = {**accuracy(results, cell, ranks), **compared(results, cell)}
    return Row(name or variant.name, entries, dict(paper or {}), group)


def equal_lines(results: Results, variants: Sequence[Variant]) -> list[str]:
    """What was equal between trained variants and what was not, from the records of their trainings; and which
    of them lack seeds. Of up to three variants every figure is told, of more the least and the largest."""
    trained = [one for one in variants if one.trains]
    entries = [compared(results, one.cell()) for one in trained]
    are_few = len(trained) <= 3
    equal, unequal = [], []
    for column in COMPARED:
        values = [one[column.key] for one in entries]
        means = [value.mean for value in values if isinstance(value, Value)]
        if len(means) < 2:
            continue
        if max(means) - min(means) <= 0.01 * abs(max(means)):
            equal.append(f"{column.head} ({max(means):,.{column.digits}f})")
        elif are_few and len(means) == len(trained):
            unequal.append(f"{column.head} ({' / '.join(_told(means, column.digits))})")
        else:
            unequal.append(f"{column.head} ({' to '.join(_told([min(means), max(means)], column.digits))})")
    lines = []
    if equal:
        lines.append(f"Equal within 1 %: {'; '.join(equal)}.")
    if unequal:
        whose = f" ({' / '.join(one.name for one in trained)})" if are_few else ""
        lines.append(f"Not equal{whose}: {'; '.join(unequal)}.")
    return lines + _lacking_seeds(results, variants)


def _told(values: Sequence[float], digits: int) -> list[str]:
    """Figures as text, with three digits where they would be the same, as of small models."""
    told = [f"{one:,.{digits}f}" for one in values]
    return [f"{one:.3g}" for one in values] if len(set(told)) == 1 else told


def equal_lines_by_group(results: Results, grouped: Sequence[tuple[str, Variant]]) -> list[str]:
    """`equal_lines` for each group of rows, which are compared with each other and not with other groups.

    Args:
        results: of the study.
        grouped: the group of each variant, in the order of the rows.
    """
    lines = []
    for group in dict.fromkeys(name for name, _ in grouped):
        told = equal_lines(results, [variant for name, variant in grouped if name == group])
        lines += [f"{group[0].upper()}{group[1:]}. {line}" for line in told]
    return lines


def _lacking_seeds(results: Results, variants: Sequence[Variant]) -> list[str]:
    """Which variants were trained with some of the seeds alone, whose means are less sure than others."""
    lacking = []
    for one in variants:
        alike = results.alike(one.cell())
        trained = sum(results.training(cell) is not None for cell in alike)
        if one.trains and 0 < trained < len(alike):
            lacking.append(f"{one.name}, {trained} of {len(alike)}")
    return [f"Not with all seeds so far: {'; '.join(lacking)}."] if lacking else []


def asked_line(results: Results, measure: str = "accuracy", *planned: int) -> str:
    """How accuracy was measured.

    Args:
        results: of the study.
        measure: which has the accuracy, with its molecules `n` and its `beam`.
        planned: molecules and beam, for where nothing is measured yet; without, those of the budget.
    """
    molecules, beam = planned or (results.budget.evaluate, results.budget.beam)
    found = [one for cell in results.cells if (one := results.of(cell, measure)) is not None]
    counts = sorted({one["n"] for one in found}) or [molecules]
    told = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    beam = found[0]["beam"] if found else beam
    return (
        f"Accuracy on the first {told} test molecules with beam {beam}, by the rule of the benchmark:"
        " canonical SMILES equal, invalid and repeated proposals keep their rank."
    )
