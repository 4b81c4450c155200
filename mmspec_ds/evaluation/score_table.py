"""Print results as a table on a terminal and as plain lines elsewhere; write them as JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mmspec_ds.evaluation.metrics import SHOWN_K, EvaluationResult
from mmspec_ds.files import write_json

_HEADS = ("molecules", "candidates", *(f"Top-{k} %" for k in SHOWN_K), "valid %", "Tanimoto", "seconds")


def print_results(
    results: Mapping[str, EvaluationResult], *, title: str | None = None, console: Console | None = None
) -> None:
    """Print named results: as a table when the console is a terminal, else as plain lines, each with a name and
    its labelled figures. "candidates" is the rule of the ranks, see `Rule`."""
    console = console or Console()
    table, lines = Table("", title=title), [title] if title else []
    for head in _HEADS:
        table.add_column(head, justify="right")
    width = max((len(name) for name in results), default=0)
    for name, result in results.items():
        figures = _figures(result)
        table.add_row(name, *figures)
        labelled = "  ".join(f"{head} {figure}" for head, figure in zip(_HEADS, figures))
        lines.append(f"{name:<{width}}  {labelled}")
    if console.is_terminal:
        console.print(table)
        return
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def write_results(path: Path, results: Mapping[str, EvaluationResult]) -> None:
    """Write the figures of the first result as a JSON object and, if there are several, all of them by name
    under `rows`; the file appears whole or not at all."""
    flat = {name: result.to_json() for name, result in results.items()}
    body: dict[str, Any] = dict(next(iter(flat.values())))
    if len(flat) > 1:
        body["rows"] = flat
    write_json(path, body)


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
