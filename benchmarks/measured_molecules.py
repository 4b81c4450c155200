"""Molecules to simulate for a test on measured spectra: those of public lists, without the ones of the test.

    python benchmarks/measured_molecules.py DATA/cascade_assigned_shifts.parquet DATA/moses_100k.smi.gz \\
        --exclude DATA/experimental_ms_nmr.parquet --molecules 12000 --out molecules.smi

Sources are parquet files with a column `smiles` or `mapped_smiles`, or text with one SMILES a line, plain or
gzip. They are used up in the order given, each in an order drawn by --seed. A molecule counts once by its
InChIKey first block (so without its stereochemistry), and is left out if its block is among those of --exclude,
or if it is no neutral single molecule of C, H, N, O, F, P, S, Cl and Br of 3 to --largest heavy atoms with a
hydrogen on carbon.
"""

import argparse
import gzip
import os
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
from rdkit import Chem, rdBase

from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.simulator.smiles_file import simulable_molecule

_SMILES_COLUMNS = ("smiles", "mapped_smiles")
_ELEMENTS = frozenset((6, 7, 8, 9, 15, 16, 17, 35))
_FEWEST_HEAVY_ATOMS = 3


def read_smiles(path: Path) -> list[str]:
    """All SMILES of a source, as written."""
    if path.suffix == ".parquet":
        names = pq.read_schema(path).names
        column = next((name for name in _SMILES_COLUMNS if name in names), None)
        if column is None:
            raise SystemExit(f"{path}: has no column {' or '.join(_SMILES_COLUMNS)}")
        return [one for one in pq.read_table(path, columns=[column])[column].to_pylist() if one]
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    return [line.split()[0] for line in text.splitlines() if line.strip()]


def usable(smiles: str, largest: int) -> str | None:
    """The canonical SMILES without atom maps and stereo, None for a molecule that is not wanted."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None or not _FEWEST_HEAVY_ATOMS <= mol.GetNumHeavyAtoms() <= largest:
        return None
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum() not in _ELEMENTS or atom.GetIsotope() or atom.GetNumRadicalElectrons():
            return None
        atom.SetAtomMapNum(0)
    if Chem.GetFormalCharge(mol):
        return None
    try:
        return str(Chem.MolToSmiles(simulable_molecule(Chem.MolToSmiles(mol))))
    except ValueError:
        return None


def chosen(sources: Iterable[Path], taken: set[str], largest: int, seed: int) -> Iterator[str]:
    """The molecules of the sources, source by source, none whose block is in `taken`, none twice."""
    for path in sources:
        listed = read_smiles(path)
        random.Random(seed).shuffle(listed)
        for smiles in listed:
            plain = usable(smiles, largest)
            if plain is None:
                continue
            block = inchikey_block(plain)
            if block not in taken:
                taken.add(block)
                yield plain


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sources", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--exclude", type=Path, nargs="+", required=True, metavar="FILE", help="test molecules")
    parser.add_argument("--molecules", type=int, default=12_000)
    parser.add_argument("--largest", type=int, default=22, help="heavy atoms of the largest (default: 22)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    excluded = {inchikey_block(one) for path in options.exclude for one in read_smiles(path)}
    partial = options.out.with_name(f".{options.out.name}.partial")
    written = 0
    with partial.open("w", encoding="utf-8") as file:
        for smiles in chosen(options.sources, set(excluded), options.largest, options.seed):
            if written == options.molecules:
                break
            file.write(f"{smiles}\n")
            written += 1
    os.replace(partial, options.out)
    print(f"{options.out}: {written:,} molecules, none of the {len(excluded):,} of the test")


if __name__ == "__main__":
    main()
