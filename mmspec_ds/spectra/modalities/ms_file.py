"""MS/MS in parquet files: the benchmark's columns, and one of ours for what they cannot hold.

The benchmark has a column of peaks for each polarity and collision energy. Where a record has something else (a
second spectrum of a kind, another energy, a precursor, an adduct, a charge), `msms_spectra` lists all of its
spectra in order. An entry whose `column` names one of the benchmark's has its peaks there, others have them in
`mz` and `intensity`. Where the cell of `msms_spectra` is null, the benchmark's columns are all there is.

Axes: N rows, C columns of the benchmark, S spectra of all rows end to end, I peaks.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mmspec_ds.spectra.columns import (
    Array,
    Faults,
    FileColumn,
    Items,
    ListCells,
    float_values,
    is_number,
    item_type,
    optional_field,
)
from mmspec_ds.spectra.modalities.peak_lists import PeakColumns, entry_peaks, is_peak_entry
from mmspec_ds.spectra.packed import IntArray, offsets_of, ranges
from mmspec_ds.spectra.records import FloatArray, Polarity, Record, TandemMS

POLARITIES: tuple[Polarity, ...] = ("positive", "negative")
ENERGIES_EV = (10, 20, 40)
LIST_COLUMN = "msms_spectra"

_BENCHMARK = re.compile(r"msms_(?P<cfmid>cfmid_)?(?P<polarity>positive|negative)_(?P<energy>10|20|40)ev")
_PAIRS = pa.list_(pa.list_(pa.float64()))
_SLOTS = [(polarity, energy) for polarity in POLARITIES for energy in ENERGIES_EV]
_ENTRY_TEXTS = ("column", "polarity", "adduct")
ENTRY_NUMBERS = ("collision_energy_ev", "measured_energy_ev", "precursor_mz", "charge")
_ENTRY = pa.struct(
    {
        "column": pa.string(),
        "polarity": pa.string(),
        "collision_energy_ev": pa.float64(),
        "measured_energy_ev": pa.float64(),
        "precursor_mz": pa.float64(),
        "adduct": pa.string(),
        "charge": pa.int32(),
        "mz": pa.list_(pa.float64()),
        "intensity": pa.list_(pa.float64()),
    }
)


@dataclass(frozen=True, slots=True)
class MSColumn:
    """A column of the benchmark: spectra of one polarity and one collision energy."""

    name: str
    polarity: Polarity
    energy_ev: int


def ms_columns(names: Collection[str]) -> list[MSColumn]:
    """The columns of the benchmark among `names`, positive before negative and by rising energy.

    Both spellings are known: msms_positive_10ev, which the benchmark's script reads, and
    msms_cfmid_positive_10ev, which the published sample has. A file with both gives the first.
    """
    found: dict[tuple[Polarity, int], MSColumn] = {}
    for name in names:
        match = _BENCHMARK.fullmatch(name)
        if match is None:
            continue
        polarity: Polarity = "positive" if match["polarity"] == "positive" else "negative"
        key = (polarity, int(match["energy"]))
        if key not in found or not match["cfmid"]:
            found[key] = MSColumn(name, *key)
    return [found[key] for key in _SLOTS if key in found]


def column_name(polarity: Polarity, energy_ev: float | None) -> str | None:
    """The column of a written file that has room for a spectrum; None where the benchmark has none."""
    return f"msms_{polarity}_{int(energy_ev)}ev" if energy_ev in ENERGIES_EV else None


def file_columns(names: Collection[str]) -> list[FileColumn]:
    """Those of a file that hold MS/MS."""
    pairs = [
        FileColumn(one.name, lambda kind: is_number(item_type(item_type(kind))), "a list of pairs of numbers")
        for one in ms_columns(names)
    ]
    entries = FileColumn(
        LIST_COLUMN,
        lambda kind: is_peak_entry(kind, ENTRY_NUMBERS, _ENTRY_TEXTS),
        f"a list of structs with {', '.join(field.name for field in _ENTRY)}",
    )
    return [*pairs, *([entries] if LIST_COLUMN in names else [])]


class _Pool:
    """Peaks of many lists, end to end, from which the spectra take theirs."""

    def __init__(self) -> None:
        self._parts: list[tuple[FloatArray, FloatArray]] = [(np.empty(0), np.empty(0))]
        self._size = 0

    def add(self, mz: FloatArray, intensity: FloatArray) -> int:
        """The place of the first of some peaks."""
        self._parts.append((mz.astype(np.float64), intensity.astype(np.float64)))
        self._size += len(mz)
        return self._size - len(mz)

    def take(self, starts: IntArray, counts: IntArray) -> list[FloatArray]:
        """m/z and intensity of some runs of peaks, end to end."""
        at = ranges(starts, counts)
        return [np.concatenate(parts)[at] for parts in zip(*self._parts)]


def decode(cells: Mapping[str, pa.Array]) -> tuple[PeakColumns, list[Faults]]:
    """The spectra of N rows; see `ModalityDefinition.decode`. Besides `peaks` each has `negative`, the
    `ENTRY_NUMBERS` (NaN: unknown) and the adduct or None."""
    columns, pool, faults = ms_columns(cells), _Pool(), list[Faults]()
    rows = len(next(iter(cells.values())))
    start_NC, peaks_NC = np.zeros((2, rows, len(columns) + 1), dtype=np.int64)  # the last one holds no peaks
    for at, column in enumerate(columns):
        lists = ListCells(cells[column.name])
        start = pool.add(*_pairs(lists, column.name, faults))
        peaks_NC[:, at], start_NC[:, at] = lists.counts_N, start + offsets_of(lists.counts_N)[:-1]
    present_NC = peaks_NC > 0
    entries: dict[str, Array] = {}
    if LIST_COLUMN in cells:
        lists = ListCells(cells[LIST_COLUMN])
        present_NC &= ~lists.present_N[:, None]
        entries = _entries(lists, columns, pool, faults)
    good_N = ~np.logical_or.reduce([one.bad_N for one in faults])

    row_S, slot_S = np.nonzero(present_NC & good_N[:, None])
    unknown_S = np.full(len(row_S), np.nan)
    found: dict[str, Array] = {
        "row": row_S,
        "slot": slot_S,
        "start": unknown_S,
        "peaks": unknown_S,
        "negative": np.array([one.polarity == "negative" for one in columns], dtype=np.bool_)[slot_S],
        **dict.fromkeys(ENTRY_NUMBERS, unknown_S),
        "collision_energy_ev": np.array([one.energy_ev for one in columns], dtype=np.float64)[slot_S],
        "adduct": np.full(len(row_S), None, dtype=object),
    }
    if entries:
        kept = good_N[entries["row"]]
        order = np.argsort(np.concatenate([row_S, entries["row"][kept]]), kind="stable")
        found = {name: np.concatenate([one, entries[name][kept]])[order] for name, one in found.items()}
    # Those that name a column of the benchmark have their peaks there.
    in_slot, slots = found["slot"] >= 0, (found["row"], found["slot"])
    start_S = np.where(in_slot, start_NC[slots], np.nan_to_num(found["start"])).astype(np.int64)
    peaks_S = np.where(in_slot, peaks_NC[slots], np.nan_to_num(found["peaks"])).astype(np.int64)
    counts_N = np.bincount(found["row"], minlength=rows).astype(np.int64)
    fields = {name: found[name] for name in ("negative", *ENTRY_NUMBERS, "adduct")}
    return PeakColumns(Items(counts_N, {"peaks": peaks_S, **fields}), *pool.take(start_S, peaks_S)), faults


def _pairs(lists: ListCells, name: str, faults: list[Faults]) -> tuple[FloatArray, FloatArray]:
    """m/z and intensity of a column of pairs, with what is wrong with them."""
    found = lists.faults(name)
    faults.append(found)
    inner = ListCells(lists.values)
    widths, starts = lists.pick(inner.counts_N), lists.pick(offsets_of(inner.counts_N)[:-1])
    odd, values = widths != 2, np.append(inner.pick(float_values(inner.values)), [np.nan, np.nan])
    found.items(
        odd,
        lists.row_I,
        lambda at: f"peak {lists.place(at)} has {widths[at]} values, expected m/z and intensity",
    )
    starts = np.where(odd, len(values) - 2, starts)
    mz, intensity = values[starts], values[starts + 1]
    _check_peaks(mz, intensity, found, lists)
    return mz, intensity


def _check_peaks(mz: FloatArray, intensity: FloatArray, found: Faults, lists: ListCells) -> None:
    row_I, why = lists.row_I, "is missing, NaN or infinite"
    found.items(~np.isfinite(mz), row_I, lambda at: f"m/z of peak {lists.place(at)} {why}")
    found.items(~np.isfinite(intensity), row_I, lambda at: f"intensity of peak {lists.place(at)} {why}")
    found.items(mz <= 0, row_I, lambda at: f"m/z {mz[at]:g} of peak {lists.place(at)} must be positive")
    found.items(
        intensity < 0,
        row_I,
        lambda at: f"intensity {intensity[at]:g} of peak {lists.place(at)} must not be negative",
    )
    filled_N = np.bincount(row_I[intensity != 0], minlength=len(lists.counts_N)) > 0
    found.rows((lists.counts_N > 0) & ~filled_N, lambda _: "all intensities are zero")


def _entries(
    lists: ListCells, columns: Sequence[MSColumn], pool: _Pool, faults: list[Faults]
) -> dict[str, Array]:
    """The entries of `msms_spectra` by field. `slot` is the place of the benchmark's column that has the peaks,
    -1 where the entry has its own, which begin at `start` in the pool."""
    found, row_S = lists.faults(LIST_COLUMN), lists.row_I
    faults.append(found)
    fields: dict[str, Array] = {n: lists.pick(optional_field(lists.values, n)) for n in ENTRY_NUMBERS}
    named, polarity, adduct = (
        lists.pick(np.array(lists.values.field(name).to_pylist(), dtype=object)) for name in _ENTRY_TEXTS
    )
    found.items(
        ~np.isin(polarity, POLARITIES),
        row_S,
        lambda at: f"polarity is {polarity[at]!r}, expected positive or negative",
    )
    # Under either spelling: a column may have been renamed since.
    slots = {column_name(column.polarity, column.energy_ev): at for at, column in enumerate(columns)}
    slots |= {column.name: at for at, column in enumerate(columns)}
    own_S = np.array([text is None for text in named], dtype=np.bool_)
    slot_S = np.array([slots.get(text, -1) for text in named], dtype=np.int64)
    lost_S = ~own_S & (slot_S < 0)
    found.items(lost_S, row_S, lambda at: f"the file has no column {named[at]}, which is named")

    peaks_S, mz, intensity = entry_peaks(lists, found, own_S)
    start_S = pool.add(mz, intensity) + offsets_of(peaks_S)[:-1]
    places = {"row": row_S, "slot": slot_S, "start": start_S, "peaks": peaks_S}
    return {**fields, **places, "negative": polarity == "negative", "adduct": adduct}


def arrays(records: Sequence[Record]) -> dict[str, pa.Array]:
    """The columns of a written file; `msms_spectra` only if some record needs it."""
    names = [column_name(*slot) for slot in _SLOTS]
    slots: dict[str | None, list[npt.NDArray[np.float64] | None]] = {n: [None] * len(records) for n in names}
    lists: list[list[dict[str, Any]] | None] = []
    for row, record in enumerate(records):
        entries = []
        for spectrum in (one for one in record.spectra if isinstance(one, TandemMS)):
            column = column_name(spectrum.polarity, spectrum.collision_energy_ev)
            entry = {name: getattr(spectrum, name) for name in ("polarity", *ENTRY_NUMBERS, "adduct")}
            if column is None or slots[column][row] is not None or not len(spectrum.mz):
                entries.append({**entry, "mz": spectrum.mz, "intensity": spectrum.intensity})
            else:
                slots[column][row] = np.stack([spectrum.mz, spectrum.intensity], axis=1)
                entries.append({**entry, "column": column})
        used = [entry.get("column") for entry in entries]
        plain = used == [name for name in names if name in used] and not any(map(_says_more, entries))
        lists.append(None if plain else entries)
    found = {str(name): _pairs_array(cells) for name, cells in slots.items()}
    if any(entries is not None for entries in lists):
        found[LIST_COLUMN] = pa.array(lists, pa.list_(_ENTRY))
    return found


def _says_more(entry: Mapping[str, Any]) -> bool:
    """Whether an entry has something besides peaks, polarity and energy."""
    return any(entry[name] is not None for name in (*ENTRY_NUMBERS[1:], "adduct"))


def _pairs_array(spectra: Sequence[npt.NDArray[np.float64] | None]) -> pa.Array:
    """Lists of pairs from [peaks, 2] arrays, by offsets: lists of Python lists take ten times as long."""
    counts = [0 if pairs is None else len(pairs) for pairs in spectra]
    flat = np.concatenate([np.empty((0, 2)), *(pairs for pairs in spectra if pairs is not None)])
    inner_starts = np.arange(0, 2 * len(flat) + 1, 2, dtype=np.int32)
    inner = pa.ListArray.from_arrays(pa.array(inner_starts), pa.array(flat.ravel()))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    null = pa.array([pairs is None for pairs in spectra], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(starts), inner, mask=null).cast(_PAIRS)
