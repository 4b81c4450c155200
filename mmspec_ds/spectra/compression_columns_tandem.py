"""The MS/MS operator on whole Arrow columns; the contract is that of `compression_columns`.

Axes: N rows, C columns (one for each polarity and energy), I peaks of one column end to end, T tokens.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from mmspec_ds.spectra import compression
from mmspec_ds.spectra.benchmark_schema import MSColumn
from mmspec_ds.spectra.compression_columns import BoolArray, ColumnTokens, IntArray, Items, places
from mmspec_ds.spectra.compression_settings import CompressionSettings
from mmspec_ds.spectra.parquet_columns import ListColumn, float_values
from mmspec_ds.spectra.records import FloatArray


def ms_columns(
    batch: pa.RecordBatch, columns: Sequence[MSColumn], settings: CompressionSettings
) -> ColumnTokens:
    """The peaks of every spectrum of each row, in the order of the columns, as `compression.compress_ms` and
    the registry choose them: the strongest of each, their number shared evenly among a row's spectra."""
    lists = [ListColumn(batch.column(column.name)) for column in columns]
    present_NC = np.stack([~one.null for one in lists], axis=1)
    spectra_N = present_NC.sum(axis=1)
    share_N = np.maximum(1, settings.ms.max_tokens // np.maximum(1, spectra_N))
    limit_N = np.minimum(settings.ms.max_peaks, share_N)
    within_NC = np.cumsum(present_NC, axis=1) <= settings.ms.max_tokens
    parts = [_peaks(one, np.where(within_NC[:, at], limit_N, 0)) for at, one in enumerate(lists)]

    doubtful_N = np.logical_or.reduce([doubtful for *_, doubtful in parts])
    counts_NC = np.stack([counts for _, _, counts, _ in parts], axis=1)
    starts_NC = (np.cumsum(counts_NC) - counts_NC.ravel()).reshape(counts_NC.shape)
    total = int(counts_NC.sum())
    discrete = np.empty((total, 2), dtype=np.int16)
    continuous = np.empty((total, 2), dtype=np.float32)
    for at, (column, (mz, relative, counts_N, _)) in enumerate(zip(columns, parts)):
        place_T = np.repeat(starts_NC[:, at], counts_N) + places(counts_N)
        discrete[place_T] = (compression.energy_bin(float(column.energy_ev)), column.polarity == "negative")
        continuous[place_T, 0], continuous[place_T, 1] = mz, relative
    return ColumnTokens(discrete, continuous, counts_NC.sum(axis=1), doubtful_N)


def _peaks(lists: ListColumn, limit_N: IntArray) -> tuple[FloatArray, FloatArray, IntArray, BoolArray]:
    """Of one column m/z and relative intensity of the peaks that are kept, their counts, the doubtful rows."""
    items, pairs = Items(lists), ListColumn(lists.values)
    whole_I = np.diff(pairs.offsets)[items.at_I] == 2
    items.doubt(~whole_I)
    # A row with an odd peak is doubtful, whatever stands in the two places that are read of it.
    values, at_I = float_values(pairs.values), pairs.offsets[items.at_I]
    at_I = np.where(whole_I, at_I, 0)
    mz = values[at_I].astype(np.float64)
    intensity = values[at_I + 1].astype(np.float64) if len(values) > 1 else np.full(len(at_I), np.nan)
    items.doubt(~((mz > 0) & (mz < np.inf) & (intensity >= 0) & (intensity < np.inf)))
    base_N = _largest(intensity, items)
    items.doubtful_N |= items.present_N & ~(base_N > 0)

    relative = intensity / np.where(base_N > 0, base_N, 1.0)[items.row_I]
    kept = _strongest(mz, relative, items, limit_N)
    kept = kept[_by_mz(mz[kept], relative[kept], items.row_I[kept])]
    counts_N = np.where(items.doubtful_N, 0, np.minimum(items.counts_N, limit_N))
    return mz[kept], relative[kept], counts_N, items.doubtful_N


def _largest(intensity: FloatArray, items: Items) -> FloatArray:
    """The largest intensity of each row, 0 where there is no peak."""
    base_N = np.zeros(len(items.counts_N))
    filled = np.flatnonzero(items.counts_N)
    if len(filled):
        starts = (np.cumsum(items.counts_N) - items.counts_N)[filled]
        base_N[filled] = np.maximum.reduceat(intensity, starts)
    return base_N


def _strongest(mz: FloatArray, relative: FloatArray, items: Items, limit_N: IntArray) -> IntArray:
    """The peaks of rows without doubt, in their order; of rows with too many the strongest, of equally strong
    ones that of lower m/z."""
    good_I = ~items.doubtful_N[items.row_I]
    long_I = good_I & (items.counts_N > limit_N)[items.row_I]
    candidates = np.flatnonzero(long_I)
    if not len(candidates):
        return np.flatnonzero(good_I)
    row = items.row_I[candidates]
    order = candidates[np.lexsort((mz[candidates], -relative[candidates], row))]
    counts = np.bincount(row, minlength=len(limit_N))
    good_I[order[places(counts) >= limit_N[row]]] = False
    return np.flatnonzero(good_I)


def _by_mz(mz: FloatArray, relative: FloatArray, row: IntArray) -> IntArray:
    """The order of rising m/z within each row. Files mostly hold it already: then nothing is sorted."""
    step = np.diff(mz)
    if ((step > 0) | (np.diff(row) > 0)).all():
        return np.arange(len(mz))
    return np.lexsort((-relative, mz, row))
