"""What a record says of the atoms of its molecule."""

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.composition import Composition
from mmspec_ds.readers.adduct import parse_adduct
from mmspec_ds.spectra.records import Modality, Record, TandemMS


def known_composition(record: Record, precursor_ppm: float) -> Composition | None:
    """What the record says of the atoms of its molecule: its formula, else the mass by its precursors of known
    adduct, to within `precursor_ppm`; None where it says neither.

    Raises:
        DataError: two precursors give different masses.
        ValueError: the formula cannot be read.
    """
    if record.formula is not None:
        return Composition.of_formula(record.formula)
    masses = []
    for spectrum in record.of(Modality.MS):
        if isinstance(spectrum, TandemMS) and spectrum.precursor_mz is not None and spectrum.adduct is not None:
            adduct = parse_adduct(spectrum.adduct)
            mass = None if adduct is None else adduct.neutral_mass(spectrum.precursor_mz)
            masses += [] if mass is None else [mass]
    if not masses:
        return None
    middle = float(np.median(masses))
    if max(masses) - min(masses) > 2e-6 * precursor_ppm * middle:
        raise DataError(
            f"the precursors of {record.id} give masses from {min(masses):.4f} to {max(masses):.4f}"
        )
    return Composition.of_mass(middle, precursor_ppm)
