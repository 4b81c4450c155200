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
    BoolArray,
    Explain,
    Faults,
    FileColumn,
    ListCells,
    float_values,
    is_number,
    item_type,
    optional_field,
    struct_of,
)
from mmspec_ds.spectra.packed import IntArray, offsets_of, ranges
from mmspec_ds.spectra.records import FloatArray, Modality, Polarity, Record, TandemMS

POLARITIES: tuple[Polarity, ...] = ("positive", "negative")
ENERGIES_EV = (10, 20, 40)
LIST_COLUMN = "msms_spectra"

_BENCHMARK = re.compile(r"msms_(?P<cfmid>cfmid_)?(?P<polarity>positive|negative)_(?P<energy>10|20|40)ev")
_PAIRS = pa.list_(pa.list_(pa.float64()))
_SLOTS = [(polarity, energy) for polarity in POLARITIES for energy in ENERGIES_EV]
_ENTRY_TEXTS = ("column", "polarity", "adduct")
_ENTRY_NUMBERS = ("collision_energy_ev", "measured_energy_ev", "precursor_mz", "charge")
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
class TandemColumns:
    """The spectra of N rows: `counts_N` of each row; of each spectrum its number of peaks, its polarity, the
    collision energy and the measured one in eV and precursor m/z (NaN: unknown), its charge (0: unknown) and
    adduct; the peaks."""

    counts_N: IntArray
    peaks_S: IntArray
    negative_S: BoolArray
    energy_S: FloatArray
    measured_S: FloatArray
    precursor_S: FloatArray
    charge_S: IntArray
    adduct_S: Sequence[str | None]
    mz_I: FloatArray
    intensity_I: FloatArray


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
        lambda kind: struct_of(kind, _ENTRY_NUMBERS, _ENTRY_TEXTS) and _has_lists(kind),
        f"a list of structs with {', '.join(field.name for field in _ENTRY)}",
    )
    return [*pairs, *([entries] if LIST_COLUMN in names else [])]


def _has_lists(kind: pa.DataType) -> bool:
    entry: Any = item_type(kind)
    places = [entry.get_field_index(name) for name in ("mz", "intensity")]
    return min(places) >= 0 and all(is_number(item_type(entry.field(place).type)) for place in places)


class _Pool:
    """Peaks of many lists, end to end, from which the spectra take theirs."""

    def __init__(self) -> None:
        self.mz: list[FloatArray] = []
        self.intensity: list[FloatArray] = []
        self.size = 0

    def add(self, mz: FloatArray, intensity: FloatArray) -> int:
        """The place of the first of some peaks."""
        start, self.size = self.size, self.size + len(mz)
        self.mz.append(mz.astype(np.float64))
        self.intensity.append(intensity.astype(np.float64))
        return start


def decode(cells: Mapping[str, pa.Array]) -> tuple[TandemColumns, list[Faults]]:
    """The spectra of N rows; see `ModalityDefinition.decode`."""
    columns, pool = ms_columns(cells), _Pool()
    rows = len(next(iter(cells.values())))
    faults: list[Faults] = []
    slot_starts_NC = np.zeros((rows, len(columns)), dtype=np.int64)
    slot_counts_NC = np.zeros((rows, len(columns)), dtype=np.int64)
    for at, column in enumerate(columns):
        lists = ListCells(cells[column.name])
        start = pool.add(*_pairs(lists, column.name, faults))
        slot_counts_NC[:, at] = lists.counts_N
        slot_starts_NC[:, at] = start + offsets_of(lists.counts_N)[:-1]
    present_NC = slot_counts_NC > 0
    listed = _Listed(cells[LIST_COLUMN], columns, pool, faults) if LIST_COLUMN in cells else None
    if listed is not None:
        present_NC &= ~listed.present_N[:, None]
    good_N = ~np.logical_or.reduce([one.bad_N for one in faults])
    present_NC &= good_N[:, None]

    row_S, slot_S = np.nonzero(present_NC)
    starts_S, peaks_S = slot_starts_NC[present_NC], slot_counts_NC[present_NC]
    negative_S = np.array([column.polarity == "negative" for column in columns], dtype=np.bool_)[slot_S]
    energy_S = np.array([column.energy_ev for column in columns], dtype=np.float64)[slot_S]
    measured_S, precursor_S = np.full((2, len(row_S)), np.nan)
    charge_S = np.zeros(len(row_S), dtype=np.int64)
    adduct_S: list[str | None] = [None] * len(row_S)
    if listed is not None:
        kept = good_N[listed.row_S]
        in_slot = listed.slot_S >= 0
        slots = listed.row_S[in_slot], listed.slot_S[in_slot]
        listed.starts_S[in_slot], listed.peaks_S[in_slot] = slot_starts_NC[slots], slot_counts_NC[slots]
        row_S = np.concatenate([row_S, listed.row_S[kept]])
        order = np.argsort(row_S, kind="stable")
        row_S = row_S[order]
        starts_S, peaks_S, negative_S, energy_S, measured_S, precursor_S, charge_S = (
            np.concatenate([mine, theirs[kept]])[order]
            for mine, theirs in (
                (starts_S, listed.starts_S),
                (peaks_S, listed.peaks_S),
                (negative_S, listed.negative_S),
                (energy_S, listed.energy_S),
                (measured_S, listed.measured_S),
                (precursor_S, listed.precursor_S),
                (charge_S, listed.charge_S),
            )
        )
        adducts = adduct_S + [text for text, here in zip(listed.adduct_S, kept) if here]
        adduct_S = [adducts[at] for at in order]
    source_I = ranges(starts_S, peaks_S)
    mz, intensity = (np.concatenate([np.empty(0), *parts]) for parts in (pool.mz, pool.intensity))
    found = TandemColumns(
        np.bincount(row_S, minlength=rows).astype(np.int64),
        peaks_S,
        negative_S,
        energy_S,
        measured_S,
        precursor_S,
        charge_S,
        adduct_S,
        mz[source_I],
        intensity[source_I],
    )
    return found, faults


