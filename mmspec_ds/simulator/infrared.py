"""IR absorbance of a molecule: the bands of its groups, and what a fit adds to them.

The square root of the spectrum is BASIS times that of the group frequencies (`infrared_groups.py`) plus a
linear function of the square roots of counts: of kinds of atoms, of their coarse environments, of those of
radius 1, of the groups. An environment that is not in the published molecules adds nothing, but its coarser
descriptions do. `tools/fit_infrared.py` fits the coefficients; `tables/README.md` names the data.

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
from mmspec_ds.simulator.graph import atoms_of
from mmspec_ds.simulator.infrared_groups import (
    POINTS,
    START_CM1,
    STOP_CM1,
    group_absorbance,
    group_counts,
    shipped_groups,
)
from mmspec_ds.spectra.records import FloatArray, Infrared

STORED_POINTS = 451
"""Points of the coefficients, 8 cm-1 apart: less than the 10 cm-1 with which the spectra were smoothed."""
BASIS = 0.25
"""Length of the square root of the groups' spectrum, where that of a published spectrum is 1. With 0.4 the
spectra are nearer to measured ones, and their cosine with the published is 0.889 instead of 0.893."""
BASIS_BROADENING_CM1 = 20.0
_COARSE, _RADIUS_1 = 0, 2
"""Indices of these environments in the keys of an atom."""


@dataclass(frozen=True)
class InfraredModel:
    """`mean` [G] of what the square root spectrum (of length 1 on the published grid) has beyond the basis,
    `mean_counts` [D] and `coefficients` [D, G] of the descriptors, whose keys are in `rows`."""

    rows: dict[int, int]
    mean: npt.NDArray[np.float32]
    mean_counts: npt.NDArray[np.float32]
    coefficients: npt.NDArray[np.float32]

    def root(self, counts: Counter[int], basis: FloatArray) -> FloatArray:
        """Square root [G] of the absorbance, never below zero, from the descriptors and the basis [G]."""
        values = np.zeros(len(self.rows), dtype=np.float32)
        for key, count in counts.items():
            row = self.rows.get(key)
            if row is not None:
                values[row] = count**0.5
        fitted = self.mean + (values - self.mean_counts) @ self.coefficients
        return np.asarray(np.clip(basis + fitted, 0.0, None), dtype=float)


@dataclass(frozen=True)
class Described:
    """What the model takes of a molecule: how often it has each descriptor, by key, and the basis [G]."""

    counts: Counter[int]
    basis: FloatArray


def described(mol: Chem.Mol, around: Surroundings) -> Described:
    """The descriptors of a molecule, and BASIS times the square root of its groups' spectrum."""
    found: Counter[int] = Counter()
    for atom, keys in zip(atoms_of(mol), around.keys):
        kind = named_key(f"atom {atom.GetSymbol()} {hybridisation(atom)} H{atom.GetTotalNumHs()}")
        found.update((kind, keys[_COARSE], keys[_RADIUS_1]))
    counts = group_counts(mol)
    for key, count in zip(_group_keys(), counts):
        found[key] = int(count)
    root = np.sqrt(group_absorbance(counts, "gas", BASIS_BROADENING_CM1))
    length = float(np.linalg.norm(root))
    basis = np.interp(_grid(STORED_POINTS), _grid(POINTS), BASIS / length * root if length > 0 else root)
    return Described(+found, basis)


def infrared(mol: Chem.Mol, around: Surroundings, model: InfraredModel | None = None) -> Infrared:
    """The IR spectrum without noise: 1800 points from 400 to 4000 cm-1, the largest 1."""
    model = shipped_model() if model is None else model
    one = described(mol, around)
    root = model.root(one.counts, one.basis)
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


@cache
def _group_keys() -> tuple[int, ...]:
    """The descriptor of each group. Groups of one name, with bands in two phases, count as one."""
    return tuple(named_key(f"group {group.name}") for group in shipped_groups())
