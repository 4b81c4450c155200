"""13C lines, 1H multiplets and HSQC cross peaks of a molecule from the shifts of its atoms, to first order."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

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
from mmspec_ds.simulator.graph import atoms_of
from mmspec_ds.simulator.shifts import AtomShifts, equivalent_atoms
from mmspec_ds.spectra.records import HSQC, CarbonNMR, HSQCPeak, HydrogenNMR, Multiplet

SAME_LINE_PPM = 0.005
"""13C lines nearer than this are one line; half the resolution of the table of shifts."""
SECOND_ORDER_PPM = 0.05
"""Partners nearer than this (25 Hz, some three couplings) give no first-order pattern: "m"."""
VINYL_SPLIT_PPM = 0.08
"""The two hydrogens of a terminal =CH2 are this far to either side of their mean."""
ACID = "[$([OX2H][CX3,P,S]=[OX1])]"
"""Oxygens of acids: the published spectra never show their hydrogens."""


class AssignedMultiplet(NamedTuple):
    """A multiplet, and one of the equivalent atoms that bear its hydrogens."""

    multiplet: Multiplet
    atom: int


def carbon_nmr(mol: Chem.Mol, shifts: AtomShifts) -> CarbonNMR:
    """The 13C spectrum: lines in ppm from high to low with the hydrogens attached to their carbons.

    Equivalent carbons give one line, or several where fluorine splits it. Lines at the same shift merge; the
    number of attached hydrogens is then None unless it is the same.
    """
    carbons = [atoms[0] for atoms in equivalent_atoms(mol) if mol.GetAtomWithIdx(atoms[0]).GetAtomicNum() == 6]
    found = [
        (line, mol.GetAtomWithIdx(carbon).GetTotalNumHs())
        for carbon, lines in split_by_fluorine(mol, {carbon: shifts[carbon] for carbon in carbons}).items()
        for line in lines
    ]
    shifts_ppm: list[float] = []
    hydrogens: list[int | None] = []
    for line, count in sorted(found, key=lambda one: -one[0]):
        if not shifts_ppm or shifts_ppm[-1] - line >= SAME_LINE_PPM:
            shifts_ppm.append(line)
            hydrogens.append(count)
        elif hydrogens[-1] != count:
            hydrogens[-1] = None
    return CarbonNMR(tuple(shifts_ppm), tuple(hydrogens))


def assigned_multiplets(
    mol: Chem.Mol, shifts: AtomShifts, unseen: frozenset[int] = frozenset()
) -> list[AssignedMultiplet]:
    """The multiplets of the 1H spectrum at 500 MHz from high to low shift, with the atoms that they belong to.

    Hydrogens on equivalent atoms form one signal, split by hydrogens and fluorines that are not equivalent to
    themselves. Those on O, N and S are split by, and split, those on the next carbon, as in the published
    spectra. Those of acids and those on the atoms in `unseen` are not shown and split nothing.
    """
    groups = [atoms for atoms in equivalent_atoms(mol) if mol.GetAtomWithIdx(atoms[0]).GetTotalNumHs()]
    group_of = {atom: place for place, atoms in enumerate(groups) for atom in atoms}
    hidden = unseen | set(acid_oxygens(mol))
    found: list[AssignedMultiplet] = []
    for atoms in groups:
        if atoms[0] in hidden:
            continue
        atom, shift = mol.GetAtomWithIdx(atoms[0]), shifts[atoms[0]]
        hydrogens = len(atoms) * atom.GetTotalNumHs()
        if _is_terminal_vinyl(atom):
            found += [AssignedMultiplet(one, atoms[0]) for one in _terminal_vinyl(shift, hydrogens)]
            continue
        couplings, crowded = _couplings(mol, atom, group_of, shifts, hidden)
        category, j_hz, width_hz = multiplet_name(couplings)
        if crowded:
            category, j_hz = "m", ()
        found.append(AssignedMultiplet(_multiplet(shift, category, hydrogens, j_hz, width_hz), atoms[0]))
    return sorted(found, key=lambda one: (-one[0].centroid_ppm, one[0].category, one[0].hydrogens))


def hydrogen_nmr(mol: Chem.Mol, shifts: AtomShifts, unseen: frozenset[int] = frozenset()) -> HydrogenNMR:
    """The 1H spectrum: the multiplets of `assigned_multiplets`."""
    return HydrogenNMR(tuple(one.multiplet for one in assigned_multiplets(mol, shifts, unseen)))


def hsqc(
    mol: Chem.Mol,
    carbon_shifts: AtomShifts,
    assigned: Sequence[AssignedMultiplet],
    errors_ppm: Sequence[float] | None = None,
) -> HSQC:
    """The HSQC spectrum: a cross peak for each multiplet whose hydrogens are on carbon, from high to low 13C
    shift. `errors_ppm` are added to the shifts of the multiplets.

    Equivalent carbons give one peak with the hydrogens of one of them; its intensity is the number of all their
    hydrogens. Splitting by fluorine is not resolved. Peaks at the same place merge: their hydrogens add up.
    """
    errors = [0.0] * len(assigned) if errors_ppm is None else errors_ppm
    size = {atoms[0]: len(atoms) for atoms in equivalent_atoms(mol)}
    found = [
        HSQCPeak(
            carbon_shifts[atom], one.centroid_ppm + error, one.hydrogens // size[atom], float(one.hydrogens)
        )
        for (one, atom), error in zip(assigned, errors, strict=True)
        if mol.GetAtomWithIdx(atom).GetAtomicNum() == 6
    ]
    peaks: list[HSQCPeak] = []
    for peak in sorted(found, key=lambda one: (-one.carbon_ppm, -one.hydrogen_ppm)):
        same = [place for place, other in enumerate(peaks) if _coincide(peak, other)]
        if same:
            peaks[same[0]] = _merged(peaks[same[0]], peak)
        else:
            peaks.append(peak)
    return HSQC(tuple(peaks))


def exchangeable_singles(mol: Chem.Mol) -> list[int]:
    """Atoms of O, N and S with one hydrogen, which published spectra often lack; NH2 they nearly always
    show."""
    return [a.GetIdx() for a in atoms_of(mol) if a.GetAtomicNum() != 6 and a.GetTotalNumHs() == 1]


def acid_oxygens(mol: Chem.Mol) -> list[int]:
    """Oxygens of acids that bear a hydrogen; deuterium is none."""
    found = [oxygen for (oxygen,) in mol.GetSubstructMatches(_acid_query())]
    return [oxygen for oxygen in found if mol.GetAtomWithIdx(oxygen).GetTotalNumHs()]


@cache
def _acid_query() -> Chem.Mol:
    return Chem.MolFromSmarts(ACID)


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
        other, bond = mol.GetAtomWithIdx(partner), mol.GetBondBetweenAtoms(own, partner)
        if other.GetAtomicNum() == 9:
            couplings.append((j, 1))
        elif group_of[partner] == group_of[own] or partner in hidden:
            continue
        elif _is_terminal_vinyl(other) and bond is not None and bond.GetBondTypeAsDouble() == 2:
            couplings += [(TERMINAL_TRANS_HZ, 1), (TERMINAL_CIS_HZ, 1)]
        else:
            couplings.append((j, other.GetTotalNumHs()))
            crowded |= abs(shifts[own] - shifts[partner]) < SECOND_ORDER_PPM
    return couplings, crowded


def _is_terminal_vinyl(atom: Chem.Atom) -> bool:
    """Whether the atom is the CH2 of CH2=CH-, whose two hydrogens differ by their place to the third."""
    if atom.GetAtomicNum() != 6 or atom.GetTotalNumHs() != 2 or hybridisation(atom) != "sp2":
        return False
    partner = atom.GetNeighbors()[0] if atom.GetDegree() == 1 else None
    return partner is not None and partner.GetAtomicNum() == 6 and partner.GetTotalNumHs() == 1


def _terminal_vinyl(shift: float, hydrogens: int) -> list[Multiplet]:
    """The two signals of CH2=CH-, trans (17 Hz) and cis (10.5 Hz) to the lone hydrogen."""
    signals = []
    for sign, j in ((1.0, TERMINAL_TRANS_HZ), (-1.0, TERMINAL_CIS_HZ)):
        category, j_hz, width_hz = multiplet_name([(j, 1), (GEMINAL_HZ, 1)])
        signals.append(_multiplet(shift + sign * VINYL_SPLIT_PPM, category, hydrogens // 2, j_hz, width_hz))
    return signals


def _multiplet(
    centre: float, category: str, hydrogens: int, j_hz: tuple[float, ...], width_hz: float
) -> Multiplet:
    width_ppm = LINE_PPM + width_hz / SPECTROMETER_MHZ
    return Multiplet(centre, centre + width_ppm / 2, centre - width_ppm / 2, category, hydrogens, j_hz)


def _coincide(one: HSQCPeak, other: HSQCPeak) -> bool:
    apart = (one.carbon_ppm - other.carbon_ppm, one.hydrogen_ppm - other.hydrogen_ppm)
    return all(abs(difference) < SAME_LINE_PPM for difference in apart)


def _merged(one: HSQCPeak, other: HSQCPeak) -> HSQCPeak:
    hydrogens, intensity = (one.hydrogens or 0) + (other.hydrogens or 0), (one.intensity or 0.0)
    return HSQCPeak(one.carbon_ppm, one.hydrogen_ppm, hydrogens, intensity + (other.intensity or 0.0))
