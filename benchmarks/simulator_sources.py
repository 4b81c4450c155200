"""What benchmarks/simulator.py asks of the data that the simulator was, and was not, fitted on."""

import gzip
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow.parquet as pq
from rdkit import Chem, rdBase

from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.simulator.environments import surroundings
from mmspec_ds.simulator.nmr import hydrogen_nmr
from mmspec_ds.simulator.noise_settings import NoiseSettings
from mmspec_ds.simulator.shift_table import load_tables
from mmspec_ds.simulator.shifts import table_shifts
from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Multiplet
from tools.fit_shifts import NUCLEI, read_assigned
from tools.label_shifts import molecules_to_label
from tools.spectrum_comparison import carbon_errors, hydrogen_errors

LABELLED, EVERY = 5140, 2
"""How `label_shifts` chose the patent molecules of the shipped table: --number and --every."""
SAMPLE = 1000
"""Molecules of a large set that errors are taken of, in the order of their blocks' SHA-256."""
SPEED_SAMPLE, ROUNDS = 100, 5


@dataclass(frozen=True)
class Row:
    """One figure: of which file, what is measured on how many, its value, unit, and the bar that it must
    meet."""

    file: str
    measure: str
    number: int
    value: float
    unit: str
    bar: str = ""


def source_rows(published: Path, cascade: Path, patents: Path) -> Iterator[Row]:
    """Whether anything of the published molecules went into the table of shifts, and its 1H errors on patent
    molecules that did not go into it."""
    with rdBase.BlockLogs():
        chosen = molecules_to_label(patents, published, EVERY)[:LABELLED]
    allowed = {nucleus: Counter[int]() for nucleus in NUCLEI}
    for smiles, _ in chosen:
        _count(allowed, flat(smiles))
    known = {block for _, block in chosen}
    barred = {inchikey_block(smiles) for smiles in _column(published, "smiles")}
    for molecule in read_assigned(cascade):
        known.add(molecule.block)
        keys = surroundings(molecule.mol).keys
        for nucleus in NUCLEI:
            if molecule.block not in barred:
                allowed[nucleus].update(key for atom in molecule.shifts[nucleus] for key in keys[atom])
    theirs = {nucleus: Counter[int]() for nucleus in NUCLEI}
    for smiles in _column(published, "smiles"):
        _count(theirs, flat(smiles))

    for nucleus, name in zip(NUCLEI, ("13C", "1H")):
        table, sources = load_tables()[nucleus].count, allowed[nucleus]
        alone = [key for key in theirs[nucleus] if not sources[key]]
        held = sum(key in table for key in alone)
        yield Row(
            published.name, f"{name} environments of these molecules alone, in the table", len(alone), held, ""
        )
        more = sum(min(sources[key], 255) < count for key, count in table.items())
        yield Row(
            "table of shifts", f"{name} environments seen more often than in its sources", len(table), more, ""
        )
    yield from _patent_rows(patents, known | barred)


def _patent_rows(patents: Path, known: set[str]) -> Iterator[Row]:
    """1H errors on the benchmark's kind of simulated lists, of molecules that no table was fitted on."""
    errors = []
    rows = pq.read_table(patents, columns=["smiles", "inchikey14", "src"]).to_pylist()
    for row in _sample([row for row in rows if row["inchikey14"] not in known]):
        mol = flat(row["smiles"])
        made = hydrogen_nmr(mol, table_shifts(mol, surroundings(mol)).hydrogen.ppm)
        errors.append(hydrogen_errors(made, _listed(row["src"])))
    together = np.concatenate(errors)
    yield Row(patents.name, "1H median error", len(together), float(np.median(together)), "ppm", "<= 0.30")
    yield Row(patents.name, "1H mean error", len(together), float(together.mean()), "ppm")


