"""Fit the scorer of fragments that judges candidates by measured MS/MS spectra.

Run from a checkout as `python -m tools.fit_measured_tandem massbank_msms.parquet tables/tandem_measured.npz
--hold-out experimental_ms_nmr.parquet`. The spectra are those of MassBank whose licence allows it (CC0, CC BY,
dl-de/by-2-0), of [M+H]+ and [M-H]-, of the molecules of its part `train` with at most 24 heavy atoms. Left out
are the molecules of --hold-out, and all whose formula four molecules of MassBank have: those test it
(`benchmarks/run.py forward`).
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from rdkit import Chem, rdBase

from mmspec_ds.readers.collision_energy import parse_collision_energy
from mmspec_ds.simulator.fragment_features import describe
from mmspec_ds.simulator.fragment_scorer import ENERGIES_EV, POLARITIES, ion_grid
from mmspec_ds.simulator.fragmentation import fragments
from mmspec_ds.simulator.tandem import precursor_mz
from mmspec_ds.spectra.records import FloatArray
from mmspec_ds.verification.tandem import ADDUCTS, INTENSITY_POWER, PRECURSOR_WINDOW_DA
from tools.fit_tandem import Example, fit, write_scorer

LICENCES = ("CC0", "CC BY", "dl-de/by-2-0")
LARGEST, MOST_OF_A_FORMULA = 24, 3
TOLERANCE_PPM, TOLERANCE_DA = 10.0, 0.002
"""An ion makes a peak within the larger of the two: closer than when candidates are judged, so that few peaks
are given to wrong ions."""
HIDDEN, EPOCHS = 64, 30
_COLUMNS = (
    "smiles", "inchikey14", "formula", "ion_mode", "precursor_type", "precursor_mz", "collision_energy",
    "license", "split", "mz", "intensity",
)  # fmt: skip


def read_examples(path: Path, hold_out: Path) -> list[Example]:
    """The molecules to fit with the mean of their spectra at each energy, in the order of their InChIKeys."""
    rows = pq.read_table(path, columns=list(_COLUMNS)).to_pylist()
    barred = set(pq.read_table(hold_out, columns=["inchikey14"]).column(0).to_pylist())
    of_formula: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        of_formula[row["formula"]].add(row["inchikey14"])
    chosen: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if (
            row["license"] in LICENCES
            and row["split"] == "train"
            and row["precursor_type"] == ADDUCTS[row["ion_mode"].lower()]
            and row["inchikey14"] not in barred
            and len(of_formula[row["formula"]]) <= MOST_OF_A_FORMULA
        ):
            chosen[row["inchikey14"]].append(row)
    with rdBase.BlockLogs():
        examples = [_example(chosen[block]) for block in sorted(chosen)]
    return [one for one in examples if one is not None]


def _example(rows: Sequence[Mapping[str, Any]]) -> Example | None:
    """The molecule of some rows; None if it is too large, no single molecule, or explains no peak."""
    mol = Chem.MolFromSmiles(rows[0]["smiles"])
    if mol is None or mol.GetNumHeavyAtoms() > LARGEST or "." in rows[0]["smiles"]:
        return None
    Chem.RemoveStereochemistry(mol)
    described = describe(mol, fragments(mol))
    grids, shares = [], []
    for polarity in POLARITIES:
        grid = ion_grid(described, polarity, radicals=True)
        grids.append(grid)
        of_energy: list[list[FloatArray]] = [[] for _ in ENERGIES_EV]
        for row in rows:
            if row["ion_mode"].lower() == polarity:
                precursor = row["precursor_mz"] or precursor_mz(mol, polarity)
                of_energy[_nearest_energy(row, precursor)].append(_shares(row, precursor, grid.mz))
        shares.append(
            np.stack([np.mean(some, axis=0) if some else np.zeros(len(grid.mz)) for some in of_energy])
        )
    if not any(one.any() for one in shares):
        return None
    return Example(mol, described.features, tuple(grids), tuple(one.astype(np.float32) for one in shares), ())


def _nearest_energy(row: Mapping[str, Any], precursor: float) -> int:
    """Index of the nearest of ENERGIES_EV by ratio; that of 20 eV where none is stated."""
    stated = parse_collision_energy(row["collision_energy"] or "", precursor, 1).ev or 20.0
    return int(np.abs(np.log(np.array(ENERGIES_EV) / stated)).argmin())


def _shares(row: Mapping[str, Any], precursor: float, ions: FloatArray) -> FloatArray:
    """Shares of a spectrum without its precursor on the ions near its peaks; the rest is left out."""
    mz, intensity = (np.array(row[name], dtype=float) for name in ("mz", "intensity"))
    kept = mz < precursor - PRECURSOR_WINDOW_DA
    mz, weights = mz[kept], intensity[kept] ** INTENSITY_POWER
    shares = np.zeros(len(ions))
    if len(mz):
        nearest = np.abs(ions[:, None] - mz).argmin(axis=0)
        near = np.abs(ions[nearest] - mz) <= np.maximum(TOLERANCE_PPM * 1e-6 * mz, TOLERANCE_DA)
        np.add.at(shares, nearest[near], weights[near] / weights.sum())
    return shares


def main(arguments: list[str] | None = None) -> None:
    """Fit on what may be used, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("massbank", type=Path, help="parquet of measured spectra")
    parser.add_argument("out", type=Path, help="for instance tables/tandem_measured.npz")
    parser.add_argument("--hold-out", type=Path, required=True, help="parquet of molecules to leave out")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    examples = read_examples(options.massbank, options.hold_out)
    print(f"{len(examples)} molecules")
    write_scorer(options.out, fit(examples, epochs=EPOCHS, hidden=HIDDEN))
    print(f"{options.out}: {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
