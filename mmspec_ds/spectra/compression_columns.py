"""The compression operators on whole Arrow columns: what `compression` makes of one spectrum after the other,
for a batch of rows at once and without an object for any of them.

Each function gives the very numbers of its operator (a test compares them bit by bit) for rows whose cells are
as they should be. It does not say what is wrong with others: it marks them doubtful, gives them no tokens, and
leaves them to `parquet.RowReader.record`, which reads a row at a time and explains itself.

Axes: N rows, I items (multiplets, lines, peaks) of all rows end to end, T tokens, F fields.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mmspec_ds.spectra import benchmark_schema as schema
from mmspec_ds.spectra import compression
from mmspec_ds.spectra.compression_settings import (
    CarbonNMRSettings,
    CompressionSettings,
    HydrogenNMRSettings,
    InfraredSettings,
)
from mmspec_ds.spectra.parquet_columns import C_SHIFT_PPM, H_SHIFT_PPM, ListColumn, float_values
from mmspec_ds.spectra.records import FloatArray

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_LARGEST_COUNT = 2**31
_CURVES = 32
"""IR spectra at a time: 0.5 MB as float64, which stay in a core's cache through all steps."""


@dataclass(frozen=True, slots=True)
class ColumnTokens:
    """The tokens of one modality of N rows, end to end: `discrete` int16 [T, F], `continuous` float32 [T, F'],
    `counts` int64 [N]; `doubtful` bool [N] marks rows that were not understood."""

    discrete: npt.NDArray[np.int16]
    continuous: npt.NDArray[np.float32]
    counts: IntArray
    doubtful: BoolArray


class Items:
    """The items of the lists of a column, end to end, without those of null cells.

    Attributes:
        doubtful_N: rows whose list is empty, which an absent spectrum must not be.
        row_I: whose item each is, rising.
        at_I: where it stands in the column's flat values.
        counts_N: items of each row.
    """

    def __init__(self, lists: ListColumn) -> None:
        self.present_N: BoolArray = ~lists.null
        self.counts_N: IntArray = np.where(self.present_N, np.diff(lists.offsets), 0)
        self.doubtful_N: BoolArray = self.present_N & (self.counts_N == 0)
        self.row_I: IntArray = np.repeat(np.arange(len(self.counts_N)), self.counts_N)
        self.at_I: IntArray = np.repeat(lists.offsets[:-1], self.counts_N) + places(self.counts_N)

    def doubt(self, bad_I: BoolArray) -> None:
        """Mark the rows of some items."""
        self.doubtful_N[self.row_I[bad_I]] = True


def places(counts_N: IntArray) -> IntArray:
    """Of each item its place within its row: counts [2, 3] give [0, 1, 0, 1, 2]."""
    starts_N = np.cumsum(counts_N) - counts_N
    return np.arange(counts_N.sum(), dtype=np.int64) - np.repeat(starts_N, counts_N)


def h_nmr_columns(batch: pa.RecordBatch, names: Sequence[str], settings: CompressionSettings) -> ColumnTokens:
    """`compression.compress_h_nmr` of each row."""
    lists = ListColumn(batch.column(names[0]))
    items, multiplets = Items(lists), lists.values
    centroid, highest, lowest, hydrogens = (
        float_values(multiplets.field(name))[items.at_I] for name in ("centroid", "rangeMax", "rangeMin", "nH")
    )
    letters, known = _letters(multiplets.field("category"))
    couplings, sound = _couplings(multiplets.field("j_values"))
    low, high = H_SHIFT_PPM
    good = (low <= lowest) & (highest <= high) & (low <= centroid) & (centroid <= high) & (lowest <= highest)
    good &= (hydrogens >= 0) & (hydrogens < _LARGEST_COUNT) & (hydrogens == np.floor(hydrogens))
    items.doubt(~(good & known[items.at_I] & sound[items.at_I]))

    order, counts = _by_key(-centroid, items, settings.h_nmr.max_tokens)
    fields = _h_nmr_fields(centroid[order], highest[order], lowest[order], hydrogens[order], settings.h_nmr)
    source = items.at_I[order]
    slots = compression.SLOTS
    discrete = np.empty((len(order), 3 + 2 * slots), dtype=np.int16)
    discrete[:, 0], discrete[:, 1], discrete[:, 2 + slots] = fields
    discrete[:, 2 : 2 + slots] = letters[source]
    present = ~np.isnan(couplings[source])
    bins = _bin(couplings[source], settings.h_nmr.j_bin_hz, 1, compression.J_BINS - 1)
    discrete[:, 3 + slots :] = np.where(present, bins, 0)
    return ColumnTokens(discrete, _no_fields(np.float32, len(order)), counts, items.doubtful_N)


