"""One record of one molecule, made of the parts that several files give."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TypeVar

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.readers.part import INCHIKEY, Part
from mmspec_ds.spectra.records import ElectronIonisationMS, FloatArray, Record, Spectrum, TandemMS
from mmspec_ds.spectra.registry import REGISTRY

PRECURSOR_TOLERANCE = 0.05
"""Precursors of one adduct of one molecule may differ by this m/z: units of a quadrupole are read to 0.1."""
MERGE_TOLERANCE = 0.005
"""Peaks of two spectra closer than this m/z are one: wider than a high-resolution instrument's error, narrower
than the 0.0112 between CH4 and O, and 0.0126 between CH2 and N, at one nominal mass to be told apart."""

GIVEN = "the given one"
"""Who says what no file does."""

Value = TypeVar("Value")


def assemble(
    parts: Iterable[Part], *, record_id: str | None = None, formula: str | None = None, merge: bool = True
) -> Record:
    """One record of parts of the same molecule.

    MS/MS spectra of one polarity and one of the model's energies become one: each scaled to a base peak of 100,
    peaks nearer than 0.005 m/z joined, intensities averaged. EI spectra stay as they are.
    Two 1H, two 13C or two IR spectra are a conflict.

    Args:
        parts: at least one.
        record_id: of the record; else the ids of the parts, joined by "+".
        formula: what is known of the formula; else that of the parts.
        merge: whether MS/MS spectra are merged; otherwise each stays as it is, in the order of the parts.

    Raises:
        DataError: the parts contradict each other or what is known: different structures, formulas, or
            precursors of one adduct, or two spectra where one has a place. Names both parts.
        ValueError: there is no part.
    """
    parts = tuple(parts)
    if not parts:
        raise ValueError("no part to assemble")
    _check_precursors(parts)
    if len(parts) == 1 and parts[0].spectra and not formula:  # its structure was checked when it was read
        name = parts[0].id if record_id is None else record_id
        return Record(name, _joined_spectra(parts, merge=merge), parts[0].smiles, parts[0].formula)
    inchikeys = [(part.id, str(part.metadata[INCHIKEY])) for part in parts if INCHIKEY in part.metadata]
    _agreed("InChIKey", inchikeys, _skeleton)
    known = [(GIVEN, formula)] if formula else []
    return Record(
        record_id if record_id is not None else "+".join(dict.fromkeys(part.id for part in parts)),
        _joined_spectra(parts, merge=merge),
        _agreed("SMILES", [(part.id, part.smiles) for part in parts], canonical_smiles),
        _agreed("formula", [*known, *((part.id, part.formula) for part in parts)], parse_formula),
    )


def check_formula(formula: str, name: str) -> None:
    """Refuse a text that is no molecular formula; `name` is what it was given as.

    Raises:
        DataError: begins with the name.
    """
    try:
        parse_formula(formula)
    except ValueError as error:
        raise DataError(f"{name}: {error}") from None


def _agreed(
    what: str, said: Sequence[tuple[str, str | None]], normal_form: Callable[[str], object]
) -> str | None:
    """The text that all sources agree on, as the first one writes it; None if no source has one."""
    first: tuple[str, str, object] | None = None
    for who, text in said:
        if text is None:
            continue
        try:
            normal = normal_form(text)
        except ValueError as error:
            named = f"the given {what}" if who == GIVEN else f"the {what} of {who}"
            raise DataError(f"{named}: {error}") from None
        if first is None:
            first = who, text, normal
        elif normal != first[2]:
            raise DataError(
                f"the {what} of {who} is {text}, that of {first[0]} is {first[1]}: not one molecule"
            )
    return None if first is None else first[1]


def _skeleton(inchikey: str) -> str:
    """The first block: records of one molecule often differ in stereo."""
    return inchikey.split("-", 1)[0].upper()


def _check_precursors(parts: Sequence[Part]) -> None:
    seen: dict[str, tuple[str, float]] = {}
    for part in parts:
        for spectrum in part.spectra:
            if not isinstance(spectrum, TandemMS) or spectrum.adduct is None or spectrum.precursor_mz is None:
                continue
            mz = spectrum.precursor_mz
            other, first = seen.setdefault(spectrum.adduct, (part.id, mz))
            if abs(mz - first) > PRECURSOR_TOLERANCE:
                raise DataError(
                    f"the precursor {spectrum.adduct} of {part.id} is m/z {mz:.4f}, that of {other} is"
                    f" {first:.4f}: not one molecule"
                )


def shared_metadata(parts: Iterable[Part]) -> dict[str, str | float | int]:
    """The metadata of parts of one record: a value on which all that tell it agree; the others are left out."""
    told: dict[str, set[str | float | int]] = {}
    for part in parts:
        for name, value in part.metadata.items():
            told.setdefault(name, set()).add(value)
    return {name: next(iter(values)) for name, values in told.items() if len(values) == 1}


def _joined_spectra(parts: Sequence[Part], *, merge: bool) -> tuple[Spectrum, ...]:
    singles: dict[type, tuple[str, Spectrum]] = {}
    tandem: list[TandemMS] = []
    ionised: list[Spectrum] = []
    for part in parts:
        for spectrum in part.spectra:
            if isinstance(spectrum, TandemMS):
                tandem.append(spectrum)
            elif isinstance(spectrum, ElectronIonisationMS):
                ionised.append(spectrum)
            elif type(spectrum) in singles:
                other = singles[type(spectrum)][0]
                label = REGISTRY[spectrum.modality].label
                raise DataError(f"{part.id} and {other} both give a {label} spectrum, a record has one")
            else:
                singles[type(spectrum)] = (part.id, spectrum)
    ordered = sorted((spectrum for _, spectrum in singles.values()), key=lambda one: one.modality)
    return (*ordered, *(merge_by_energy(tandem) if merge else tandem), *ionised)


def merge_by_energy(spectra: Sequence[TandemMS]) -> list[TandemMS]:
    """One spectrum for each polarity and energy, positive first and by rising energy, unknown energies last."""

    def slot(spectrum: TandemMS) -> tuple[bool, bool, float]:
        energy = spectrum.collision_energy_ev
        return spectrum.polarity == "negative", energy is None, energy or 0.0

    return [merge_tandem(list(group)) for _, group in groupby(sorted(spectra, key=slot), key=slot)]


def merge_tandem(spectra: Sequence[TandemMS]) -> TandemMS:
    """The average of spectra of one polarity and energy, with a base peak of 100; a single one as it is.

    A joined peak lies at the mean m/z of its members, weighted by intensity. The precursor and its adduct and
    charge are kept where all that are known agree; the measured energy is the mean of those that are known.
    """
    first = spectra[0]
    if len(spectra) == 1:
        return first
    mz = np.concatenate([spectrum.mz for spectrum in spectra])
    intensity = np.concatenate([spectrum.intensity / spectrum.intensity.max() for spectrum in spectra])
    order = np.argsort(mz, kind="stable")
    mz, intensity = join_close_peaks(mz[order], intensity[order], MERGE_TOLERANCE)
    precursors = [one.precursor_mz for one in spectra if one.precursor_mz is not None]
    energies = [one.measured_energy_ev for one in spectra if one.measured_energy_ev is not None]
    is_one_precursor = bool(precursors) and max(precursors) - min(precursors) <= PRECURSOR_TOLERANCE
    return replace(
        first,
        mz=mz,
        intensity=intensity / intensity.max() * 100.0,
        precursor_mz=precursors[0] if is_one_precursor else None,
        adduct=_common(one.adduct for one in spectra),
        charge=_common(one.charge for one in spectra),
        measured_energy_ev=sum(energies) / len(energies) if energies else None,
    )


def _common(values: Iterable[Value | None]) -> Value | None:
    """The one value that is known, None if there are none or several."""
    known = {value for value in values if value is not None}
    return known.pop() if len(known) == 1 else None


def join_close_peaks(mz: FloatArray, intensity: FloatArray, tolerance: float) -> tuple[FloatArray, FloatArray]:
    """Peaks of rising m/z with runs of neighbours at most `tolerance` (m/z) apart joined.

    Returns:
        The m/z, averaged by intensity, and the summed intensities, as many of each as there are runs.
    """
    starts = np.flatnonzero(np.diff(mz, prepend=-np.inf) > tolerance)
    total = np.add.reduceat(intensity, starts)
    return np.add.reduceat(mz * intensity, starts) / total, total
