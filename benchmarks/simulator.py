"""How near the simulator comes to the benchmark's published spectra, and how fast it is.

    python benchmarks/run.py simulator ../shared/data/alberts/example_data_1.parquet
        --sources cascade_assigned_shifts.parquet simulated_1h_nmr.parquet   # what the table of shifts saw
        --measured nmrshiftdb2_shifts.parquet                                # measured lists, needs --sources
        --speed moses_100k.smi.gz                                            # molecules a second
        --second example_data_2.parquet                                      # a file never fitted on

The table of shifts was fitted without the published molecules; `--sources` looks for what it should not hold.
The shipped models of IR and MS/MS were fitted on all of them: here each molecule is simulated by a model that
is fitted again without its fold (IR tenfold, MS/MS in `--folds`, about a minute each; no InChIKey block is in
two folds). A second file the shipped models answer for. `--csp5` adds the errors of shifts from that package.
Prints a table and writes it to benchmarks/results/simulator.csv. All figures but the molecules a second are the
same on every run.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from simulator_sources import Row, flat, measured_rows, source_rows, speed_rows

from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.simulator.csp5_shifts import csp5_shifts
from mmspec_ds.simulator.environments import surroundings
from mmspec_ds.simulator.fragment_scorer import (
    ENERGIES_EV,
    POLARITIES,
    FragmentScorer,
    shipped_scorer,
)
from mmspec_ds.simulator.infrared import infrared
from mmspec_ds.simulator.nmr import assigned_multiplets, carbon_nmr, hsqc, hydrogen_nmr
from mmspec_ds.simulator.shifts import ShiftSource, table_shifts
from mmspec_ds.simulator.tandem import tandem_spectra
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import HSQC, CarbonNMR, HydrogenNMR, Modality, Multiplet, Record, TandemMS
from mmspec_ds.spectra.registry import PAPER_MODALITIES
from tools import fit_infrared, fit_tandem
from tools.spectrum_comparison import (
    carbon_errors,
    hsqc_errors,
    hydrogen_errors,
    paired_multiplets,
    peak_precision,
    peak_recall,
    smoothed_root,
    sqrt_cosine,
)

RESULTS = Path(__file__).with_name("results") / "simulator.csv"


def nmr_rows(file: str, records: Sequence[Record], source: ShiftSource = "table") -> Iterator[Row]:
    """Errors of the clean lists, how often the numbers of lines agree, and how multiplets do."""
    carbon, equal, hydrogen, within = [], [], [], []
    pairs: list[tuple[Multiplet, Multiplet]] = []
    made_lines = published_lines = 0
    for record in records:
        mol = flat(record.smiles or "")
        found = csp5_shifts([mol])[0] if source == "csp5" else None
        predicted = table_shifts(mol, surroundings(mol)) if found is None else found
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
            pairs += paired_multiplets(made_h, multiplets)
            made_lines += len(made_h.multiplets)
            published_lines += len(multiplets.multiplets)

    tail = "" if source == "table" else f", shifts of {source}"
    everything, protons = np.concatenate(carbon), np.concatenate(hydrogen)
    yield Row(file, f"13C median error{tail}", len(everything), float(np.median(everything)), "ppm", "<= 2.0")
    yield Row(file, f"13C mean error{tail}", len(everything), float(everything.mean()), "ppm")
    yield Row(file, f"1H median error{tail}", len(protons), float(np.median(protons)), "ppm", "<= 0.30")
    yield Row(file, f"1H mean error{tail}", len(protons), float(protons.mean()), "ppm")
    if source != "table":
        return
    same, inside = np.concatenate(equal), np.concatenate(within)
    name = "13C median error, as many lines"
    yield Row(file, name, len(same), float(np.median(same)), "ppm", "<= 2.0")
    yield Row(file, "13C molecules with as many lines", len(records), len(equal) / len(records), "share")
    yield Row(file, "13C errors within the mean spread", len(inside), float(inside.mean()), "share")
    yield Row(file, "1H multiplets for each published", published_lines, made_lines / published_lines, "ratio")
    yield from multiplet_rows(file, pairs)


def hsqc_rows(file: str, records: Sequence[Record]) -> Iterator[Row]:
    """Errors of the clean cross peaks, and how many there are for each published one."""
    carbon, hydrogen, equal = [], [], 0
    made_peaks = published_peaks = 0
    for record in records:
        mol = flat(record.smiles or "")
        predicted = table_shifts(mol, surroundings(mol))
        made = hsqc(mol, predicted.carbon.ppm, assigned_multiplets(mol, predicted.hydrogen.ppm))
        for published in record.of(Modality.HSQC):
            assert isinstance(published, HSQC)
            errors = hsqc_errors(made, published)
            carbon.append(errors[0])
            hydrogen.append(errors[1])
            equal += len(made.peaks) == len(published.peaks)
            made_peaks += len(made.peaks)
            published_peaks += len(published.peaks)
    for nucleus, found, bar in (("13C", carbon, "<= 2.0"), ("1H", hydrogen, "<= 0.30")):
        errors_ppm = np.concatenate(found)
        median = float(np.median(errors_ppm))
        yield Row(file, f"HSQC {nucleus} median error", len(errors_ppm), median, "ppm", bar)
        yield Row(file, f"HSQC {nucleus} mean error", len(errors_ppm), float(errors_ppm.mean()), "ppm")
    yield Row(file, "HSQC peaks for each published", published_peaks, made_peaks / published_peaks, "ratio")
    yield Row(file, "HSQC molecules with as many peaks", len(carbon), equal / len(carbon), "share")


def multiplet_rows(file: str, pairs: Sequence[tuple[Multiplet, Multiplet]]) -> Iterator[Row]:
    """How often the nearest multiplets have the same name and number of hydrogens, and how their J differ."""
    alike = [made.category == published.category for made, published in pairs]
    counts = [made.hydrogens == published.hydrogens for made, published in pairs]
    apart = [
        abs(made_hz - published_hz)
        for (made, published), same in zip(pairs, alike)
        if same and len(made.j_hz) == len(published.j_hz)
        for made_hz, published_hz in zip(sorted(made.j_hz), sorted(published.j_hz))
    ]
    yield Row(file, "1H multiplets of the published name", len(pairs), float(np.mean(alike)), "share")
    yield Row(file, "1H multiplets of as many hydrogens", len(pairs), float(np.mean(counts)), "share")
    yield Row(file, "1H median difference of J, same name", len(apart), float(np.median(apart)), "Hz")


def infrared_rows(file: str, molecules: Sequence[fit_infrared.Measured], is_fitted: bool) -> Iterator[Row]:
    """Cosines of smoothed square roots, matched and mismatched, of molecules that the model was not fitted
    on; with what the basis and the mean of the others' spectra give, and, if it saw them, the shipped model."""
    made = np.stack([smoothed_root(infrared(one.mol, one.around)) for one in molecules])
    shipped = made @ np.stack([smoothed_root(one.spectrum) for one in molecules]).T
    cosines = fit_infrared.cross_validate(molecules) if is_fitted else shipped
    matched, mismatched = fit_infrared.matched_and_mismatched(cosines)
    yield Row(file, "IR cosine, own molecule", len(molecules), matched, "cosine", ">= 0.88")
    yield Row(file, "IR cosine, other molecules", len(molecules), mismatched, "cosine", "<= 0.84")
    better = (cosines > np.diag(cosines)[:, None]).mean(axis=1)
    yield Row(file, "IR other molecules that fit better", len(molecules), float(better.mean()), "share")
    if is_fitted:
        mean = fit_infrared.matched_and_mismatched(fit_infrared.cross_validate(molecules, penalty=1e12))[0]
        yield Row(file, "IR cosine, basis and mean of the other folds", len(molecules), mean, "cosine")
        seen = fit_infrared.matched_and_mismatched(shipped)[0]
        yield Row(file, "IR cosine, shipped model (has seen them)", len(molecules), seen, "cosine")


