"""IR absorbance as a fitted function of the groups in a molecule.

The square root of the smoothed spectrum is linear in the square roots of counts: of kinds of atoms, of their
coarse environments and of those of radius 1. An environment that is not in the published molecules adds
nothing, but its coarser descriptions do. `tools/fit_infrared.py` fits the coefficients; `tables/README.md`
names the data.

Axes: D descriptors, G points of the stored grid.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rdkit import Chem

from mmspec_ds.simulator.environments import Surroundings, hybridisation, named_key
from mmspec_ds.spectra.records import FloatArray, Infrared

POINTS = 1800
"""Points from 400 to 4000 cm-1, as in the benchmark."""
START_CM1, STOP_CM1 = 400.0, 4000.0
STORED_POINTS = 451
"""Points of the coefficients, 8 cm-1 apart: less than the 10 cm-1 with which the spectra were smoothed."""
_COARSE, _RADIUS_1 = 0, 2
"""Indices of these environments in the keys of an atom."""


@dataclass(frozen=True)
class InfraredModel:
    """Mean [G] of the square root spectrum (of length 1 on the published grid), `mean_counts` [D] and
    `coefficients` [D, G] of the descriptors, whose keys are in `rows`."""

    rows: dict[int, int]
    mean: npt.NDArray[np.float32]
    mean_counts: npt.NDArray[np.float32]
    coefficients: npt.NDArray[np.float32]

    def root(self, counts: Counter[int]) -> FloatArray:
        """Square root [G] of the absorbance, never below zero."""
        values = np.zeros(len(self.rows), dtype=np.float32)
        for key, count in counts.items():
            row = self.rows.get(key)
            if row is not None:
                values[row] = count**0.5
        return np.clip(self.mean + (values - self.mean_counts) @ self.coefficients, 0.0, None).astype(float)


def descriptors(mol: Chem.Mol, around: Surroundings) -> Counter[int]:
    """The number of occurrences of each descriptor, by key."""
    found: Counter[int] = Counter()
    for atom, keys in zip(mol.GetAtoms(), around.keys):
        kind = named_key(f"atom {atom.GetSymbol()} {hybridisation(atom)} H{atom.GetTotalNumHs()}")
        found.update((kind, keys[_COARSE], keys[_RADIUS_1]))
    return found


def infrared(mol: Chem.Mol, around: Surroundings, model: InfraredModel | None = None) -> Infrared:
    """The IR spectrum without noise: 1800 points from 400 to 4000 cm-1, the largest 1."""
    model = shipped_model() if model is None else model
    root = model.root(descriptors(mol, around))
    absorbance = np.interp(_grid(POINTS), _grid(STORED_POINTS), root) ** 2
    top = absorbance.max()
    return Infrared(absorbance / top if top > 0 else absorbance, START_CM1, STOP_CM1)


@cache
def shipped_model() -> InfraredModel:
    """The model that the project ships; read once per process."""
    return read_model(Path(__file__).with_name("tables") / "infrared.npz")


def read_model(path: Path) -> InfraredModel:
    """A model from a file of `tools/fit_infrared.py`."""
    with np.load(path, allow_pickle=False) as stored:
        coefficients = stored["coefficients"].astype(np.float32) * stored["step"]
        rows = {int(key): row for row, key in enumerate(stored["keys"])}
        return InfraredModel(rows, stored["mean"], stored["mean_counts"], coefficients)


@cache
def _grid(points: int) -> FloatArray:
    return np.linspace(START_CM1, STOP_CM1, points)
