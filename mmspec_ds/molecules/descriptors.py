"""Numbers that describe a molecule as a whole, by RDKit: sizes, rings, polarity, counts of elements and of
functional groups."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from rdkit import Chem

from mmspec_ds.molecules.smiles import parse_smiles

PROPERTIES = (
    "exactmw", "NumHeavyAtoms", "NumAtoms", "NumHeteroatoms", "NumHBD", "NumHBA", "lipinskiHBD", "lipinskiHBA",
    "NumRotatableBonds", "NumAmideBonds", "FractionCSP3", "NumRings", "NumAromaticRings", "NumAliphaticRings",
    "NumSaturatedRings", "NumHeterocycles", "NumAromaticHeterocycles", "NumSaturatedHeterocycles",
    "NumAliphaticHeterocycles", "NumSpiroAtoms", "NumBridgeheadAtoms", "NumAtomStereoCenters",
    "NumUnspecifiedAtomStereoCenters", "labuteASA", "tpsa", "CrippenClogP", "CrippenMR", "kappa1", "kappa2",
    "kappa3",
)  # fmt: skip
"""RDKit's properties, in this order."""

COUNTED = ("H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Se", "Br", "I")
"""Elements whose atoms are counted."""


def descriptor_names() -> tuple[str, ...]:
    """The names of the numbers that `descriptors` gives, in their order."""
    counts = tuple(f"atoms of {element}" for element in COUNTED)
    return (*PROPERTIES, *counts, "charge", "charged atoms", "stereo double bonds", *(n for n, _ in _groups()))


def descriptors(smiles: Sequence[str]) -> npt.NDArray[np.float64]:
    """The numbers of some molecules, [N, descriptors], named by `descriptor_names`.

    The functional groups are those of `rdkit.Chem.Fragments`.

    Raises:
        ValueError: a text is not a valid structure; the message is one line and says why.
    """
    from rdkit.Chem.rdMolDescriptors import Properties

    properties, groups = Properties(PROPERTIES), _groups()
    found = np.zeros((len(smiles), len(descriptor_names())))
    for at, text in enumerate(smiles):
        molecule = parse_smiles(text)
        found[at] = [
            *properties.ComputeProperties(molecule),
            *_atoms(molecule),
            *(count(molecule) for _, count in groups),
        ]
    return found


def _atoms(molecule: Chem.Mol) -> list[float]:
    """Counts of the elements, the charge, charged atoms, double bonds with stereo."""
    counts = dict.fromkeys(COUNTED, 0)
    charges = []
    for atom in molecule.GetAtoms():
        counts["H"] += atom.GetTotalNumHs()
        if atom.GetSymbol() in counts:
            counts[atom.GetSymbol()] += 1
        charges.append(atom.GetFormalCharge())
    marked = sum(bond.GetStereo() > Chem.BondStereo.STEREOANY for bond in molecule.GetBonds())
    return [*counts.values(), sum(charges), sum(charge != 0 for charge in charges), marked]


@cache
def _groups() -> tuple[tuple[str, Callable[[Any], int]], ...]:
    """RDKit's counts of functional groups, by name."""
    from rdkit.Chem import Fragments

    names = sorted(name for name in dir(Fragments) if name.startswith("fr_"))
    return tuple((name.removeprefix("fr_"), getattr(Fragments, name)) for name in names)
