"""Print results as a table on a terminal and as plain lines elsewhere; write them as JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mmspec_ds.evaluation.equality import Compared, equality_of, table_of
from mmspec_ds.evaluation.metrics import SHOWN_K, EvaluationResult
from mmspec_ds.files import write_json

_HEADS = ("molecules", "candidates", *(f"Top-{k} %" for k in SHOWN_K), "valid %", "Tanimoto", "seconds")


def print_results(
    results: Mapping[str, EvaluationResult], *, title: str | None = None, console: Console | None = None
) -> None:
    """Print named results: as a table when the console is a terminal, else as plain lines, each with a name and
    its labelled figures. "candidates" is the rule of the ranks, see `Rule`."""
    rows = [[name, *_figures(result)] for name, result in results.items()]
    print_rows(["", *_HEADS], rows, title, console or Console())


def print_trainings(models: Sequence[Compared], console: Console | None = None) -> None:
    """Print what the training of each model used and, of two or more, what was equal."""
    console = console or Console()
    heads, rows = table_of(models)
    if len(heads) == 1:
        return  # nothing is recorded
    print_rows(heads, rows, "training", console)
    if len(models) > 1:
        console.print(equality_of(models).sentence, soft_wrap=True, markup=False, highlight=False)


def write_results(
    path: Path,
    results: Mapping[str, EvaluationResult],
    trainings: Mapping[str, Mapping[str, Any]] | None = None,
    models: Sequence[Compared] = (),
) -> None:
    """Write the figures of the first result as a JSON object and, if there are several, all of them by name
    under `rows`; the file appears whole or not at all.

    Args:
        path: of the file.
        results: by name.
        trainings: what the training of a model used, by the name of its result.
        models: two or more whose equality is described under `compared`.
    """
    flat = {name: result.to_json() for name, result in results.items()}
    for name, training in (trainings or {}).items():
        flat[name]["training"] = dict(training)
    body: dict[str, Any] = dict(next(iter(flat.values())))
    if len(flat) > 1:
        body["rows"] = flat
    if len(models) > 1:
        body["compared"] = equality_of(models).to_json()
    write_json(path, body)


def print_rows(
    heads: Sequence[str], rows: Sequence[Sequence[str]], title: str | None, console: Console
) -> None:
    """A table on a terminal; elsewhere lines of a name and its labelled figures."""
    if console.is_terminal:
        table = Table(heads[0], title=title)
        for head in heads[1:]:
            table.add_column(head, justify="right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    width = max((len(row[0]) for row in rows), default=0)
    lines = [title] if title else []
    for name, *figures in rows:
        labelled = "  ".join(f"{head} {figure}" for head, figure in zip(heads[1:], figures))
        lines.append(f"{name:<{width}}  {labelled}")
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _figures(result: EvaluationResult) -> tuple[str, ...]:
    ranks = (f"{result.top_k[k]:.2f}" for k in SHOWN_K)
    return (
        str(result.n),
        result.rule,
        *ranks,
        f"{result.validity:.2f}",
        f"{result.tanimoto:.3f}",
        f"{result.seconds:.1f}",
    )
