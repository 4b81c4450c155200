"""Features of fragments for the fitted scorer: their content, the bonds that were cut, and the rest of the
molecule.

Axes: F fragments, A heavy atoms, B bonds, C cut or content classes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rdkit import Chem

from mmspec_ds.simulator.environments import hybridisation
from mmspec_ds.simulator.fragmentation import BoolMatrix
from mmspec_ds.simulator.graph import atoms_of, bonds_of, monoisotopic_mass

FloatMatrix = npt.NDArray[np.float32]

_HALOGENS = (9, 17, 35, 53)
_UNSATURATED = (Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.AROMATIC)

CONTENTS = (
    "carbon", "amine", "ring nitrogen", "other nitrogen", "carbonyl oxygen", "other oxygen",
    "sulfur or phosphorus", "fluorine", "other halogen", "aromatic atom", "ring atom",
    "acidic hydrogen", "other hydrogen",
)  # fmt: skip
"""Counted in a fragment and in the rest of the molecule, each as log(1 + n)."""
SITES = (
    "carbon", "nitrogen", "oxygen", "sulfur or phosphorus", "halogen", "carbonyl carbon",
    "carbon beside a hetero atom", "carbon beside a pi bond", "aromatic", "quaternary",
)  # fmt: skip
"""Counted among the ends of cut bonds: on the fragment's side, and on the other."""
BONDS = (
    "C-C", "C-N", "C-O", "C-S", "C-halogen", "between hetero atoms", "amide", "ester", "double or triple",
    "aromatic", "in a saturated ring", "beside a pi bond",
)  # fmt: skip
"""Counted among the cut bonds."""
SCALARS = (
    "whole", "one cut", "two cuts", "three cuts", "more cuts", "open valences", "share of the heavy atoms",
    "log of the fragment's heavy atoms", "log of the molecule's heavy atoms", "unsaturation of the molecule",
)  # fmt: skip
FEATURES = 2 * len(CONTENTS) + 2 * len(SITES) + len(BONDS) + len(SCALARS)


@dataclass(frozen=True)
class DescribedFragments:
    """Fragments of one molecule: features [F, FEATURES], mass without hydrogens [F] (dalton), and whole numbers
    [F]: hydrogens that they had, order of the bonds cut."""

    features: FloatMatrix
    heavy_mass: npt.NDArray[np.float64]
    hydrogens: npt.NDArray[np.int64]
    valences: npt.NDArray[np.int64]


def describe(mol: Chem.Mol, membership: BoolMatrix) -> DescribedFragments:
    """Features of the fragments in `membership` [F, A], whose first row is the whole molecule."""
    kekulised = Chem.Mol(mol)
    Chem.Kekulize(kekulised, clearAromaticFlags=False)
    bonds = bonds_of(kekulised)
    begins = np.array([bond.GetBeginAtomIdx() for bond in bonds], dtype=np.int64)
    ends = np.array([bond.GetEndAtomIdx() for bond in bonds], dtype=np.int64)
    orders = np.array([int(bond.GetBondTypeAsDouble()) for bond in bonds], dtype=np.float32)
    inside = membership.astype(np.float32)
    at_begin, at_end = inside[:, begins], inside[:, ends]
    keeps_begin, keeps_end = at_begin * (1.0 - at_end), at_end * (1.0 - at_begin)
    cut_FB = keeps_begin + keeps_end
    facts = _facts(mol)
    contents_AC, sites_AC = _contents(facts), _sites(facts)
    held = inside @ contents_AC
    left = contents_AC.sum(axis=0) - held
    kept = keeps_begin @ sites_AC[begins] + keeps_end @ sites_AC[ends]
    lost = keeps_begin @ sites_AC[ends] + keeps_end @ sites_AC[begins]
    hydrogens = np.array([atom.GetTotalNumHs() for atom in atoms_of(mol)], dtype=np.int64)
    valences = cut_FB @ orders
    scalars = _scalars(mol, inside, cut_FB, valences)
    bonds_BC = _bonds(mol, facts)
    features = np.concatenate(
        [np.log1p(held), np.log1p(left), kept, lost, cut_FB @ bonds_BC, scalars], axis=1, dtype=np.float32
    )
    return DescribedFragments(
        features,
        membership @ heavy_masses(mol),
        membership @ hydrogens,
        np.rint(valences).astype(np.int64),
    )


def heavy_masses(mol: Chem.Mol) -> npt.NDArray[np.float64]:
    """Monoisotopic mass of each heavy atom (of its isotope, where one is given) without hydrogens, dalton."""
    return np.array([monoisotopic_mass(atom.GetAtomicNum(), atom.GetIsotope()) for atom in atoms_of(mol)])


