"""The block of a table: its values for the samples of a cohort, without what says nothing.

Axes in the names of arrays: N samples, R rows of the table, F features.
"""

from collections.abc import Sequence

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers.part import counted
from mmspec_ds.readers.sample_columns import shortened
from mmspec_ds.systems.fusion.cohort.cohort import Block, BoolArray, FloatMatrix, FloatVector
from mmspec_ds.systems.fusion.cohort.described import Described

LARGEST = 1e50
"""Magnitude of a value; a larger one is refused."""


def block_of(table: Described, rows: Sequence[Sequence[int] | None]) -> tuple[Block, list[str]]:
    """The values of a table for some samples, without features that say nothing; and what is told of them.

    Args:
        table: with its remarks told already.
        rows: of each sample, those of the table that measured it, which are averaged; None without any.

    Raises:
        DataError: no sample has a value, no feature varies, or a value is beyond `LARGEST`.
    """
    values_RF = table.table.values_NF
    _check_magnitudes(table)
    values_NF = np.full((len(rows), values_RF.shape[1]), np.nan)
    for place, some in enumerate(rows):
        if some:
            values_NF[place] = _mean(values_RF[some])
    present_N = np.isfinite(values_NF).any(axis=1)
    remarks = []
    empty = sum(some is not None for some in rows) - int(present_N.sum())
    if empty:
        remarks.append(f"{table.name}: {counted(empty, 'sample')} without any value, taken as not measured")
    if not present_N.any():
        raise DataError("measured no sample that has a class", path=table.table.path)
    kept_F, told = _telling(values_NF[present_N], table.table.features)
    remarks += [f"{table.name}: {one}" for one in told]
    if not kept_F.any():
        raise DataError("has no feature that varies", path=table.table.path)
    missing = int(np.isnan(values_NF[present_N][:, kept_F]).sum())
    if missing:
        share = 100 * missing / (present_N.sum() * kept_F.sum())
        remarks.append(f"{table.name}: {counted(missing, 'value')} missing, {share:.1f} %")
    axis = table.table.axis
    features = tuple(name for name, kept in zip(table.table.features, kept_F) if kept)
    position_F = None if axis.position_F is None else axis.position_F[kept_F]
    remarks.append(f"{table.name}: {counted(len(features), 'feature')}: {shortened(features, 3)}")
    block = Block(table.name, features, values_NF[:, kept_F], present_N, position_F, axis.unit)
    return block, remarks


def _check_magnitudes(table: Described) -> None:
    """Refuse values that no method measures, whose squares are too large for a number."""
    beyond = np.argwhere(np.abs(table.table.values_NF) > LARGEST)
    if len(beyond):
        row, column = beyond[0].tolist()
        raise DataError(
            f"{counted(len(beyond), 'value')} beyond {LARGEST:g}, first"
            f" {table.table.values_NF[row, column]:g} in {table.table.places[row]}: expected measured values",
            path=table.table.path,
            column=table.table.features[column],
        )


def _mean(values_RF: FloatMatrix) -> FloatVector:
    """The mean of the values that are there, NaN where none is."""
    known_F = np.isfinite(values_RF).sum(axis=0)
    total_F: FloatVector = np.nansum(values_RF, axis=0)
    return np.divide(total_F, known_F, out=np.full(len(total_F), np.nan), where=known_F > 0)


def _telling(values_NF: FloatMatrix, features: Sequence[str]) -> tuple[BoolArray, list[str]]:
    """Which features vary, and what is told of the others."""
    known_NF = np.isfinite(values_NF)
    low_F = np.where(known_NF, values_NF, np.inf).min(axis=0)
    high_F = np.where(known_NF, values_NF, -np.inf).max(axis=0)
    empty = [name for name, low in zip(features, low_F) if np.isinf(low)]
    constant = [name for name, low, high in zip(features, low_F, high_F) if low == high]
    remarks = [
        f"{counted(len(names), 'feature')} {what} left out: {shortened(names)}"
        for names, what in ((empty, "without any value"), (constant, "with one value throughout"))
        if names
    ]
    return np.asarray(high_F > low_F, dtype=np.bool_), remarks
