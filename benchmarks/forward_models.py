"""What the forward models of IR and MS/MS are worth on measured spectra: places of the right molecule.

    python benchmarks/run.py forward --infrared FOLDER --infrared-table CSV --massbank massbank_msms.parquet

`--infrared` is the folder data/infrared_spectra of github nzhagen/jcamp (gas phase, most of NIST), to which
gas_phase_infrared.tsv gives structures. `--infrared-table` is a CSV with a head, then name, SMILES and values
at even steps from 400 to 4000 cm-1 (ir_spectra.csv of github AHernandez33/Irvine-Hacks-IR-prediction-, of NIST
too). Each spectrum is compared with all molecules of its source. `--massbank` has measured MS/MS with SMILES:
one spectrum, drawn by --seed, for each polarity of each molecule of at most 20 heavy atoms whose formula four
molecules of the file have; those are its candidates. None of these molecules had a part in a fit, except of
the constants that scale the scores and change no place. The control of a table judges every spectrum as if it
were that of the molecule half the table away. What is absent is skipped with a line. Prints a table and writes
it to benchmarks/results/forward_models.csv; all but the time is the same on every run.
"""

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from rdkit import Chem, rdBase
from simulator_sources import Row, flat

from mmspec_ds.readers.requests import requests_of_file
from mmspec_ds.simulator.environments import surroundings
from mmspec_ds.simulator.infrared import infrared
from mmspec_ds.simulator.infrared_groups import POINTS, START_CM1, STOP_CM1
from mmspec_ds.simulator.tandem import precursor_mz
from mmspec_ds.spectra.records import Infrared, Modality, TandemMS
from mmspec_ds.verification.infrared import infrared_score
from mmspec_ds.verification.tandem import ADDUCTS, PRECURSOR_WINDOW_DA, tandem_score
from tools.spectrum_comparison import infrared_cosine

RESULTS = Path(__file__).with_name("results") / "forward_models.csv"
STRUCTURES = Path(__file__).with_name("gas_phase_infrared.tsv")
SMALLEST, LARGEST, FEWEST_KNOWN = 3, 20, 4
"""Heavy atoms of IR molecules at least and of MS/MS molecules at most; molecules of one formula at least."""


@dataclass(frozen=True)
class Question:
    """A spectrum with its candidates, canonical SMILES, of which the first is right."""

    spectrum: Any
    candidates: tuple[str, ...]


def placed(scores: np.ndarray) -> float:
    """The place of the first of the scores, the highest having 1; those that share it have its mean."""
    same = int((scores == scores[0]).sum())
    return float((scores > scores[0]).sum() + (same + 1) / 2)


