"""SMILES: canonical form, tokens and InChIKey."""

import re
from collections.abc import Iterable
from typing import Any

from rdkit import Chem, rdBase

_TOKEN = re.compile(
    r"\[[^\[\]\s]+\]"  # a bracket atom with its isotope, stereo, hydrogens and charge is one token
    r"|Br|Cl|[BCNOPSFI]|[bcnops]|\*"  # atoms of the organic subset, aromatic ones, the wildcard
    r"|%\d{2}|%\(\d+\)|\d"  # ring closures
    r"|->|<-|[-=#$:~/\\]"  # bonds: dative ones, then all others with the two that carry double-bond stereo
    r"|[().]"  # branches and fragments
)
_FLAT = re.compile(r"(?!.*\[\d)[^@/\\<>]*")
_WITHOUT_ARROWS: Any = Chem.SmilesWriteParams()
_WITHOUT_ARROWS.includeDativeBonds = False


def tokenize_smiles(smiles: str) -> list[str]:
    """Split a SMILES string into tokens; joined again they are the string.

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
        raise ValueError(f"SMILES {smiles!r} has {smiles[place]!r} at {place}, which is not a token")
    return tokens


def canonical_smiles(smiles: str) -> str:
    """RDKit's canonical SMILES, stereo kept, as `write_smiles` writes it.

    Raises:
        ValueError: the text is not a valid structure; the message is one line and says why.
    """
    return write_smiles(parse_smiles(smiles))


def write_smiles(molecule: Chem.Mol) -> str:
    """The canonical SMILES of a molecule, stereo kept.

    RDKit reads a bond between a metal and an atom with a full octet as dative, and would write
    "CC(=O)[O-][K+]" as "CC(=O)[O-]->[K+]". A dative bond is written as a single one where RDKit reads that back
    as the same molecule, else with its arrow.
    """
    text = str(Chem.MolToSmiles(molecule))
    if "->" not in text and "<-" not in text:
        return text
    bare = str(Chem.MolToSmiles(molecule, _WITHOUT_ARROWS))
    with rdBase.BlockLogs():
        again = Chem.MolFromSmiles(bare)
    return bare if again is not None and Chem.MolToSmiles(again) == text else text


def random_smiles(smiles: str, seed: int) -> str:
    """Another SMILES of the same molecule, in an order of atoms that the seed decides; the same SMILES where a
    dative bond needs an arrow.

    Raises:
        ValueError: the text is not a valid structure; the message is one line and says why.
    """
    spelling = str(Chem.MolToRandomSmilesVect(parse_smiles(smiles), 1, seed)[0])
    return smiles if "->" in spelling or "<-" in spelling else spelling


def tokens_of_spellings(tokens: Iterable[str]) -> set[str]:
    """The tokens that random SMILES may have of molecules whose canonical SMILES have `tokens`: another order
    of atoms turns stereo marks, has other branches and more rings open at once."""
    known = set(tokens)
    mirrored = {token.replace("@@", "@") for token in known} | {re.sub("@+", "@@", token) for token in known}
    rings = set("123456789") if any(token.isdigit() for token in known) else set()
    bonds = {"/", "\\"} if known & {"/", "\\"} else set()
    return known | mirrored | rings | bonds | {"(", ")"}


def spellings(smiles: str) -> list[str]:
    """The canonical SMILES of a molecule, and those that begin at each of its atoms, without repetition.

    Raises:
        ValueError: the text is not a valid structure.
    """
    molecule = parse_smiles(smiles)
    rooted = (str(Chem.MolToSmiles(molecule, rootedAtAtom=at)) for at in range(molecule.GetNumAtoms()))
    return list(dict.fromkeys([write_smiles(molecule), *rooted]))


def without_stereo(smiles: str) -> str:
    """The canonical SMILES without stereochemistry and isotopes; a text that has neither is given back as it
    is.

    Raises:
        ValueError: the text is not a valid structure.
    """
    if is_flat(smiles):
        return smiles
    molecule = parse_smiles(smiles)
    for atom in molecule.GetAtoms():
        atom.SetIsotope(0)
    return str(Chem.MolToSmiles(Chem.RemoveHs(molecule), isomericSmiles=False))


def is_flat(smiles: str) -> bool:
    """Whether a SMILES has neither stereochemistry nor isotopes nor dative bonds."""
    return _FLAT.fullmatch(smiles) is not None


def inchikey_block(smiles: str) -> str:
    """The first block of the InChIKey: 14 letters for the skeleton, without stereo and isotopes.

    Raises:
        ValueError: the text is not a valid structure, or InChI cannot describe it.
    """
    molecule = parse_smiles(smiles)
    with rdBase.BlockLogs():
        key = str(Chem.MolToInchiKey(molecule))
    if not key:
        raise ValueError(f"SMILES {smiles!r} has no InChIKey")
    return key.split("-", 1)[0]


def parse_smiles(smiles: str) -> Chem.Mol:
    """Parse a SMILES into RDKit's molecule.

    Raises:
        ValueError: the text is not a valid structure; the message is one line and says why.
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
    reason = problems[0].Message() if problems else "RDKit does not accept it"
    return " ".join(reason.split())
