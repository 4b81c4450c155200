"""What a search needs to know of the entries of a library, and of a query: peaks and conditions of measurement.

An entry with several mass spectra, at several energies for instance, is compared by each of them.

Axes: R mass spectra of N entries.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mmspec_ds.library.entry import Entry
from mmspec_ds.library.metadata import values_of
from mmspec_ds.library.peaks import Indices, Peaks, peaks_of
from mmspec_ds.library.store import Library
from mmspec_ds.spectra.packed import ranges
from mmspec_ds.spectra.records import ElectronIonisationMS, Record, TandemMS

MassSpectrum = TandemMS | ElectronIonisationMS
TANDEM, ELECTRON_IONISATION = "ms", "ei"
"""Kinds of mass spectra, as the registry calls them."""

UNKNOWN = -1
_SIGN = {"positive": 1, "negative": -1}
_ENERGIES = ("measured_energy_ev", "collision_energy_ev")
_CONDITIONS = ("adduct", "precursor_mz", *_ENERGIES)


@dataclass(frozen=True, slots=True)
class Conditions:
    """How one mass spectrum was measured.

    Attributes:
        kind: "ms" or "ei".
        precursor_mz: NaN where unknown, and for electron ionisation.
        polarity: 1, -1, or 0 where unknown.
        adduct: "" where unknown.
        energy_ev: NaN where unknown.
    """

    kind: str
    precursor_mz: float = np.nan
    polarity: int = 0
    adduct: str = ""
    energy_ev: float = np.nan


@dataclass(frozen=True, slots=True)
class References:
    """The mass spectra of entries, with which queries are compared; an entry without any counts as one that has
    no peaks.

    Attributes:
        peaks: of the R spectra.
        entry: [R] the number of the entry, rising.
        kind: [R] "ms", "ei" or "".
        precursor_mz: [R] NaN where unknown.
        polarity: [R] 1, -1, or 0 where unknown.
        adduct: [R] a number for each adduct, UNKNOWN where there is none.
        adducts: the adducts by that number.
        energy_ev: [R] NaN where unknown.
        molecule: [R] a number for each molecule; entries of unknown structure have one each.
    """

    peaks: Peaks
    entry: Indices
    kind: npt.NDArray[np.str_]
    precursor_mz: npt.NDArray[np.float64]
    polarity: npt.NDArray[np.int8]
    adduct: Indices
    adducts: Sequence[str]
    energy_ev: npt.NDArray[np.float64]
    molecule: Indices

    def __len__(self) -> int:
        return len(self.kind)

    def rows_of(self, entries: Indices) -> Indices:
        """The rows of some entries, each of which is named once, rising."""
        first = np.searchsorted(self.entry, entries, side="left")
        counts = np.searchsorted(self.entry, entries, side="right") - first
        return np.sort(ranges(first, counts))


def references_of_library(library: Library) -> References:
    """The entries of a library on disk; the peaks stay memory-mapped.

    Raises:
        DataError: a file of the library is damaged.
    """
    spectra = {name: values_of(library.spectra[name]) for name in _CONDITIONS}
    adducts, adduct = _numbered(spectra["adduct"])
    measured, mapped = (spectra[name].astype(np.float64) for name in _ENERGIES)
    return References(
        peaks=library.all_peaks,
        entry=library.entry_of,
        kind=library.kinds.astype(str),
        precursor_mz=spectra["precursor_mz"].astype(np.float64),
        polarity=library.polarity,
        adduct=adduct,
        adducts=adducts,
        energy_ev=np.where(np.isnan(measured), mapped, measured),
        molecule=molecules_of(library.column("block"))[library.entry_of],
    )


def references_of_entries(entries: Sequence[Entry], *, first_alone: bool = False) -> References:
    """Entries that are in memory.

    Args:
        entries: N of them.
        first_alone: take only the first mass spectrum of each, so that row n is of entry n.
    """
    most = 1 if first_alone else None
    of_entries: list[Sequence[MassSpectrum | None]] = [
        mass_spectra(entry.record)[:most] or [None] for entry in entries
    ]
    spectra = [one for some in of_entries for one in some]
    entry = np.repeat(np.arange(len(entries)), [len(some) for some in of_entries])
    known = [Conditions("") if one is None else conditions_of(one) for one in spectra]
    nothing = (np.zeros(0), np.zeros(0))
    adducts, adduct = _numbered(np.array([one.adduct for one in known], dtype=object))
    return References(
        peaks=peaks_of(nothing if one is None else (one.mz, one.intensity) for one in spectra),
        entry=entry,
        kind=np.array([one.kind for one in known], dtype=str),
        precursor_mz=np.array([one.precursor_mz for one in known]),
        polarity=np.array([one.polarity for one in known], dtype=np.int8),
        adduct=adduct,
        adducts=adducts,
        energy_ev=np.array([one.energy_ev for one in known]),
        molecule=molecules_of(np.array([one.block for one in entries], dtype=object))[entry],
    )


def mass_spectra(record: Record) -> list[MassSpectrum]:
    """The mass spectra of a record, in their order."""
    return [one for one in record.spectra if isinstance(one, MassSpectrum)]


def conditions_of(spectrum: MassSpectrum) -> Conditions:
    """How a mass spectrum was measured; the energy of the instrument counts before the one it was mapped to."""
    if isinstance(spectrum, ElectronIonisationMS):
        return Conditions(ELECTRON_IONISATION, polarity=1, energy_ev=_number(spectrum.energy_ev))
    measured = spectrum.measured_energy_ev
    return Conditions(
        kind=TANDEM,
        precursor_mz=_number(spectrum.precursor_mz),
        polarity=_SIGN[spectrum.polarity],
        adduct=spectrum.adduct or "",
        energy_ev=_number(spectrum.collision_energy_ev if measured is None else measured),
    )


def conditions_of_row(references: References, row: int) -> Conditions:
    """How the mass spectrum of a row was measured."""
    adduct = int(references.adduct[row])
    return Conditions(
        kind=str(references.kind[row]),
        precursor_mz=float(references.precursor_mz[row]),
        polarity=int(references.polarity[row]),
        adduct="" if adduct == UNKNOWN else references.adducts[adduct],
        energy_ev=float(references.energy_ev[row]),
    )


def as_measured(record: Record) -> Record:
    """The record of a query with the collision energies of the instrument, as entries of a library have them;
    unknown where the file does not tell."""
    spectra = tuple(
        replace(one, collision_energy_ev=one.measured_energy_ev) if isinstance(one, TandemMS) else one
        for one in record.spectra
    )
    return replace(record, spectra=spectra)


def molecules_of(blocks: npt.NDArray[np.object_]) -> Indices:
    """A number for each molecule by the first block of its InChIKey, int64 [N]; entries of the same block have
    the same, and one without a block ("" or None) has a number of its own."""
    _, number = np.unique(np.array([block or "" for block in blocks], dtype=str), return_inverse=True)
    unknown = np.array([not block for block in blocks], dtype=bool)
    number[unknown] = len(blocks) + np.flatnonzero(unknown)
    return number


def _number(value: float | None) -> float:
    return np.nan if value is None or not value > 0 else float(value)


def _numbered(texts: npt.NDArray[np.object_]) -> tuple[list[str], Indices]:
    """The different texts, and for each place the number of its text, UNKNOWN where there is none."""
    known, number = np.unique(np.array([text or "" for text in texts], dtype=str), return_inverse=True)
    return known.tolist(), np.where(known[number] == "", UNKNOWN, number)
