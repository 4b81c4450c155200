"""Parquet of measured spectra: shifts as nmrshiftdb2 lists them and MS/MS as MassBank has it, a molecule a row.

Columns, of which the first three tell the format:

- `h_nmr_shift`, `c_nmr_shift`: lists of ppm, one entry an atom; empty where nothing was measured.
- `ms2`: list of spectra, each with `mz`, `intensity`, `ion_mode`, `precursor_type`, `precursor_mz`,
  `collision_energy`, `instrument_type`, `accession`, `license`.
- `smiles`, `formula`, `inchikey14`, `h_nmr_mult`, `c_nmr_mult`, `nmr_solvent`: each may be missing.

A 1H signal is a distinct shift: the list names it once for each of its hydrogens, or once altogether. Ranges
and couplings are not in such lists: those of single lines are taken, with a remark.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmspec_ds.errors import DataError
from mmspec_ds.readers import part as keys
from mmspec_ds.readers.assembly import merge_by_energy
from mmspec_ds.readers.mass_fields import NOT_TANDEM, Fields, kind_of
from mmspec_ds.readers.mass_spectra import items_of, known_formula, known_smiles, mass_part
from mmspec_ds.readers.multiplicities import multiplicity
from mmspec_ds.readers.nmr_lists import carbon_lines, listed_multiplet
from mmspec_ds.readers.part import Item, Part, RecordFault, one_line, part_id
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head
from mmspec_ds.spectra.records import HydrogenNMR, Modality, Spectrum, TandemMS

H_SHIFTS, C_SHIFTS, TANDEM = "h_nmr_shift", "c_nmr_shift", "ms2"
_COLUMN_OF = {Modality.H_NMR: H_SHIFTS, Modality.C_NMR: C_SHIFTS, Modality.MS: TANDEM}
_H_LETTERS, _C_LETTERS = "h_nmr_mult", "c_nmr_mult"
_TEXTS = ("smiles", "formula", "inchikey14", "nmr_solvent")
_READ = (*_COLUMN_OF.values(), _H_LETTERS, _C_LETTERS, *_TEXTS)
_MAGIC = "PAR1"
_BATCH_ROWS = 64
_MOST_LISTED = 5000
_MOST_SPECTRA = 1000


def looks_like_measured(head: Head) -> bool:
    """Whether the file is parquet with the three columns of spectra."""
    if not head.text.startswith(_MAGIC):
        return False
    try:
        names = pq.read_schema(head.path).names
    except (pa.ArrowException, OSError, UnicodeError):
        return False
    return set(_COLUMN_OF.values()) <= set(names)


def read_measured(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The rows of the file, a part each: one 1H and one 13C spectrum, and the MS/MS spectra merged by polarity
    and energy as in `assemble`; or those of one modality. A spectrum of a row that cannot be used is left out
    with a remark; a row without any spectrum left is rejected.

    Raises:
        DataError: the file cannot be read.
    """
    yield from items_of(path, _rows(path), lambda number, row: _part(path, number, row, modality, settings))


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in _READ if name in file.schema_arrow.names]
            for batch in file.iter_batches(_BATCH_ROWS, columns=names, use_threads=False):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise DataError(f"cannot be read as parquet: {one_line(error)}", path=path) from None


def _part(
    path: Path, number: int, row: Mapping[str, Any], modality: Modality | None, settings: FormatSettings
) -> Part:
    spectra: list[Spectrum] = []
    remarks: list[str] = []
    for kind, column in _COLUMN_OF.items():
        if modality not in (None, kind) or not row.get(column):
            continue
        try:
            match kind:
                case Modality.H_NMR:
                    spectra.append(_hydrogen(row, remarks))
                case Modality.C_NMR:
                    shifts = _numbers(row[column], column)
                    reading = carbon_lines(shifts, _letters(row, _C_LETTERS, len(shifts)))
                    remarks += reading.remarks
                    spectra.append(reading.spectrum)
                case _:
                    spectra += _tandem(path, number, row[column], settings, remarks)
        except RecordFault as fault:
            remarks.append(f"{column} left out: {fault.reason}")
    if not spectra:
        raise RecordFault("; ".join(remarks) or "every list of spectra is empty")
    smiles, formula, inchikey, solvent = (_text(row, name) for name in _TEXTS)
    metadata = {keys.INCHIKEY: inchikey, keys.SOLVENT: solvent}
    return Part(
        part_id(path, number),
        tuple(spectra),
        known_smiles(smiles, remarks),
        known_formula(formula, remarks),
        {name: one_line(text) for name, text in metadata.items() if text is not None},
        tuple(dict.fromkeys(remarks)),
    )


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return value.strip() or None if isinstance(value, str) else None


