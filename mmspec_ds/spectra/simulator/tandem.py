"""Tandem mass spectra by breaking bonds: fragments of one or two cuts, each with a few hydrogens moved.

Masses are exact. Intensities are a plain model: a fragment pays for the bonds that it broke and for the
hydrogen molecules that it lost, and is helped by the atom that carries its charge best.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from rdkit import Chem

from mmspec_ds.spectra.records import Polarity, TandemMS

POLARITIES: tuple[Polarity, ...] = ("positive", "negative")
ENERGIES_EV = (10.0, 20.0, 40.0)
ELECTRON_MASS = 0.000548579909
HYDROGEN_MASS = 1.00782503223
MAX_PEAKS = 30
MIN_RELATIVE = 1.0
"""Peaks under this per cent of the largest are left out."""
LOWEST_MZ = 14.0

BOND_COST = {1: 3.0, 2: 6.0, 3: 8.5}
AROMATIC_COST = 5.5
HETERO_DISCOUNT = 0.8
"""A single bond to O, N, S or a halogen breaks more easily than C-C by this."""
ALPHA_DISCOUNT = 0.5
"""So does a single bond whose carbon bears a hetero atom or a multiple bond (alpha cleavage, allylic)."""
DEHYDROGENATION_COST = 1.6
"""Per molecule of hydrogen that a fragment lacks."""
TRANSFER_COST = 0.4
"""Per cut that takes its hydrogens over from the other side."""
PROTON = {7: 2.5, 8: 1.2, 16: 1.3}
"""How well the best hetero atom of a fragment holds a proton; a fragment without any holds it by NO_PROTON."""
NO_PROTON = -1.5
CATION_SITE = -1.2
"""A carbon that lost a bond's electrons, before its neighbours help."""
CATION_HELP = {6: 0.4, 7: 2.4, 8: 1.4, 16: 1.4}
"""What each neighbour of an open carbon adds; a multiple bond beside it adds PI_HELP."""
PI_HELP = 0.8
LEAVING_ANION = {8: 1.6, 16: 1.8, 7: 0.8, 9: 0.8, 17: 2.0, 35: 2.2, 53: 2.4}
"""How well a hetero atom takes the electrons of the bond that it lost."""
ACID_HYDROGEN = {8: 1.2, 16: 1.6, 7: 0.6}
"""The same for giving away a hydrogen of its own."""
CARBANION = -0.8
CARBONYL_HELP = 1.2
"""For an anion's site beside C=O or C#N."""
SMALL_ION = 1.2
"""Price of a charge on a single heavy atom that is no halide."""
HALF_LIFE_EV = 5.5
"""Energy per unit of the cheapest cleavage's cost at which half of a precursor of six heavy atoms survives."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A connected part of the molecule.

    `mass` is that of its heavy atoms with the hydrogens that they had, `valences` the order of all bonds
    cut, `cost` the price of cutting them; `proton`, `cation` and `anion` say how well it holds an added
    proton, a missing and a spare electron pair.
    """

    mass: float
    hydrogens: int
    valences: int
    cuts: int
    cost: float
    proton: float
    cation: float
    anion: float


def precursor_mz(mol: Chem.Mol, polarity: Polarity) -> float:
    """m/z of [M+H]+ or [M-H]-."""
    sign = 1 if polarity == "positive" else -1
    return sum(_atom_masses(mol)) + sign * (HYDROGEN_MASS - ELECTRON_MASS)


def tandem_spectra(mol: Chem.Mol) -> tuple[TandemMS, ...]:
    """The six spectra of the benchmark without noise: both polarities at 10, 20 and 40 eV.

    Peaks rise in m/z; intensities are relative to the largest, 100; at most MAX_PEAKS in each.
    """
    fragments = break_bonds(mol)
    hydrogens = sum(atom.GetTotalNumHs() for atom in mol.GetAtoms())
    size = mol.GetNumHeavyAtoms()
    spectra = []
    for polarity in POLARITIES:
        mz, cost = _ions(fragments, hydrogens, polarity)
        for energy in ENERGIES_EV:
            spectra.append(_spectrum(mz, cost, precursor_mz(mol, polarity), polarity, energy, size))
    return tuple(spectra)


