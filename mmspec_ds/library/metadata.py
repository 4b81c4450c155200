"""What is known of each entry, as columns of a table.

id, smiles, formula, block     of the record and its molecule; block is "" without a structure
kind                           of the first mass spectrum, "ms" or "ei"; "" without one
polarity, adduct, precursor_mz, charge, collision_energy_ev, measured_energy_ev, energy_ev   of that spectrum
                               (those of further mass spectra are in a table of their own, SPECTRA)
name, accession, ...           TEXTS: what files tell under names that all formats share
more                           all else, as JSON: the file's own fields, and values of another type
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mmspec_ds.library.entry import Entry
from mmspec_ds.readers import mass_fields
from mmspec_ds.readers import part as keys
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.spectra.records import FloatArray, Record, Spectrum
from mmspec_ds.spectra.registry import REGISTRY

TEXTS = (
    keys.NAME,
    mass_fields.ACCESSION,
    keys.INCHIKEY,
    keys.INSTRUMENT,
    mass_fields.INSTRUMENT_TYPE,
    mass_fields.IONIZATION,
    keys.COLLISION_ENERGY,
    keys.INSTITUTE,
    keys.LICENCE,
    keys.SPLIT,
    keys.ROLE,
    keys.CROSS_SOURCE,
)
CONDITIONS = {
    "polarity": pa.string(),
    "adduct": pa.string(),
    "precursor_mz": pa.float64(),
    "charge": pa.int32(),
    "collision_energy_ev": pa.float64(),
    "measured_energy_ev": pa.float64(),
    "energy_ev": pa.float64(),
}
"""Of a mass spectrum, under the names of its fields."""
MORE = "more"
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "smiles": pa.string(),
        "formula": pa.string(),
        "block": pa.string(),
        "kind": pa.string(),
        **CONDITIONS,
        **dict.fromkeys(TEXTS, pa.string()),
        MORE: pa.string(),
    }
)
_MANY = 200_000
"""Values up to which a column is read one by one: `to_numpy` imports pandas, at 0.2 to 0.3 s."""
_PEAKS = {"mz", "intensity"}
MASS_SPECTRA: dict[str, Any] = {
    REGISTRY[one.modality].name: one
    for one in get_args(Spectrum)
    if {field.name for field in fields(one)} >= _PEAKS
}
"""The kinds of spectra whose peaks are kept in flat arrays, by name."""
SPECTRA = pa.schema({"kind": pa.string(), **CONDITIONS, MORE: pa.string()})
"""Of the second and further mass spectra of entries: a row each."""


def kind_of(spectrum: Spectrum) -> str:
    """The name of a spectrum's kind, as in the registry."""
    return REGISTRY[spectrum.modality].name


def parted(record: Record) -> tuple[list[Any], list[Spectrum]]:
    """The mass spectra of a record, whose peaks are kept in flat arrays, and its other spectra, both in their
    order."""
    mass: list[Any] = []
    others: list[Spectrum] = []
    for spectrum in record.spectra:
        (mass if kind_of(spectrum) in MASS_SPECTRA else others).append(spectrum)
    return mass, others


def conditions_of(spectrum: Spectrum) -> dict[str, Any]:
    """The fields of a mass spectrum beside its peaks."""
    return {one.name: getattr(spectrum, one.name) for one in fields(spectrum) if one.name not in _PEAKS}


def table_of_spectra(spectra: Sequence[Spectrum]) -> pa.Table:
    """Mass spectra without their peaks as rows of `SPECTRA`."""
    rows = []
    for spectrum in spectra:
        known = conditions_of(spectrum)
        more = {name: known.pop(name) for name in list(known) if name not in CONDITIONS}
        rows.append({"kind": kind_of(spectrum), **known, MORE: json.dumps(more) if more else None})
    return pa.Table.from_pylist(rows, schema=SPECTRA)


def values_of(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """A column as an array of one number or text for each row: numbers with NaN where unknown, texts as objects
    with None."""
    if len(column) > _MANY:
        found: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return found
    kind = object if pa.types.is_string(column.type) else np.float64 if column.null_count else None
    return np.array(column.to_pylist(), dtype=kind)


def rows_taken(table: pa.Table, rows: IntArray) -> list[dict[str, Any]]:
    """The rows of a table with these numbers, in that order, a dictionary each."""
    return taken(table, rows).to_pylist()


def taken(table: pa.Table, rows: IntArray) -> pa.Table:
    """The rows of a table with these numbers, in that order. `pyarrow.array` would import pandas for that, a
    good part of the time of a search."""
    numbers = np.ascontiguousarray(rows, dtype=np.int64)
    return table.take(pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)]))


def spectrum_of(row: Mapping[str, Any], mz: FloatArray, intensity: FloatArray) -> Spectrum:
    """The mass spectrum of a row of `SPECTRA` and its peaks."""
    return _made(row, json.loads(row[MORE]) if row[MORE] else {}, mz, intensity)


def _made(row: Mapping[str, Any], more: Mapping[str, Any], mz: FloatArray, intensity: FloatArray) -> Spectrum:
    """A mass spectrum of the kind that the row says, its fields from the row and from `more`."""
    kind = MASS_SPECTRA[row["kind"]]
    names = {one.name for one in fields(kind)} - _PEAKS
    known = {name: row[name] for name in names if name in CONDITIONS}
    found: Spectrum = kind(mz=mz, intensity=intensity, **known, **{n: more[n] for n in names if n in more})
    return found


def table_of(entries: Sequence[Entry]) -> pa.Table:
    """Entries as rows of `SCHEMA`."""
    columns: dict[str, list[Any]] = {name: [None] * len(entries) for name in SCHEMA.names}
    for row, entry in enumerate(entries):
        record = entry.record
        first = next(iter(parted(record)[0]), None)
        known: dict[str, Any] = {} if first is None else conditions_of(first)
        more = {f"spectrum.{name}": value for name, value in known.items() if name not in CONDITIONS}
        cells = {
            "id": record.id,
            "smiles": record.smiles,
            "formula": record.formula,
            "block": entry.block,
            "kind": "" if first is None else kind_of(first),
            **{name: value for name, value in known.items() if name in CONDITIONS},
        }
        for name, value in entry.metadata.items():
            if name in TEXTS and isinstance(value, str):
                cells[name] = value
            elif name not in CONDITIONS or cells.get(name) != value:
                more[name] = value
        if more:
            cells[MORE] = json.dumps(more, ensure_ascii=True)
        for name, value in cells.items():
            columns[name][row] = _sound(value) if isinstance(value, str) else value
    return pa.table(columns, schema=SCHEMA)


def _sound(text: str) -> str:
    """A text without halves of characters, which Arrow refuses."""
    return text.encode("utf-8", "replace").decode("utf-8")


def entry_of(row: Mapping[str, Any], mz: FloatArray, intensity: FloatArray) -> Entry:
    """The entry of a row of the table and the peaks of its first mass spectrum, without its other spectra."""
    more = json.loads(row[MORE]) if row[MORE] else {}
    spectra: tuple[Spectrum, ...] = ()
    if row["kind"]:
        names = [f"spectrum.{one.name}" for one in fields(MASS_SPECTRA[row["kind"]])]
        of_it = {name.partition(".")[2]: more.pop(name) for name in names if name in more}
        spectra = (_made(row, of_it, mz, intensity),)
    metadata = {name: row[name] for name in (*TEXTS, *CONDITIONS) if row[name] is not None} | more
    return Entry(Record(row["id"], spectra, row["smiles"], row["formula"]), row["block"], metadata)
