"""A table of samples by its columns: a row for each sample, whichever way round the file has it.

Which way round a file is, and how that was told, is a remark.
"""

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers.column_names import ABOUT_FEATURES, FEATURE_NAMES, IDENTIFIERS, MASSES, SAMPLE, SHIFTS
from mmspec_ds.readers.feature_positions import Axis, PositionKind, numbers_as_positions, positions_of
from mmspec_ds.readers.number_cells import Decimal, numbers_of
from mmspec_ds.readers.part import counted, one_line
from mmspec_ds.readers.text_grid import Cells, Grid

_LEAST_BUCKETS = 5

Orientation = Literal["auto", "rows", "columns"]


@dataclass(frozen=True)
class Layout:
    """What the settings say of how a table of samples is laid out, before it is read.

    Attributes:
        sheet: of a workbook; the first one, or that named Data, without.
        samples: whether they are "rows" or "columns".
        sample: name of the column (or row) with the names of samples; found by its name or place without.
        named: whether the table names samples at all.
        describing: columns that describe samples and are not measured: class, patient, batch, covariates.
        leave_out: further columns that are not used, names or shell patterns ("QC_*").
        decimal: the decimal mark.
        positions: what the names of features are.
        zeros_missing: whether 0 means that nothing was found.
        known: names of samples that another table has: these tell which way round this one is.
        bin_ppm: width of the bins of m/z that peaks of raw spectra are put into.
    """

    sheet: str = ""
    samples: Orientation = "auto"
    sample: str = ""
    named: bool = True
    describing: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    decimal: Decimal = "auto"
    positions: PositionKind = "auto"
    zeros_missing: bool = False
    known: frozenset[str] = frozenset()
    bin_ppm: float = 2000.0

    def leaves_out(self, name: str) -> bool:
        """Whether a column is one of `leave_out`."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.leave_out)


@dataclass(frozen=True)
class Columns:
    """A table with a row for each sample.

    Attributes:
        path: the file.
        columns: by name, the cells of all rows as text.
        sample: the column with the names of samples; "" if no column names them.
        features: the columns that are measured, where the file says so; None where that is to be told.
        labels: what the file calls a feature, by the name of its column, where these differ.
        axis: positions of `features`; None where names may tell them.
        places: where each row is in the file: "line 3".
        remarks: what was assumed or left out.
    """

    path: Path
    columns: Mapping[str, Cells]
    sample: str
    places: tuple[str, ...]
    features: tuple[str, ...] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    axis: Axis | None = None
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.places)

    @property
    def names(self) -> Cells:
        """The names of the samples; empty where no column has them."""
        return self.columns[self.sample] if self.sample else ()


def columns_of(grid: Grid, layout: Layout) -> Columns:
    """A plain table by its columns, turned where the samples are its columns.

    Raises:
        DataError: the column of the samples is not there, or cannot be told.
    """
    turned, why = _turned(grid, layout)
    if turned:
        return _of_columns(grid, layout, why)
    names = grid.names
    if not names[0] and SAMPLE not in names:  # as pandas and R write the names of rows
        names = (SAMPLE, *names[1:])
    columns, remarks = unique_columns(names, list(zip(*grid.rows)))
    places = tuple(f"line {line}" for line in grid.lines)
    sample = find_sample(grid.path, columns, layout)
    about = f"samples are rows{f' ({why})' if why else ''}, {grid.between}"
    about += f", their names in column {sample!r}" if sample else ""
    return Columns(grid.path, columns, sample, places, remarks=(about, *grid.remarks, *remarks))


def _turned(grid: Grid, layout: Layout) -> tuple[bool, str]:
    """Whether the columns of a table are its samples, and how that is known."""
    if layout.samples != "auto":
        return layout.samples == "columns", "as the settings say"
    above, aside = grid.names, tuple(row[0] for row in grid.rows)
    wanted = [name for name in (*layout.describing, layout.sample) if name]
    tests: tuple[tuple[Callable[[Cells], float], str], ...] = (
        (lambda names: sum(name in names for name in wanted), "the columns that the settings name are there"),
        (lambda names: -sum(name.lower() in FEATURE_NAMES for name in names), "a column names metabolites"),
        (lambda names: -len(layout.known & set(names)), "another table knows their names"),
        (_are_positions, "names of features are positions"),
    )
    for test, why in tests:
        found, other = test(above), test(aside)
        if found != other:
            return found < other, why
    return False, ""


def _are_positions(names: Cells) -> float:
    """Whether most names are positions: 1 or 0. Plain numbers must be in order, as buckets are: else they
    may as well be what was measured."""
    axis = positions_of(names)
    if axis.position_F is None:
        return 0.0
    if axis.unit == "m/z" and not axis.remark.startswith("names of features are positions"):
        return 1.0
    known = axis.position_F[np.isfinite(axis.position_F)]
    steps = np.diff(known)
    return float(len(known) >= _LEAST_BUCKETS and bool((steps > 0).all() or (steps < 0).all()))


def _of_columns(grid: Grid, layout: Layout, why: str) -> Columns:
    """Return a table whose samples are columns as one whose samples are rows."""
    lower = [name.lower() for name in grid.names]
    naming = next((lower.index(name) for name in FEATURE_NAMES if name in lower), 0)
    others = [
        place
        for place, name in enumerate(lower)
        if place != naming and (name in ABOUT_FEATURES or layout.leaves_out(grid.names[place]) or not name)
    ]
    chosen = [place for place in range(len(lower)) if place != naming and place not in others]
    strangers = [place for place in chosen if layout.known and grid.names[place] not in layout.known]
    if len(strangers) == len(chosen):
        strangers = []
    # A column that describes features, such as their formulas, has words; a sample has values.
    words = [place for place in strangers if not _has_numbers([row[place] for row in grid.rows])]
    chosen = [place for place in chosen if place not in words]
    if not chosen:
        raise DataError("has no column of a sample: expected samples as columns", path=grid.path)
    names = [row[naming] or f"row {line}" for row, line in zip(grid.rows, grid.lines)]
    cells = [tuple(row[place] for place in chosen) for row in grid.rows]
    columns, remarks = unique_columns(names, cells, "row")
    sample = layout.sample if layout.sample and layout.sample not in columns else SAMPLE
    samples = tuple(grid.names[place] for place in chosen)
    columns = {sample: samples} | {name: some for name, some in columns.items() if name != sample}
    about = f"samples are columns{f' ({why})' if why else ''}, {grid.between}"
    told = [about, *grid.remarks, *remarks]
    if others:
        told.append(f"{counted(len(others), 'column')} beside the samples left out: {listed(grid, others)}")
    if words:
        told.append(
            f"{counted(len(words), 'column')} without numbers that no other table knows left out:"
            f" {listed(grid, words)}"
        )
    new = [place for place in strangers if place not in words]
    if new:
        told.append(
            f"{counted(len(new), 'column')} that no other table knows taken for samples: {listed(grid, new)}"
        )
    axis = _listed_axis(grid, lower, len(columns) - 1, len(grid.rows))
    places = tuple(f"column {name}" for name in samples)
    return Columns(grid.path, columns, sample, places, axis=axis, remarks=tuple(told))


def _has_numbers(cells: Sequence[str]) -> bool:
    """Whether more cells hold numbers than words, whatever their decimal mark is."""
    return any(numbers_of(cells, mark).is_numeric for mark in ".,")


def _listed_axis(grid: Grid, lower: Sequence[str], features: int, rows: int) -> Axis | None:
    """Positions of a column beside the samples; None if there is none, or a row was left out."""
    for names, unit in ((MASSES, "m/z"), (SHIFTS, "ppm")):
        for name in names:
            if name in lower and features == rows:
                found = numbers_as_positions([row[lower.index(name)] for row in grid.rows], unit)
                if found.unit:
                    return found
    return None


def listed(grid: Grid, places: Sequence[int], most: int = 5) -> str:
    """Return the first few names of some columns, as they stand in a message."""
    return shortened([grid.names[place] or "(no name)" for place in places], most)


def shortened(names: Sequence[str], most: int = 5) -> str:
    """The first names of a list for one line, with a note of how many more there are."""
    shown = ", ".join(one_line(name, 60) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def unique_columns(
    names: Sequence[str], cells: Sequence[Cells], what: str = "column"
) -> tuple[dict[str, Cells], list[str]]:
    """Columns by name. Of those repeated with the same cells one is kept; others of one name are numbered, and
    those without name and cells are left out. The remarks count them."""
    columns: dict[str, Cells] = {}
    same, other, empty = [], [], 0
    for name, some in zip(names, cells):
        if not name and not any(some):
            empty += 1
            continue
        if name not in columns:
            columns[name] = some
        elif columns[name] == some:
            same.append(name)
        else:
            other.append(name)
            count = 2
            while f"{name} ({count})" in columns:
                count += 1
            columns[f"{name} ({count})"] = some
    remarks = []
    if empty:
        remarks.append(f"{counted(empty, what)} without name and values left out")
    if same:
        remarks.append(
            f"{counted(len(same), what)} repeated with the same values, used once: {shortened(same)}"
        )
    if other:
        remarks.append(
            f"{counted(len(other), what)} of a name that occurs before with other values, numbered:"
            f" {shortened(other)}"
        )
    return columns, remarks


def find_sample(path: Path, columns: Mapping[str, Cells], layout: Layout) -> str:
    """The column with the names of the samples: the one asked for, else the first one if it may be that; "" if
    none is.

    Raises:
        DataError: the column asked for is not there.
    """
    names = list(columns)
    if not layout.named:
        return ""
    if layout.sample:
        if layout.sample not in columns:
            raise DataError(missing_column(layout.sample, names), path=path)
        return layout.sample
    by_lower = {name.lower(): name for name in reversed(names)}
    found = next((by_lower[name] for name in IDENTIFIERS if name in by_lower), "")
    if found:
        return found
    first = names[0]
    is_other = first in layout.describing or positions_of([first]).unit or len(set(columns[first])) < 2
    return "" if is_other or _is_measured(columns[first]) else first


def _is_measured(cells: Cells) -> bool:
    """Whether a column looks like measured values, and not like names: numbers with decimals."""
    return sum("." in cell or "," in cell for cell in cells) > len(cells) / 2


def missing_column(wanted: str, names: Sequence[str]) -> str:
    """Return the message of an error where a table has no column `wanted`: the nearest name that it has, or the
    first of them."""
    import difflib

    near = difflib.get_close_matches(wanted, names, 1)
    known = f"did you mean {near[0]!r}?" if near else f"it has {shortened(names, 8)}"
    return f"has no column {one_line(wanted, 60)!r}: {known}"


def with_remarks(columns: Columns, *remarks: str) -> Columns:
    """Return the columns with further remarks after their own."""
    return replace(columns, remarks=(*columns.remarks, *remarks))
