"""Spectra as instruments give them, and the record that holds those of one molecule."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Polarity = Literal["positive", "negative"]


class Modality(IntEnum):
    """The kinds of evidence. The value is the row of a modality in the router's tag and bias tables.

    FORMULA is not an instrument: a molecular formula given as input is embedded and routed like a spectrum,
    but only when a run asks for it. A model that uses no later modality has the rows up to it (`table_rows`).
    """

    H_NMR = 0
    C_NMR = 1
    IR = 2
    MS = 3
    FORMULA = 4
    HSQC = 5
    EI = 6


def table_rows(used: Iterable[Modality]) -> int:
    """Rows of the router's tag and bias tables in a model that reads these modalities: those up to FORMULA, and
    more only where a later modality is used, so that a new modality changes no model that does not read it."""
    return 1 + max((Modality.FORMULA, *used))


@dataclass(frozen=True, slots=True)
class Multiplet:
    """One signal of a 1H spectrum: position and edges in ppm, `category` as written in reports ("dd", "m"),
    number of hydrogens, coupling constants in Hz."""

    centroid_ppm: float
    max_ppm: float
    min_ppm: float
    category: str
    hydrogens: int
    j_hz: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class HydrogenNMR:
    """A 1H NMR spectrum as its list of multiplets."""

    modality: ClassVar[Modality] = Modality.H_NMR
    multiplets: tuple[Multiplet, ...]


@dataclass(frozen=True, slots=True)
class CarbonNMR:
    """A 13C NMR spectrum as its list of lines in ppm.

    `attached_hydrogens` is the multiplicity of each line as DEPT tells it: 3 for CH3, 2, 1, 0 for a carbon
    without hydrogen, None where it is not known. An empty tuple means that nothing is known.
    """

    modality: ClassVar[Modality] = Modality.C_NMR
    shifts_ppm: tuple[float, ...]
    attached_hydrogens: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Infrared:
    """An IR absorbance spectrum on an even grid from `start_cm1` to `stop_cm1`, both included."""

    modality: ClassVar[Modality] = Modality.IR
    absorbance: FloatArray
    start_cm1: float = 400.0
    stop_cm1: float = 4000.0


@dataclass(frozen=True, slots=True)
class TandemMS:
    """One MS/MS spectrum: m/z and intensity of each peak (any scale), and what is known of its precursor.

    Attributes:
        collision_energy_ev: in eV. Readers give the nearest of the benchmark's 10, 20 and 40 eV unless
            `map_energies` is off; None where nothing is known.
        precursor_mz: m/z of the ion that was fragmented.
        adduct: in brackets with its charge, such as "[M+H]+".
        charge: of the precursor, with its sign.
        measured_energy_ev: the collision energy of the instrument in eV, before that rule; None where the file
            has none that can be understood.
    """

    modality: ClassVar[Modality] = Modality.MS
    mz: FloatArray
    intensity: FloatArray
    polarity: Polarity = "positive"
    collision_energy_ev: float | None = None
    precursor_mz: float | None = None
    adduct: str | None = None
    charge: int | None = None
    measured_energy_ev: float | None = None


@dataclass(frozen=True, slots=True)
class HSQCPeak:
    """One cross peak: shifts of the carbon and of its hydrogen in ppm. `hydrogens` is their number on that
    carbon; `intensity` is on any scale, negative for CH2 in an edited spectrum. None where not known."""

    carbon_ppm: float
    hydrogen_ppm: float
    hydrogens: int | None = None
    intensity: float | None = None


@dataclass(frozen=True, slots=True)
class HSQC:
    """A 1H-13C HSQC spectrum as its list of cross peaks."""

    modality: ClassVar[Modality] = Modality.HSQC
    peaks: tuple[HSQCPeak, ...]


@dataclass(frozen=True, slots=True)
class ElectronIonisationMS:
    """A mass spectrum by electron ionisation, without a precursor: m/z and intensity (any scale) of each peak.

    Attributes:
        energy_ev: of the electrons, in eV, mostly 70; None where it is not stated.
    """

    modality: ClassVar[Modality] = Modality.EI
    mz: FloatArray
    intensity: FloatArray
    energy_ev: float | None = None


Spectrum = HydrogenNMR | CarbonNMR | Infrared | TandemMS | HSQC | ElectronIonisationMS


@dataclass(frozen=True, slots=True)
class Record:
    """One molecule: any subset of spectra (several of one modality are allowed), and what is known of it."""

    id: str
    spectra: tuple[Spectrum, ...] = field(default=())
    smiles: str | None = None
    formula: str | None = None

    def of(self, modality: Modality) -> Iterator[Spectrum]:
        """The spectra of one modality, in the order in which they were given."""
        return (spectrum for spectrum in self.spectra if spectrum.modality is modality)
