"""Enumeration of small molecules of C, N, O, F, S and Cl, grown atom by atom.

A molecule of n heavy atoms is one of n - 1 with an atom in place of a hydrogen, or one of n with a ring closed;
aromatic rings are seeds. The rules in `chemistry` say which molecules are not grown and not shown.
"""

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

import numpy as np
from rdkit import Chem

from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.simulator.chemistry import MAX_RINGS, elements_to_add, is_sensible, may_grow

MIN_HEAVY_ATOMS = 4
COMPLETE_UP_TO = 6
"""Heavy atoms up to which every molecule is made; above, a seeded sample."""
SHARE = 2 / 3
"""Part of what is still wanted that each size above COMPLETE_UP_TO takes; the last size takes the rest."""
AROMATIC_SEEDS = (
    "c1ccccc1", "c1ccncc1", "c1cncnc1", "c1cnccn1", "c1ccnnc1", "c1ccoc1", "c1ccsc1", "c1cc[nH]c1",
    "c1cnc[nH]1", "c1cn[nH]c1", "c1cocn1", "c1cnoc1", "c1cscn1", "c1cnsc1", "c1nc[nH]n1", "c1c[nH]nn1",
    "c1nnco1", "c1nncs1",
)  # fmt: skip
ATTACHMENTS = (
    (6, 1, 6.0), (6, 2, 1.0), (6, 3, 0.5), (8, 1, 2.0), (8, 2, 3.0), (7, 1, 2.0), (7, 3, 1.0),
    (9, 1, 0.5), (16, 1, 0.5), (17, 1, 0.5),
)  # fmt: skip
"""(element, bond order, weight): the weights order the growth of a sample, commoner chemistry first."""

_ORDERS = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE}


class Step(NamedTuple):
    """One way to grow: attach `element` to atom `at` by a bond of `order`, or (element 0) close a ring from
    `at` to atom `order`."""

    at: int
    element: int
    order: int


def enumerate_molecules(count: int, max_heavy_atoms: int = 8, seed: int = 0) -> dict[str, str]:
    """Canonical SMILES (no stereo) of `count` sensible molecules of 4 to `max_heavy_atoms` heavy atoms, with
    the first block of the InChIKey of each.

    Up to 6 heavy atoms every molecule that the rules allow is taken (or a seeded sample, if they are more than
    `count`). Molecules of 7 heavy atoms are two thirds of the rest, those of 8 two thirds of what is then
    missing, and so on; `max_heavy_atoms` gives all that is left. The smaller sizes, of which fewer molecules
    exist, so stay dense enough to learn from. A sampled size grows from its parents in seeded order, one step
    of each at a time, common elements and bonds first, until there are enough. No two molecules have the same
    canonical SMILES or the same first block of the InChIKey. They are sorted by size, then by discovery.

    Raises:
        ValueError: `count` or `max_heavy_atoms` is too small, or there are fewer than `count` molecules.
    """
    if count < 1 or max_heavy_atoms < MIN_HEAVY_ATOMS:
        raise ValueError(
            f"count >= 1 and max_heavy_atoms >= {MIN_HEAVY_ATOMS} expected, not {count} and {max_heavy_atoms}"
        )
    random = np.random.default_rng([seed, 8])
    level: dict[str, Chem.Mol] = {"C": Chem.MolFromSmiles("C")}
    chosen: dict[str, str] = {}
    for size in range(2, max_heavy_atoms + 1):
        wanted = _wanted(count - len(chosen), size, max_heavy_atoms)
        if wanted == 0:
            break
        blocks = set(chosen.values())
        level, shown = _grow_level(level, size, wanted, random, blocks, is_last=size == max_heavy_atoms)
        chosen |= shown
    if len(chosen) < count:
        raise ValueError(f"only {len(chosen)} molecules up to {max_heavy_atoms} heavy atoms, {count} wanted")
    pairs = list(chosen.items())
    kept = np.sort(random.permutation(len(pairs))[:count])
    return dict(pairs[index] for index in kept)


def _wanted(missing: int, size: int, max_heavy_atoms: int) -> int | None:
    """The number of molecules of a size to take; None for all."""
    if size <= COMPLETE_UP_TO:
        return None
    missing = max(missing, 0)
    return missing if size == max_heavy_atoms else ceil(missing * SHARE)


