"""Lines and tables for a reader: of rich on a terminal, aligned text elsewhere."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table


def say(console: Console, line: str) -> None:
    """A line as it is, however long."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)


def show(
    console: Console, heads: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[str] = ("", "row")
) -> None:
    """A table, numbers to the right; on a terminal the columns of these heads to the left."""
    if console.is_terminal:
        table = Table()
        for head in heads:
            table.add_column(head, justify="left" if head in left else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    for line in aligned(heads, rows):
        say(console, line)


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]], *, first_left: bool = False) -> list[str]:
    """The lines of a table, columns to the right, the first one to the left if so asked."""
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows)]
    lines = []
    for row in (heads, *rows):
        cells = [cell.rjust(width) for cell, width in zip(row, widths)]
        if first_left:
            cells[0] = row[0].ljust(widths[0])
        lines.append("  ".join(cells).rstrip())
    return lines
