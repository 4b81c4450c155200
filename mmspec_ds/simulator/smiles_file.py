"""Molecules from a text file: one SMILES a line, optionally a name after a blank; plain or gzip."""

import gzip
import zlib
from collections import Counter
from pathlib import Path

from rdkit import Chem

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import canonical_smiles


def read_smiles_file(path: Path | str, skip_invalid: bool = False) -> tuple[list[str], dict[str, int]]:
    """Canonical SMILES without stereo in the order of the file, each once, and the number of lines left out by
    reason (`repeated`, and with `skip_invalid` also `invalid`).

    Empty lines and lines that start with `#` are comments. A first line whose first word is `smiles` is a
    header.

    Raises:
        DataError: the file cannot be read or has no molecule, or (unless `skip_invalid`) a line cannot be
            simulated; names the file and the line, counted from 1.
    """
    path = Path(path)
    left_out: Counter[str] = Counter()
    found: dict[str, None] = {}
    for number, line in enumerate(_lines(path), start=1):
        words = line.split()
        if not words or words[0].startswith("#") or (number == 1 and words[0].lower() == "smiles"):
            continue
        try:
            smiles = Chem.MolToSmiles(simulable_molecule(words[0]))
        except ValueError as error:
            if not skip_invalid:
                raise DataError(f"line {number}: {error}", path=path) from None
            left_out["invalid"] += 1
            continue
        if smiles in found:
            left_out["repeated"] += 1
        found[smiles] = None
    if not found:
        raise DataError("no molecule in the file; expected one SMILES a line", path=path)
    return list(found), dict(left_out)


def simulable_molecule(smiles: str) -> Chem.Mol:
    """The molecule in canonical atom order and without stereo.

    All elements are allowed. The shifts near those that `substituents` knows are by increments; the others have
    the shifts of the most similar known environment.

    Raises:
        ValueError: the SMILES is not a valid structure, or several molecules, or has no hydrogen on carbon.
    """
    mol = Chem.MolFromSmiles(canonical_smiles(smiles))
    Chem.RemoveStereochemistry(mol)
    flat = Chem.MolToSmiles(mol)
    if "." in flat:
        raise ValueError(f"SMILES {smiles!r} is several molecules, one is expected")
    mol = Chem.MolFromSmiles(flat)
    if not any(atom.GetAtomicNum() == 6 and atom.GetTotalNumHs() for atom in mol.GetAtoms()):
        raise ValueError(f"SMILES {smiles!r} has no hydrogen on carbon, so not all spectra exist")
    return mol


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        return content.decode().splitlines()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", path=path) from None
    except (EOFError, zlib.error):
        raise DataError("is a damaged gzip file", path=path) from None
    except UnicodeDecodeError:
        raise DataError("is not text; expected one SMILES a line", path=path) from None
