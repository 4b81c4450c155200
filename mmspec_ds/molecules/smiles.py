"""SMILES: canonical form, tokens, and the few facts about a molecule that other rooms ask for."""

import re

from rdkit import Chem, rdBase
from rdkit.Chem import rdMolDescriptors

_TOKEN = re.compile(
    r"\[[^\[\]\s]+\]"  # a bracket atom with its isotope, stereo, hydrogens and charge is one token
    r"|Br|Cl|[BCNOPSFI]|[bcnops]|\*"  # atoms of the organic subset, aromatic ones, the wildcard
    r"|%\d{2}|%\(\d+\)|\d"  # ring closures
    r"|[-=#$:~/\\]"  # bonds, with the two that carry double-bond stereo
    r"|[().]"  # branches and fragments
)


def tokenize_smiles(smiles: str) -> list[str]:
    """The tokens of a SMILES string; joined again they are the string itself.

    Raises:
        ValueError: a character belongs to no token; names it and its place (counted from 0).
    """
    tokens = _TOKEN.findall(smiles)
    if "".join(tokens) != smiles:
        # findall passes over what it cannot place, so the first gap shows where that is.
        place = 0
        for token in tokens:
            if not smiles.startswith(token, place):
                break
            place += len(token)
        raise ValueError(f"SMILES {smiles!r} has {smiles[place]!r} at {place}, which is no token")
    return tokens


def canonical_smiles(smiles: str) -> str:
    """RDKit's canonical SMILES, stereo kept.

    Raises:
        ValueError: the text is no molecule; the message is one line and says why.
    """
    return str(Chem.MolToSmiles(parse_smiles(smiles)))


def inchikey_block(smiles: str) -> str:
    """The first block of the InChIKey: 14 letters that stand for the skeleton, without stereo and isotopes.

    Raises:
        ValueError: the text is no molecule, or InChI cannot describe it.
    """
    molecule = parse_smiles(smiles)
    with rdBase.BlockLogs():
        key = str(Chem.MolToInchiKey(molecule))
    if not key:
        raise ValueError(f"SMILES {smiles!r} has no InChIKey")
    return key.split("-", 1)[0]


def heavy_atoms(smiles: str) -> int:
    """The number of atoms other than hydrogen.

    Raises:
        ValueError: the text is no molecule.
    """
    return int(parse_smiles(smiles).GetNumHeavyAtoms())


def molecular_formula(smiles: str) -> str:
    """The formula in Hill order, the charge last ("C5H12N+").

    Raises:
        ValueError: the text is no molecule.
    """
    return str(rdMolDescriptors.CalcMolFormula(parse_smiles(smiles)))


def parse_smiles(smiles: str) -> Chem.Mol:
    """RDKit's molecule.

    Raises:
        ValueError: the text is no molecule; the message is one line and says why.
    """
    # RDKit reads what follows a blank as a name and the empty string as a molecule without atoms; neither is
    # what a SMILES column means.
    if not smiles:
        raise ValueError("the SMILES is empty")
    if any(character.isspace() for character in smiles):
        raise ValueError(f"SMILES {smiles!r} contains a blank")
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
        if molecule is None:
            raise ValueError(f"invalid SMILES {smiles!r}: {_why_invalid(smiles)}")
    return molecule


def _why_invalid(smiles: str) -> str:
    unchecked = Chem.MolFromSmiles(smiles, sanitize=False)
    if unchecked is None:
        return "it cannot be parsed"
    problems = Chem.DetectChemistryProblems(unchecked)
    reason = problems[0].Message() if problems else "it is no molecule that RDKit accepts"
    return " ".join(reason.split())
