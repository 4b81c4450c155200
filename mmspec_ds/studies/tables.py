"""Tables as text: figures with their spread, the best in bold, the paper's values beside ours."""

from collections.abc import Sequence
from dataclasses import dataclass

from mmspec_ds.studies.plan import Column, Entry, Row, Table, Value

NOT_RUN = "not run"
PAPER = "paper"


@dataclass(frozen=True)
class TextCell:
    """A cell of a table as text; `kind` is "ours", "best", "missing" or "paper"."""

    text: str
    kind: str = "ours"


@dataclass(frozen=True)
class Line:
    """A row of a table as text; a line without cells is the head of a group."""

    name: str
    cells: tuple[TextCell, ...] = ()


@dataclass(frozen=True)
class TextTable:
    """A table whose figures are written out; `heads` has the row names' head first."""

    heads: tuple[str, ...]
    lines: tuple[Line, ...]


def written_out(table: Table) -> TextTable:
    """A table as text. A column of the paper's values stands behind each of ours for which there are some."""
    beside = {
        column.key: column.paper and any(row.paper.get(column.key) is not None for row in table.rows)
        for column in table.columns
    }
    heads = [table.names]
    for column in table.columns:
        heads += [column.head, PAPER] if beside[column.key] else [column.head]
    lines: list[Line] = []
    for group, rows in table.groups():
        if group:
            lines.append(Line(group))
        best = {column.key: _best(column, rows) for column in table.columns}
        lines += [_line(row, table.columns, best, beside) for row in rows]
    return TextTable(tuple(heads), tuple(lines))


def in_markdown(table: Table) -> str:
    """A table in Markdown: heads of groups are rows of their own."""
    text = written_out(table)
    lines = ["| " + " | ".join(_escaped(head) or " " for head in text.heads) + " |"]
    lines.append("|---|" + "---:|" * (len(text.heads) - 1))
    for line in text.lines:
        cells = [
            f"**{_escaped(cell.text)}**" if cell.kind == "best" else _escaped(cell.text) for cell in line.cells
        ]
        cells = cells or [""] * (len(text.heads) - 1)
        name = _escaped(line.name) if line.cells else f"*{_escaped(line.name)}*"
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def formatted(entry: Entry, digits: int) -> str:
    """A figure as text: mean ± standard deviation where there are several seeds; "" for None."""
    if entry is None:
        return ""
    if isinstance(entry, Value):
        spread = "" if entry.sd is None else f" ± {entry.sd:,.{digits}f}"
        return f"{entry.mean:,.{digits}f}{spread}"
    if isinstance(entry, float):
        return f"{entry:,.{digits}f}"
    return f"{entry:,}" if isinstance(entry, int) else entry


def _line(row: Row, columns: Sequence[Column], best: dict[str, float | None], beside: dict[str, bool]) -> Line:
    cells: list[TextCell] = []
    for column in columns:
        entry = row.entries.get(column.key)
        figure = _figure(entry)
        if column.key in row.entries and entry is None:
            cells.append(TextCell(NOT_RUN, "missing"))
        else:
            is_best = figure is not None and figure == best[column.key]
            cells.append(TextCell(formatted(entry, column.digits), "best" if is_best else "ours"))
        if beside[column.key]:
            cells.append(TextCell(formatted(row.paper.get(column.key), column.digits), "paper"))
    return Line(row.name, tuple(cells))


def _best(column: Column, rows: Sequence[Row]) -> float | None:
    """The best of our means; None where there is nothing to compare."""
    figures = [figure for row in rows if (figure := _figure(row.entries.get(column.key))) is not None]
    if column.better is None or len(figures) < 2:
        return None
    return max(figures) if column.better == "higher" else min(figures)


def _figure(entry: Entry) -> float | None:
    if isinstance(entry, Value):
        return entry.mean
    return float(entry) if isinstance(entry, int | float) else None


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