def _pairs(lists: ListCells, name: str, faults: list[Faults]) -> tuple[FloatArray, FloatArray]:
    """m/z and intensity of a column of pairs, with what is wrong with them."""
    found = lists.faults(name)
    faults.append(found)
    inner = ListCells(lists.values)
    widths, starts = lists.pick(inner.counts_N), lists.pick(offsets_of(inner.counts_N)[:-1])
    odd, values = widths != 2, inner.pick(float_values(inner.values))
    if odd.any():
        found.items(
            odd,
            lists.row_I,
            lambda at: f"peak {lists.place(at)} has {widths[at]} values, expected m/z and intensity",
        )
        values = np.concatenate([values, [np.nan, np.nan]])
        starts = np.where(odd, len(values) - 2, starts)
        mz, intensity = values[starts], values[starts + 1]
    elif 2 * len(starts) == len(values):
        mz, intensity = values[0::2], values[1::2]
    else:
        mz, intensity = values[starts], values[starts + 1]
    _check_peaks(mz, intensity, found, lists)
    return mz, intensity


def _check_peaks(mz: FloatArray, intensity: FloatArray, found: Faults, lists: ListCells) -> None:
    row_I = lists.row_I

    def missing(name: str) -> Explain:
        return lambda at: f"{name} of peak {lists.place(at)} is missing, NaN or infinite"

    found.items(~np.isfinite(mz), row_I, missing("m/z"))
    found.items(~np.isfinite(intensity), row_I, missing("intensity"))
    found.items(mz <= 0, row_I, lambda at: f"m/z {mz[at]:g} of peak {lists.place(at)} must be positive")
    found.items(
        intensity < 0,
        row_I,
        lambda at: f"intensity {intensity[at]:g} of peak {lists.place(at)} must not be negative",
    )
    filled_N = np.bincount(row_I[intensity != 0], minlength=len(lists.counts_N)) > 0
    found.rows((lists.counts_N > 0) & ~filled_N, lambda _: "all intensities are zero")


