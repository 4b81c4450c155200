"""Rules for molecules that are made from real ones: groups that are not stable, or that nobody meets.

They allow more than those of the enumeration (`chemistry`): nitro groups, sulfones, oximes, anhydrides.
"""

from itertools import combinations

from rdkit import Chem

from mmspec_ds.simulator.patterns import matches_any

MAX_HETERO_ATOMS = 6
MAX_HETERO_ELEMENTS = 3
MAX_RINGS = 3
RING_SIZES = (3, 8)

IMPLAUSIBLE = {
    "[F,Cl,Br,I]": (
        "[F,Cl,Br,I]-[N,O,n,SX2,F,Cl,Br,I]",
        "[F,Cl,Br,I]-[S;!$(S(=O)=O)]",
        "[Cl,Br,I][CX4][N,O,S;!$([N+]);!$(S=O)]",
        "[F][CX4;!$(C(F)F)][N,O,S;!$([N+]);!$(S=O)]",
        "[CX3](=O)[Br,I,F]",
        "[CX3](=O)([O,N,S])[Cl]",
        "[CX3H1](=O)[Cl]",
        "[F,Cl,Br,I][CX3;!a](=[CX3;!a])[OX2,N,S]",
        "[NX2]=[CX3][Cl,Br,I,F]",
        "[CX3](=O)[Cl].[OX2H,SX2H,$([NX3;H1,H2])]",
        "[NX3;H1,H2;!$(N-C=O);!$(N-a);!$(N-S)].[CX4][Cl,Br,I]",
        "[SX2H].[CX4][Cl,Br,I]",
        "[CX4][Br,I].[NX3;H0;!$(N-C=O);!$(N-a);!$(N-S);!$(N-C#N)]",
    ),
    "[#16]": (
        "[SX2;!a]-[N,O;!a]",
        "[S;!a]-[S;!a]-[S;!a]",
        "[SX3;!$(S([#6])([#6])=O)]",
        "[SX4;!$(S(=O)(=O)[#6])]",
        "[S;v4,v6;!H0]",
        "[SX2H][CX4][OX2,SX2,N]",
        "[SX2H][CX3;!a]=[CX3,N;!a]",
        "[CX3;!$(C-[N,O,S])]=[SX1]",
        "[CX3H1](=O)S",
        "[SX2;r3,r4]-,=[C;r3,r4]=[*]",
        "[CX3H1](=O)[#6].[SX2H]",
    ),
    "[P,B,Si]": (
        "[P;!$(P=O);!$(P(-[#6])(-[#6])-[#6])]",
        "[Si;!$([Si]([#6,O])([#6,O])([#6,O])[#6,O])]",
        "[Si]-[N,S,F,Br,I]",
        "[B;!$(B([#6])([O])[O])]",
        "[n]-[P,B,Si]",
        "[P,B,Si].[P,B,Si]",
    ),
    "[#7]~[#7,#8]": (
        "[NX3,OX2;!a]-[NX3;!a]-[N,O,S;!a;!$([N+])]",
        "[n]-[O,N]",
        "[N;!a](-[O,N;!a])-[O,N,S;!a;!$(S=O);!$([O-])]",
        "[N;!a]=[N;!a;!+]-[N,O,S;!a;!+]",
        "[NX2]=[NX2;!$(N-c)]-[#6;!a]",
        "[NX2;H1]=[N,O]",
        "[#7]-[N]=O",
        "[OX2]-[NX2]=[N,O]",
        "[OX2,SX2]-[N+](=O)[O-]",
        "[CX4]([OX2H,NX3H2,SX2H])[N+](=O)[O-]",
    ),
    "[#7]": (
        "[n]-S",
        "[OX2H][CX4][N;!$(N-[C,S]=O)]",
        "[NX3;H1,H2;!$(N-[#6,S]=[O,N,S])][CX4][N,O,S;!$([N+]);!$(N-[#6,S]=[O,N,S])]",
        "[NX3][CX4;!R][OX2,SX2]",
        "[OX2H][CX3;!a]=[N;!a]",
        "[NX3;H1,H2;!$(N-C=O)][CX3;!a]=[CX3;!a;!$(C-[C,S,N]=,#[O,N])]",
        "[NX3;H0;!$(N-C=O)][CX3;!a]=[CX3;!a;!$(C-[C,S,N]=,#[O,N])]",
        "[NX2;H1]=[CX3;!$(C-[N,O])]",
        "[NX2;!R]=[CX3H2]",
        "[CX3](=O)[C]#N",
        "[CX3](=O)[NX3;!R][CX3]=O",
        "[OX2]C#N",
        "[N;!a;!$(N-a);!$(N(C)C)]C#N",
        "C(#N)C#[C,N]",
        "[CX3H1](=O)[#6].[NX3;H2;!$(N-C=O);!$(N-a);!$(N-S)]",
        "N=C=[O,S].[OX2H,SX2H,$([NX3;H1,H2;!$(N-C=O)])]",
    ),
    "[OX2]": (
        "[OX2;!a]-[OX2,SX2]",
        "[OX2H][CX4][OX2H,SX2H]",
        "[OX2H][CX4;!R][OX2,SX2]",
        "[CX4]([O,N,S;!a])([O,N,S;!a])([O,N,S;!a])[O,N,S]",
        "[OX2H][CX3;!a]=[CX3;!a;!$(C-C=O)]",
        "[OX2H]C(=O)[O,N,S]",
        "[OX2][CX3;!a](=[CX3;!a])[OX2,N]",
        "[CX3](=O)O[CX3H1]=O",
    ),
    "O=[#6]-[#6]=O": ("[CX3](=O)[CX3](=O)[CX3]=O", "[CX3H1](=O)[CX3H1]=O"),
    "[#6]=,#[#6]=,#[*]": ("[#6]=[C]=[O,N,S]", "[*]=[*]=[*]=[*]", "[R]=[CX2;R]=[R]"),
    "[N]=[C]=[N]": ("[N]=[C]=[N]",),
    "[*]#[*]": ("c#c", "[CX2;R]#[C;R]", "[CX2]#[CX2][N,O,S,F,Cl,Br,I]"),
    "[#6;a]=[S,N,C;!a]": ("[#6;a]=[S,N,C;!a]",),
    "[r3,r4]": (
        "[r3]=@[r3]",
        "[r3]=[N,O,S]",
        "[r4]1=[r4][r4]=[r4]1",
        "[a;r3,r4]",
        "[N,O,S;r3]-[N,O,S;r3]",
        "[N,O,S;r4]-[N,O,S;r4]",
        "[N,O,S;r3][C;r3][N,O,S,F,Cl,Br,I;!r3]",
    ),
}
"""Patterns behind what they all contain: bonds between hetero atoms, groups that lose water or hydrogen halide,
minor tautomers, strained rings, and partners that react with each other."""


