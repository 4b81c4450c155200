"""Fit the IR model that the simulator ships, and measure it on molecules left out.

Run from a checkout as `python -m tools.fit_infrared example_data_1.parquet tables/infrared.npz`. The
spectra are those of the benchmark's published sample (Alberts et al. 2024, from molecular dynamics; MIT). A
ridge takes square roots of counts to what the smoothed square root of the spectrum, of length 1, has beyond the
basis of group frequencies. `tables/README.md` has the figures.

Axes: N molecules, D descriptors, G points.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rdkit import Chem

from mmspec_ds.simulator.environments import Surroundings, surroundings
from mmspec_ds.simulator.infrared import STORED_POINTS, InfraredModel, described, infrared
from mmspec_ds.simulator.infrared_groups import POINTS, START_CM1, STOP_CM1
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import FloatArray, Infrared, Modality
from tools.folds import folds_of
from tools.spectrum_comparison import smoothed_root

PENALTY = 16.0
"""Penalty of the ridge; `docs/simulator.md` has the figures of others."""
MIN_MOLECULES = 2
"""The fewest molecules in which a descriptor must occur."""


@dataclass(frozen=True)
class Measured:
    """One molecule with its published spectrum."""

    mol: Chem.Mol
    around: Surroundings
    spectrum: Infrared


def read_measured(path: Path) -> list[Measured]:
    """Molecules of a file in the benchmark's schema with their IR spectra, stereochemistry dropped.

    Raises:
        DataError: the file cannot be read.
    """
    found = []
    for record in read_records(path, modalities=[Modality.IR]):
        mol = Chem.MolFromSmiles(record.smiles)
        Chem.RemoveStereochemistry(mol)
        for spectrum in record.of(Modality.IR):
            if isinstance(spectrum, Infrared):
                found.append(Measured(mol, surroundings(mol), spectrum))
    return found


def fit(molecules: Sequence[Measured], penalty: float = PENALTY) -> InfraredModel:
    """The ridge from square roots of counts to what square roots of spectra have beyond the basis, in its dual
    form: fewer molecules than descriptors."""
    examples = [described(one.mol, one.around) for one in molecules]
    occurrence = Counter(key for example in examples for key in example.counts)
    keys = sorted(key for key, number in occurrence.items() if number >= MIN_MOLECULES)
    values_ND = np.sqrt(np.array([[example.counts[key] for key in keys] for example in examples], dtype=float))
    roots_NG = np.stack(
        [_stored(smoothed_root(one.spectrum)) - example.basis for one, example in zip(molecules, examples)]
    )
    mean_counts, mean = values_ND.mean(axis=0), roots_NG.mean(axis=0)
    centred = values_ND - mean_counts
    kernel = centred @ centred.T + penalty * np.eye(len(molecules))
    coefficients = centred.T @ np.linalg.solve(kernel, roots_NG - mean)
    return InfraredModel(
        {key: row for row, key in enumerate(keys)},
        mean.astype(np.float32),
        mean_counts.astype(np.float32),
        coefficients.astype(np.float32),
    )


def cross_validate(molecules: Sequence[Measured], folds: int = 10, penalty: float = PENALTY) -> FloatArray:
    """Cosines [N, N] of smoothed square roots between the spectrum simulated for one molecule, by a model
    fitted without its fold, and the published one of another; matched ones are on the diagonal. No InChIKey
    block is in two folds."""
    made = np.zeros((len(molecules), POINTS))
    fold_of = folds_of([one.mol for one in molecules], folds)
    for fold in range(folds):
        model = fit([one for one, own in zip(molecules, fold_of) if own != fold], penalty)
        for place, one in enumerate(molecules):
            if fold_of[place] == fold:
                made[place] = smoothed_root(infrared(one.mol, one.around, model))
    published = np.stack([smoothed_root(one.spectrum) for one in molecules])
    return np.asarray(made @ published.T)


def matched_and_mismatched(cosines: FloatArray) -> tuple[float, float]:
    """Means on the diagonal and off it."""
    matched = float(np.diag(cosines).mean())
    number = len(cosines)
    return matched, float((cosines.sum() - matched * number) / (number * (number - 1)))


def write_model(path: Path, model: InfraredModel) -> None:
    """Store the model, its coefficients as multiples of a step of 1/127 of each point's largest."""
    largest = np.abs(model.coefficients).max(axis=0)
    step = np.where(largest > 0, largest / 127.0, 1.0).astype(np.float32)
    np.savez_compressed(
        path,
        keys=np.array(sorted(model.rows, key=lambda key: model.rows[key]), dtype=np.int64),
        mean=model.mean,
        mean_counts=model.mean_counts,
        coefficients=np.rint(model.coefficients / step).astype(np.int8),
        step=step,
    )


def main(arguments: list[str] | None = None) -> None:
    """Cross-validate, fit on the whole file, write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("published", type=Path, help="parquet in the benchmark's schema")
    parser.add_argument("out", type=Path, help="where to write the model, for instance tables/infrared.npz")
    options = parser.parse_args(arguments)
    molecules = read_measured(options.published)
    matched, mismatched = matched_and_mismatched(cross_validate(molecules))
    print(f"left out: cosine {matched:.3f} with the own published spectrum, {mismatched:.3f} with another")
    model = fit(molecules)
    write_model(options.out, model)
    print(f"{options.out}: {len(model.rows)} descriptors, {options.out.stat().st_size} bytes")


def _stored(root: FloatArray) -> FloatArray:
    """A curve of POINTS on the grid of the stored coefficients."""
    fine, coarse = (np.linspace(START_CM1, STOP_CM1, points) for points in (POINTS, STORED_POINTS))
    return np.interp(coarse, fine, root)


if __name__ == "__main__":
    main()
