"""From the peaks and fields of a mass spectrum to a part: one set of names and rules for all formats."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.readers import part as keys
from mmspec_ds.readers.collision_energy import nearest_energy, parse_collision_energy
from mmspec_ds.readers.part import Part, RecordFault, one_line, part_id
from mmspec_ds.readers.peaks import HIGHEST_MZ, clean_peaks
from mmspec_ds.readers.read_settings import TandemReadSettings
from mmspec_ds.spectra.records import FloatArray, Polarity, TandemMS

# Further fields under one name for all formats.
SMILES = "smiles"
FORMULA = "formula"
POLARITY = "polarity"
MS_LEVEL = "ms_level"
ACCESSION = "accession"
INSTRUMENT_TYPE = "instrument_type"

_SPELLINGS = {
    keys.NAME: ("name", "title", "compoundname", "recordtitle"),
    ACCESSION: ("accession", "spectrumid", "identifier", "db"),
    SMILES: ("smiles", "computedsmiles"),
    keys.INCHIKEY: ("inchikey",),
    FORMULA: ("formula", "molecularformula", "chemicalformula"),
    keys.PRECURSOR_MZ: ("pepmass", "precursormz", "precursorm/z"),
    keys.CHARGE: ("charge", "precursorcharge"),
    keys.ADDUCT: ("adduct", "precursortype", "iontype"),
    POLARITY: ("polarity", "ionmode", "ionizationmode"),
    keys.COLLISION_ENERGY: ("collisionenergy", "ce"),
    keys.INSTRUMENT: ("instrument", "sourceinstrument", "instrumentname"),
    INSTRUMENT_TYPE: ("instrumenttype",),
    MS_LEVEL: ("mslevel", "mstype", "spectrumtype"),
}
_FIELD_OF = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings}

_NOTHING = frozenset({"", "n/a", "na", "nan", "none", "null", "unknown"})
_MOST_FIELDS = 64
_LONGEST_VALUE = 1000
_LONGEST_SMILES = 1000
_HIGHEST_CHARGE = 50

_POLARITIES: Mapping[str, Polarity] = {
    **dict.fromkeys(("positive", "pos", "p", "+", "positive scan"), "positive"),
    **dict.fromkeys(("negative", "neg", "n", "-", "negative scan"), "negative"),
}
_CHARGE = re.compile(r"(?P<before>[-+]?)(?P<size>\d{1,4})(?:\.0+)?(?P<after>[-+]?)")
_ADDUCT_CHARGE = re.compile(r"\]\s*\(?(?P<size>\d*)(?P<signs>[-+]+)(?P<size_after>\d*)\)?[*.•]*")
_MS_LEVEL = re.compile(r"(?:ms)?\s*(\d)")
_UNSIGNED_ADDUCTS: Mapping[str, int] = {"M+H": 1, "M+NA": 1, "M+K": 1, "M+NH4": 1, "M-H": -1, "M+CL": -1}


@dataclass(slots=True)
class Fields:
    """The fields of one record by the names of this house, others by their own in lower case."""

    values: dict[str, str] = field(default_factory=dict)

    def set(self, name: str, value: str, *, keep: bool = True) -> None:
        """Note a field by any of its spellings; the first value counts.

        With `keep` False a field that this house has no name for is dropped.
        """
        name = one_line(name, 60)
        value = value.strip()
        if value.lower() in _NOTHING:
            return
        squeezed = "".join(letter for letter in name.lower() if letter not in " _-#$.")
        known = _FIELD_OF.get(squeezed)
        if known == MS_LEVEL and not _MS_LEVEL.fullmatch(value.lower()):
            return  # "Spectrum_type: Centroid"
        if known is None and (not keep or len(self.values) >= _MOST_FIELDS):
            return
        self.values.setdefault(known or name.lower(), value)

    def pop(self, name: str) -> str | None:
        return self.values.pop(name, None)


def tandem_part(
    path: Path,
    number: int,
    peaks: tuple[FloatArray, FloatArray],
    fields: Fields,
    settings: TandemReadSettings,
) -> Part:
    """The part that one MS/MS spectrum gives.

    Args:
        path: the file.
        number: of the record.
        peaks: m/z and intensity as written.
        fields: all else, as written.
        settings: limits and rules.

    Raises:
        RecordFault: the peaks or a field cannot be used, or the spectrum is not MS/MS (no fault then).
    """
    check_level(fields.pop(MS_LEVEL))
    remarks: list[str] = []
    metadata: dict[str, str | float | int] = {}
    precursor = _precursor(fields.pop(keys.PRECURSOR_MZ))
    if precursor is None:
        remarks.append("no precursor m/z")
    else:
        metadata[keys.PRECURSOR_MZ] = precursor
    adduct = fields.values.get(keys.ADDUCT)
    charge_text = fields.pop(keys.CHARGE)
    polarity, charge = _polarity_and_charge(fields.pop(POLARITY), adduct, charge_text, remarks)
    if charge is not None:
        metadata[keys.CHARGE] = charge
    energy = _energy(fields.values.get(keys.COLLISION_ENERGY), precursor, charge, settings, metadata, remarks)
    mz, intensity, changes = clean_peaks(*peaks, settings.max_peaks)
    remarks += changes
    smiles, formula = known_smiles(fields.pop(SMILES), remarks), known_formula(fields.pop(FORMULA), remarks)
    for name, value in fields.values.items():
        metadata.setdefault(name, one_line(value, _LONGEST_VALUE))
    spectrum = TandemMS(mz, intensity, polarity, energy)
    return Part(part_id(path, number), (spectrum,), smiles, formula, metadata, tuple(remarks))


def check_level(text: str | None) -> None:
    """Refuse, before its peaks are decoded, a spectrum that is not MS/MS; one of no stated level passes.

    Raises:
        RecordFault: the level is another one; no fault of the file.
    """
    match = _MS_LEVEL.fullmatch(text.lower()) if text is not None else None
    if match is not None and match[1] != "2":
        raise RecordFault(f"a spectrum of MS level {match[1]}; MS/MS is level 2", fault=False)


def _precursor(text: str | None) -> float | None:
    """The precursor m/z; some files add its intensity, and some write 0 for none."""
    if text is None:
        return None
    try:
        value = float(text.split()[0])
    except ValueError:
        value = math.nan
    if not 0 <= value <= HIGHEST_MZ:
        raise RecordFault(f"precursor m/z {one_line(text, 40)!r}, expected a number above 0")
    return value or None


def _polarity_and_charge(
    stated: str | None, adduct: str | None, charge_text: str | None, remarks: list[str]
) -> tuple[Polarity, int | None]:
    """The polarity by what the file states, else by the adduct, else by the sign of the charge, else positive;
    the charge with the sign of the polarity, or None if it is not known.

    Raises:
        RecordFault: stated polarity and adduct contradict each other, or the charge is none.
    """
    polarity = _POLARITIES.get(stated.lower()) if stated is not None else None
    adduct_charge = _adduct_charge(adduct)
    by_adduct: Polarity | None = None
    if adduct_charge:
        by_adduct = "positive" if adduct_charge > 0 else "negative"
    if polarity is not None and by_adduct not in (None, polarity):
        raise RecordFault(f"the ion mode is {polarity}, but the adduct {one_line(adduct, 30)} is {by_adduct}")
    charge, signed = _charge(charge_text, remarks)
    by_charge: Polarity | None = None
    if charge and signed:
        by_charge = "positive" if charge > 0 else "negative"
    found = polarity or by_adduct or by_charge
    if found is None:
        remarks.append("polarity not stated, taken as positive")
    elif by_charge not in (None, found):
        remarks.append(
            f"the sign of the charge {one_line(charge_text, 10)} is not that of the {found} ion mode"
        )
    size = abs(charge or adduct_charge or 0)
    sign = -1 if found == "negative" else 1
    return found or "positive", sign * size or None


def _adduct_charge(adduct: str | None) -> int:
    """The signed charge of an adduct like "[M+2H]2+", 0 if it says none."""
    if adduct is None:
        return 0
    match = _ADDUCT_CHARGE.search(adduct)
    if match is None:
        return _UNSIGNED_ADDUCTS.get(adduct.strip("[] ").upper(), 0)
    sign = -1 if match["signs"].startswith("-") else 1
    digits = (match["size"] or match["size_after"])[:3]
    return sign * (int(digits) if digits else len(match["signs"]))


def _charge(text: str | None, remarks: list[str]) -> tuple[int | None, bool]:
    """A charge like "2+", "-1" or "1", and whether it had a sign; 0 and "2+ and 3+" are not known."""
    if text is None:
        return None, False
    match = _CHARGE.fullmatch(text.strip())
    if match is None:
        if re.fullmatch(r"[-+\d]+(?:(?:\s*,\s*|\s+and\s+|\s+)[-+\d]+)+", text.strip()):
            remarks.append(f"of the charges {one_line(text, 30)} none is certain")
            return None, False
        raise RecordFault(f"charge {one_line(text, 30)!r}, expected one like 1+, 2+ or 1-")
    size, sign = int(match["size"]), match["after"] or match["before"]
    if size > _HIGHEST_CHARGE:
        raise RecordFault(f"charge {one_line(text, 30)!r} is above {_HIGHEST_CHARGE}")
    return (-size if sign == "-" else size) or None, bool(sign)


def _energy(
    text: str | None,
    precursor: float | None,
    charge: int | None,
    settings: TandemReadSettings,
    metadata: dict[str, str | float | int],
    remarks: list[str],
) -> float:
    """The energy of the spectrum in eV; what was measured goes to the metadata."""
    found = parse_collision_energy(text, precursor, charge) if text is not None else None
    if found is None or found.ev is None:
        why = found.how if found is not None else "no collision energy"
        remarks.append(f"{why}, taken as {settings.assumed_energy_ev:g} eV")
        return settings.assumed_energy_ev
    metadata[keys.MEASURED_EV] = found.ev
    energy = nearest_energy(found.ev) if settings.map_energies else found.ev
    if found.how:
        remarks.append(f"collision energy {one_line(text, 40)} understood as {found.ev:.1f} eV ({found.how})")
    if energy != found.ev:
        remarks.append(f"{found.ev:.4g} eV read as {energy:g} eV, the nearest energy of the benchmark")
    return energy


def known_smiles(text: str | None, remarks: list[str]) -> str | None:
    """A SMILES as written if RDKit can read it, else None and a remark."""
    if text is None:
        return None
    if len(text) > _LONGEST_SMILES:
        remarks.append(f"a SMILES of {len(text):,} characters left out")
        return None
    try:
        canonical_smiles(text)
    except ValueError:
        remarks.append(f"SMILES {one_line(text, 60)} is no molecule, left out")
        return None
    return text


def known_formula(text: str | None, remarks: list[str]) -> str | None:
    """The formula without the brackets that some databases put around those of ions: [C5H12N]+ is C5H12N+."""
    if text is None:
        return None
    bare = re.sub(r"\](\d+)([-+])$", r"\2\1", text).replace("[", "").replace("]", "")
    try:
        parse_formula(bare)
    except ValueError:
        remarks.append(f"formula {one_line(text, 40)} is not understood, left out")
        return None
    return bare
