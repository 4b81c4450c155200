"""From the peaks and fields of a mass spectrum to a part: one set of names and rules for all formats."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.molecules.smiles import parse_smiles
from mmspec_ds.readers import part as keys
from mmspec_ds.readers.collision_energy import nearest_energy, parse_collision_energy
from mmspec_ds.readers.mass_fields import (
    ACCESSION,
    FORMULA,
    IONIZATION_ENERGY,
    MS_LEVEL,
    POLARITY,
    RETENTION_INDEX,
    SMILES,
    Fields,
    kind_of,
)
from mmspec_ds.readers.part import Item, Part, RecordFault, one_line, part_id
from mmspec_ds.readers.peaks import HIGHEST_MZ, PeakList, clean_peaks, decimal_number
from mmspec_ds.readers.precursor_ion import Ion, read_ion
from mmspec_ds.readers.read_settings import FormatSettings, TandemReadSettings
from mmspec_ds.readers.source import Line
from mmspec_ds.spectra.records import ElectronIonisationMS, FloatArray, Modality, TandemMS

_SEVENTY_EV = re.compile(r"70(?:\.0+)?\s*(?:ev|v)?")
_MASSBANK_ACCESSION = re.compile(r"MSBNK-(.+)-[^-]+")
"""With the institute."""
_LONGEST_VALUE = _LONGEST_SMILES = 1000
_MOST_REMEMBERED = 50_000

Raw = TypeVar("Raw")


class TextRecord:
    """One record of a text format while it is read: its fields and peaks, and its first fault. After a fault
    the rest of the record is passed over. A format says in `read_line` what a line is."""

    def __init__(self) -> None:
        self.line: int | None = None
        self.fields, self.peaks = Fields(), PeakList()
        self.fault: RecordFault | None = None

    def take(self, line: Line) -> None:
        """Read a line of the record; empty ones are passed over."""
        if self.line is None and line.text.strip():
            self.line = line.number
        if self.fault is not None or not line.text.strip():
            return
        try:
            self.read_line(line)
        except RecordFault as fault:
            self.fault = fault

    def read_line(self, line: Line) -> None:
        """Read a line that is not empty; raises RecordFault."""
        raise NotImplementedError

    def finish(self) -> None:
        """Check the whole record once it has ended; raises RecordFault."""

    def item(self, path: Path, number: int, settings: FormatSettings) -> Item:
        """The part of the record once it has ended, or why it is rejected: the first fault, with its line."""
        try:
            kind_of(self.fields)  # of another kind, its peaks do not matter
            if self.fault is not None:
                raise self.fault
            self.finish()
            return mass_part(path, number, self.peaks.arrays(), self.fields, settings.ms, self.peaks.remarks)
        except RecordFault as fault:
            return fault.rejected(path, number, self.line)


def items_of(path: Path, records: Iterable[Raw], read: Callable[[int, Raw], Part]) -> Iterator[Item]:
    """A part for each record by `read`, which is given its number from 0; a record that raises RecordFault is
    rejected."""
    for number, record in enumerate(records):
        try:
            yield read(number, record)
        except RecordFault as fault:
            yield fault.rejected(path, number)


def mass_part(
    path: Path,
    number: int,
    peaks: tuple[FloatArray, FloatArray],
    fields: Fields,
    settings: TandemReadSettings,
    remarks: Iterable[str] = (),
) -> Part:
    """The part that one mass spectrum gives, MS/MS or EI, of its m/z and intensities and all its fields, as
    written; `remarks` are what was assumed before.

    Raises:
        RecordFault: the peaks or a field cannot be used, or the spectrum is of another kind (no fault then).
    """
    kind = kind_of(fields)
    fields.pop(MS_LEVEL)
    told = list(remarks)
    make = _electron_ionisation if kind is Modality.EI else _tandem
    spectrum, known = make(peaks, fields, settings, told)
    smiles, formula = known_smiles(fields.pop(SMILES), told), known_formula(fields.pop(FORMULA), told)
    metadata: dict[str, str | float | int] = {name: one for name, one in known.items() if one is not None}
    for name, text in fields.values.items():
        metadata.setdefault(name, one_line(text, _LONGEST_VALUE))
    institute = _MASSBANK_ACCESSION.fullmatch(fields.values.get(ACCESSION, ""))
    if institute is not None:
        metadata.setdefault(keys.INSTITUTE, institute[1])
    return Part(part_id(path, number), (spectrum,), smiles, formula, metadata, tuple(told))


def _tandem(
    peaks: tuple[FloatArray, FloatArray], fields: Fields, settings: TandemReadSettings, told: list[str]
) -> tuple[TandemMS, Mapping[str, str | float | int | None]]:
    """The MS/MS spectrum, and what is known of it for the metadata."""
    precursor = _precursor(fields, told)
    polarity, adduct, charge = (fields.pop(name) for name in (POLARITY, keys.ADDUCT, keys.CHARGE))
    ion = read_ion(polarity, adduct, charge, fields.values.get(keys.NAME), told)
    energy, measured = _energies(fields.values.get(keys.COLLISION_ENERGY), precursor, ion, settings, told)
    mz, intensity, changes = clean_peaks(*peaks, settings.max_peaks)
    told += changes
    known = {
        keys.PRECURSOR_MZ: precursor,
        keys.CHARGE: ion.charge,
        keys.ADDUCT: ion.adduct or ion.written,
        keys.MEASURED_EV: measured,
        keys.ASSUMED_EV: energy if measured is None else None,
    }
    return TandemMS(mz, intensity, ion.polarity, energy, precursor, ion.adduct, ion.charge, measured), known


def _electron_ionisation(
    peaks: tuple[FloatArray, FloatArray], fields: Fields, settings: TandemReadSettings, told: list[str]
) -> tuple[ElectronIonisationMS, Mapping[str, str | float | int | None]]:
    """The EI spectrum, and what is known of it for the metadata. A collision energy is that of the electrons:
    some writers know no other field."""
    mz, intensity, changes = clean_peaks(*peaks, settings.max_peaks)
    told += changes
    if fields.pop(keys.PRECURSOR_MZ) is not None:
        told.append("the precursor m/z is left out: a spectrum by electron ionisation has none")
    for name in (keys.CHARGE, keys.ADDUCT):
        fields.pop(name)
    collision = fields.pop(keys.COLLISION_ENERGY)
    text = fields.pop(IONIZATION_ENERGY) or collision
    energy = parse_collision_energy(text, None, None) if text is not None else None
    if energy is not None and energy.ev is None:
        told.append(energy.how.replace("collision", "electron"))
    ev = None if energy is None else energy.ev
    return ElectronIonisationMS(mz, intensity, ev), {IONIZATION_ENERGY: text and one_line(text, 60)}


def _precursor(fields: Fields, remarks: list[str]) -> float | None:
    """The precursor m/z; the target of the isolation window where there is none or it lies outside it."""
    text = fields.pop(keys.PRECURSOR_MZ)
    value = _precursor_mz(text, remarks) if text is not None else None
    low, high, target = fields.window or (0.0, math.inf, None)
    if target is not None and value is None:
        remarks.append(f"no m/z of a selected ion, that of the isolation window taken: {target:.4f}")
        value = target
    elif target is not None and value is not None and not low <= value <= high:
        remarks.append(
            f"the selected ion {value:.4f} lies outside the isolation window {low:g} to {high:g}, its target"
            f" {target:.4f} taken as the precursor m/z"
        )
        value = target
    if value is None:
        gas = not RETENTION_INDEX.isdisjoint(fields.values)
        hint = ", but a retention index: perhaps an EI spectrum" if gas else ""
        if _SEVENTY_EV.fullmatch(fields.values.get(keys.COLLISION_ENERGY, "").lower()):
            hint = ", and 70 eV: perhaps an EI spectrum"
        remarks.append(f"no precursor m/z{hint}")
    return value


def _precursor_mz(text: str, remarks: list[str]) -> float:
    """The number in "195.0877", "195.0877 1200" (with its intensity) or "(195.0877, None)"."""
    word = text.split()[0].strip("[(,;)]")
    try:
        value = decimal_number(word)
    except ValueError:
        value = math.nan
    if re.fullmatch(r"[0-9],\d{3}", word):  # 1,195: thousands?
        value = math.nan
    if not 0 < value <= HIGHEST_MZ:
        hint = " (a decimal comma?)" if "," in word else ""
        raise RecordFault(f"precursor m/z {one_line(text, 40)!r}, expected a number above 0{hint}")
    if "," in word:
        remarks.append(f"precursor m/z {one_line(word, 20)} read as {value!r}: a decimal comma")
    return value


def _energies(
    text: str | None, precursor: float | None, ion: Ion, settings: TandemReadSettings, remarks: list[str]
) -> tuple[float, float | None]:
    """The collision energy that the model is given and, where it is understood, the measured one, in eV."""
    found = parse_collision_energy(text, precursor, ion.charge) if text is not None else None
    if found is None or found.ev is None:
        why = found.how if found is not None else "no collision energy"
        remarks.append(f"{why}, taken as {settings.assumed_energy_ev:g} eV")
        return settings.assumed_energy_ev, None
    energy = nearest_energy(found.ev) if settings.map_energies else found.ev
    if found.how:
        remarks.append(f"collision energy {one_line(text, 40)} understood as {found.ev:.1f} eV ({found.how})")
    if energy != found.ev:
        remarks.append(f"{found.ev:.4g} eV read as {energy:g} eV, the nearest energy of the benchmark")
    return energy, found.ev


def known_smiles(text: str | None, remarks: list[str]) -> str | None:
    """A SMILES as written if RDKit can read it, else None and a remark."""
    if text is None:
        return None
    if len(text) > _LONGEST_SMILES:
        remarks.append(f"a SMILES of {len(text):,} characters left out")
        return None
    if not _is_smiles(text):
        remarks.append(f"SMILES {one_line(text, 60)} is not a valid structure, left out")
        return None
    return text


def known_formula(text: str | None, remarks: list[str]) -> str | None:
    """The formula without the brackets that some databases put around those of ions: [C5H12N]+ is C5H12N+."""
    if text is None:
        return None
    bare = re.sub(r"\](\d+)([-+])$", r"\2\1", text).replace("[", "").replace("]", "")
    if not _is_formula(bare):
        remarks.append(f"formula {one_line(text, 40)} is not understood, left out")
        return None
    return bare


@lru_cache(maxsize=_MOST_REMEMBERED)
def _is_smiles(text: str) -> bool:
    """Remembered, since a library has many spectra of one molecule."""
    try:
        parse_smiles(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=_MOST_REMEMBERED)
def _is_formula(text: str) -> bool:
    try:
        parse_formula(text)
    except ValueError:
        return False
    return True
