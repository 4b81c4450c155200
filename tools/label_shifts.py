"""Predict the shifts of many molecules with `csp5`: the second source of data for `fit_shifts`.

Run from a checkout as `python -m tools.label_shifts MOLECULES.parquet OUT.parquet --hold-out
example_data_1.parquet`. MOLECULES has a column `smiles`; molecules are taken in the order of a hash, so that
any number of them is a fair sample, and none whose InChIKey block is in the held-out file is taken.
"""

import argparse
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rdkit import Chem, rdBase

from mmspec_ds.files import replacing
from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.simulator.csp5_shifts import csp5_shifts

BATCH = 32
MAX_HEAVY_ATOMS = 32


def molecules_to_label(path: Path, held_out: Path | None, every: int = 1) -> list[tuple[str, str]]:
    """(SMILES, InChIKey block) of single molecules of at most MAX_HEAVY_ATOMS, each block once, in the order
    of the blocks' SHA-256, every `every`-th."""
    barred = set() if held_out is None else {inchikey_block(smiles) for smiles in _smiles(held_out)}
    blocks: dict[str, tuple[str, int]] = {}
    for smiles in _smiles(path):
        mol = Chem.MolFromSmiles(smiles)
        if mol is not None and "." not in smiles:
            blocks.setdefault(inchikey_block(smiles), (smiles, mol.GetNumHeavyAtoms()))
    order = sorted(blocks.keys() - barred, key=lambda block: sha256(block.encode()).hexdigest())
    return [(blocks[block][0], block) for block in order[::every] if blocks[block][1] <= MAX_HEAVY_ATOMS]


def labelled(molecules: Iterable[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Rows with the columns that `fit_shifts` reads; molecules without a geometry are left out."""
    pending = iter(molecules)
    while batch := list(islice(pending, BATCH)):
        mols = [Chem.MolFromSmiles(smiles) for smiles, _ in batch]
        for mol, (_, block), shifts in zip(mols, batch, csp5_shifts(mols)):
            if shifts is None:
                continue
            for atom in mol.GetAtoms():
                atom.SetAtomMapNum(atom.GetIdx() + 1)
            yield {
                "source": "csp5",
                "mapped_smiles": Chem.MolToSmiles(mol),
                "inchikey14": block,
                "c_atom": [atom + 1 for atom in shifts.carbon.ppm],
                "c_shift": list(shifts.carbon.ppm.values()),
                "h_atom": [atom + 1 for atom in shifts.hydrogen.ppm],
                "h_shift": list(shifts.hydrogen.ppm.values()),
            }


def _smiles(path: Path) -> list[str]:
    return pq.read_table(path, columns=["smiles"]).column("smiles").to_pylist()


def main(arguments: list[str] | None = None) -> None:
    """Label molecules and write them as one parquet file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("molecules", type=Path, help="parquet with a column smiles")
    parser.add_argument("out", type=Path, help="where to write the labelled molecules")
    parser.add_argument("--hold-out", type=Path, help="parquet with the smiles of molecules not to take")
    parser.add_argument("--number", type=int, default=5000, help="molecules to take (default: 5000)")
    parser.add_argument("--every", type=int, default=1, help="take every n-th (default: 1)")
    options = parser.parse_args(arguments)
    rdBase.DisableLog("rdApp.*")
    chosen = molecules_to_label(options.molecules, options.hold_out, options.every)[: options.number]
    rows = list(labelled(chosen))
    with replacing(options.out) as partial:
        pq.write_table(pa.Table.from_pylist(rows), partial)
    print(f"{options.out}: {len(rows)} of {len(chosen)} molecules")


if __name__ == "__main__":
    main()