def rank_rows(
    file: str, name: str, questions: Sequence[Question], score: Callable[[Any, Chem.Mol], float], bar: str = ""
) -> Iterator[Row]:
    """Places of the right molecule by a score, and those of the control. `bar` is that of the median place for
    IR ("<="), of the share of first places for MS/MS (">=")."""
    mols = {one: flat(one) for question in questions for one in question.candidates}
    for kind in (name, f"{name}, control"):
        places, firsts = [], []
        for place, question in enumerate(questions):
            other = questions[(place + len(questions) // 2) % len(questions)]
            shown = question if kind == name else other
            scores = np.array([score(shown.spectrum, mols[one]) for one in question.candidates])
            places.append(placed(scores))
            firsts.append((scores[0] == scores.max()) / (scores == scores.max()).sum())
        of_places = np.array(places)
        median_bar, first_bar = (bar if kind == name and bar.startswith(sign) else "" for sign in ("<=", ">="))
        yield Row(file, f"{kind}: median place", len(places), median(places), "", median_bar)
        yield Row(file, f"{kind}: first", len(places), float(np.mean(firsts)), "share", first_bar)
        yield Row(file, f"{kind}: first five", len(places), float((of_places <= 5).mean()), "share")
        yield Row(file, f"{kind}: mean of 1/place", len(places), float((1 / of_places).mean()), "")


def infrared_rows(file: str, measured: Sequence[tuple[str, Infrared]], bar: str) -> Iterator[Row]:
    """Of measured IR spectra with their SMILES, each among all."""
    usable = [(Chem.CanonSmiles(smiles, useChiral=0), spectrum) for smiles, spectrum in measured]
    usable = [(smiles, one) for smiles, one in usable if flat(smiles).GetNumHeavyAtoms() >= SMALLEST]
    everything = sorted({smiles for smiles, _ in usable})
    questions = [
        Question(spectrum, (smiles, *(other for other in everything if other != smiles)))
        for smiles, spectrum in usable
    ]
    made = {smiles: infrared(flat(smiles), surroundings(flat(smiles))) for smiles in everything}
    yield Row(file, "IR molecules", len(usable), len(everything), "")
    yield from rank_rows(file, "IR score", questions, infrared_score, bar)
    yield from rank_rows(
        file,
        "IR, cosine with the simulated spectrum",
        questions,
        lambda spectrum, mol: infrared_cosine(made[Chem.MolToSmiles(mol)], spectrum),
        bar,
    )


def folder_spectra(folder: Path) -> list[tuple[str, Infrared]]:
    """SMILES and spectra of the files of STRUCTURES that have a hydrogen on carbon, by the project's reader."""
    found = []
    with STRUCTURES.open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            mol = Chem.MolFromSmiles(row["smiles"])
            if not mol.HasSubstructMatch(Chem.MolFromSmarts("[#6;!H0]")):
                continue
            for request in requests_of_file(folder / row["file"], None):
                assert request.record is not None, request.error
                found += [(row["smiles"], one) for one in request.record.of(Modality.IR)]
    return found


def table_spectra(path: Path) -> list[tuple[str, Infrared]]:
    """SMILES and spectra of a CSV; values with a median in the upper half of their range are transmittance."""
    found = []
    with path.open(encoding="utf-8", newline="") as table:
        for _, smiles, *texts in list(csv.reader(table))[1:]:
            values = np.array(texts, dtype=float)
            if np.median(values) > (values.min() + values.max()) / 2:
                values = -np.log10(np.clip(values / values.max(), 1e-3, None))
            grid, axis = (np.linspace(START_CM1, STOP_CM1, points) for points in (POINTS, len(values)))
            found.append((smiles, Infrared(np.interp(grid, axis, values))))
    return found


def tandem_questions(path: Path, seed: int) -> list[tuple[Question, Question]]:
    """Of each molecule and polarity a question with one spectrum and one with all of them."""
    columns = [
        "smiles",
        "inchikey14",
        "formula",
        "ion_mode",
        "precursor_type",
        "precursor_mz",
        "mz",
        "intensity",
    ]
    rows = pq.read_table(path, columns=columns).to_pylist()
    plain: dict[str, str] = {}
    known: dict[str, set[str]] = defaultdict(set)
    with rdBase.BlockLogs():
        for row in rows:
            block = row["inchikey14"]
            if block not in plain and "." not in row["smiles"] and Chem.MolFromSmiles(row["smiles"]):
                plain[block] = Chem.MolToSmiles(flat(row["smiles"]))
                known[row["formula"]].add(block)
    spectra: dict[tuple[str, str, str], list[TandemMS]] = defaultdict(list)
    for row in rows:
        block, formula, polarity = row["inchikey14"], row["formula"], row["ion_mode"].lower()
        if block not in plain or len(known[formula]) < FEWEST_KNOWN:
            continue
        mol = flat(plain[block])
        if mol.GetNumHeavyAtoms() > LARGEST or row["precursor_type"] != ADDUCTS[polarity]:
            continue
        precursor = row["precursor_mz"] or precursor_mz(mol, polarity)
        mz, intensity = (np.array(row[name], dtype=float) for name in ("mz", "intensity"))
        if mz.min() < precursor - PRECURSOR_WINDOW_DA:
            one = TandemMS(mz, intensity, polarity, None, precursor, ADDUCTS[polarity])
            spectra[block, formula, polarity].append(one)
    random = np.random.default_rng(seed)
    found = []
    for (block, formula, _), measured in sorted(spectra.items(), key=lambda item: item[0]):
        candidates = (plain[block], *(plain[other] for other in sorted(known[formula] - {block})))
        chosen = measured[random.integers(len(measured))]
        found.append((Question([chosen], candidates), Question(measured, candidates)))
    return found


def tandem_rows(path: Path, seed: int) -> Iterator[Row]:
    """Of MS/MS among isomers, with chance beside it, and the time that a candidate takes."""
    questions = tandem_questions(path, seed)
    single, together = ([pair[which] for pair in questions] for which in (0, 1))
    sizes = np.array([len(question.candidates) for question in single])
    yield Row(path.name, "MS/MS isomers, the right one included", len(sizes), float(sizes.mean()), "")
    yield Row(path.name, "MS/MS chance of the first", len(sizes), float((1 / sizes).mean()), "share")
    yield from rank_rows(path.name, "MS/MS, one spectrum", single, tandem_score, ">= 0.53")
    yield from rank_rows(path.name, "MS/MS, all spectra of a polarity", together, tandem_score)
    every = {one: flat(one) for question in single for one in question.candidates}
    mols, start = [mol for mol in every.values() if mol.GetNumHeavyAtoms() == 12], time.process_time()
    for mol in mols:
        tandem_score(single[0].spectrum, mol)
    milliseconds = 1e3 * (time.process_time() - start) / len(mols)
    yield Row(path.name, "MS/MS candidate of 12 heavy atoms", len(mols), milliseconds, "ms", "<= 20")


def all_rows(options: argparse.Namespace) -> Iterator[Row]:
    """The tables of the files that are there."""
    if _is_there("IR", options.infrared):
        yield from infrared_rows(options.infrared.name, folder_spectra(options.infrared), "<= 5")
    if _is_there("IR of a table", options.infrared_table):
        yield from infrared_rows(options.infrared_table.name, table_spectra(options.infrared_table), "")
    if _is_there("MS/MS", options.massbank):
        yield from tandem_rows(options.massbank, options.seed)


def _is_there(kind: str, path: Path | None) -> bool:
    if path is not None and path.exists():
        return True
    print(f"{kind}: skipped, {'no file was named' if path is None else f'{path} is not there'}")
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--infrared", type=Path, metavar="FOLDER", help="of JCAMP-DX files")
    parser.add_argument("--infrared-table", type=Path, metavar="CSV")
    parser.add_argument("--massbank", type=Path, metavar="PARQUET")
    parser.add_argument("--seed", type=int, default=0, help="which spectrum of a molecule (default: 0)")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"default: benchmarks/results/{RESULTS.name}")
    options = parser.parse_args()
    rows = list(all_rows(options))
    if not rows:
        return 0
    with options.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) | {"value": f"{row.value:.4g}"} for row in rows)
    missed = 0
    for row in rows:
        limit = float(row.bar.split()[1]) if row.bar else 0.0
        met = not row.bar or (row.value <= limit if row.bar.startswith("<=") else row.value >= limit)
        missed += not met
        verdict = f"{row.bar:10}{'met' if met else 'MISSED'}" if row.bar else ""
        print(f"{row.file:24}{row.measure:58}{row.number:6d}{row.value:10.3f} {row.unit:6}{verdict}".rstrip())
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
