"""Rows in which the comma is the decimal mark and the separator at once ("7,28,m,2,03"): cells put together."""

import re
from collections.abc import Sequence
from itertools import combinations

Cells = tuple[str, ...]

_MOST_COLUMNS = 10
_TRIED_ROWS = 20  # of which each choice of columns is tried; those that remain are tried on all
_DECIMAL = re.compile(r"[+-]?(?:\d+[.,]\d*|[.,]\d+)(?:[eE][+-]?\d{1,3})?")
_INTEGER, _DIGITS = re.compile(r"[+-]?\d+"), re.compile(r"\d+")


def columns_with_decimals(
    rows: Sequence[Cells], header: Sequence[bool] | None, least: int
) -> tuple[int, tuple[int, ...] | None]:
    """Number of columns of a table, and those of them that have decimals after a comma.

    Args:
        rows: cells as parted by every comma.
        header: whether each column that the header names holds whole numbers; None without one.
        least: columns that the table must have: 1 for a list of shifts.

    Returns:
        0 columns where the comma only parts cells, and None for the decimals where that cannot be told.
    """
    if any(_DECIMAL.fullmatch(cell) for row in rows for cell in row):
        return 0, ()
    if header is None:
        return _without_header(rows, least)
    if all(not any(row[len(header) :]) for row in rows):
        return 0, ()
    return len(header), _under_header(rows, header, least)


def joined(cells: Sequence[str], columns: int, decimals: Sequence[int]) -> Cells | None:
    """The cells of a row as that many columns, or None if they do not fit. A column with decimals takes two
    cells of digits, or one that is not a number."""
    found: list[str] = []
    place = 0
    for column in range(columns):
        if place >= len(cells):
            break
        cell = cells[place]
        if column in decimals and _INTEGER.fullmatch(cell):
            if place + 1 >= len(cells) or not _DIGITS.fullmatch(cells[place + 1]):
                return None
            cell, place = f"{cell},{cells[place + 1]}", place + 1
        found.append(cell)
        place += 1
    if any(cells[place:]):
        return None
    return (*found, *[""] * (columns - len(found)))


def _under_header(rows: Sequence[Cells], whole: Sequence[bool], least: int) -> tuple[int, ...] | None:
    """The columns with a decimal comma under which every row has as many columns as the header, None if there
    are several choices. Columns of whole numbers have none if there is another choice; in a table that may have
    one column, a list of shifts, the first of the others has decimals."""
    columns = len(whole)
    if columns > _MOST_COLUMNS:
        return None
    choices = [one for size in range(1, columns + 1) for one in combinations(range(columns), size)]
    for tried in (rows[:_TRIED_ROWS], rows):
        choices = [one for one in choices if all(joined(row, columns, one) is not None for row in tried)]
    choices = [chosen for chosen in choices if _all_used(rows, columns, chosen)]
    choices = [chosen for chosen in choices if not any(whole[place] for place in chosen)] or choices
    if len(choices) > 1 and least == 1 and not all(whole):
        choices = [chosen for chosen in choices if whole.index(False) in chosen]
    return choices[0] if len(choices) == 1 else None


def _all_used(rows: Sequence[Cells], columns: int, decimals: tuple[int, ...]) -> bool:
    """Whether every one of the columns has a number with decimals in some row."""
    together = [joined(row, columns, decimals) or () for row in rows]
    return all(any("," in row[place] for row in together if row) for place in decimals)


def _without_header(rows: Sequence[Cells], least: int) -> tuple[int, tuple[int, ...] | None]:
    """Whole numbers throughout, twice as many as columns, are numbers with decimal commas where the second of
    each pair has as many digits in every row, or at most two."""
    whole = [[bool(_INTEGER.fullmatch(cell)) for cell in row if cell] for row in rows]
    if any(len(row) > 2 and row[0] and row[1] and not all(row) for row in whole):
        return 1, None  # "7,28,m,2H": 7.28, or 7 and 28?
    if len(rows) < 2 or not all(all(row) for row in whole):
        return 0, ()
    widths = {len(row) for row in rows}
    count = max(widths)
    if len(widths) > 1 or (count % 2 and count > least):
        return (1, None) if count > least else (0, ())
    if count == 1 or count // 2 < least:
        return 0, ()
    digits = [{len(row[place]) for row in rows} for place in range(1, count, 2)]
    if all(len(one) == 1 and max(one) <= 5 for one in digits) or all(max(one) <= 2 for one in digits):
        return count // 2, tuple(range(count // 2))
    return (1, None) if all(max(one) <= 4 for one in digits) else (0, ())
