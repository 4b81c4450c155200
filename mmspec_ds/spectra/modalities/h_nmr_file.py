"""The texts of a 1H column, by which its multiplets are read: categories and coupling constants."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmspec_ds.spectra.columns import Array, BoolArray, Faults, ListCells, float_values
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.spectra.records import FloatArray


def categories(column: pa.Array) -> tuple[list[str | None], IntArray]:
    """The texts that occur, None last, and for each value of the column its place among them."""
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    texts = [None if text is None else str(text) for text in column.dictionary.to_pylist()]
    index = column.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False).astype(np.int64)
    return [*texts, None], index


def couplings(texts: pa.Array, lists: ListCells, faults: Faults) -> tuple[IntArray, FloatArray]:
    """The number of coupling constants of each item, and the constants in Hz end to end, of texts such as
    "1.63_14.08_"."""
    if pa.types.is_dictionary(texts.type) or not pa.types.is_string(texts.type):
        texts = texts.cast(pa.string())
    none = pc.or_kleene(pc.is_null(texts), pc.is_in(texts, value_set=pa.array(["", "None"])))
    trimmed = pc.replace_substring_regex(texts, "_$", "")
    parts = pc.split_pattern(pc.if_else(none, pa.scalar(None, pa.string()), trimmed), "_")
    counts: IntArray = pc.fill_null(pc.list_value_length(parts), 0).to_numpy(zero_copy_only=False)
    flat = parts.flatten()
    unread: BoolArray = np.zeros(len(flat), dtype=np.bool_)
    try:
        values: Array = float_values(flat.cast(pa.float64()))
    except pa.ArrowInvalid:  # somewhere in the batch there is a text that is not a number
        numbers = [_number(text) for text in flat.to_pylist()]
        unread = np.array([number is None for number in numbers])
        values = np.array([np.nan if number is None else number for number in numbers])
    counts = counts.astype(np.int64)
    value_of = np.repeat(np.arange(len(counts)), counts)
    odd = ~((values >= 0) & np.isfinite(values))
    for bad, words in ((unread, "are not numbers separated by _"), (odd, "must be finite and not negative")):
        if bad.any():
            _note(bad, value_of, words, texts, lists, faults)
    kept = lists.pick(np.arange(len(counts)))
    if len(kept) < len(counts):
        inside = np.zeros(len(counts), dtype=np.bool_)
        inside[kept] = True
        values = values[inside[value_of]]
    return counts[kept], values


def _note(
    bad: BoolArray, text_of: IntArray, words: str, texts: pa.Array, lists: ListCells, faults: Faults
) -> None:
    """Note the items whose text has one of the bad values."""
    wrong = np.bincount(text_of[bad], minlength=len(texts)) > 0
    written = lists.pick(np.array(texts.to_pylist(), dtype=object))
    faults.items(lists.pick(wrong), lists.row_I, lambda at: f"j_values {written[at]!r} {words}")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