def _grow_level(
    parents: dict[str, Chem.Mol],
    size: int,
    wanted: int | None,
    random: np.random.Generator,
    blocks: set[str],
    *,
    is_last: bool,
) -> tuple[dict[str, Chem.Mol], dict[str, str]]:
    """All molecules of `size` heavy atoms that may grow further (none of the last size), and at most `wanted`
    that are shown (SMILES to block). Blocks in `blocks` are not shown again."""
    grown: dict[str, Chem.Mol] = {}
    shown: dict[str, str] = {}
    seen: set[str] = set()
    for mol in _candidates(parents, size, random):
        smiles = Chem.MolToSmiles(mol)
        if smiles in seen:
            continue
        seen.add(smiles)
        if not may_grow(mol):
            continue
        if not is_last:
            grown[smiles] = mol
        if size < MIN_HEAVY_ATOMS or not is_sensible(mol):
            continue
        block = inchikey_block(smiles)
        if block not in blocks:
            blocks.add(block)
            shown[smiles] = block
            if wanted is not None and len(shown) >= wanted:
                break
    return grown, shown


def _candidates(parents: dict[str, Chem.Mol], size: int, random: np.random.Generator) -> Iterator[Chem.Mol]:
    """Molecules one step from their parents: each parent's first step, then each one's second, and so on.
    A molecule with a new atom is followed by the rings that it can close."""
    for seed in AROMATIC_SEEDS:
        mol = Chem.MolFromSmiles(seed)
        if mol.GetNumAtoms() == size:
            yield mol
    molecules = list(parents.values())
    queues = [
        (molecules[index], _steps(molecules[index], random), elements_to_add(molecules[index]))
        for index in random.permutation(len(molecules))
    ]
    queues = [queue for queue in queues if queue[1]]
    while queues:
        remaining = []
        for parent, steps, allowed in queues:
            step = steps.pop()
            # Most of the time goes into children, so that those which no rule allows are not made.
            child = _apply(parent, step) if step.element in allowed else None
            if child is not None:
                yield child
                yield from filter(None, (_apply(child, closure) for closure in _closures(child)))
            if steps:
                remaining.append((parent, steps, allowed))
        queues = remaining


def _steps(mol: Chem.Mol, random: np.random.Generator) -> list[Step]:
    """The ways to attach an atom, one per set of equivalent places, in seeded order with the commoner ones
    mostly at the end, where they are taken from first."""
    ranks = Chem.CanonicalRankAtoms(mol, breakTies=False)
    places = {rank: atom for atom, rank in zip(mol.GetAtoms(), ranks) if atom.GetTotalNumHs()}
    steps, weights = [], []
    for atom in places.values():
        for element, order, weight in ATTACHMENTS:
            if order <= atom.GetTotalNumHs() and (order == 1 or atom.GetAtomicNum() == 6):
                steps.append(Step(atom.GetIdx(), element, order))
                weights.append(weight)
    keys = random.random(len(steps)) ** (1.0 / np.array(weights))
    return [steps[index] for index in np.argsort(keys)]


def _closures(mol: Chem.Mol) -> list[Step]:
    """Rings of 3 to 7 atoms that the newest atom can close by a single bond."""
    if mol.GetNumBonds() - mol.GetNumAtoms() + 1 >= MAX_RINGS:
        return []
    newest = mol.GetAtomWithIdx(mol.GetNumAtoms() - 1)
    if not newest.GetTotalNumHs() or newest.GetDegree() != 1:
        return []
    distances = Chem.GetDistanceMatrix(mol)[newest.GetIdx()]
    ranks = Chem.CanonicalRankAtoms(mol, breakTies=False)
    ends = {
        (ranks[atom.GetIdx()], distances[atom.GetIdx()]): atom.GetIdx()
        for atom in mol.GetAtoms()
        if atom.GetTotalNumHs() and 2 <= distances[atom.GetIdx()] <= 6
    }
    return [Step(newest.GetIdx(), 0, end) for end in ends.values()]


def _apply(parent: Chem.Mol, step: Step) -> Chem.Mol | None:
    """The sanitised child, or None where valences or aromaticity do not allow it."""
    mol = Chem.RWMol(parent)
    if step.element:
        end, order = mol.AddAtom(Chem.Atom(step.element)), step.order
        touched = [step.at]
    else:
        end, order = step.order, 1
        touched = [step.at, end]
    for index in touched:  # the hydrogen of [nH] is written out and has to go
        atom = mol.GetAtomWithIdx(index)
        atom.SetNumExplicitHs(max(0, atom.GetNumExplicitHs() - order))
    mol.AddBond(step.at, end, _ORDERS[order])
    if Chem.SanitizeMol(mol, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
        return None
    return mol.GetMol()
