"""Ridge regressions for questions whose answer is a mass or a formula.

A classifier cannot answer these: nearly every answer is another one. The mass is one number, and a formula is
the number of atoms of each element, rounded.

Axes: N questions, F features, E elements and the charge.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmspec_ds.molecules.formula import parse_formula

FloatMatrix = npt.NDArray[np.float32]

MASS, FORMULA = "exact mass", "formula"
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4)
"""Weights of the penalty, chosen by leave-one-out, each feature having standard deviation 1."""
_CHARGE = "charge"


def is_number(task: str, answer: str) -> bool:
    """Whether a question asks for a mass or a formula, and the answer is one."""
    try:
        return math.isfinite(float(answer)) if task == MASS else task == FORMULA and bool(_counts(answer))
    except ValueError:
        return False


class NumberRegression:
    """A regression for the questions of one task.

    Args:
        task: `MASS` or `FORMULA`.
        features_NF: of the objects.
        answers: N, of which `is_number` holds.
    """

    def __init__(self, task: str, features_NF: FloatMatrix, answers: Sequence[str]) -> None:
        from sklearn.linear_model import RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._task = task
        counts = [{} if task == MASS else _counts(one) for one in answers]
        self._names = sorted({name for one in counts for name in one})
        if task == MASS:
            targets = np.array([[float(one)] for one in answers])
        else:
            targets = np.array([[one.get(name, 0) for name in self._names] for one in counts], dtype=np.float64)
        self._model: Any = make_pipeline(StandardScaler(), RidgeCV(STRENGTHS)).fit(features_NF, targets)

    def predict(self, features_NF: FloatMatrix) -> list[str]:
        """Answers in the form of the training's: a mass with two decimals, a formula in Hill order."""
        values = np.asarray(self._model.predict(features_NF)).reshape(len(features_NF), -1)
        if self._task == MASS:
            return [f"{one[0]:.2f}" for one in values]
        return [formula_of(dict(zip(self._names, np.rint(one).astype(int).tolist()))) for one in values]


def _counts(formula: str) -> dict[str, int]:
    elements, charge = parse_formula(formula)
    return elements | ({_CHARGE: charge} if charge else {})


def formula_of(counts: dict[str, int]) -> str:
    """A formula in Hill order with the charge last; numbers of atoms below 1 are left out.

    Args:
        counts: by element, and the charge by "charge".
    """
    there = {name: count for name, count in counts.items() if count > 0 and name != _CHARGE}
    first = [name for name in ("C", "H") if "C" in there and name in there]
    order = [*first, *sorted(there.keys() - set(first))]
    atoms = "".join(name + (str(there[name]) if there[name] > 1 else "") for name in order)
    charge = counts.get(_CHARGE, 0)
    size = str(abs(charge)) if abs(charge) > 1 else ""
    return atoms + (f"{'+' if charge > 0 else '-'}{size}" if charge else "")
