"""Coupling constants of hydrogens and the name of the multiplet that they make, to first order.

The constants are the round textbook values for each kind of path (Hz), with those that simulated spectra of the
benchmark's kind show where they differ; a multiplet of more than three different couplings, or of more than six
equal ones, is called "m".
"""

from collections.abc import Iterable, Sequence

from rdkit import Chem

from mmspec_ds.simulator.environments import hybridisation

SPECTROMETER_MHZ = 500.0
"""Proton frequency. On the published sample's 1H curves the outer lines of 150 doublets, triplets and quartets
of 4 Hz and more stand as far apart (ppm) as the J of its lists (Hz) say at 501 MHz; at 400 MHz they would be a
quarter further apart. Its 13C lines are at 125.76 MHz, a quarter of 500."""
LINE_PPM = 0.033
"""Width of a singlet between its edges: what a regression of the published edges on the couplings leaves."""
LETTERS = ("", "d", "t", "q", "p", "h", "hept")
"""Names of n equal couplings, spelt as the benchmark spells them."""
EQUAL_HZ = 0.75
"""Couplings nearer than this merge, as they do on paper: CH3-CH2-CH2 gives a sextet."""

TERMINAL_TRANS_HZ, TERMINAL_CIS_HZ, GEMINAL_HZ = 17.0, 10.5, 1.5
PROPARGYLIC_HZ, META_HZ, BENZYLIC_HZ, GEMINAL_FLUORINE_HZ = 2.5, 2.0, 0.9, 47.5
ALDEHYDE_HZ, ETHOXY_HZ, ETHYL_HZ, ISOPROPYL_HZ = 5.4, 6.4, 7.4, 6.6
_ACROSS_HETERO_HZ = {7: {3: 4.9, 2: 5.7, 1: 8.2}, 8: {3: 5.2, 2: 5.7, 1: 5.5}, 16: {3: 7.0, 2: 7.5, 1: 7.0}}
"""Between a hydrogen on N, O or S and those of the carbon beside it, by their number."""
_FIVE_RING_HZ = {"O": (1.8, 3.4), "S": (5.2, 3.6), "N": (2.6, 3.4)}
"""Beside the hetero atom, and across the far bond, of furan, thiophene and pyrrole."""

Coupling = tuple[float, int]
"""(J in Hz, number of equal partners)."""


def coupling_paths(mol: Chem.Mol, atom: Chem.Atom) -> list[tuple[int, float]]:
    """Atoms whose hydrogens (or, for a fluorine, whose nucleus) split those on `atom`, with J in Hz.

    Hydrogens on O, N and S couple with those of the saturated carbon beside them, as the published spectra
    have it.
    """
    paths: list[tuple[int, float]] = []
    if atom.GetAtomicNum() != 6:
        return [
            (other.GetIdx(), _across_hetero_hz(atom, other))
            for other in atom.GetNeighbors()
            if other.GetAtomicNum() == 6 and other.GetTotalNumHs() and hybridisation(other) == "sp3"
        ]
    for bond in atom.GetBonds():
        other = bond.GetOtherAtom(atom)
        if other.GetAtomicNum() == 9:
            paths.append((other.GetIdx(), GEMINAL_FLUORINE_HZ))
        if other.GetAtomicNum() != 6:
            if other.GetTotalNumHs() and hybridisation(atom) == "sp3":
                paths.append((other.GetIdx(), _across_hetero_hz(other, atom)))
            continue
        if other.GetTotalNumHs():
            paths.append((other.GetIdx(), vicinal_hz(mol, bond)))
        paths += [(far.GetIdx(), _fluorine_hz(bond)) for far in other.GetNeighbors() if far.GetAtomicNum() == 9]
    return paths + _long_range(mol, atom)


def vicinal_hz(mol: Chem.Mol, bond: Chem.Bond) -> float:
    """J in Hz between hydrogens on the two carbons of a bond."""
    first, second = bond.GetBeginAtom(), bond.GetEndAtom()
    if bond.GetIsAromatic():
        return _aromatic_hz(mol, bond)
    if bond.GetBondType() == Chem.BondType.DOUBLE:
        sizes = {5: 5.5, 4: 2.8, 3: 1.3}
        ring = next((size for size in (3, 4, 5) if bond.IsInRingSize(size)), 0)
        return sizes.get(ring, 10.0 if bond.IsInRing() else 15.0)
    hybrids = {hybridisation(first), hybridisation(second)}
    if _is_aldehyde(first) or _is_aldehyde(second):
        return ALDEHYDE_HZ
    if hybrids == {"sp2"}:
        return 10.5
    if hybrids == {"sp2", "sp3"}:
        return 6.5
    if 3 in (first.GetTotalNumHs(), second.GetTotalNumHs()):
        return _methyl_hz(*sorted((first, second), key=lambda end: -end.GetTotalNumHs()))
    return 6.0 if bond.IsInRingSize(6) else 7.0


