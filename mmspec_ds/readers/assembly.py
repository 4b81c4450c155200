"""One record of one molecule, out of the parts that several files give."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TypeVar

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.readers.part import ADDUCT, INCHIKEY, PRECURSOR_MZ, Part
from mmspec_ds.spectra.records import FloatArray, Record, Spectrum, TandemMS
from mmspec_ds.spectra.registry import REGISTRY

PRECURSOR_TOLERANCE = 0.05
"""Precursors of one adduct of one molecule may differ by this m/z: units of a quadrupole are read to 0.1."""
MERGE_TOLERANCE = 0.005
"""Peaks of two spectra closer than this m/z are one: wider than a high-resolution instrument's error, narrower
than the 0.0112 between CH4 and O, and 0.0126 between CH2 and N, at one nominal mass to be told apart."""

Value = TypeVar("Value")


def assemble(
    parts: Iterable[Part],
    *,
    record_id: str | None = None,
    smiles: str | None = None,
    formula: str | None = None,
) -> Record:
    """One record of parts of the same molecule.

    MS/MS spectra of one polarity and one of the model's energies become one: each scaled to a base peak of 100,
    peaks nearer than 0.005 m/z joined, intensities averaged. Two 1H, two 13C or two IR spectra are a conflict.

    Args:
        parts: at least one.
        record_id: of the record; else the ids of the parts, joined by "+".
        smiles: what is known of the structure; else that of the parts.
        formula: what is known of the formula; else that of the parts.

    Raises:
        DataError: the parts contradict each other or what is known: different structures, formulas, or
            precursors of one adduct, or two spectra where one has a place. Names both parts.
        ValueError: there is no part.
    """
    parts = tuple(parts)
    if not parts:
        raise ValueError("no part to assemble")
    _check_precursors(parts)
    _agreed("InChIKey", [(part.id, _text(part.metadata.get(INCHIKEY))) for part in parts], _skeleton)
    known_smiles = [("the given one", smiles)] if smiles else []
    known_formula = [("the given one", formula)] if formula else []
    return Record(
        record_id if record_id is not None else "+".join(dict.fromkeys(part.id for part in parts)),
        _joined_spectra(parts),
        _agreed("SMILES", [*known_smiles, *((p.id, p.smiles) for p in parts)], canonical_smiles),
        _agreed("formula", [*known_formula, *((p.id, p.formula) for p in parts)], _sorted_counts),
    )


def _agreed(
    what: str, said: Sequence[tuple[str, str | None]], normal_form: Callable[[str], object]
) -> str | None:
    """What all who say something agree on, as the first one writes it."""
    first: tuple[str, str, object] | None = None
    for who, text in said:
        if text is None:
            continue
        try:
            normal = normal_form(text)
        except ValueError as error:
            raise DataError(f"the {what} of {who}: {error}") from None
        if first is None:
            first = who, text, normal
        elif normal != first[2]:
            raise DataError(
                f"the {what} of {who} is {text}, that of {first[0]} is {first[1]}: not one molecule"
            )
    return None if first is None else first[1]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _skeleton(inchikey: str) -> str:
    """The first block: records of one molecule often differ in stereo."""
    return inchikey.split("-", 1)[0].upper()


def _sorted_counts(formula: str) -> tuple[list[tuple[str, int]], int]:
    counts, charge = parse_formula(formula)
    return sorted(counts.items()), charge


def _check_precursors(parts: Sequence[Part]) -> None:
    seen: dict[str, tuple[str, float]] = {}
    for part in parts:
        adduct, mz = part.metadata.get(ADDUCT), part.metadata.get(PRECURSOR_MZ)
        if adduct is None or mz is None:
            continue
        other, first = seen.setdefault(str(adduct), (part.id, float(mz)))
        if abs(float(mz) - first) > PRECURSOR_TOLERANCE:
            raise DataError(
                f"the precursor {adduct} of {part.id} is m/z {float(mz):.4f}, that of {other} is {first:.4f}:"
                " not one molecule"
            )


def _joined_spectra(parts: Sequence[Part]) -> tuple[Spectrum, ...]:
    singles: dict[type, tuple[str, Spectrum]] = {}
    tandem: list[TandemMS] = []
    for part in parts:
        for spectrum in part.spectra:
            if isinstance(spectrum, TandemMS):
                tandem.append(spectrum)
            elif type(spectrum) in singles:
                other = singles[type(spectrum)][0]
                label = REGISTRY[spectrum.modality].label
                raise DataError(f"{part.id} and {other} both give a {label} spectrum, a record has one")
            else:
                singles[type(spectrum)] = (part.id, spectrum)
    ordered = sorted((spectrum for _, spectrum in singles.values()), key=lambda one: one.modality)
    return (*ordered, *merge_by_energy(tandem))


def merge_by_energy(spectra: Sequence[TandemMS]) -> list[TandemMS]:
    """One spectrum for each polarity and energy, positive first and by rising energy, unknown energies last."""

    def slot(spectrum: TandemMS) -> tuple[bool, bool, float]:
        energy = spectrum.collision_energy_ev
        return spectrum.polarity == "negative", energy is None, energy or 0.0

    return [merge_tandem(list(group)) for _, group in groupby(sorted(spectra, key=slot), key=slot)]


def merge_tandem(spectra: Sequence[TandemMS]) -> TandemMS:
    """The average of spectra of one polarity and energy, with a base peak of 100; a single one as it is.

    A joined peak lies at the mean m/z of its members, weighted by intensity.
    """
    first = spectra[0]
    if len(spectra) == 1:
        return first
    mz = np.concatenate([spectrum.mz for spectrum in spectra])
    intensity = np.concatenate([spectrum.intensity / spectrum.intensity.max() for spectrum in spectra])
    order = np.argsort(mz, kind="stable")
    mz, intensity = join_close_peaks(mz[order], intensity[order], MERGE_TOLERANCE)
    return TandemMS(mz, intensity / intensity.max() * 100.0, first.polarity, first.collision_energy_ev)


def join_close_peaks(mz: FloatArray, intensity: FloatArray, tolerance: float) -> tuple[FloatArray, FloatArray]:
    """Sorted peaks, runs of neighbours at most `tolerance` apart joined: intensities added, m/z averaged."""
    starts = np.flatnonzero(np.diff(mz, prepend=-np.inf) > tolerance)
    total = np.add.reduceat(intensity, starts)
    return np.add.reduceat(mz * intensity, starts) / total, total