def _numbers(values: object, column: str) -> list[float]:
    """A list of finite numbers.

    Raises:
        RecordFault: it is something else, or longer than any list of shifts.
    """
    if not isinstance(values, list) or len(values) > _MOST_LISTED:
        raise RecordFault(f"{column} is not a list of at most {_MOST_LISTED} numbers")
    if not all(isinstance(one, int | float) and math.isfinite(one) for one in values):
        raise RecordFault(f"{column} holds something that is not a finite number")
    return [float(one) for one in values]


def _letters(row: Mapping[str, Any], column: str, count: int) -> list[str]:
    """The multiplicity of each entry of a list of shifts as written, "" where none is given."""
    written = row.get(column)
    if not isinstance(written, list) or len(written) != count:
        return [""] * count
    return [one if isinstance(one, str) else "" for one in written]


def _hydrogen(row: Mapping[str, Any], remarks: list[str]) -> HydrogenNMR:
    """A multiplet for each distinct shift, of as many hydrogens as the list has entries of it."""
    shifts = _numbers(row[H_SHIFTS], H_SHIFTS)
    counts = Counter(shifts)
    named: dict[float, str] = {}
    for shift, written in zip(shifts, _letters(row, _H_LETTERS, len(shifts))):
        read = multiplicity(written)
        if read:
            named.setdefault(shift, read)
    if len(counts) == len(shifts):
        remarks.append("no shift is listed twice: one hydrogen taken for every signal")
    unnamed = len(counts) - len(named)
    if unnamed:
        remarks.append(f"{unnamed} 1H signals without a multiplicity taken for m")
    remarks.append("ranges of the 1H signals and couplings are not listed: those of single lines taken")
    return HydrogenNMR(
        tuple(
            listed_multiplet(shift, named.get(shift, "m"), counts[shift], ())
            for shift in sorted(counts, reverse=True)
        )
    )


def _tandem(
    path: Path, number: int, spectra: object, settings: FormatSettings, remarks: list[str]
) -> list[TandemMS]:
    if not isinstance(spectra, list) or len(spectra) > _MOST_SPECTRA:
        raise RecordFault(f"{TANDEM} is not a list of at most {_MOST_SPECTRA} spectra")
    found: list[TandemMS] = []
    for entry in spectra:
        accession = entry.get("accession") if isinstance(entry, dict) else None
        name = one_line(accession, 60) if accession else "an MS/MS spectrum"
        try:
            part = _tandem_part(path, number, entry, settings)
        except RecordFault as fault:
            remarks.append(f"{name} left out: {fault.reason}")
            continue
        remarks += (f"{name}: {remark}" for remark in part.remarks)
        found += (one for one in part.spectra if isinstance(one, TandemMS))
    return merge_by_energy(found)


def _tandem_part(path: Path, number: int, entry: object, settings: FormatSettings) -> Part:
    if not isinstance(entry, dict):
        raise RecordFault("not a spectrum with fields")
    fields = Fields()
    for name, value in entry.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            fields.set(name, str(value))
    try:
        mz, intensity = (
            np.array(entry.get(name) or [], dtype=np.float64).reshape(-1) for name in ("mz", "intensity")
        )
    except (TypeError, ValueError):
        raise RecordFault("m/z or intensities are not lists of numbers") from None
    if kind_of(fields) is not Modality.MS:
        raise RecordFault(NOT_TANDEM)
    return mass_part(path, number, (mz, intensity), fields, settings.ms)