def is_plausible(mol: Chem.Mol) -> bool:
    """Whether a sanitised molecule could stand in a catalogue: at least two carbons, one of them with a
    hydrogen, not too many hetero atoms, no strained rings and no group of IMPLAUSIBLE."""
    numbers = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    hetero = [number for number in numbers if number != 6]
    if len(numbers) - len(hetero) < max(2, len(numbers) // 3):
        return False
    if len(hetero) > MAX_HETERO_ATOMS or len(set(hetero)) > MAX_HETERO_ELEMENTS:
        return False
    if not any(atom.GetAtomicNum() == 6 and atom.GetTotalNumHs() for atom in mol.GetAtoms()):
        return False
    return _rings_are_sound(mol) and not matches_any(mol, IMPLAUSIBLE)


def _rings_are_sound(mol: Chem.Mol) -> bool:
    rings = [set(ring) for ring in mol.GetRingInfo().AtomRings()]
    if len(rings) > MAX_RINGS or any(not RING_SIZES[0] <= len(ring) <= RING_SIZES[1] for ring in rings):
        return False
    for ring in rings:
        atoms = [mol.GetAtomWithIdx(index) for index in ring]
        hetero = sum(atom.GetAtomicNum() != 6 for atom in atoms)
        if hetero > (4 if all(atom.GetIsAromatic() for atom in atoms) else 1 if len(ring) < 5 else 3):
            return False
    return all(_pair_is_sound(mol, first, second) for first, second in combinations(rings, 2))


def _pair_is_sound(mol: Chem.Mol, first: set[int], second: set[int]) -> bool:
    """Fused rings of 3 + 5 atoms or 4 + 4 and more; bridged ones of 4 + 6 or 5 + 5 and more, by Bredt's rule
    without a double bond at a bridgehead."""
    shared = first & second
    smallest, other = sorted((len(first), len(second)))
    if len(shared) < 2:
        return True
    atoms = [mol.GetAtomWithIdx(index) for index in shared]
    if len(shared) == 2:
        return smallest + other >= 8 and not (smallest < 5 and all(atom.GetIsAromatic() for atom in atoms))
    union = first | second
    heads = [a for a in atoms if sum(n.GetIdx() in union for n in a.GetNeighbors()) > 2]
    return smallest + other >= 10 and not any(
        bond.GetBondType() != Chem.BondType.SINGLE for atom in heads for bond in atom.GetBonds()
    )
