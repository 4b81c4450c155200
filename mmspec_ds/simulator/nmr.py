"""13C lines and 1H multiplets of a molecule: positions given by atom, splitting to first order."""

from collections.abc import Mapping
from functools import cache

from rdkit import Chem

from mmspec_ds.simulator.couplings import (
    GEMINAL_HZ,
    LINE_PPM,
    SPECTROMETER_MHZ,
    TERMINAL_CIS_HZ,
    TERMINAL_TRANS_HZ,
    Coupling,
    coupling_paths,
    multiplet_name,
)
from mmspec_ds.simulator.environments import hybridisation
from mmspec_ds.simulator.fluorine import split_by_fluorine
from mmspec_ds.simulator.shifts import AtomShifts, equivalent_atoms
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Multiplet

SAME_LINE_PPM = 0.005
"""13C lines nearer than this are one line, half the table's resolution."""
SECOND_ORDER_PPM = 0.05
"""Partners nearer than this (25 Hz, some three couplings) give no first-order pattern: "m"."""
VINYL_SPLIT_PPM = 0.08
"""The two hydrogens of a terminal =CH2 stand this far to either side of their mean."""
UNSEEN = "[$([OX2H][CX3,P,S]=[OX1])]"
"""Acids: the hydrogens that the published spectra never show."""


def carbon_nmr(mol: Chem.Mol, shifts: AtomShifts) -> CarbonNMR:
    """The 13C spectrum: lines in ppm from high to low, those of equivalent carbons once, split by fluorine;
    equal ones merge."""
    carbons = {
        atoms[0]: shifts[atoms[0]]
        for atoms in equivalent_atoms(mol)
        if mol.GetAtomWithIdx(atoms[0]).GetAtomicNum() == 6
    }
    lines: list[float] = []
    for shift in sorted(split_by_fluorine(mol, carbons), reverse=True):
        if not lines or lines[-1] - shift >= SAME_LINE_PPM:
            lines.append(shift)
    return CarbonNMR(tuple(lines))


def hydrogen_nmr(mol: Chem.Mol, shifts: AtomShifts, unseen: frozenset[int] = frozenset()) -> HydrogenNMR:
    """The 1H spectrum at 500 MHz, multiplets from high to low shift.

    Hydrogens on equivalent atoms form one signal, split by hydrogens and fluorines that are not equivalent to
    themselves. Those on O, N and S are split by, and split, those on the next carbon, as in the published
    spectra; those of acids are not shown, nor those on the atoms of `unseen`.
    """
    groups = [atoms for atoms in equivalent_atoms(mol) if mol.GetAtomWithIdx(atoms[0]).GetTotalNumHs()]
    group_of = {atom: place for place, atoms in enumerate(groups) for atom in atoms}
    hidden = unseen | _acids(mol)
    multiplets: list[Multiplet] = []
    for atoms in groups:
        if atoms[0] in hidden:
            continue
        atom = mol.GetAtomWithIdx(atoms[0])
        hydrogens = len(atoms) * atom.GetTotalNumHs()
        shift = shifts[atoms[0]]
        if _is_terminal_vinyl(atom):
            multiplets += _terminal_vinyl(shift, hydrogens)
            continue
        couplings, crowded = _couplings(mol, atom, group_of, shifts, hidden)
        category, j_hz, width_hz = multiplet_name(couplings)
        if crowded:
            category, j_hz = "m", ()
        multiplets.append(_multiplet(shift, category, hydrogens, j_hz, LINE_PPM + width_hz / SPECTROMETER_MHZ))
    return HydrogenNMR(tuple(sorted(multiplets, key=lambda m: (-m.centroid_ppm, m.category, m.hydrogens))))


def exchangeable_singles(mol: Chem.Mol) -> list[int]:
    """Atoms of O, N and S with one hydrogen, which published spectra often lack; NH2 they nearly always
    show."""
    return [a.GetIdx() for a in mol.GetAtoms() if a.GetAtomicNum() != 6 and a.GetTotalNumHs() == 1]


def _acids(mol: Chem.Mol) -> set[int]:
    return {match[0] for match in mol.GetSubstructMatches(_acid_query())}


@cache
def _acid_query() -> Chem.Mol:
    return Chem.MolFromSmarts(UNSEEN)


def _couplings(
    mol: Chem.Mol,
    atom: Chem.Atom,
    group_of: Mapping[int, int],
    shifts: AtomShifts,
    hidden: set[int] | frozenset[int],
) -> tuple[list[Coupling], bool]:
    """Couplings of the hydrogens on `atom`, and whether a partner is too near for a first-order pattern."""
    own, couplings, crowded = atom.GetIdx(), [], False
    for partner, j in coupling_paths(mol, atom):
        other = mol.GetAtomWithIdx(partner)
        if other.GetAtomicNum() == 9:
            couplings.append((j, 1))
        elif group_of[partner] == group_of[own] or partner in hidden:
            continue
        elif (
            _is_terminal_vinyl(other)
            and mol.GetBondBetweenAtoms(own, partner) is not None
            and mol.GetBondBetweenAtoms(own, partner).GetBondTypeAsDouble() == 2
        ):
            couplings += [(TERMINAL_TRANS_HZ, 1), (TERMINAL_CIS_HZ, 1)]
        else:
            couplings.append((j, other.GetTotalNumHs()))
            crowded |= abs(shifts[own] - shifts[partner]) < SECOND_ORDER_PPM
    return couplings, crowded


def _is_terminal_vinyl(atom: Chem.Atom) -> bool:
    """The CH2 of CH2=CH-, whose two hydrogens are told apart by the partner's one."""
    if atom.GetAtomicNum() != 6 or atom.GetTotalNumHs() != 2 or hybridisation(atom) != "sp2":
        return False
    partner = atom.GetNeighbors()[0] if atom.GetDegree() == 1 else None
    return partner is not None and partner.GetAtomicNum() == 6 and partner.GetTotalNumHs() == 1


def _terminal_vinyl(shift: float, hydrogens: int) -> list[Multiplet]:
    """The two signals of CH2=CH-: trans to the lone hydrogen's partner (17 Hz) and cis (10.5 Hz)."""
    signals = []
    for sign, j in ((1.0, TERMINAL_TRANS_HZ), (-1.0, TERMINAL_CIS_HZ)):
        category, j_hz, width = multiplet_name([(j, 1), (GEMINAL_HZ, 1)])
        centre = shift + sign * VINYL_SPLIT_PPM
        signals.append(_multiplet(centre, category, hydrogens // 2, j_hz, LINE_PPM + width / SPECTROMETER_MHZ))
    return signals


def _multiplet(
    centre: float, category: str, hydrogens: int, j_hz: tuple[float, ...], width_ppm: float
) -> Multiplet:
    return Multiplet(centre, centre + width_ppm / 2, centre - width_ppm / 2, category, hydrogens, j_hz)