def break_bonds(mol: Chem.Mol) -> list[Fragment]:
    """Connected parts left by cutting one or two bonds: one or two outside rings, or two of one ring."""
    whole = Chem.Mol(mol)
    Chem.Kekulize(whole, clearAromaticFlags=False)
    bonds = [
        (b.GetBeginAtomIdx(), b.GetEndAtomIdx(), int(b.GetBondTypeAsDouble()), _bond_cost(b))
        for b in whole.GetBonds()
    ]
    masses, hydrogens = _atom_masses(whole), [atom.GetTotalNumHs() for atom in whole.GetAtoms()]
    atoms = [_describe(atom) for atom in whole.GetAtoms()]
    fragments = []
    for part in sorted(_parts(whole)):
        members = [index for index in range(len(atoms)) if part >> index & 1]
        cut = [bond for bond in bonds if (part >> bond[0] ^ part >> bond[1]) & 1]
        sites = [begin if part >> begin & 1 else end for begin, end, _, _ in cut]
        price = SMALL_ION if len(members) == 1 and atoms[members[0]].number not in (9, 17, 35, 53) else 0.0
        fragments.append(
            Fragment(
                mass=sum(masses[index] for index in members),
                hydrogens=sum(hydrogens[index] for index in members),
                valences=sum(order for _, _, order, _ in cut),
                cuts=len(cut),
                cost=sum(cost for _, _, _, cost in cut) + price,
                proton=max(PROTON.get(atoms[index].number, NO_PROTON) for index in members),
                cation=max(_cation(atoms, site, part) for site in sites),
                anion=max(
                    max(_anion(atoms, site, part) for site in sites),
                    max(atoms[index].acid for index in members),
                ),
            )
        )
    return fragments


@dataclass(frozen=True, slots=True)
class _Atom:
    number: int
    acid: float
    near: tuple[tuple[int, bool], ...]
    """Neighbours, and whether by a multiple bond."""


def _describe(atom: Chem.Atom) -> _Atom:
    acid = ACID_HYDROGEN.get(atom.GetAtomicNum(), CARBANION) if atom.GetTotalNumHs() else CARBANION
    near = tuple((b.GetOtherAtomIdx(atom.GetIdx()), b.GetBondTypeAsDouble() > 1) for b in atom.GetBonds())
    return _Atom(atom.GetAtomicNum(), acid, near)


def _cation(atoms: list[_Atom], site: int, part: int) -> float:
    """How well the atom at `site` does without the electrons of its cut bond; hetero atoms do not."""
    if atoms[site].number != 6:
        return -np.inf
    kept = [(other, multiple) for other, multiple in atoms[site].near if part >> other & 1]
    helped = CATION_SITE + sum(CATION_HELP.get(atoms[other].number, 0.0) for other, _ in kept)
    allylic = any(double for other, _ in kept for far, double in atoms[other].near if far != site)
    return helped + PI_HELP * allylic


def _anion(atoms: list[_Atom], site: int, part: int) -> float:
    """How well the atom at `site` holds the electrons of its cut bond."""
    helped = LEAVING_ANION.get(atoms[site].number, CARBANION)
    conjugated = any(
        double and atoms[far].number in (7, 8)
        for other, _ in atoms[site].near
        if part >> other & 1
        for far, double in atoms[other].near
    )
    return helped + CARBONYL_HELP * conjugated


def _atom_masses(mol: Chem.Mol) -> list[float]:
    """Monoisotopic mass of each heavy atom with its hydrogens."""
    table = Chem.GetPeriodicTable()
    return [
        (table.GetMassForIsotope(atom.GetAtomicNum(), atom.GetIsotope()) if atom.GetIsotope()
         else table.GetMostCommonIsotopeMass(atom.GetAtomicNum())) + HYDROGEN_MASS * atom.GetTotalNumHs()
        for atom in mol.GetAtoms()
    ]  # fmt: skip


def _bond_cost(bond: Chem.Bond) -> float:
    if bond.GetIsAromatic():
        return AROMATIC_COST
    cost = BOND_COST.get(int(bond.GetBondTypeAsDouble()), BOND_COST[1])
    if bond.GetBondTypeAsDouble() == 1:
        ends = (bond.GetBeginAtom(), bond.GetEndAtom())
        if any(end.GetAtomicNum() != 6 for end in ends):
            cost -= HETERO_DISCOUNT
        if any(_activates(end, bond) for end in ends):
            cost -= ALPHA_DISCOUNT
    return cost


def _activates(atom: Chem.Atom, bond: Chem.Bond) -> bool:
    """Whether the atom would hold a charge well once `bond` is broken: a hetero atom or pi bond beside it."""
    return any(
        other.GetIdx() != bond.GetIdx()
        and (other.GetBondTypeAsDouble() > 1 or other.GetOtherAtom(atom).GetAtomicNum() in PROTON)
        for other in atom.GetBonds()
    )


