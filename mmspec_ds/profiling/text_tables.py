"""Print lines and tables: with rich on a terminal, as aligned text elsewhere."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table


def say(console: Console, line: str) -> None:
    """Print a line without wrapping it."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)


def show(
    console: Console, heads: Sequence[str], rows: Sequence[Sequence[str]], *, first_left: bool = False
) -> None:
    """Print a table with numbers to the right; on a terminal, the columns "" and "row" are aligned left, and
    elsewhere the first one with `first_left`."""
    if console.is_terminal:
        table = Table()
        for head in heads:
            table.add_column(head, justify="left" if head in ("", "row") else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows)]
    for row in (heads, *rows):
        cells = [cell.rjust(width) for cell, width in zip(row, widths)]
        if first_left:
            cells[0] = row[0].ljust(widths[0])
        say(console, "  ".join(cells).rstrip())