def tandem_rows(file: str, examples: Sequence[fit_tandem.Example], folds: int) -> Iterator[Row]:
    """Recall, precision and cosine by polarity and energy; `folds` 0 asks the shipped scorer."""
    shipped = [shipped_scorer()] * len(examples)
    found = tandem_figures(examples, fit_tandem.held_out_scorers(examples, folds) if folds else shipped)
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
    if folds:
        seen = tandem_figures(examples, shipped)
        for name, values in zip(POLARITIES, seen[ENERGIES_EV.index(20.0) :: len(ENERGIES_EV)]):
            what = f"MS/MS weighted recall, {name} 20 eV, shipped scorer (has seen them)"
            yield Row(file, what, len(examples), float(values[0]), "share")


def tandem_figures(examples: Sequence[fit_tandem.Example], scorers: Sequence[FragmentScorer]) -> np.ndarray:
    """Means over the examples, each with its scorer: [spectrum, (recall, precision, cosine, peaks, published
    peaks)]."""
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
                for made, published in zip(tandem_spectra(example.mol, scorer), example.spectra, strict=True)
            ]
            for example, scorer in zip(examples, scorers, strict=True)
        ]
    )
    return np.asarray(found.mean(axis=0))


def rows_of(path: Path, folds: int, is_fitted: bool, csp5: bool) -> Iterator[Row]:
    """All figures of one published file."""
    records = list(read_records(path, modalities=(*PAPER_MODALITIES, Modality.HSQC)))
    assert all(isinstance(s, TandemMS) for record in records for s in record.of(Modality.MS))
    yield from nmr_rows(path.name, records)
    if csp5:
        yield from nmr_rows(path.name, records, "csp5")
    yield from hsqc_rows(path.name, records)
    yield from infrared_rows(path.name, fit_infrared.read_measured(path), is_fitted)
    yield from tandem_rows(path.name, fit_tandem.read_examples(path), folds if is_fitted else 0)


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
    sources = ("CASCADE", "PATENTS")
    parser.add_argument("--sources", type=Path, nargs=2, metavar=sources, help="of the table of shifts")
    parser.add_argument("--measured", type=Path, help="measured lists of shifts; needs --sources")
    parser.add_argument("--speed", type=Path, metavar="SMILES", help="molecules to time, one SMILES a line")
    parser.add_argument("--csp5", action="store_true", help="also with shifts of that package")
    parser.add_argument("--folds", type=int, default=3, help="of MS/MS (default: 3)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="default: benchmarks/results/simulator.csv")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = list(all_rows(options))
    with options.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) | {"value": f"{row.value:.4g}"} for row in rows)
    for file, of_file in groupby(rows, key=lambda row: row.file):
        print(file)
        for row in of_file:
            verdict = f"{row.bar:10}{'MISSED' if misses(row) else 'met'}" if row.bar else ""
            print(f"  {row.measure:70}{row.number:7d}{row.value:10.3f} {row.unit:8}{verdict}".rstrip())
    return int(any(map(misses, rows)))


def all_rows(options: argparse.Namespace) -> Iterator[Row]:
    """Everything that was asked for."""
    yield from rows_of(options.published, options.folds, True, options.csp5)
    if options.second:
        ours = {inchikey_block(r.smiles or "") for r in read_records(options.published)}
        theirs = {inchikey_block(r.smiles or "") for r in read_records(options.second)}
        name = options.second.name
        yield Row(name, "molecules also in the first", len(theirs), len(ours & theirs), "")
        yield from rows_of(options.second, options.folds, False, options.csp5)
    if options.sources:
        yield from source_rows(options.published, *options.sources)
        if options.measured:
            yield from measured_rows(options.measured, options.sources[0])
    if options.speed:
        yield from speed_rows(options.speed)


if __name__ == "__main__":
    raise SystemExit(main())