def _h_nmr_fields(
    centroid: FloatArray,
    highest: FloatArray,
    lowest: FloatArray,
    hydrogens: FloatArray,
    settings: HydrogenNMRSettings,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shift, span and hydrogens, as bins."""
    last = int(np.floor((settings.highest_ppm - settings.lowest_ppm) / settings.bin_ppm + 0.5))
    return (
        _bin(centroid - settings.lowest_ppm, settings.bin_ppm, 0, last),
        _bin(highest - lowest, settings.span_bin_ppm, 0, compression.SPAN_BINS - 1),
        np.minimum(hydrogens, compression.HYDROGENS - 1),
    )


def c_nmr_columns(batch: pa.RecordBatch, names: Sequence[str], settings: CompressionSettings) -> ColumnTokens:
    """`compression.compress_c_nmr` of each row."""
    lists = ListColumn(batch.column(names[0]))
    items = Items(lists)
    shifts = float_values(lists.values.field(schema.CARBON_SHIFT))[items.at_I]
    items.doubt(~((C_SHIFT_PPM[0] <= shifts) & (shifts <= C_SHIFT_PPM[1])))
    order, counts = _by_key(-shifts, items, settings.c_nmr.max_tokens)
    discrete = _c_nmr_bins(shifts[order], settings.c_nmr).astype(np.int16).reshape(-1, 1)
    return ColumnTokens(discrete, _no_fields(np.float32, len(order)), counts, items.doubtful_N)


def _c_nmr_bins(shifts: FloatArray, settings: CarbonNMRSettings) -> FloatArray:
    last = int(np.floor((settings.highest_ppm - settings.lowest_ppm) / settings.bin_ppm + 0.5))
    return _bin(shifts - settings.lowest_ppm, settings.bin_ppm, 0, last)


def ir_columns(
    batch: pa.RecordBatch, names: Sequence[str], settings: CompressionSettings, points: int | None
) -> ColumnTokens:
    """`compression.compress_ir` of each row; a spectrum that has not `points` points is doubtful."""
    lists, ir = ListColumn(batch.column(names[0])), settings.ir
    lengths_N = np.where(lists.null, 0, np.diff(lists.offsets))
    usable_N = ~lists.null & (lengths_N == points) & (lengths_N > 1)
    doubtful_N = ~lists.null & ~usable_N
    counts_N = np.zeros(len(lengths_N), dtype=np.int64)
    parts = [np.empty((0, ir.window), dtype=np.float32)]
    values, usable = float_values(lists.values), np.flatnonzero(usable_N)
    if not len(usable):
        return ColumnTokens(_no_fields(np.int16, 0), parts[0], counts_N, doubtful_N)
    assert points is not None  # as they have that length
    resampled = _Resampling(points, ir)
    for start in range(0, len(usable), _CURVES):
        rows = usable[start : start + _CURVES]
        absorbance = _curves(values, lists.offsets[rows], points)
        finite = np.isfinite(absorbance).all(axis=1)
        if not finite.all():
            doubtful_N[rows[~finite]] = True
            rows, absorbance = rows[finite], absorbance[finite]
        intensity = _normalised(resampled(absorbance))
        windows = np.lib.stride_tricks.sliding_window_view(intensity, ir.window, axis=1)[:, :: ir.stride]
        parts.append(windows.astype(np.float32).reshape(-1, ir.window))
        counts_N[rows] = ir.tokens
    continuous = np.concatenate(parts)
    return ColumnTokens(_no_fields(np.int16, len(continuous)), continuous, counts_N, doubtful_N)


def _curves(values: FloatArray, starts: IntArray, points: int) -> FloatArray:
    """The lists of `points` values that begin at `starts`, rising: float64 [rows, points]."""
    first, last = int(starts[0]), int(starts[-1])
    if last - first == (len(starts) - 1) * points:  # nothing between them
        return values[first : last + points].reshape(-1, points).astype(np.float64)
    return values[starts[:, None] + np.arange(points)].astype(np.float64)


class _Resampling:
    """numpy.interp of many rows at once, by the same arithmetic, from `points` even points to the intervals."""

    def __init__(self, points: int, ir: InfraredSettings) -> None:
        measured = np.linspace(400.0, 4000.0, points)
        wanted = np.linspace(ir.lowest_cm1, ir.highest_cm1, ir.intervals)
        self._left = np.clip(np.searchsorted(measured, wanted, side="right") - 1, 0, points - 2)
        self._span = measured[self._left + 1] - measured[self._left]
        self._beyond = wanted - measured[self._left]
        self._outside = (wanted < measured[0]) | (wanted > measured[-1])
        self._last = wanted == measured[-1]

    def __call__(self, absorbance: FloatArray) -> FloatArray:
        """[rows, points] to [rows, intervals]."""
        before, after = np.take(absorbance, self._left, axis=1), np.take(absorbance, self._left + 1, axis=1)
        after -= before
        after /= self._span
        after *= self._beyond
        after += before
        if self._outside.any():
            after[:, self._outside] = absorbance.min(axis=1, keepdims=True)
        # The last point is a stored value, and not what a slope makes of the one before it.
        after[:, self._last] = absorbance[:, -1:]
        return after


def _normalised(intensity: FloatArray) -> FloatArray:
    lowest = intensity.min(axis=1, keepdims=True)
    span = intensity.max(axis=1, keepdims=True) - lowest
    intensity -= lowest
    intensity /= np.where(span > 0, span, 1.0)
    return intensity


def formula_column(texts: Sequence[str | None]) -> ColumnTokens:
    """`compression.compress_formula` of each row; None where there is no formula."""
    flat: list[int] = []
    doubtful_N = np.zeros(len(texts), dtype=np.bool_)
    counts_N = np.zeros(len(texts), dtype=np.int64)
    for place, text in enumerate(texts):
        if text is None:
            continue
        try:
            pairs = compression.formula_ids(text)
        except ValueError:
            doubtful_N[place] = True
        else:
            for pair in pairs:
                flat += pair
            counts_N[place] = len(pairs)
    discrete = np.array(flat, dtype=np.int16).reshape(-1, 2)
    return ColumnTokens(discrete, _no_fields(np.float32, len(discrete)), counts_N, doubtful_N)


def _by_key(key_I: FloatArray, items: Items, limit: int) -> tuple[IntArray, IntArray]:
    """The items of each row that is not doubtful by rising key, at most `limit` of them; their counts."""
    order = np.lexsort((key_I, items.row_I))
    kept = (places(items.counts_N) < limit) & ~items.doubtful_N[items.row_I]
    counts = np.where(items.doubtful_N, 0, np.minimum(items.counts_N, limit))
    return order[kept], counts


def _letters(categories: pa.Array) -> tuple[npt.NDArray[np.int16], BoolArray]:
    """The slots of each multiplicity, int16 [I, slots], and which of them are known: parsed once for each that
    occurs."""
    if not pa.types.is_dictionary(categories.type):
        categories = categories.cast(pa.string()).dictionary_encode()
    written = [None if text is None else str(text) for text in categories.dictionary.to_pylist()]
    fits = [text is not None and schema.CATEGORY.fullmatch(text) is not None for text in written]
    slots = [compression.multiplicity_ids(text or "") for text in written]
    index = categories.indices.fill_null(len(written)).to_numpy(zero_copy_only=False)
    table = np.array([*slots, [0] * compression.SLOTS], dtype=np.int16)
    return table[index], np.array([*fits, False])[index]


def _couplings(texts: pa.Array) -> tuple[FloatArray, BoolArray]:
    """The first coupling constants of each multiplet in Hz, float64 [I, slots] with NaN for none, and whether
    the text ("1.63_14.08_") was understood."""
    if pa.types.is_dictionary(texts.type) or not pa.types.is_string(texts.type):
        texts = texts.cast(pa.string())
    none = pc.or_kleene(pc.is_null(texts), pc.is_in(texts, value_set=pa.array(["", "None"])))
    trimmed = pc.replace_substring_regex(texts, "_$", "")
    parts = pc.split_pattern(pc.if_else(none, pa.scalar(None, pa.string()), trimmed), "_")
    counts = pc.fill_null(pc.list_value_length(parts), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    try:
        values = float_values(parts.flatten().cast(pa.float64()))
    except pa.ArrowInvalid:  # somewhere in the batch there is a text that is no number
        values = np.array([_number(text) for text in parts.flatten().to_pylist()])
    place, row = places(counts), np.repeat(np.arange(len(counts)), counts)
    sound = np.ones(len(counts), dtype=np.bool_)
    sound[row[~((values >= 0) & np.isfinite(values))]] = False
    first = np.full((len(counts), compression.SLOTS), np.nan)
    kept = place < compression.SLOTS
    first[row[kept], place[kept]] = values[kept]
    return first, sound


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _bin(values: FloatArray, width: float, lowest: int, highest: int) -> FloatArray:
    """Bins as `compression` counts them, within limits; NaN stays."""
    return np.clip(np.floor(values / width + 0.5), lowest, highest)


def _no_fields(kind: type[np.generic], tokens: int) -> npt.NDArray:
    return np.empty((tokens, 0), dtype=kind)