def multiplet_name(couplings: Iterable[Coupling]) -> tuple[str, tuple[float, ...], float]:
    """Category, the J values in rising order as the benchmark lists them, and the whole width in Hz.

    The letters follow falling J, the usual way of reports, and so do the published sample's categories.
    """
    groups = merge_couplings(couplings)
    width = sum(j * n for j, n in groups)
    if not groups:
        return "s", (), 0.0
    if len(groups) > 3 or any(n >= len(LETTERS) for _, n in groups):
        return "m", (), width
    return "".join(LETTERS[n] for _, n in groups), tuple(sorted(j for j, _ in groups)), width


def merge_couplings(couplings: Iterable[Coupling]) -> list[Coupling]:
    """Couplings from large to small, those within EQUAL_HZ of a larger one counted with it at their mean."""
    merged: list[Coupling] = []
    for j, n in sorted(couplings, reverse=True):
        if merged and merged[-1][0] - j < EQUAL_HZ:
            held, count = merged[-1]
            merged[-1] = (round((held * count + j * n) / (count + n), 1), count + n)
        else:
            merged.append((j, n))
    return merged


def _aromatic_hz(mol: Chem.Mol, bond: Chem.Bond) -> float:
    if bond.IsInRingSize(6):
        near = [a for end in (bond.GetBeginAtom(), bond.GetEndAtom()) for a in end.GetNeighbors()]
        return 4.8 if any(a.GetAtomicNum() == 7 for a in near) else 8.0
    rings = zip(mol.GetRingInfo().AtomRings(), mol.GetRingInfo().BondRings())
    atoms = next((set(ring) for ring, bonds in rings if len(ring) == 5 and bond.GetIdx() in bonds), set())
    symbols = [mol.GetAtomWithIdx(a).GetSymbol() for a in atoms if mol.GetAtomWithIdx(a).GetAtomicNum() != 6]
    if len(symbols) > 1:
        return 1.6 if set(symbols) == {"N", "O"} else 2.2 if set(symbols) == {"N"} else 3.2
    ends: Sequence[Chem.Atom] = (bond.GetBeginAtom(), bond.GetEndAtom())
    beside = any(n.GetIdx() in atoms and n.GetAtomicNum() != 6 for end in ends for n in end.GetNeighbors())
    return _FIVE_RING_HZ.get(symbols[0] if symbols else "N", (2.6, 3.4))[0 if beside else 1]


def _methyl_hz(methyl: Chem.Atom, other: Chem.Atom) -> float:
    """Between a methyl group and the saturated carbon that bears it."""
    if other.GetTotalNumHs() != 2:
        return ISOPROPYL_HZ
    return ETHOXY_HZ if any(a.GetAtomicNum() == 8 for a in other.GetNeighbors()) else ETHYL_HZ


def _across_hetero_hz(hetero: Chem.Atom, carbon: Chem.Atom) -> float:
    by_number = _ACROSS_HETERO_HZ.get(hetero.GetAtomicNum(), _ACROSS_HETERO_HZ[7])
    return by_number[min(carbon.GetTotalNumHs(), 3)]


def _fluorine_hz(bond: Chem.Bond) -> float:
    """Three-bond coupling to a fluorine on the other carbon of `bond`."""
    if bond.GetIsAromatic():
        return 10.0
    return 25.0 if bond.GetBondType() == Chem.BondType.DOUBLE else 21.0


def _long_range(mol: Chem.Mol, atom: Chem.Atom) -> list[tuple[int, float]]:
    """Four-bond couplings: across a triple bond, meta in six-membered aromatic rings, and of benzylic CH2 with
    the hydrogens beside it. Those of aromatic methyl groups, which half of the spectra show, are left out."""
    here, paths = atom.GetIdx(), []
    for bond in atom.GetBonds():
        middle = bond.GetOtherAtom(atom)
        for onward in middle.GetBonds():
            far = onward.GetOtherAtom(middle)
            if far.GetIdx() == here or far.GetAtomicNum() != 6 or not far.GetTotalNumHs():
                continue
            hydrogens = {atom.GetTotalNumHs(), far.GetTotalNumHs()}
            if Chem.BondType.TRIPLE in (bond.GetBondType(), onward.GetBondType()):
                paths.append((far.GetIdx(), PROPARGYLIC_HZ))
            elif bond.GetIsAromatic() and onward.GetIsAromatic():
                if mol.GetRingInfo().AreAtomsInSameRingOfSize(here, far.GetIdx(), 6):
                    paths.append((far.GetIdx(), META_HZ))
            elif bond.GetIsAromatic() != onward.GetIsAromatic() and hydrogens == {1, 2}:  # CH and CH2
                paths.append((far.GetIdx(), BENZYLIC_HZ))
    return paths


def _is_aldehyde(atom: Chem.Atom) -> bool:
    return atom.GetTotalNumHs() > 0 and any(
        bond.GetBondType() == Chem.BondType.DOUBLE and bond.GetOtherAtom(atom).GetAtomicNum() == 8
        for bond in atom.GetBonds()
    )
