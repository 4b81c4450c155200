"""The molecules that a search has found, each of them once."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from mmspec_ds.molecules.composition import Composition
from mmspec_ds.molecules.smiles import parse_smiles, write_smiles


@dataclass(frozen=True, slots=True)
class MoleculeCandidate:
    """A molecule and the log of its probability: that of all its spellings that were found, together.

    `smiles` is canonical, with stereochemistry as written.
    """

    smiles: str
    log_probability: float

    @property
    def probability(self) -> float:
        """The probability that the model gives the molecule, from 0 to 1."""
        return float(np.exp(self.log_probability))


@dataclass(frozen=True, slots=True)
class Candidates:
    """Unique valid molecules, the most probable first.

    Attributes:
        molecules: none of them twice.
        invalid: strings that are no molecule.
        merged: spellings that were added to another one of the same molecule.
    """

    molecules: tuple[MoleculeCandidate, ...]
    invalid: int = 0
    merged: int = 0


def unique_molecules(
    written: Iterable[tuple[str, float]], composition: Composition | None = None
) -> Candidates:
    """The molecules of what a search has written.

    The probability of a molecule is the sum over its spellings. Equal ones keep the order of their SMILES.

    Args:
        written: strings, each with its log probability in nats (of all its tokens together).
        composition: the formula or mass that is known; others are left out.
    """
    invalid = 0
    spellings: list[tuple[str, float]] = []
    fits: dict[str, bool] = {}
    for text, log_probability in written:
        try:
            molecule = parse_smiles(text)
        except ValueError:
            invalid += 1
            continue
        smiles = write_smiles(molecule)
        spellings.append((smiles, log_probability))
        if smiles not in fits:
            fits[smiles] = composition is None or composition.fits(molecule)
    found = [
        MoleculeCandidate(smiles, float(np.logaddexp.reduce([one for _, one in group])))
        for smiles, group in groupby(sorted(spellings), key=lambda spelling: spelling[0])
    ]
    fitting = (one for one in found if fits[one.smiles])
    best_first = sorted(fitting, key=lambda one: -one.log_probability)
    return Candidates(tuple(best_first), invalid, len(spellings) - len(found))
