"""Measured shift lists of small molecules: files to fine-tune on, and others to test on.

    python benchmarks/measured_small.py DATA/nmrshiftdb2_shifts.parquet --out measured \\
        --training starter_set/train.parquet --model starter_model

A molecule has at most --largest heavy atoms and hydrogen on carbon; its SMILES is written without
stereochemistry, as those of simulated molecules are. It is held out for testing if sha256("measured" +
InChIKey first block) is a multiple of ten: `mmspec simulate --hold-out measured` leaves such molecules out of
a training set. One that is in a file of --training nevertheless is dropped and counted. Written, in columns
that `mmspec` reads (docs/formats.md):

train.parquet     every record of the other nine tenths, but
val.parquet       of one molecule in twenty of them
test_h_c.parquet  held out: one record of each molecule that has 1H and 13C
test_c.parquet    held out: the 13C of one record of each molecule that has 13C

With --model, records to fine-tune on whose SMILES has a token that the model does not know are left out. With
--multiplicity the letters of the 13C lines (S, D, T, Q) are kept. The lists have a share-alike licence: what
is fitted on them is for comparison and does not ship.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rdkit import Chem, rdBase
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from mmspec_ds.data.vocabularies import VOCABULARY, Vocabularies
from mmspec_ds.molecules.smiles import inchikey_block, tokenize_smiles
from mmspec_ds.simulator.smiles_file import simulable_molecule

Row = dict[str, Any]
SHIFTS, TEXTS = pa.list_(pa.float64()), pa.list_(pa.string())
SCHEMA = pa.schema(
    {
        "smiles": pa.string(),
        "formula": pa.string(),
        "inchikey14": pa.string(),
        "h_nmr_shift": SHIFTS,
        "c_nmr_shift": SHIFTS,
        "c_nmr_mult": TEXTS,
        "ms2": pa.list_(pa.struct({"mz": SHIFTS, "intensity": SHIFTS})),
    }
)


def draw(salt: str, block: str) -> int:
    """A large number that depends on the block alone."""
    return int(sha256((salt + block).encode()).hexdigest(), 16)


def rows_of(path: Path, largest: int, multiplicity: bool) -> Iterator[Row]:
    """The records of small molecules, in the columns of SCHEMA."""
    for entry in pq.read_table(path).to_pylist():
        with rdBase.BlockLogs():
            mol = Chem.MolFromSmiles(entry["smiles"] or "")
        if mol is None or mol.GetNumHeavyAtoms() > largest:
            continue
        try:
            flat = simulable_molecule(entry["smiles"])
        except ValueError:
            continue
        yield {
            "smiles": Chem.MolToSmiles(flat),
            "formula": CalcMolFormula(flat),
            "inchikey14": entry["inchikey14"],
            "h_nmr_shift": entry["h_shift"] or [],
            "c_nmr_shift": entry["c_shift"] or [],
            "c_nmr_mult": (entry["c_mult"] or []) if multiplicity else [],
            "ms2": [],
        }


def first_of_each(rows: Iterable[Row], *columns: str) -> list[Row]:
    """The first record of each molecule with all of these lists; of the other lists nothing."""
    others = {"h_nmr_shift", "c_nmr_shift"} - set(columns)
    found: dict[str, Row] = {}
    for row in rows:
        if all(row[column] for column in columns):
            found.setdefault(row["inchikey14"], row | {name: [] for name in others})
    return list(found.values())


def blocks_of(paths: Iterable[Path]) -> set[str]:
    """The InChIKey blocks of the molecules in some files."""
    return {
        inchikey_block(one)
        for path in paths
        for one in pq.read_table(path, columns=["smiles"])["smiles"].to_pylist()
    }


def main() -> None:
    """Write the four files and say how many records and molecules each has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lists", type=Path, help="nmrshiftdb2_shifts.parquet")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--largest", type=int, default=11, help="heavy atoms (default: 11)")
    parser.add_argument("--training", type=Path, action="append", default=[], help="files that were trained on")
    parser.add_argument("--model", type=Path, help="the folder of the model that is to be fine-tuned")
    parser.add_argument("--multiplicity", action="store_true", help="keep the letters of the 13C lines")
    options = parser.parse_args()
    parts: dict[str, list[Row]] = {"test": [], "val": [], "train": []}
    for row in rows_of(options.lists, options.largest, options.multiplicity):
        block = row["inchikey14"]
        held_out = draw("measured", block) % 10 == 0
        parts["test" if held_out else "val" if draw("validation", block) % 20 == 0 else "train"].append(row)
    known = blocks_of(options.training)
    shared = Counter(row["inchikey14"] in known for row in parts["test"])[True]
    test = [row for row in parts.pop("test") if row["inchikey14"] not in known]
    print(f"held-out records of molecules that were trained on, dropped: {shared}")
    parts["test_h_c"] = first_of_each(test, "h_nmr_shift", "c_nmr_shift")
    parts["test_c"] = first_of_each(test, "c_nmr_shift")
    if options.model is not None:
        known_tokens = set(Vocabularies.load(options.model / VOCABULARY).target.tokens)
        for name in ("train", "val"):
            kept = [row for row in parts[name] if known_tokens.issuperset(tokenize_smiles(row["smiles"]))]
            print(f"{name}.parquet: {len(parts[name]) - len(kept)} records with an unknown token left out")
            parts[name] = kept
    options.out.mkdir(parents=True, exist_ok=True)
    for name, rows in parts.items():
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), options.out / f"{name}.parquet")
        print(f"{name}.parquet: {len(rows):,} records, {len({row['inchikey14'] for row in rows}):,} molecules")


if __name__ == "__main__":
    main()
