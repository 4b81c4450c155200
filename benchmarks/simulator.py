"""How near the simulator comes to the benchmark's published spectra, and how fast it is.

    python benchmarks/simulator.py ../shared/data/alberts/example_data_1.parquet python benchmarks/simulator.py
    example_data_1.parquet --second example_data_2.parquet   # a file never fitted on

The table of shifts was fitted without the published molecules. IR and MS/MS were fitted on them: here each
molecule is simulated by a model that is fitted again without it (IR tenfold, MS/MS in `--folds`, about a
minute each), unless it is in a second file, which the shipped models answer for. Prints a table and writes it
to benchmarks/results/simulator.csv. All figures but the molecules a second are the same on every run.
"""

import argparse
import csv
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from rdkit import Chem

from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Modality, Record, TandemMS
from mmspec_ds.spectra.simulator import fit_infrared, fit_tandem
from mmspec_ds.spectra.simulator.comparison import (
    carbon_errors,
    hydrogen_errors,
    peak_precision,
    peak_recall,
    smoothed_root,
    sqrt_cosine,
)
from mmspec_ds.spectra.simulator.environments import surroundings
from mmspec_ds.spectra.simulator.fragment_scorer import (
    ENERGIES_EV,
    POLARITIES,
    FragmentScorer,
    shipped_scorer,
)
from mmspec_ds.spectra.simulator.infrared import infrared
from mmspec_ds.spectra.simulator.nmr import carbon_nmr, hydrogen_nmr
from mmspec_ds.spectra.simulator.noise import NoiseSettings
from mmspec_ds.spectra.simulator.shifts import looked_up
from mmspec_ds.spectra.simulator.simulate import simulate_record
from mmspec_ds.spectra.simulator.tandem import spectra_of

RESULTS = Path(__file__).with_name("results") / "simulator.csv"
MIDDLING = range(21, 24)
"""Heavy atoms of the molecules whose speed is reported as that of 22."""


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


def nmr_rows(file: str, records: Sequence[Record]) -> Iterator[Row]:
    """Errors of the clean lists, and how often the numbers of lines agree."""
    carbon, equal, hydrogen, within = [], [], [], []
    made_lines, published_lines = 0, 0
    for record in records:
        mol = flat(record)
        predicted = looked_up(mol, surroundings(mol))
        made_c, made_h = carbon_nmr(mol, predicted.carbon.ppm), hydrogen_nmr(mol, predicted.hydrogen.ppm)
        for published in record.of(Modality.C_NMR):
            assert isinstance(published, CarbonNMR)
            errors = carbon_errors(made_c, published)
            carbon.append(errors)
            spread = float(np.mean([predicted.carbon.spread_ppm[atom] for atom in predicted.carbon.ppm]))
            within.append(errors < spread)
            if len(made_c.shifts_ppm) == len(published.shifts_ppm):
                equal.append(errors)
        for multiplets in record.of(Modality.H_NMR):
            assert isinstance(multiplets, HydrogenNMR)
            hydrogen.append(hydrogen_errors(made_h, multiplets))
            made_lines += len(made_h.multiplets)
            published_lines += len(multiplets.multiplets)

    everything = np.concatenate(carbon)
    yield Row(file, "13C median error", len(everything), float(np.median(everything)), "ppm", "<= 2.0")
    yield Row(file, "13C mean error", len(everything), float(everything.mean()), "ppm")
    same = np.concatenate(equal)
    name = "13C median error, as many lines"
    yield Row(file, name, len(same), float(np.median(same)), "ppm", "<= 2.0")
    yield Row(file, "13C molecules with as many lines", len(records), len(equal) / len(records), "share")
    inside = np.concatenate(within)
    yield Row(file, "13C errors within the mean spread", len(inside), float(inside.mean()), "share")
    protons = np.concatenate(hydrogen)
    yield Row(file, "1H median error", len(protons), float(np.median(protons)), "ppm", "<= 0.30")
    yield Row(file, "1H mean error", len(protons), float(protons.mean()), "ppm")
    yield Row(file, "1H multiplets for each published", published_lines, made_lines / published_lines, "ratio")


def infrared_rows(file: str, molecules: Sequence[fit_infrared.Measured], is_fitted: bool) -> Iterator[Row]:
    """Cosines of smoothed square roots, matched and mismatched, of molecules that the model was not fitted
    on."""
    if is_fitted:
        cosines = fit_infrared.cross_validate(molecules)
    else:
        made = np.stack([smoothed_root(infrared(one.mol, one.around)) for one in molecules])
        cosines = made @ np.stack([smoothed_root(one.spectrum) for one in molecules]).T
    matched, mismatched = fit_infrared.matched_and_mismatched(cosines)
    yield Row(file, "IR cosine, own molecule", len(molecules), matched, "cosine", ">= 0.88")
    yield Row(file, "IR cosine, other molecules", len(molecules), mismatched, "cosine", "<= 0.84")
    better = (cosines > np.diag(cosines)[:, None]).mean(axis=1)
    yield Row(file, "IR other molecules that fit better", len(molecules), float(better.mean()), "share")