def _scalars(mol: Chem.Mol, inside: FloatMatrix, cut_FB: FloatMatrix, valences: FloatMatrix) -> FloatMatrix:
    atoms = mol.GetNumAtoms()
    sizes, cuts = inside.sum(axis=1), cut_FB.sum(axis=1)
    pi_and_rings = (
        mol.GetNumBonds() - atoms + 1 + sum(b.GetBondType() in _UNSATURATED for b in bonds_of(mol)) / 2
    )
    columns = [cuts == 0, cuts == 1, cuts == 2, cuts == 3, cuts > 3, valences, sizes / atoms, np.log(sizes)]
    whole = [np.full(len(sizes), np.log(atoms)), np.full(len(sizes), pi_and_rings / atoms)]
    return np.stack([*columns, *whole], axis=1).astype(np.float32)


class _Facts(NamedTuple):
    """Properties of the atoms of a molecule, by index, computed once."""

    atoms: list[Chem.Atom]
    numbers: list[int]
    near: list[list[int]]
    """Indices of the neighbours."""
    sp3: list[bool]
    carbonyl: list[bool]
    pi: list[bool]
    """Whether the atom has a double, triple or aromatic bond."""


def _facts(mol: Chem.Mol) -> _Facts:
    atoms = atoms_of(mol)
    return _Facts(
        atoms,
        [atom.GetAtomicNum() for atom in atoms],
        [[other.GetIdx() for other in atom.GetNeighbors()] for atom in atoms],
        [hybridisation(atom) == "sp3" for atom in atoms],
        [_is_carbonyl(atom) for atom in atoms],
        [any(bond.GetBondType() in _UNSATURATED for bond in atom.GetBonds()) for atom in atoms],
    )


def _contents(facts: _Facts) -> FloatMatrix:
    """The contribution of each atom to CONTENTS, [A, C]."""
    rows = []
    for atom, number, near, sp3 in zip(facts.atoms, facts.numbers, facts.near, facts.sp3):
        hydrogens, aromatic = atom.GetTotalNumHs(), atom.GetIsAromatic()
        amine = number == 7 and sp3 and not any(facts.carbonyl[other] for other in near)
        acidic = number in (7, 8, 16)
        rows.append(
            [
                number == 6, amine, number == 7 and aromatic, number == 7 and not amine and not aromatic,
                number == 8 and not sp3, number == 8 and sp3, number in (15, 16), number == 9,
                number in _HALOGENS[1:], aromatic, atom.IsInRing(), hydrogens * acidic,
                hydrogens * (not acidic),
            ]
        )  # fmt: skip
    return np.array(rows, dtype=np.float32)


def _sites(facts: _Facts) -> FloatMatrix:
    """Which of SITES each atom is, [A, C]."""
    rows = []
    for atom, number, near, carbonyl in zip(facts.atoms, facts.numbers, facts.near, facts.carbonyl):
        carbon = number == 6
        rows.append(
            [
                carbon, number == 7, number == 8, number in (15, 16), number in _HALOGENS, carbonyl,
                carbon and any(facts.numbers[other] in (7, 8, 16) for other in near),
                carbon and any(facts.pi[other] for other in near), atom.GetIsAromatic(),
                carbon and atom.GetDegree() == 4,
            ]
        )  # fmt: skip
    return np.array(rows, dtype=np.float32)


def _bonds(mol: Chem.Mol, facts: _Facts) -> FloatMatrix:
    """Which of BONDS each bond is, [B, C]."""
    rows = []
    for bond in bonds_of(mol):
        begin, end = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        numbers = sorted((facts.numbers[begin], facts.numbers[end]))
        kind, aromatic = bond.GetBondType(), bond.GetIsAromatic()
        single = kind == Chem.BondType.SINGLE
        acyl = single and (facts.carbonyl[begin] or facts.carbonyl[end])
        rows.append(
            [
                numbers == [6, 6], numbers == [6, 7], numbers == [6, 8], numbers == [6, 16],
                numbers[0] == 6 and numbers[1] in _HALOGENS, numbers[0] > 6,
                acyl and numbers == [6, 7], acyl and numbers == [6, 8],
                kind in (Chem.BondType.DOUBLE, Chem.BondType.TRIPLE), aromatic,
                bond.IsInRing() and not aromatic,
                single and (_beside_pi(facts, begin, end) or _beside_pi(facts, end, begin)),
            ]
        )  # fmt: skip
    return np.array(rows, dtype=np.float32).reshape(len(rows), len(BONDS))


def _is_carbonyl(atom: Chem.Atom) -> bool:
    """Whether the atom is a carbon (or a sulfonyl's sulfur) with a double bond to oxygen or sulfur."""
    return atom.GetAtomicNum() in (6, 16) and any(
        bond.GetBondType() == Chem.BondType.DOUBLE and bond.GetOtherAtom(atom).GetAtomicNum() in (8, 16)
        for bond in atom.GetBonds()
    )


def _beside_pi(facts: _Facts, atom: int, partner: int) -> bool:
    """Whether a neighbour of `atom` other than `partner` has a pi bond."""
    return any(other != partner and facts.pi[other] for other in facts.near[atom])
