"""Fragments of molecules: the connected pieces between the cuts of acyclic single bonds."""

from rdkit import Chem, rdBase

from mmspec_ds.simulator.patterns import compiled

_CUTS = ("[!D1;!$([C,S]=O)]-;!@[!D1;!$([C,S]=O)]", "[!D1;$(C=O)]-;!@[N,O;!D1;!$(NS=O)]")
"""Bonds of an end atom and of sulfonyl are kept; an acyl carbon is cut from N and O, and not from carbon."""


def fragments(smiles: str, max_heavy_atoms: int) -> set[str]:
    """Canonical SMILES of all connected pieces of at most `max_heavy_atoms` that are left when acyclic single
    bonds of a molecule are cut and hydrogens take their places, and of the molecule itself if it is that small.

    The BRICS fragments that cuts of single bonds give are among them. Charged atoms are never cut from.
    """
    found: set[str] = set()
    seen: set[str] = set()
    todo = [Chem.MolFromSmiles(smiles)]
    while todo:
        piece = todo.pop()
        name = Chem.MolToSmiles(piece)
        if name in seen:
            continue
        seen.add(name)
        if piece.GetNumAtoms() <= max_heavy_atoms:
            found.add(name)
        for cut in _CUTS:
            for first, second in piece.GetSubstructMatches(compiled(cut)):
                todo.extend(_halves(piece, first, second))
    return found


def _halves(mol: Chem.Mol, first: int, second: int) -> tuple[Chem.Mol, ...]:
    """The two parts of a molecule at a bond; none where a charge would lose its bond."""
    cut = Chem.RWMol(mol)
    for index in (first, second):
        atom = cut.GetAtomWithIdx(index)
        if atom.GetFormalCharge():
            return ()
        if (atom.GetIsAromatic() and atom.GetAtomicNum() != 6) or atom.GetNoImplicit():
            atom.SetNumExplicitHs(atom.GetNumExplicitHs() + 1)
    cut.RemoveBond(first, second)
    with rdBase.BlockLogs():
        return tuple(Chem.GetMolFrags(cut.GetMol(), asMols=True, sanitizeFrags=True))
