"""What the text of a mass spectrum tells of it."""

from dataclasses import dataclass
from typing import Literal

from mmspec_ds.spectra.records import Polarity

Kind = Literal["positive", "negative", "ei"]
"""An MS/MS spectrum of either polarity, or one of electron ionisation."""
KIND_OF_POLARITY: dict[Polarity, Kind] = {"positive": "positive", "negative": "negative"}


@dataclass(frozen=True, slots=True)
class Told:
    """What a text tells; None for what it does not.

    Attributes:
        mz: of the peaks, the strongest first, as far as the form rounds them.
        shares: intensities as shares of the strongest; None where the text tells their order alone.
        largest_mz: of the peaks, where the text names it apart.
        kind: of spectrum.
        adduct: one of `modalities.ms.ADDUCTS`; "other" for any that is not among them.
        energy_ev: the collision energy, or that of the electrons, in eV.
        precursor_mz: m/z of the precursor.
    """

    mz: tuple[float, ...]
    shares: tuple[float, ...] | None = None
    largest_mz: float | None = None
    kind: Kind | None = None
    adduct: str | None = None
    energy_ev: float | None = None
    precursor_mz: float | None = None