def tandem_rows(file: str, examples: Sequence[fit_tandem.Example], folds: int) -> Iterator[Row]:
    """Recall, precision and cosine by polarity and energy; `folds` 0 asks the shipped scorer."""
    scorers = scorers_of(examples, folds)
    found = np.array(
        [
            [
                (
                    peak_recall(made, published),
                    peak_precision(made, published),
                    sqrt_cosine(made, published),
                    len(made.mz),
                    len(published.mz),
                )
                for made, published in zip(spectra_of(example.mol, scorer), example.spectra, strict=True)
            ]
            for example, scorer in zip(examples, scorers, strict=True)
        ]
    ).mean(axis=0)
    names = (
        ("weighted recall", "share"),
        ("weighted precision", "share"),
        ("cosine of square roots", "cosine"),
        ("peaks", "peaks"),
        ("published peaks", "peaks"),
    )
    for place, (name, unit) in enumerate(names):
        for index, values in enumerate(found):
            polarity, energy = divmod(index, len(ENERGIES_EV))
            bar = ">= 0.90" if place == 0 and ENERGIES_EV[energy] == 20.0 else ""
            what = f"MS/MS {name}, {POLARITIES[polarity]} {ENERGIES_EV[energy]:.0f} eV"
            yield Row(file, what, len(examples), float(values[place]), unit, bar)


def scorers_of(examples: Sequence[fit_tandem.Example], folds: int) -> list[FragmentScorer]:
    """For each example a scorer that was not fitted on it."""
    if not folds:
        return [shipped_scorer()] * len(examples)
    fitted = [
        fit_tandem.fit([one for place, one in enumerate(examples) if place % folds != fold])
        for fold in range(folds)
    ]
    return [fitted[place % folds] for place in range(len(examples))]


def speed_rows(file: str, records: Sequence[Record]) -> Iterator[Row]:
    """Molecules a second of one core's time, all modalities with noise, of 21 to 23 heavy atoms and of all."""
    smiles = [record.smiles or "" for record in records]
    middling = [one for one in smiles if Chem.MolFromSmiles(one).GetNumHeavyAtoms() in MIDDLING]
    for name, chosen, bar in (("22 heavy atoms", middling, ">= 40"), ("all", smiles, "")):
        if chosen:
            simulate_record(chosen[0])
            start = time.process_time()
            for one in chosen * 3:
                simulate_record(one, noise=NoiseSettings())
            rate = 3 * len(chosen) / (time.process_time() - start)
            yield Row(file, f"molecules a second, {name}", len(chosen), rate, "1/s", bar)


def flat(record: Record) -> Chem.Mol:
    """The molecule without stereochemistry."""
    mol = Chem.MolFromSmiles(record.smiles)
    Chem.RemoveStereochemistry(mol)
    return mol


def rows_of(path: Path, folds: int, is_fitted: bool) -> Iterator[Row]:
    """All figures of one published file."""
    records = list(read_records(path))
    assert all(isinstance(s, TandemMS) for record in records for s in record.of(Modality.MS))
    yield from nmr_rows(path.name, records)
    yield from infrared_rows(path.name, fit_infrared.read_measured(path), is_fitted)
    yield from tandem_rows(path.name, fit_tandem.read_examples(path), folds if is_fitted else 0)
    yield from speed_rows(path.name, records)


def misses(row: Row) -> bool:
    """Whether a figure fails its bar."""
    if not row.bar:
        return False
    sign, limit = row.bar.split()
    return row.value > float(limit) if sign == "<=" else row.value < float(limit)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("published", type=Path, help="the file that IR and MS/MS were fitted on")
    parser.add_argument(
        "--second", type=Path, help="another file of the same kind, which nothing was fitted on"
    )
    parser.add_argument("--folds", type=int, default=3, help="of MS/MS (default: 3)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="default: benchmarks/results/simulator.csv")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = list(rows_of(options.published, options.folds, is_fitted=True))
    if options.second:
        ours = {inchikey_block(r.smiles or "") for r in read_records(options.published)}
        theirs = {inchikey_block(r.smiles or "") for r in read_records(options.second)}
        rows.append(
            Row(options.second.name, "molecules also in the first", len(theirs), len(ours & theirs), "")
        )
        rows += rows_of(options.second, options.folds, is_fitted=False)
    with options.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) | {"value": f"{row.value:.4g}"} for row in rows)
    for row in rows:
        verdict = f"{row.bar:10}{'MISSED' if misses(row) else 'met'}" if row.bar else ""
        print(f"{row.measure:44}{row.number:7d}{row.value:10.3f} {row.unit:8}{verdict}")
    return int(any(map(misses, rows)))


if __name__ == "__main__":
    raise SystemExit(main())
