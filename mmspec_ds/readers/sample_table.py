"""Tables of samples: the values that were measured of each sample, and what else a table says of it.

Read are text tables with tabs, semicolons or commas between cells, with samples as rows or as columns; xlsx
workbooks; mzTab-M; files of Metabolomics Workbench; assignment files of MetaboLights; folders of raw MALDI-TOF
spectra. Which of them a file is, and all that was assumed or left out, is told in remarks with counts.

Axes in the names of arrays: N samples (rows), F features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmspec_ds.errors import DataError
from mmspec_ds.readers.column_names import describes_samples
from mmspec_ds.readers.feature_positions import Axis, positions_of
from mmspec_ds.readers.flex_table import is_flex_folder, read_flex_table
from mmspec_ds.readers.mztab import Section, looks_like_mztab, read_mztab
from mmspec_ds.readers.number_cells import Column, MarksFault, decimal_mark, is_missing, numbers_of
from mmspec_ds.readers.part import counted, one_line
from mmspec_ds.readers.sample_columns import (
    Columns,
    Layout,
    columns_of,
    missing_column,
    shortened,
    with_remarks,
)
from mmspec_ds.readers.source import read_text_lines
from mmspec_ds.readers.text_grid import Cells, grid_of
from mmspec_ds.readers.workbench import looks_like_workbench, read_workbench
from mmspec_ds.readers.workbook import is_workbook, read_sheets, sheet_named

DATA_SHEETS, FEATURE_SHEETS = ("Data",), ("Peak", "Peaks", "Features", "Variables")
_TRIED = 20


@dataclass(frozen=True)
class SampleTable:
    """What was measured of samples.

    Attributes:
        path: the file.
        names: [N] of the samples; one may occur several times. Empty where no column names them.
        features: [F], names; where a workbook names its columns elsewhere, those names.
        values_NF: NaN where nothing was found.
        axis: positions of the features.
        columns: all columns as text, by name.
        places: [N], where each row is in the file.
        remarks: what was understood, assumed and left out.
    """

    path: Path
    names: Cells
    features: tuple[str, ...]
    values_NF: npt.NDArray[np.float64]
    axis: Axis
    columns: Mapping[str, Cells]
    places: tuple[str, ...]
    remarks: tuple[str, ...]


def read_columns(path: Path, layout: Layout, section: Section = "auto") -> Columns:
    """A table with a row for each sample, all cells as text.

    Args:
        path: of the file.
        layout: what is known of it.
        section: of mzTab-M.

    Raises:
        DataError: it cannot be read, is damaged, too large, or no table. UserError: an xlsx file without
            openpyxl.
    """
    if is_flex_folder(path):
        return read_flex_table(path, layout.bin_ppm)
    if is_workbook(path):
        return _of_workbook(path, layout)
    lines = read_text_lines(path)
    if looks_like_mztab("\n".join(lines[:20])):
        return read_mztab(path, lines, section)
    if looks_like_workbench(lines):
        return read_workbench(path, lines)
    return columns_of(grid_of(path, lines), layout)


def read_sample_table(path: Path, layout: Layout, section: Section = "auto") -> SampleTable:
    """The measured values of a table, see `read_columns` and `measured`."""
    return measured(read_columns(path, layout, section), layout)


def _of_workbook(path: Path, layout: Layout) -> Columns:
    """The table of a sheet; where another sheet lists the features, they are the columns that are measured."""
    sheets = read_sheets(path)
    name = layout.sheet or sheet_named(path, sheets, DATA_SHEETS) or next(iter(sheets))
    if name not in sheets:
        raise DataError(f"has no sheet {name!r}: it has {shortened(list(sheets))}", path=path)
    columns = columns_of(sheets[name], layout)
    listing = sheet_named(path, sheets, FEATURE_SHEETS)
    if listing is None or listing == name:
        return columns
    peaks = sheets[listing]
    lower = [one.lower() for one in peaks.names]
    if "name" not in lower:
        return columns
    known = [row[lower.index("name")] for row in peaks.rows]
    features = tuple(one for one in known if one in columns.columns)
    if not features:
        return with_remarks(columns, f"no column is named as the sheet {listing!r} names features: not used")
    label = lower.index("label") if "label" in lower else lower.index("name")
    labels = {row[lower.index("name")]: row[label] for row in peaks.rows if row[label]}
    told = f"the sheet {listing!r} lists {counted(len(features), 'feature')}: other columns describe samples"
    if len(features) < len(known):
        told += f"; {counted(len(known) - len(features), 'feature')} of it without a column"
    return replace(with_remarks(columns, told), features=features, labels=labels)


def measured(table: Columns, layout: Layout) -> SampleTable:
    """The measured values of a table by its columns.

    Measured are the columns that the file lists as such. Where it lists none: those of numbers that neither the
    settings nor their names tell to describe samples; in a table of NMR buckets those with a chemical shift as
    name. What is left out is counted in remarks.

    Raises:
        DataError: a column that describes samples is not there, no column is measured, or decimal marks cannot
        be told.
    """
    for name in layout.describing:
        if name not in table.columns:
            raise DataError(missing_column(name, list(table.columns)), path=table.path)
    candidates = [
        name
        for name in (table.columns if table.features is None else table.features)
        if name not in (table.sample, *layout.describing) and not layout.leaves_out(name)
    ]
    found = _numbers(table, candidates, layout)
    numeric = [name for name in candidates if found[name].is_numeric]
    told = _told_of_words(table, candidates, found)
    chosen, more = _chosen(table, numeric, found, layout)
    if not chosen:
        raise DataError("has no column of measured numbers", path=table.path)
    values_NF = np.array([found[name].values for name in chosen], dtype=np.float64).T
    told += [*more, *_told_of_cells(table, chosen, found)]
    zeros = int((values_NF == 0).sum())
    if zeros and layout.zeros_missing:
        values_NF = np.where(values_NF == 0, np.nan, values_NF)
        told.append(f"{counted(zeros, 'value')} of 0 read as missing")
    elif zeros > 0.05 * values_NF.size:
        told.append(
            f"{100 * zeros / values_NF.size:.0f} % of the values are 0, read as measured: `zeros: missing` if 0"
            " means that nothing was found"
        )
    kept = dict.fromkeys(chosen)
    axis = table.axis or positions_of(list(chosen), layout.positions)
    if table.axis is not None and axis.position_F is not None:
        every = table.features or tuple(name for name in table.columns if name != table.sample)
        axis = replace(axis, position_F=axis.position_F[[at for at, name in enumerate(every) if name in kept]])
    names = _labelled(chosen, table.labels)
    told.append(axis.remark or "features have no positions")
    return SampleTable(
        table.path, table.names, names, values_NF, axis, table.columns, table.places, (*table.remarks, *told)
    )


def _labelled(names: Sequence[str], labels: Mapping[str, str]) -> tuple[str, ...]:
    """The names of features, as another sheet has them; those that it has twice keep their own beside."""
    wanted = [labels.get(name, name) for name in names]
    return tuple(
        label if wanted.count(label) == 1 else f"{label} ({name})" for name, label in zip(names, wanted)
    )


def _numbers(table: Columns, names: Sequence[str], layout: Layout) -> dict[str, Column]:
    columns = [table.columns[name] for name in names]
    try:
        mark = decimal_mark([cells for cells in columns if _may_be_numbers(cells)], layout.decimal)
    except MarksFault as fault:
        raise DataError(str(fault), path=table.path) from None
    return {name: numbers_of(cells, mark) for name, cells in zip(names, columns)}


def _may_be_numbers(cells: Cells) -> bool:
    """Whether most of the first cells that hold anything are numbers of one kind or the other."""
    some = list(islice((cell for cell in cells if not is_missing(cell)), _TRIED))
    count = max((numbers_of(some, mark).numbers for mark in ".,"), default=0)
    return 2 * count > len(some)


def _chosen(
    table: Columns, numeric: Sequence[str], found: Mapping[str, Column], layout: Layout
) -> tuple[list[str], list[str]]:
    """Return the names of the columns of numbers that are measured values, and remarks on those that are left
    out."""
    if table.features is not None:
        return list(numeric), []
    told = []
    describing = [name for name in numeric if describes_samples(name) or _counts_rows(found[name])]
    chosen = [name for name in numeric if name not in describing]
    axis = positions_of(chosen, layout.positions)
    if axis.unit == "ppm" and axis.position_F is not None:
        strangers = [name for name, place in zip(chosen, axis.position_F) if np.isnan(place)]
        describing += strangers
        chosen = [name for name, place in zip(chosen, axis.position_F) if not np.isnan(place)]
    if describing:
        told.append(
            f"{counted(len(describing), 'column')} of numbers that seem to describe samples not used:"
            f" {shortened(describing)}"
        )
    return chosen, told


def _counts_rows(column: Column) -> bool:
    """Whether the numbers only count: consecutive whole numbers in any order, such as a run order."""
    values = np.array(column.values)
    if len(values) < 5 or not np.isfinite(values).all() or not np.array_equal(values, np.round(values)):
        return False
    return bool((np.diff(np.sort(values)) == 1).all())


def _told_of_words(table: Columns, names: Sequence[str], found: Mapping[str, Column]) -> list[str]:
    """Return remarks that count and name the columns that hold no number, or words."""
    empty = [name for name in names if not found[name].numbers and not found[name].words]
    words = [name for name in names if not found[name].is_numeric and name not in empty]
    told = []
    if empty:
        told.append(f"{counted(len(empty), 'column')} without any number left out: {shortened(empty)}")
    if words:
        told.append(f"{counted(len(words), 'column')} of words not used: {shortened(words)}")
    return told


def _told_of_cells(table: Columns, names: Sequence[str], found: Mapping[str, Column]) -> list[str]:
    """Return remarks on the single cells without a number in columns of numbers."""
    told = []
    for kind, what in (("limits", "with a limit"), ("words", "with words")):
        places = [(name, at) for name in names for at in getattr(found[name], kind)]
        if places:
            name, at = places[0]
            cell = one_line(table.columns[name][at], 30)
            where = f"{table.places[at]}, column {one_line(name, 60)}"
            count = f"{counted(len(places), 'cell')} {what} in place of a number"
            told.append(f"{count} read as missing, such as {cell!r} in {where}")
    return told
