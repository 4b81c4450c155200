"""What each spectrum alone tells, without learning: how often the right molecule's prediction is the nearest.

    python benchmarks/single_modality.py --profiles benchmark hard --candidates 2500 --queries 250

Candidates are the first molecules of the shipped enumeration of up to 9 heavy atoms, their spectra predicted
without noise; queries are the first of them, with the noise of a profile. Both become vectors: 13C and 1H a sum
of Gaussians at their shifts (2 and 0.2 ppm, 1H weighted by hydrogens), IR a curve without its straight
baseline, MS/MS the square roots of intensities of all six spectra in bins of 0.01 Da. The score of one spectrum
is -log(1 - r), r the cosine; that of several is their sum. The predictions are by the rules that made the
queries, so these are upper bounds. Top-1 and Top-10 in per cent, among all candidates and among those of the
same formula, are printed and appended to results/single_modality.csv.
"""

import argparse
import csv
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from runner import RESULTS, commit
from scipy import sparse

from mmspec_ds.processes import ordered_map
from mmspec_ds.progress import ProgressLines
from mmspec_ds.simulator.listed import listed
from mmspec_ds.simulator.noise_settings import NoiseSettings
from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Record, TandemMS

Matrix = npt.NDArray[np.float64]
HEAD = ("date", "commit", "profile", "spectra", "candidates", "queries", "top_1", "top_10", "formula_top_1",
        "formula_top_10")  # fmt: skip
NEAR = 1e-4
"""What is added to 1 - r: vectors nearer than this count as equal."""


def gaussians(rows: Sequence[Sequence[tuple[float, float]]], low: float, high: float, width: float) -> Matrix:
    """Sums of Gaussians of (place, weight) on a grid of half their width, of length 1."""
    grid = np.arange(low, high, width / 2)
    curves = [
        sum((weight * np.exp(-0.5 * ((grid - at) / width) ** 2) for at, weight in row), np.zeros(len(grid)))
        for row in rows
    ]
    return of_length_1(np.array(curves))


def of_length_1(rows: Matrix) -> Matrix:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1.0)


def carbon(records: Sequence[Record]) -> Matrix:
    lines = [[s for s in one.spectra if isinstance(s, CarbonNMR)] for one in records]
    return gaussians([[(ppm, 1.0) for s in row for ppm in s.shifts_ppm] for row in lines], -20, 240, 2.0)


def hydrogen(records: Sequence[Record]) -> Matrix:
    lists = [[s for s in one.spectra if isinstance(s, HydrogenNMR)] for one in records]
    found = [[(m.centroid_ppm, float(m.hydrogens)) for s in row for m in s.multiplets] for row in lists]
    return gaussians(found, -2, 16, 0.2)


def infrared(records: Sequence[Record]) -> Matrix:
    curves = np.array([next(s.absorbance for s in one.spectra if isinstance(s, Infrared)) for one in records])
    line = np.stack([np.ones(curves.shape[1]), np.linspace(-1, 1, curves.shape[1])], axis=1)
    basis, _ = np.linalg.qr(line)
    return of_length_1(curves - curves @ basis @ basis.T)


def tandem(records: Sequence[Record]) -> sparse.csr_matrix:
    row, column, value = [], [], []
    for number, one in enumerate(records):
        for s in one.spectra:
            if isinstance(s, TandemMS):
                place = 3 * (s.polarity == "negative") + (10.0, 20.0, 40.0).index(s.collision_energy_ev or 0.0)
                row += [number] * len(s.mz)
                column += (np.rint(s.mz / 0.01).astype(int) + 10**6 * place).tolist()
                value += np.sqrt(s.intensity).tolist()
    matrix = sparse.csr_matrix((value, (row, column)), shape=(len(records), 6 * 10**6))
    length = np.sqrt(matrix.multiply(matrix).sum(axis=1))
    return sparse.csr_matrix(matrix.multiply(1.0 / np.maximum(length, 1e-9)))


KINDS: dict[str, Callable[[Sequence[Record]], object]] = {
    "h_nmr": hydrogen, "c_nmr": carbon, "ir": infrared, "ms": tandem,
}  # fmt: skip
COMBINATIONS = ("h_nmr", "c_nmr", "ir", "ms", "h_nmr+c_nmr", "ir+ms", "h_nmr+c_nmr+ir+ms")


def scores(queries: Sequence[Record], candidates: Sequence[Record]) -> dict[str, Matrix]:
    """The score of each candidate for each query, by kind of spectrum."""
    found = {}
    for name, vectors in KINDS.items():
        product = vectors(queries) @ vectors(candidates).T  # type: ignore[attr-defined, operator]
        cosine = product.toarray() if sparse.issparse(product) else product
        found[name] = -np.log(1.0 - np.clip(cosine, 0.0, 1.0) + NEAR)
    return found


def top(score: Matrix, allowed: npt.NDArray[np.bool_], within: int) -> float:
    """Per cent of the queries whose own candidate (of the same number) is among the best; ties count half."""
    own = score[np.arange(len(score)), np.arange(len(score))][:, None]
    better = ((score > own) & allowed).sum(axis=1) + (((score == own) & allowed).sum(axis=1) - 1) / 2
    return float(100 * (better < within).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", nargs="+", default=["benchmark", "hard"])
    parser.add_argument("--candidates", type=int, default=2_500)
    parser.add_argument("--queries", type=int, default=250)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    smiles = [one.smiles for one in (listed(60_000, 9, 0) or ())[: options.candidates]]
    candidates = []
    with ProgressLines("predicting", unit="molecules") as progress:
        for one in ordered_map(predicted, smiles, options.workers, task="predicts", chunk=50):
            candidates.append(one)
            progress.at(len(candidates), len(smiles))
    formulas = np.array([one.formula for one in candidates])
    same = formulas[: options.queries, None] == formulas
    rows = []
    for profile in options.profiles:
        noise = NoiseSettings.of_profile(profile)
        queries = [simulate_record(one, 0, noise) for one in smiles[: options.queries]]
        of_kind = scores(queries, candidates)
        for combination in COMBINATIONS:
            score = sum(of_kind[name] for name in combination.split("+"))
            figures = [round(top(score, among, n), 1) for among in (same | True, same) for n in (1, 10)]  # type: ignore[arg-type]
            rows.append([profile, combination, len(candidates), len(queries), *figures])
            print(f"{profile:10} {combination:20}", *(f"{figure:6.1f}" for figure in figures), flush=True)
    path = RESULTS.with_name("single_modality.csv")
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if not path.stat().st_size:
            writer.writerow(HEAD)
        writer.writerows([datetime.now(UTC).date().isoformat(), commit(), *row] for row in rows)


def predicted(smiles: str) -> Record:
    return simulate_record(smiles, noise=NoiseSettings.off())


if __name__ == "__main__":
    main()
