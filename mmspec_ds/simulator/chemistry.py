"""Rules for sensible small molecules: patterns that the enumeration refuses.

There are two sets, because growth passes through molecules that are not stable. Patterns in NEVER_GROWN stay
wrong whatever is added; those in NOT_SHOWN may still become sensible (an enol becomes an enol ether).
"""

from rdkit import Chem

from mmspec_ds.simulator.patterns import matches_any

MAX_HETERO_ATOMS = 4
MAX_HETERO_ELEMENTS = 2
MAX_OF = {9: 3, 16: 1, 17: 2}
"""At most three fluorines, one sulfur, two chlorines."""
MAX_RINGS = 2

NEVER_GROWN = {
    "[N,O,S,F,Cl]~[N,O,S,F,Cl,n]": (
        "[N,O,S;!a]-,=[N,O,S,F,Cl]",  # bonds between hetero atoms outside aromatic rings
        "[n]-[N,O,S,F,Cl]",
    ),
    "[N,O,S]-[#6X4]-[N,O,S,F,Cl]": (
        "[#6X4]([N,O,S])[F,Cl]",  # alpha-halo ethers, amines, sulfides
        "[#6X4]([N,O,S])([N,O,S])[N,O,S]",  # orthoesters
        "[NX3][CX4][N,O,S]",  # aminals, hemiaminals
        "[OX2,SX2][CX4][SX2]",
    ),
    "[*]=[*]=[*]": ("[*]=[*]=[*]",),  # allenes, ketenes, isocyanates
    "C#*": (
        "[CX2]#[C][N,O,S,F,Cl]",
        "C#CC#C",
        "C(#N)C#N",
        "[CX3](=O)C#N",
        "[N;!a]C#[N,C]",  # cyanamides, ynamines
        "[O,S]C#N",
    ),
    "[#6;R]#[#6;R]": ("[#6;R]#[#6;R]",),
    "C=O": (
        "C(=O)(F)",
        "[CX3](=O)([O,N,S])Cl",
        "C(=O)[SX2]",
        "C(=O)C(=O)C(=O)",
        "[NX3]([CX3]=O)[CX3]=O",
        "[CX3](=O)OC=C",
        "[CX3](=O)O[CX3]=O",  # anhydrides
        "[F,Cl]C(=O)C=O",
        "[N;r3][CX3]=O",
    ),
    "C=C": (
        "[CX3]=[CX3][N;!$(N-C=O)]",  # enamines
        "[CX3](=[CX3])([O,S,N])[O,S,N,F,Cl]",  # ketene acetals
        "[O,S,N][CX3]=[CX3][O,S,N,F,Cl]",
        "[F,Cl]C=C[F,Cl]",
        "[CX3;!$(C=O)]=[CX3;!$(C=O)][SX2]",
    ),
    "[r3,r4]": (
        "[r3]=[*]",
        "[r4]=@[r4]",
        "[r4;R]1:[r4]:[r4]:[r4]1",
        "[r3;O,N,S,$([#6;r3]~[O,N,S;r3])]~[N,O,S,F,Cl;!r3]",  # hetero atoms on three-rings with hetero atoms
        "[r4;$([#6]~[O,N,S;r4])]-[N,O,S,F,Cl;!r4]",
        "[r4]1[N,O,S][r4][N,O,S]1",
    ),
}
NOT_SHOWN = {
    "C=C": (
        "[CX3;!$(C=O)]=[CX3][OX2H,SX2H]",  # enols and their kin
        "[CX3]=[CX3][NX3;H1,H2]",
    ),
    "[OX2H,SX2H]": (
        "[OX2H,SX2H][CX4][N,O,S]",  # hydrates, hemiacetals
        "[OX2H]C(=O)[O,N]",  # carbonic and carbamic acids
        "[CX3](=O)[OX2H].[NX3;!$(N-C=O);!$(N-C#N);!$(N-a)]",  # amino acids: zwitterions
        "[SX2H].[CX3;H1]=O",
        "[SX2H].[CX4][Cl]",
    ),
    "C=O": (
        "[NX3;H2][CX4][CX3;H1]=O",
        "[NX3;H2][CX4][CX4][CX3]=O.[CX3;H1]=O",
        "[CX3;H1](=O)[CX3;H1]=O",
        "[CX3](=O)Cl.[OX2H,NX3;H1,H2,SX2H]",  # acid chlorides with nucleophiles
        "[NX3;!$(N-C=O);!$(N-a)].[CX3;H1]=O",
    ),
    "Cl": ("[NX3;H1,H2;!$(N-C=O);!$(N-a)].[CX4][Cl]",),  # amines that alkylate themselves
}
"""Patterns behind what they all contain, as `patterns` wants them."""