def measured_rows(measured: Path, cascade: Path) -> Iterator[Row]:
    """Errors on measured lists of molecules that are not among the sources, those with a line for each atom.

    Measured lists are nowhere fitted on. The 13C of CASCADE come from the same public collection: its
    molecules are left out by their blocks.
    """
    known = set(_column(cascade, "inchikey14"))
    wanted = ["smiles", "inchikey14", "c_shift", "h_shift", "nC", "nH"]
    rows = [
        row for row in pq.read_table(measured, columns=wanted).to_pylist() if row["inchikey14"] not in known
    ]
    with rdBase.BlockLogs():
        usable = [row for row in rows if Chem.MolFromSmiles(row["smiles"])]
    carbon = _sample([row for row in usable if 0 < len(row["c_shift"]) == row["nC"]])
    errors = [
        carbon_errors(_all_carbons(flat(row["smiles"])), CarbonNMR(tuple(row["c_shift"]))) for row in carbon
    ]
    yield from _errors(measured.name, "13C", np.concatenate(errors))
    hydrogen = _sample([row for row in usable if 0 < len(row["h_shift"]) == row["nH"]])
    errors = []
    for row in hydrogen:
        mol = flat(row["smiles"])
        made = hydrogen_nmr(mol, table_shifts(mol, surroundings(mol)).hydrogen.ppm)
        errors.append(hydrogen_errors(made, _singlets(row["h_shift"])))
    yield from _errors(measured.name, "1H", np.concatenate(errors))


def _errors(file: str, nucleus: str, errors: np.ndarray) -> Iterator[Row]:
    yield Row(file, f"{nucleus} median error, measured", len(errors), float(np.median(errors)), "ppm")
    yield Row(file, f"{nucleus} mean error, measured", len(errors), float(errors.mean()), "ppm")


def speed_rows(path: Path) -> Iterator[Row]:
    """Molecules a second of one core's time, all modalities with noise and from the SMILES on: of those of 22
    heavy atoms and of all. Medians of rounds that take turns."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    smiles = [line.split()[0] for line in content.decode().splitlines() if line.strip()]
    mols = ((one, Chem.MolFromSmiles(one)) for one in sorted(smiles, key=_order)[: 40 * SPEED_SAMPLE])
    heavy = [(one, mol.GetNumHeavyAtoms()) for one, mol in mols if mol is not None]
    of_22 = [one for one, atoms in heavy if atoms == 22][:SPEED_SAMPLE]
    every = [one for one, _ in heavy[:SPEED_SAMPLE]]
    kinds = (("22 heavy atoms", of_22, ">= 40"), ("all sizes", every, ""))
    rates: dict[str, list[float]] = {name: [] for name, _, _ in kinds}
    simulate_record(every[0])
    for _ in range(ROUNDS):
        for name, chosen, _ in kinds:
            start = time.process_time()
            for one in chosen:
                simulate_record(one, noise=NoiseSettings())
            rates[name].append(len(chosen) / (time.process_time() - start))
    for name, chosen, bar in kinds:
        yield Row(path.name, f"molecules a second, {name}", len(chosen), median(rates[name]), "1/s", bar)


def flat(smiles: str) -> Chem.Mol:
    """The molecule without stereochemistry."""
    mol = Chem.MolFromSmiles(smiles)
    Chem.RemoveStereochemistry(mol)
    return mol


def _order(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _sample(rows: list[dict]) -> list[dict]:
    return sorted(rows, key=lambda row: _order(row["inchikey14"]))[:SAMPLE]


def _column(path: Path, name: str) -> list[str]:
    return list(pq.read_table(path, columns=[name]).column(0).to_pylist())


def _count(counters: dict[str, Counter[int]], mol: Chem.Mol) -> None:
    """Add the environments of all atoms that have a shift."""
    keys = surroundings(mol).keys
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum() == 6:
            counters["C"].update(keys[atom.GetIdx()])
        if atom.GetTotalNumHs():
            counters["H"].update(keys[atom.GetIdx()])


def _all_carbons(mol: Chem.Mol) -> CarbonNMR:
    """A line for each carbon, those of equivalent ones repeated, as measured lists have them."""
    return CarbonNMR(tuple(table_shifts(mol, surroundings(mol)).carbon.ppm.values()))


def _singlets(shifts: Sequence[float]) -> HydrogenNMR:
    return HydrogenNMR(tuple(Multiplet(shift, shift, shift, "s", 1) for shift in shifts))


def _listed(text: str) -> HydrogenNMR:
    """Multiplets of the benchmark's text: `1HNMR | max min name nH J ... | ...`."""
    found = []
    for entry in text.split("|")[1:]:
        high, low, name, count, *_ = entry.split()
        top, bottom = float(high), float(low)
        found.append(Multiplet((top + bottom) / 2, top, bottom, name, int(count.removesuffix("H"))))
    return HydrogenNMR(tuple(found))