def _parts(mol: Chem.Mol) -> set[int]:
    """Atom sets, as bit masks, of the proper connected parts after at most two cuts."""
    near = [sum(1 << other.GetIdx() for other in atom.GetNeighbors()) for atom in mol.GetAtoms()]
    everything = (1 << len(near)) - 1
    sides = []
    for bond in mol.GetBonds():
        if not bond.IsInRing():
            side = _reached(near, bond.GetBeginAtomIdx(), {bond.GetEndAtomIdx(): bond.GetBeginAtomIdx()})
            sides += [side, everything & ~side]
    parts = set(sides)
    # The middle between two bridges is where a side of one and a side of the other overlap without either
    # holding the other.
    for first, second in combinations(sides, 2):
        middle = first & second
        if middle and middle not in (first, second) and first | second == everything:
            parts.add(middle)
    for ring in mol.GetRingInfo().BondRings():
        for pair in combinations(ring, 2):
            blocked = [
                (mol.GetBondWithIdx(b).GetBeginAtomIdx(), mol.GetBondWithIdx(b).GetEndAtomIdx()) for b in pair
            ]
            cut = list(near)
            for begin, end in blocked:
                cut[begin] &= ~(1 << end)
                cut[end] &= ~(1 << begin)
            for start in blocked[0]:
                parts.add(_reached(cut, start, {}))
    parts.discard(everything)
    return parts


def _reached(near: list[int], start: int, barred: dict[int, int]) -> int:
    """Atoms reached from `start` without entering an atom of `barred` from the one that it names."""
    found = frontier = 1 << start
    while frontier:
        index = (frontier & -frontier).bit_length() - 1
        frontier &= frontier - 1
        onward = near[index] & ~found
        for target, source in barred.items():
            if source == index:
                onward &= ~(1 << target)
        found |= onward
        frontier |= onward
    return found


def _ions(fragments: list[Fragment], hydrogens: int, polarity: Polarity) -> tuple[np.ndarray, np.ndarray]:
    """m/z and cost of the even-electron ions of all fragments.

    A fragment with v open valences takes v + 1 hydrogens (v - 1 for an anion) to be a closed shell with a
    charge, or fewer by pairs, each pair a molecule of hydrogen's unsaturation; the first pair is what a
    plain heterolysis leaves, and costs nothing.
    """
    charge, electron = (1, -ELECTRON_MASS) if polarity == "positive" else (-1, ELECTRON_MASS)
    mz, costs = [], []
    for fragment in fragments:
        full = fragment.valences + charge
        for missing in range(fragment.valences + 1):
            moved = full - 2 * missing
            if fragment.hydrogens + moved < 0 or fragment.hydrogens + moved > hydrogens + charge:
                continue
            if charge > 0 and missing == 0:
                extra = TRANSFER_COST * fragment.cuts - fragment.proton
            elif charge > 0:
                extra = DEHYDROGENATION_COST * (missing - 1) - fragment.cation
            else:
                extra = DEHYDROGENATION_COST * missing - fragment.anion
            if np.isfinite(extra):
                mz.append(fragment.mass + moved * HYDROGEN_MASS + electron)
                costs.append(fragment.cost + extra)
    return np.array(mz), np.array(costs)


def _spectrum(
    mz: np.ndarray, cost: np.ndarray, precursor: float, polarity: Polarity, energy_ev: float, size: int
) -> TandemMS:
    """Peaks of one energy: the share of the precursor that survives, and a Boltzmann share of the rest."""
    weights = {round(precursor, 5): 1.0}
    if len(mz):
        cheapest = float(cost.min())
        half = HALF_LIFE_EV * max(cheapest, 1.0) * np.sqrt(size / 6.0)
        survival = 1.0 / (1.0 + (energy_ev / half) ** 3)
        temperature = 0.3 + energy_ev / 40.0
        shares = np.exp((cheapest - cost) / temperature)
        shares *= (1.0 - survival) / shares.sum()
        weights = {round(precursor, 5): survival}
        for position, share in zip(np.round(mz, 5).tolist(), shares.tolist()):
            if position >= LOWEST_MZ:
                weights[position] = weights.get(position, 0.0) + share
    top = max(weights.values())
    kept = sorted(weights.items(), key=lambda peak: (-peak[1], peak[0]))[:MAX_PEAKS]
    peaks = sorted((position, 100.0 * w / top) for position, w in kept if 100.0 * w / top >= MIN_RELATIVE)
    positions, intensities = np.array(peaks).T
    return TandemMS(positions.copy(), intensities.copy(), polarity, energy_ev)