def may_grow(mol: Chem.Mol) -> bool:
    """Whether a sanitised molecule may be grown further."""
    numbers = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    hetero = [number for number in numbers if number != 6]
    if len(hetero) > MAX_HETERO_ATOMS or len(set(hetero)) > MAX_HETERO_ELEMENTS:
        return False
    if any(hetero.count(number) > limit for number, limit in MAX_OF.items()):
        return False
    return _rings_are_sound(mol) and not matches_any(mol, NEVER_GROWN)


def elements_to_add(mol: Chem.Mol) -> frozenset[int]:
    """The elements (atomic numbers) of which `may_grow` allows one more."""
    numbers = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    hetero = [number for number in numbers if number != 6]
    if len(hetero) >= MAX_HETERO_ATOMS:
        return frozenset({6})
    others = set(hetero) if len(set(hetero)) >= MAX_HETERO_ELEMENTS else {7, 8, 9, 16, 17}
    return frozenset({6} | {one for one in others if hetero.count(one) < MAX_OF.get(one, MAX_HETERO_ATOMS)})


def is_sensible(mol: Chem.Mol) -> bool:
    """Whether a molecule that may grow is also shown: it is not a minor tautomer, does not react with itself,
    and has at least two carbons and one hydrogen on carbon."""
    carbons = [atom for atom in mol.GetAtoms() if atom.GetAtomicNum() == 6]
    if len(carbons) < 2 or not any(atom.GetTotalNumHs() for atom in carbons):
        return False
    return not matches_any(mol, NOT_SHOWN)


def _rings_are_sound(mol: Chem.Mol) -> bool:
    """Whether there are at most two rings of 3 to 7 atoms, without a strained bond or atom in common."""
    info = mol.GetRingInfo()
    rings = [set(ring) for ring in info.AtomRings()]
    if any(len(ring) < 5 and mol.GetAtomWithIdx(next(iter(ring))).GetIsAromatic() for ring in rings):
        return False
    if len(rings) > MAX_RINGS or any(len(ring) > 7 for ring in rings):
        return False
    if any(
        sum(mol.GetAtomWithIdx(a).GetAtomicNum() != 6 for a in ring) > _hetero_limit(mol, ring)
        for ring in rings
    ):
        return False
    if len(rings) < 2:
        return True
    first, second = rings
    shared = first & second
    smallest, other = sorted((len(first), len(second)))
    if (smallest == 3 and other == 3) or (shared and smallest + other < 8):
        return False
    if any(mol.GetAtomWithIdx(a).GetIsAromatic() for a in shared) and smallest < 5:
        return False
    if len(shared) > 2:  # bridged: Bredt's rule, and a size at which a bridge does not break
        heads = [a for a in shared if mol.GetAtomWithIdx(a).GetDegree() > 2 and _ring_bonds(mol, a) > 2]
        return smallest >= 5 and all(
            not mol.GetAtomWithIdx(a).GetIsAromatic()
            and all(b.GetBondType() == Chem.BondType.SINGLE for b in mol.GetAtomWithIdx(a).GetBonds())
            for a in heads
        )
    return True


def _hetero_limit(mol: Chem.Mol, ring: set[int]) -> int:
    aromatic = all(mol.GetAtomWithIdx(a).GetIsAromatic() for a in ring)
    return 3 if aromatic else 1 if len(ring) < 5 else 2


def _ring_bonds(mol: Chem.Mol, atom: int) -> int:
    return sum(bond.IsInRing() for bond in mol.GetAtomWithIdx(atom).GetBonds())