class _Listed:
    """The entries of `msms_spectra`. `slot_S` is the place of the benchmark's column that has the peaks, -1
    where the entry has its own."""

    def __init__(self, array: pa.Array, columns: Sequence[MSColumn], pool: _Pool, faults: list[Faults]) -> None:
        lists = ListCells(array)
        found = lists.faults(LIST_COLUMN)
        faults.append(found)
        self.present_N, self.row_S = lists.present_N, lists.row_I
        numbers = {name: lists.pick(optional_field(lists.values, name)) for name in _ENTRY_NUMBERS}
        self.energy_S, self.measured_S = numbers["collision_energy_ev"], numbers["measured_energy_ev"]
        self.precursor_S = numbers["precursor_mz"]
        self.charge_S = np.nan_to_num(numbers["charge"]).astype(np.int64)
        texts = {
            name: lists.pick(np.array(lists.values.field(name).to_pylist(), dtype=object))
            for name in _ENTRY_TEXTS
        }
        self.adduct_S: list[str | None] = texts["adduct"].tolist()
        polarity, named = texts["polarity"], texts["column"]
        self.negative_S: BoolArray = polarity == "negative"
        found.items(
            ~np.isin(polarity, POLARITIES),
            self.row_S,
            lambda at: f"polarity is {polarity[at]!r}, expected positive or negative",
        )
        # Under either spelling: a column may have been renamed since.
        places = {column_name(column.polarity, column.energy_ev): at for at, column in enumerate(columns)}
        places |= {column.name: at for at, column in enumerate(columns)}
        own = np.array([text is None for text in named], dtype=np.bool_)
        self.slot_S: IntArray = np.array([places.get(text, -1) for text in named], dtype=np.int64)
        found.items(
            ~own & (self.slot_S < 0),
            self.row_S,
            lambda at: f"the file has no column {named[at]}, which is named",
        )
        self._take_peaks(lists, own, pool, faults)

    def _take_peaks(self, lists: ListCells, own_S: BoolArray, pool: _Pool, faults: list[Faults]) -> None:
        """The peaks of entries that have their own."""
        found, parts = faults[-1], {}
        for name in ("mz", "intensity"):
            inner = ListCells(lists.values.field(name))
            parts[name] = lists.pick(inner.counts_N), lists.pick(offsets_of(inner.counts_N)[:-1]), inner
        counts = parts["mz"][0]
        found.items(
            own_S & ((counts == 0) | (counts != parts["intensity"][0])),
            self.row_S,
            lambda at: f"a spectrum has {counts[at]} m/z and {parts['intensity'][0][at]} intensities",
        )
        self.peaks_S: IntArray = np.where(own_S, counts, 0)
        mz, intensity = (
            part.pick(float_values(part.values))[ranges(begin, np.where(own_S, count, 0))]
            for count, begin, part in parts.values()
        )
        self.starts_S: IntArray = offsets_of(self.peaks_S)[:-1] + pool.size
        if len(mz) == len(intensity):
            pool.add(mz, intensity)
            row_I = np.repeat(self.row_S, self.peaks_S)
            sound = (mz > 0) & (mz < np.inf) & (intensity >= 0) & (intensity < np.inf)
            found.items(~sound, row_I, lambda at: f"peak {mz[at]:g} {intensity[at]:g} is not m/z and intensity")


def arrays(records: Sequence[Record]) -> dict[str, pa.Array]:
    """The columns of a written file; `msms_spectra` only if some record needs it."""
    spectra = [[s for s in record.of(Modality.MS) if isinstance(s, TandemMS)] for record in records]
    names = [column_name(*slot) for slot in _SLOTS]
    slots: dict[str | None, list[npt.NDArray[np.float64] | None]] = {n: [None] * len(records) for n in names}
    entries: list[list[dict[str, Any]] | None] = []
    for row, of_row in enumerate(spectra):
        listed, plain = [], True
        for spectrum in of_row:
            column = column_name(spectrum.polarity, spectrum.collision_energy_ev)
            if column is not None and slots[column][row] is None and len(spectrum.mz):
                slots[column][row] = np.stack([spectrum.mz, spectrum.intensity], axis=1)
            else:
                column, plain = None, False
            more = (spectrum.precursor_mz, spectrum.adduct, spectrum.charge, spectrum.measured_energy_ev)
            plain &= more == (None, None, None, None)
            listed.append(_entry(spectrum, column))
        kept = [one["column"] for one in listed]
        entries.append(None if plain and kept == [n for n in names if n in kept] else listed)
    found = {str(name): _pairs_array(cells) for name, cells in slots.items()}
    if any(entry is not None for entry in entries):
        found[LIST_COLUMN] = pa.array(entries, pa.list_(_ENTRY))
    return found


def _entry(spectrum: TandemMS, column: str | None) -> dict[str, Any]:
    return {
        "column": column,
        "polarity": spectrum.polarity,
        "collision_energy_ev": spectrum.collision_energy_ev,
        "measured_energy_ev": spectrum.measured_energy_ev,
        "precursor_mz": spectrum.precursor_mz,
        "adduct": spectrum.adduct,
        "charge": spectrum.charge,
        "mz": spectrum.mz if column is None else None,
        "intensity": spectrum.intensity if column is None else None,
    }


def _pairs_array(spectra: Sequence[npt.NDArray[np.float64] | None]) -> pa.Array:
    """Lists of pairs from [peaks, 2] arrays, by offsets: lists of Python lists take ten times as long."""
    counts = [0 if pairs is None else len(pairs) for pairs in spectra]
    flat = np.concatenate([np.empty((0, 2)), *(pairs for pairs in spectra if pairs is not None)])
    inner_starts = np.arange(0, 2 * len(flat) + 1, 2, dtype=np.int32)
    inner = pa.ListArray.from_arrays(pa.array(inner_starts), pa.array(flat.ravel()))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    null = pa.array([pairs is None for pairs in spectra], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(starts), inner, mask=null).cast(_PAIRS)
