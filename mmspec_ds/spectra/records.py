"""What an instrument gave: spectra of four kinds and the record of one molecule that holds them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Polarity = Literal["positive", "negative"]


class Modality(IntEnum):
    """The kinds of evidence. The value is the row of a modality in the router's tag and bias tables.

    FORMULA is no instrument: a molecular formula given as input is embedded and routed like a fifth one, and
    only when a run asks for it.
    """

    H_NMR = 0
    C_NMR = 1
    IR = 2
    MS = 3
    FORMULA = 4


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
    """A 13C NMR spectrum as its list of lines in ppm."""

    modality: ClassVar[Modality] = Modality.C_NMR
    shifts_ppm: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Infrared:
    """An IR absorbance spectrum on an even grid from `start_cm1` to `stop_cm1`, both included."""

    modality: ClassVar[Modality] = Modality.IR
    absorbance: FloatArray
    start_cm1: float = 400.0
    stop_cm1: float = 4000.0


@dataclass(frozen=True, slots=True)
class TandemMS:
    """One MS/MS spectrum: m/z and intensity of each peak (any scale), collision energy in eV or None."""

    modality: ClassVar[Modality] = Modality.MS
    mz: FloatArray
    intensity: FloatArray
    polarity: Polarity = "positive"
    collision_energy_ev: float | None = None


Spectrum = HydrogenNMR | CarbonNMR | Infrared | TandemMS


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
