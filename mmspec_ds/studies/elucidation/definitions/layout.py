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
    """What was equal between trained variants and what was not, from the records of their trainings."""
    entries = {one.name: compared(results, one.cell()) for one in variants if one.trains}
    equal, unequal = [], []
    for column in COMPARED:
        values = [one[column.key] for one in entries.values()]
        means = [value.mean for value in values if isinstance(value, Value)]
        if len(means) < 2:
            continue
        low, high = (f"{one:,.{column.digits}f}" for one in (min(means), max(means)))
        if max(means) - min(means) <= 0.01 * abs(max(means)):
            equal.append(f"{column.head} ({high})")
        else:
            if low == high:  # of small models
                low, high = (f"{one:.3g}" for one in (min(means), max(means)))
            unequal.append(f"{column.head} ({low} to {high})")
    lines = []
    if equal:
        lines.append(f"Equal within 1 %: {'; '.join(equal)}.")
    if unequal:
        lines.append(f"Not equal: {'; '.join(unequal)}.")
    return lines


def asked_line(results: Results, molecules: int | None = None, beam: int | None = None) -> str:
    """How accuracy was measured, where a measure does not take the budget's molecules and beam with so many."""
    budget = results.budget
    molecules, beam = molecules or budget.evaluate, beam or budget.beam
    return (
        f"Accuracy on the first {molecules:,} test molecules with beam {beam}, by the rule of the benchmark:"
        " canonical SMILES equal, invalid and repeated proposals keep their rank."
    )
