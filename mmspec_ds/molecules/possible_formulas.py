"""The molecular formulas that a composition leaves possible."""

from collections.abc import Sequence

import numpy as np
from rdkit import Chem

from mmspec_ds.molecules.composition import Composition
from mmspec_ds.molecules.formula import monoisotopic_mass

_MOST = {
    "C": 39,
    "N": 20,
    "O": 20,
    "P": 9,
    "S": 10,
    "F": 16,
    "Cl": 10,
    "Br": 5,
    "Si": 8,
    "I": 4,
    "B": 4,
    "Se": 4,
}
"""Atoms of an element in molecules below 500 Da: Kind and Fiehn 2007 (doi 10.1186/1471-2105-8-105), table 1; I,
B and Se by ourselves. Other elements are left out."""

_HEAVIEST_DA = 500.0


def possible_formulas(
    composition: Composition, elements: Sequence[str], most: int = 1000
) -> list[dict[str, int]] | None:
    """The formulas of neutral molecules of these elements and hydrogen, each as counts of its elements.

    Of a mass these are the formulas in its range with a whole number of rings and double bonds, not below 0.
    None where there are more than `most`, or the mass is above 500 Da: too many to be of use.
    """
    if composition.elements is not None:
        return [composition.elements]
    low, high = composition.mass_da
    if high > _HEAVIEST_DA:
        return None
    chosen = sorted((e for e in elements if e in _MOST), key=monoisotopic_mass, reverse=True)
    counts_NE, mass_N = np.zeros((1, 0), dtype=np.int64), np.zeros(1)
    for element in chosen:
        mass = monoisotopic_mass(element)
        step = np.arange(min(_MOST[element], int(high / mass)) + 1)
        total_NX = mass_N[:, None] + step * mass
        row, more = np.nonzero(total_NX <= high)
        counts_NE = np.column_stack([counts_NE[row], step[more]])
        mass_N = total_NX[row, more]
    hydrogens_N = np.floor((high - mass_N) / monoisotopic_mass("H")).astype(np.int64)
    table = Chem.GetPeriodicTable()
    valence_E = np.array([table.GetDefaultValence(element) for element in chosen])
    unsaturation_N = 2 + counts_NE @ (valence_E - 2) - hydrogens_N
    fits_N = (mass_N + hydrogens_N * monoisotopic_mass("H") >= low) & (unsaturation_N >= 0)
    found = np.flatnonzero(fits_N & (unsaturation_N % 2 == 0) & (counts_NE.sum(axis=1) > 0))
    if len(found) > most:
        return None
    rows = np.column_stack([counts_NE[found], hydrogens_N[found]]).tolist()
    return [{e: n for e, n in zip((*chosen, "H"), row) if n} for row in rows]
