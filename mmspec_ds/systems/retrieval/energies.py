"""Collision energies that a model is not told.

Libraries hold series of spectra in which an instrument measures a molecule once at each energy. The right
molecule of a query that was taken out of such a series has no spectrum of its energy left, while wrong ones
have. A model that sees energies learns to use that, which is of no use to anybody who has a query of his own.
"""

from collections.abc import Sequence
from dataclasses import replace

from mmspec_ds.spectra.records import Record, Spectrum, TandemMS


def without_energies(records: Sequence[Record]) -> list[Record]:
    """The same records, the collision energies of their MS/MS spectra not known."""
    return [replace(record, spectra=tuple(map(_without_energy, record.spectra))) for record in records]


def _without_energy(spectrum: Spectrum) -> Spectrum:
    if not isinstance(spectrum, TandemMS):
        return spectrum
    return replace(spectrum, collision_energy_ev=None, measured_energy_ev=None)
