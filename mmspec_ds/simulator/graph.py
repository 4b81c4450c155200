"""Atoms and bonds of a molecule as lists.

RDKit's own iterators, `mol.GetAtoms()` and `mol.GetBonds()`, ask for the size again at each step: they took a
tenth of a simulation.
"""

from functools import lru_cache

from rdkit import Chem


def atoms_of(mol: Chem.Mol) -> list[Chem.Atom]:
    """The atoms in the order of their indices."""
    return [mol.GetAtomWithIdx(index) for index in range(mol.GetNumAtoms())]


def bonds_of(mol: Chem.Mol) -> list[Chem.Bond]:
    """The bonds in the order of their indices."""
    return [mol.GetBondWithIdx(index) for index in range(mol.GetNumBonds())]


@lru_cache(maxsize=2**10)
def monoisotopic_mass(number: int, isotope: int) -> float:
    """Mass (dalton) of an isotope of an element, or with 0 of its commonest one."""
    table = Chem.GetPeriodicTable()
    if isotope:
        return float(table.GetMassForIsotope(number, isotope))
    return float(table.GetMostCommonIsotopeMass(number))
