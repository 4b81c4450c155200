"""Fit the table of shifts that the simulator ships, and measure its errors on held-out molecules.

Run from a checkout as `python -m tools.fit_shifts cascade_assigned_shifts.parquet csp5_shifts.parquet
--out OUT.npz --hold-out example_data_1.parquet`: no molecule whose InChIKey block is in that file is used.
The sources are CASCADE (Guan et al., Chem. Sci. 2021, 12, 12012; github patonlab/CASCADE, MIT): Exp5K, measured
13C, and DFT8K, computed 13C and 1H; and what the package csp5 (MIT) predicts for patent molecules, which
`label_shifts` writes. `tables/README.md` has the figures.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow.parquet as pq
from rdkit import Chem

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.simulator.environments import surroundings
from mmspec_ds.simulator.shift_table import SPREAD_STEPS, STEP_PPM, ShiftTable

NUCLEI = ("C", "H")
MIN_COUNT = (1, 1, 1, 2, 3, 3)
"""Observations that an environment needs to be kept, by refinement: coarse, kinds, radius 1 to 4."""
MIN_GAIN_PPM = {"C": 0.5, "H": 0.04}
"""A wider environment is kept only if its median differs by this much from the next narrower one kept."""


@dataclass(frozen=True)
class AssignedMolecule:
    """A molecule and its assigned shifts: atom index to ppm, 1H averaged over the hydrogens of one atom."""

    mol: Chem.Mol
    block: str
    shifts: Mapping[str, Mapping[int, float]]


def read_assigned(path: Path) -> list[AssignedMolecule]:
    """Molecules of a table with columns mapped_smiles, inchikey14, c_atom, c_shift, h_atom, h_shift.

    Raises:
        DataError: a column is missing, a SMILES cannot be parsed.
    """
    columns = ["mapped_smiles", "inchikey14", "c_atom", "c_shift", "h_atom", "h_shift"]
    missing = sorted(set(columns) - set(pq.read_schema(path).names))
    if missing:
        raise DataError(f"missing; expected {', '.join(columns)}", path=path, column=missing[0])
    molecules = []
    for row, entry in enumerate(pq.read_table(path, columns=columns).to_pylist()):
        mol = Chem.MolFromSmiles(entry["mapped_smiles"])
        if mol is None:
            raise DataError(
                f"not a SMILES: {entry['mapped_smiles']}", path=path, row=row, column="mapped_smiles"
            )
        Chem.RemoveStereochemistry(mol)
        index = {atom.GetAtomMapNum(): atom.GetIdx() for atom in mol.GetAtoms()}
        for atom in mol.GetAtoms():
            atom.SetAtomMapNum(0)
        shifts = {
            "C": _mean_per_atom(index, entry["c_atom"], entry["c_shift"]),
            "H": _mean_per_atom(index, entry["h_atom"], entry["h_shift"]),
        }
        molecules.append(AssignedMolecule(mol, entry["inchikey14"], shifts))
    return molecules


def fit(molecules: Iterable[AssignedMolecule]) -> dict[str, ShiftTable]:
    """Median shift of every environment, by nucleus; small or redundant environments are left out."""
    seen: dict[str, dict[int, list[float]]] = {nucleus: defaultdict(list) for nucleus in NUCLEI}
    coarse: dict[str, dict[str, list[float]]] = {nucleus: defaultdict(list) for nucleus in NUCLEI}
    parents: dict[int, int] = {}
    refinement: dict[int, int] = {}
    for molecule in molecules:
        names, keys = surroundings(molecule.mol)
        for nucleus in NUCLEI:
            for atom, shift in molecule.shifts[nucleus].items():
                coarse[nucleus][names[atom]].append(shift)
                for narrow, key in zip(keys[atom], keys[atom][1:]):
                    parents[key] = narrow
                for level, key in enumerate(keys[atom]):
                    refinement[key] = level
                    seen[nucleus][key].append(shift)
    tables = {}
    for nucleus in NUCLEI:
        enough = {k: v for k, v in seen[nucleus].items() if len(v) >= MIN_COUNT[refinement[k]]}
        kept = _kept({key: median(values) for key, values in enough.items()}, parents, MIN_GAIN_PPM[nucleus])
        tables[nucleus] = ShiftTable(
            kept,
            {key: spread(enough[key]) for key in kept},
            {key: len(enough[key]) for key in kept},
            {name: (median(values), spread(values)) for name, values in coarse[nucleus].items()},
        )
    return tables


def spread(values: list[float]) -> float:
    """Half the distance between the 16th and the 84th percentile."""
    low, high = np.quantile(values, (0.16, 0.84))
    return float(high - low) / 2


def held_out_errors(
    molecules: list[AssignedMolecule], share: float = 0.1
) -> dict[str, tuple[int, float, float]]:
    """Number, median and mean absolute error (ppm) on molecules that a fit on the others has not seen."""
    is_held = [int(sha256(m.block.encode()).hexdigest()[:8], 16) < share * 2**32 for m in molecules]
    tables = fit(m for m, held in zip(molecules, is_held) if not held)
    errors: dict[str, list[float]] = {nucleus: [] for nucleus in NUCLEI}
    for molecule, held in zip(molecules, is_held):
        if held:
            for nucleus in NUCLEI:
                atoms = list(molecule.shifts[nucleus])
                predicted = tables[nucleus].predict(surroundings(molecule.mol), atoms)
                errors[nucleus] += [abs(p - molecule.shifts[nucleus][a]) for p, a in zip(predicted, atoms)]
    return {n: (len(e), float(np.median(e)), float(np.mean(e))) for n, e in errors.items()}


def held_out_blocks(path: Path) -> set[str]:
    """InChIKey blocks of the molecules of a file with a column `smiles`."""
    return {inchikey_block(smiles) for smiles in pq.read_table(path, columns=["smiles"]).column(0).to_pylist()}


def write_tables(path: Path, tables: Mapping[str, ShiftTable]) -> None:
    """Store tables compactly: sorted by median so that the differences compress, keys as KEY_BYTES bytes."""
    arrays: dict[str, np.ndarray] = {}
    for nucleus, table in tables.items():
        step = STEP_PPM[nucleus]
        keys = sorted(
            table.median_ppm, key=lambda key: (round(table.median_ppm[key] / step), table.count[key], key)
        )
        medians = np.array([round(table.median_ppm[key] / step) for key in keys], dtype=np.int32)
        arrays[f"{nucleus}_keys"] = _pack_keys(keys)
        arrays[f"{nucleus}_median"] = np.diff(medians, prepend=0).astype(np.int32)
        arrays[f"{nucleus}_spread"] = _spreads([table.spread_ppm[key] for key in keys], step)
        arrays[f"{nucleus}_count"] = np.array([min(table.count[key], 255) for key in keys], dtype=np.uint8)
        names = sorted(table.coarse)
        arrays[f"{nucleus}_coarse_names"] = np.frombuffer("\n".join(names).encode(), dtype=np.uint8)
        arrays[f"{nucleus}_coarse"] = np.array(
            [round(table.coarse[n][0] / step) for n in names], dtype=np.int32
        )
        arrays[f"{nucleus}_coarse_spread"] = _spreads([table.coarse[name][1] for name in names], step)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def _spreads(values: Sequence[float], step: float) -> np.ndarray:
    steps = np.rint(np.array(values, dtype=float) / (step * SPREAD_STEPS))
    return np.clip(steps, 0, 255).astype(np.uint8)


def _pack_keys(keys: Sequence[int]) -> np.ndarray:
    from_big_endian = np.array(keys, dtype=">u8").view(np.uint8).reshape(-1, 8)
    return np.ascontiguousarray(from_big_endian[:, 2:])


def main(arguments: list[str] | None = None) -> None:
    """Fit on the whole of the files, write the table, print the errors on a tenth left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assigned", type=Path, nargs="+", help="parquet files of assigned shifts")
    parser.add_argument(
        "--out", type=Path, required=True, help="where to write, for instance tables/shifts.npz"
    )
    parser.add_argument("--hold-out", type=Path, help="a parquet whose molecules (column smiles) are left out")
    options = parser.parse_args(arguments)
    barred = set() if options.hold_out is None else held_out_blocks(options.hold_out)
    read = [molecule for path in options.assigned for molecule in read_assigned(path)]
    molecules = [molecule for molecule in read if molecule.block not in barred]
    print(f"{len(molecules)} molecules, {len(read) - len(molecules)} held out")
    for nucleus, (number, middle, mean) in held_out_errors(molecules).items():
        print(f"{nucleus}: held-out shifts {number}, median error {middle:.3f} ppm, mean {mean:.3f} ppm")
    tables = fit(molecules)
    write_tables(options.out, tables)
    for nucleus, table in tables.items():
        print(f"{nucleus}: {len(table.coarse)} coarse and {len(table.median_ppm)} wider environments")
    print(f"{options.out}: {options.out.stat().st_size} bytes")


def _mean_per_atom(index: Mapping[int, int], maps: list[int], shifts: list[float]) -> dict[int, float]:
    gathered = defaultdict(list)
    for number, shift in zip(maps, shifts):
        gathered[index[number]].append(shift)
    return {atom: float(np.mean(values)) for atom, values in gathered.items()}


def _kept(medians: Mapping[int, float], parents: Mapping[int, int], gain_ppm: float) -> dict[int, float]:
    """The environments worth shipping: those that differ from their parent by `gain_ppm`, and all
    between them and the coarse one, because the look-up stops at the first that it does not know."""
    needed: set[int] = set()
    for key, value in medians.items():
        parent = parents.get(key)
        if parent is None or parent not in medians or abs(value - medians[parent]) < gain_ppm:
            continue
        step: int | None = key
        while step is not None and step in parents:
            needed.add(step)
            step = parents[step]
    return {key: medians[key] for key in sorted(needed)}


if __name__ == "__main__":
    main()
