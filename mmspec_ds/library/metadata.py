"""What is known of each entry, as columns of a table.

id, smiles, formula, block     of the record and its molecule; block is "" without a structure
kind                           of the spectrum whose peaks the library keeps, "ms" or "ei"; "" without one
polarity, adduct, precursor_mz, charge, collision_energy_ev, measured_energy_ev, energy_ev   of that spectrum
name, accession, ...           TEXTS: what files tell under names that all formats share
more                           all else, as JSON: the file's own fields, and values of another type
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, get_args

import pyarrow as pa

from mmspec_ds.library.entry import Entry
from mmspec_ds.readers import mass_fields
from mmspec_ds.readers import part as keys
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
_PEAKS = {"mz", "intensity"}
MASS_SPECTRA: dict[str, Any] = {
    REGISTRY[one.modality].name: one
    for one in get_args(Spectrum)
    if {field.name for field in fields(one)} >= _PEAKS
}
"""The kinds of spectra whose peaks are kept in flat arrays, by name."""


def kind_of(spectrum: Spectrum) -> str:
    """The name of a spectrum's kind, as in the registry."""
    return REGISTRY[spectrum.modality].name


def place_of_peaks(record: Record) -> int | None:
    """Which of a record's spectra has its peaks kept: the first mass spectrum, None where there is none."""
    found = (at for at, spectrum in enumerate(record.spectra) if kind_of(spectrum) in MASS_SPECTRA)
    return next(found, None)


def conditions_of(spectrum: Spectrum) -> dict[str, Any]:
    """The fields of a mass spectrum beside its peaks."""
    return {one.name: getattr(spectrum, one.name) for one in fields(spectrum) if one.name not in _PEAKS}


def table_of(entries: Sequence[Entry]) -> pa.Table:
    """Entries as rows of `SCHEMA`."""
    columns: dict[str, list[Any]] = {name: [None] * len(entries) for name in SCHEMA.names}
    for row, entry in enumerate(entries):
        record = entry.record
        at = place_of_peaks(record)
        known: dict[str, Any] = {} if at is None else conditions_of(record.spectra[at])
        more = {f"spectrum.{name}": value for name, value in known.items() if name not in CONDITIONS}
        cells = {
            "id": record.id,
            "smiles": record.smiles,
            "formula": record.formula,
            "block": entry.block,
            "kind": "" if at is None else kind_of(record.spectra[at]),
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
    """The entry of a row of the table and its peaks; spectra that are kept elsewhere are not in it."""
    more = json.loads(row[MORE]) if row[MORE] else {}
    spectra: tuple[Spectrum, ...] = ()
    if row["kind"]:
        kind = MASS_SPECTRA[row["kind"]]
        names = {one.name for one in fields(kind)} - _PEAKS
        known = {name: row[name] for name in names if name in CONDITIONS}
        known |= {name: more.pop(f"spectrum.{name}") for name in names if f"spectrum.{name}" in more}
        spectra = (kind(mz=mz, intensity=intensity, **known),)
    metadata = {name: row[name] for name in (*TEXTS, *CONDITIONS) if row[name] is not None} | more
    return Entry(Record(row["id"], spectra, row["smiles"], row["formula"]), row["block"], metadata)
