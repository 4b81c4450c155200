"""Combinatorial fragmentation: connected parts of a molecule after a few bonds are broken.

A *split* cuts a molecule in two: at one bond outside rings, at two bonds of a ring, or at two bonds around a
pair of fused rings and the bond that they share. A part is what one split leaves, or two splits together. Sets
of atoms are bit masks (Python integers): of a drug-like molecule there are some thousand parts.

Axes: F fragments, A heavy atoms.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
from rdkit import Chem

from mmspec_ds.simulator.graph import atoms_of, bonds_of

BoolMatrix = npt.NDArray[np.bool_]

MAX_SPLITS = 200
"""Sides of splits that are combined with each other: those with the fewest cut bonds, if there are more. A
molecule of 22 heavy atoms has about 110. The limit bounds the time of a large molecule."""


def fragments(mol: Chem.Mol) -> BoolMatrix:
    """Membership [F, A] of every connected part after at most two splits, the whole molecule first.

    The order of the others is that of their masks, so it depends on the order of atoms alone.
    """
    atoms = mol.GetNumAtoms()
    everything = (1 << atoms) - 1
    sides = split_sides(mol)
    parts = set(sides)
    if len(sides) > MAX_SPLITS:
        ends = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in bonds_of(mol)]
        cuts = {side: sum((side >> begin ^ side >> end) & 1 for begin, end in ends) for side in sides}
        sides = sorted(sides, key=lambda side: (cuts[side], side))[:MAX_SPLITS]
    parts.update([first & second for first, second in combinations(sides, 2)])
    parts -= {0, everything}
    membership = _unpacked([everything, *sorted(parts)], atoms)
    adjacency = Chem.GetAdjacencyMatrix(mol).astype(np.float32) + np.eye(atoms, dtype=np.float32)
    return membership[_is_connected(membership, adjacency)]


def split_sides(mol: Chem.Mol) -> list[int]:
    """Both sides of every split, as bit masks in rising order."""
    near = [sum(1 << other.GetIdx() for other in atom.GetNeighbors()) for atom in atoms_of(mol)]
    everything = (1 << len(near)) - 1
    sides: set[int] = set()
    for bond in bonds_of(mol):
        if not bond.IsInRing():
            begin, end = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
            side = _reached(_without(near, [(begin, end)]), begin)
            sides |= {side, everything & ~side}
    for cycle, chords in _cycles(mol):
        sides |= _sides_of_cycle(near, cycle, chords)
    return sorted(sides)


def _cycles(mol: Chem.Mol) -> list[tuple[list[int], list[tuple[int, int]]]]:
    """Smallest rings, and the outlines of two of them that share one bond with that bond as a chord."""
    info = mol.GetRingInfo()
    rings = [list(ring) for ring in info.AtomRings()]
    cycles: list[tuple[list[int], list[tuple[int, int]]]] = [(ring, []) for ring in rings]
    for first, second in combinations(rings, 2):
        shared = set(first) & set(second)
        if len(shared) == 2:
            one, other = sorted(shared)
            if mol.GetBondBetweenAtoms(one, other) is not None:
                outline = _path(first, one, other) + _path(second, other, one)
                cycles.append((outline, [(one, other)]))
    return cycles


def _path(ring: Sequence[int], start: int, stop: int) -> list[int]:
    """Atoms of a ring from `start` the long way round to just before its neighbour `stop`."""
    place = ring.index(start)
    turned = [*ring[place:], *ring[:place]]
    return turned[:-1] if turned[-1] == stop else [turned[0], *turned[:1:-1]]


def _sides_of_cycle(near: list[int], cycle: list[int], chords: list[tuple[int, int]]) -> set[int]:
    """Sides of the splits that cut two bonds of a cycle (and its chords where they cross the cut)."""
    everything = (1 << len(near)) - 1
    size = len(cycle)
    bonds = [(cycle[place], cycle[(place + 1) % size]) for place in range(size)]
    cut = _without(near, [*bonds, *chords])
    hanging = [_reached(cut, atom) for atom in cycle]
    sides = set()
    for start in range(size):
        side = 0
        for length in range(1, size):
            place = (start + length - 1) % size
            side |= hanging[place]
            rest = 0
            for step in range(length, size):
                rest |= hanging[(start + step) % size]
            if not side & rest:
                sides |= {side, everything & ~side}
    return sides


def _without(near: list[int], bonds: Sequence[tuple[int, int]]) -> list[int]:
    cut = list(near)
    for begin, end in bonds:
        cut[begin] &= ~(1 << end)
        cut[end] &= ~(1 << begin)
    return cut


def _reached(near: list[int], start: int) -> int:
    found = frontier = 1 << start
    while frontier:
        index = (frontier & -frontier).bit_length() - 1
        frontier &= frontier - 1
        onward = near[index] & ~found
        found |= onward
        frontier |= onward
    return found


def _unpacked(masks: Sequence[int], atoms: int) -> BoolMatrix:
    width = (atoms + 7) // 8
    packed = np.frombuffer(b"".join(mask.to_bytes(width, "little") for mask in masks), dtype=np.uint8)
    bits = np.unpackbits(packed.reshape(len(masks), width), axis=1, bitorder="little")
    return bits[:, :atoms].astype(bool)


def _is_connected(membership: BoolMatrix, adjacency: npt.NDArray[np.float32]) -> BoolMatrix:
    """Which rows of [F, A] are one piece: grown from the first atom until nothing more is reached."""
    inside = membership.astype(np.float32)
    reached = np.zeros_like(inside)
    reached[np.arange(len(inside)), membership.argmax(axis=1)] = 1.0
    count = len(inside)
    while True:
        reached = np.minimum(reached @ adjacency, inside)
        now = int(reached.sum())
        if now == count:
            break
        count = now
    complete: BoolMatrix = reached.sum(axis=1) == inside.sum(axis=1)
    return complete
