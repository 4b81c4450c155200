"""13C lines and 1H multiplets of a molecule: positions from the shift table, splitting to first order."""

from collections import defaultdict
from collections.abc import Mapping

from rdkit import Chem

from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Multiplet
from mmspec_ds.spectra.simulator.couplings import (
    GEMINAL_HZ,
    LINE_PPM,
    SPECTROMETER_MHZ,
    TERMINAL_CIS_HZ,
    TERMINAL_TRANS_HZ,
    Coupling,
    coupling_paths,
    multiplet_name,
)
from mmspec_ds.spectra.simulator.environments import Surroundings, hybridisation
from mmspec_ds.spectra.simulator.shift_table import ShiftTable

SAME_LINE_PPM = 0.005
"""13C lines nearer than this are one line, half the table's resolution."""
SECOND_ORDER_PPM = 0.06
"""Partners nearer than this (24 Hz, some three couplings) give no first-order pattern: "m"."""
VINYL_SPLIT_PPM = 0.08
"""The two hydrogens of a terminal =CH2 stand this far to either side of their mean."""
EXCHANGEABLE_WIDTH_PPM = 0.12
"""Width of the broad singlet of OH, NH and SH."""


def carbon_lines(mol: Chem.Mol, around: Surroundings, table: ShiftTable) -> list[float]:
    """13C shifts in ppm from high to low, one line for each set of equivalent carbons; equal ones merge."""
    ranks = Chem.CanonicalRankAtoms(mol, breakTies=False)
    distinct = {rank: atom.GetIdx() for atom, rank in zip(mol.GetAtoms(), ranks) if atom.GetAtomicNum() == 6}
    lines: list[float] = []
    for shift in sorted(table.predict(around, list(distinct.values())), reverse=True):
        if not lines or lines[-1] - shift >= SAME_LINE_PPM:
            lines.append(shift)
    return lines


def carbon_nmr(mol: Chem.Mol, around: Surroundings, table: ShiftTable) -> CarbonNMR:
    """The 13C spectrum without noise."""
    return CarbonNMR(tuple(carbon_lines(mol, around, table)))


def hydrogen_nmr(mol: Chem.Mol, around: Surroundings, table: ShiftTable) -> HydrogenNMR:
    """The 1H spectrum without noise at 400 MHz, multiplets from high to low shift.

    Hydrogens on equivalent atoms form one signal. Those on carbon are split by vicinal hydrogens and
    fluorines that are not equivalent to themselves; those on O, N and S are broad singlets.
    """
    ranks = list(Chem.CanonicalRankAtoms(mol, breakTies=False))
    members = defaultdict(list)
    for atom in mol.GetAtoms():
        if atom.GetTotalNumHs():
            members[ranks[atom.GetIdx()]].append(atom.GetIdx())
    first = [atoms[0] for atoms in members.values()]
    shifts = dict(zip(members, table.predict(around, first)))
    multiplets: list[Multiplet] = []
    for rank, atoms in members.items():
        atom = mol.GetAtomWithIdx(atoms[0])
        hydrogens = len(atoms) * atom.GetTotalNumHs()
        if atom.GetAtomicNum() != 6:
            multiplets.append(_multiplet(shifts[rank], "s", hydrogens, (), EXCHANGEABLE_WIDTH_PPM))
        elif _is_terminal_vinyl(atom):
            multiplets += _terminal_vinyl(shifts[rank], hydrogens)
        else:
            couplings, crowded = _couplings(mol, atom, ranks, shifts)
            category, j_hz, width_hz = multiplet_name(couplings)
            if crowded:
                category, j_hz = "m", ()
            width_ppm = LINE_PPM + width_hz / SPECTROMETER_MHZ
            multiplets.append(_multiplet(shifts[rank], category, hydrogens, j_hz, width_ppm))
    return HydrogenNMR(tuple(sorted(multiplets, key=lambda m: (-m.centroid_ppm, m.category, m.hydrogens))))


def _couplings(
    mol: Chem.Mol, atom: Chem.Atom, ranks: list[int], shifts: Mapping[int, float]
) -> tuple[list[Coupling], bool]:
    """Couplings of the hydrogens on `atom`, and whether a partner is too near for a first-order pattern."""
    own, couplings, crowded = ranks[atom.GetIdx()], [], False
    for partner, j in coupling_paths(mol, atom):
        other = mol.GetAtomWithIdx(partner)
        if other.GetAtomicNum() == 9:
            couplings.append((j, 1))
        elif ranks[partner] == own:
            continue
        elif (
            _is_terminal_vinyl(other)
            and mol.GetBondBetweenAtoms(atom.GetIdx(), partner).GetBondTypeAsDouble() == 2
        ):
            couplings += [(TERMINAL_TRANS_HZ, 1), (TERMINAL_CIS_HZ, 1)]
        else:
            couplings.append((j, other.GetTotalNumHs()))
            crowded |= abs(shifts[own] - shifts[ranks[partner]]) < SECOND_ORDER_PPM
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
