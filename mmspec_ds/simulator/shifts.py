"""Predicted chemical shifts of the atoms of one molecule and their uncertainty, from the table or `csp5`."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from rdkit import Chem

from mmspec_ds.simulator.environments import Surroundings
from mmspec_ds.simulator.shift_table import load_tables
from mmspec_ds.simulator.substituents import WithoutGroups, near_charges

ShiftSource = Literal["table", "csp5"]
AtomShifts = Mapping[int, float]
"""Shift in ppm by atom index: of 13C for carbons, of 1H for atoms that bear hydrogens. Equal for equivalent
atoms."""


class PredictedShifts(NamedTuple):
    """Shifts and their spreads (standard deviation, ppm) of the atoms of one nucleus, by atom index."""

    ppm: AtomShifts
    spread_ppm: AtomShifts


class MoleculeShifts(NamedTuple):
    """The predicted 13C and 1H shifts of one molecule."""

    carbon: PredictedShifts
    hydrogen: PredictedShifts


def table_shifts(mol: Chem.Mol, around: Surroundings) -> MoleculeShifts:
    """Shifts of a molecule from the table that ships with the project, and by increments near groups that the
    table knows too little of."""
    groups = equivalent_atoms(mol)
    return MoleculeShifts(nucleus_shifts(mol, around, groups, "C"), nucleus_shifts(mol, around, groups, "H"))


def nucleus_shifts(
    mol: Chem.Mol, around: Surroundings, groups: Sequence[Sequence[int]], nucleus: Literal["C", "H"]
) -> PredictedShifts:
    """The same of one nucleus alone, for the `groups` of equivalent atoms."""
    without, table = WithoutGroups(mol), load_tables()[nucleus]
    asked = [atoms for atoms in groups if _has(mol.GetAtomWithIdx(atoms[0]), nucleus)]
    firsts = [atoms[0] for atoms in asked]
    predicted = [
        without.shift(table, nucleus, first) or by_table
        for first, by_table in zip(firsts, table.predict_with_spread(around, firsts))
    ]
    charged = near_charges(mol)[nucleus]
    return PredictedShifts(
        {atom: one[0] + charged.get(atom, 0.0) for atoms, one in zip(asked, predicted) for atom in atoms},
        {atom: one[1] for atoms, one in zip(asked, predicted) for atom in atoms},
    )


def equivalent_atoms(mol: Chem.Mol) -> list[list[int]]:
    """Indices of symmetry-equivalent atoms in groups, in the order of their first members."""
    groups = defaultdict(list)
    for atom, rank in enumerate(Chem.CanonicalRankAtoms(mol, breakTies=False)):
        groups[rank].append(atom)
    return list(groups.values())


def scattered(
    mol: Chem.Mol, shifts: PredictedShifts, error_ppm: float, spreads: float, random: np.random.Generator
) -> AtomShifts:
    """Shifts with an error drawn for each group of equivalent atoms: of standard deviation `error_ppm`, and
    another of `spreads` times the shift's own spread."""
    groups = [atoms for atoms in equivalent_atoms(mol) if atoms[0] in shifts.ppm]
    draws = random.standard_normal((2, len(groups)))
    return {
        atom: shifts.ppm[atom] + error_ppm * draw + spreads * shifts.spread_ppm[atom] * own
        for atoms, draw, own in zip(groups, *draws.tolist())
        for atom in atoms
    }


def _has(atom: Chem.Atom, nucleus: str) -> bool:
    return atom.GetAtomicNum() == 6 if nucleus == "C" else atom.GetTotalNumHs() > 0
