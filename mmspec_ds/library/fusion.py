"""One score of several: a logistic regression that says how probable it is that two spectra are of one
molecule.

Fitted by scikit-learn on pairs of spectra whose molecules are known, and kept as names and numbers; to apply
one needs numpy alone. Those of `fusions.json` were fitted on MassBank records whose licence allows it, as their
`source` tells; `tools/fit_fusions.py` makes the file.

Axes: C candidates.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError, model_validator

from mmspec_ds.errors import DataError
from mmspec_ds.files import write_json
from mmspec_ds.library.evidence import EVIDENCE_PARTS
from mmspec_ds.library.peaks import Indices
from mmspec_ds.library.prepared import CONDITION_PARTS, SPECTRAL_PARTS, SQUARE_ROOT_COSINE, Parts
from mmspec_ds.settings import Settings

SHIPPED = Path(__file__).with_name("fusions.json")
NOT_FITTED = "equal weights, not fitted"
"""The source of a fusion whose scores are no probabilities."""
FUSION = "fusion.json"
"""In the folder of a model: how its cosine and the other parts of the score are weighed."""

_RIDGE = 1e-3
"""On the squares of the weights of a conditional regression, for each query; parts are much alike."""

Kind = Literal["ms", "ei", "any"]


class Fusion(Settings):
    """A calibrated sum of the parts of a score.

    Attributes:
        kind: of the spectra it was fitted on, "ms" or "ei"; "any" suits all.
        open: fitted without a window of the precursor.
        parts: names of the parts.
        means, scales: by which each part is standardised. A part that is not known counts as its mean.
        weights: of the standardised parts.
        bias: added to their sum.
        source: what it was fitted on, and its licence.
    """

    kind: Kind
    open: bool
    parts: tuple[str, ...] = Field(min_length=1)
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    source: str = ""

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        lengths = {len(self.parts), len(self.means), len(self.scales), len(self.weights)}
        if len(lengths) != 1 or not all(scale > 0 for scale in self.scales):
            raise ValueError("parts, means, scales and weights: expected as many of each, and scales above 0")
        return self

    def score(self, parts: Mapping[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
        """The probability [C] that a candidate is of the query's molecule; see `log_odds`."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.log_odds(parts), -500, 500))))

    def log_odds(self, parts: Mapping[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
        """The logarithm of the odds [C] that a candidate is of the query's molecule, which tells apart what is
        nearly certain. Parts without a weight do not count, and parts that are missing count as their mean."""
        total = np.full(len(next(iter(parts.values()))), self.bias)
        for name, mean, scale, weight in zip(self.parts, self.means, self.scales, self.weights):
            if name in parts:
                total += weight * np.nan_to_num((parts[name] - mean) / scale)
        return total


def fit_fusion(
    parts: Parts,
    same: npt.NDArray[np.bool_],
    *,
    kind: Kind,
    open_search: bool,
    source: str = "",
    query: Indices | None = None,
) -> Fusion:
    """Fit a fusion on pairs of a query and a candidate.

    With `query` the weights are those by which a candidate of the query's molecule is the most probable one of
    its query (a conditional logistic regression), then scaled so that the score is a probability over all
    pairs. That ranks better than a regression on pairs without their queries, which has to tell easy queries
    from hard ones as well.

    The queries must be of other molecules than those on which it is judged later. Agreement of conditions may
    not count against a candidate: such a part is left out, and the others are fitted again.

    Args:
        parts: of C pairs, by name, [C] each; a part that is known for none of them is left out.
        same: [C] whether the molecule is the same.
        kind, open_search, source: told by the fusion.
        query: [C] the number of the query of each pair.

    Raises:
        ValueError: there are no pairs of one molecule, or of two.
    """
    if same.all() or not same.any():
        raise ValueError("expected pairs of the same and of other molecules")
    known = {name: part for name, part in parts.items() if np.isfinite(part).any()}
    while True:
        values = np.stack(list(known.values()), axis=1)
        means, scales = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        scales[scales < 1e-9] = 1.0
        weights, bias = _regression(np.nan_to_num((values - means) / scales), same, query)
        against = [name for name, weight in zip(known, weights) if name in CONDITION_PARTS and weight < 0]
        if not against or len(against) == len(known):
            break
        known = {name: part for name, part in known.items() if name not in against}

    def rounded(numbers: npt.NDArray[np.float64]) -> tuple[float, ...]:
        return tuple(round(float(number), 6) for number in numbers)

    return Fusion(
        kind=kind,
        open=open_search,
        parts=tuple(known),
        means=rounded(means),
        scales=rounded(scales),
        weights=rounded(weights),
        bias=round(bias, 6),
        source=source,
    )


def _regression(
    values: npt.NDArray[np.float64], same: npt.NDArray[np.bool_], query: Indices | None
) -> tuple[npt.NDArray[np.float64], float]:
    """The weights of standardised parts, and the bias."""
    from sklearn.linear_model import LogisticRegression

    ranking = np.eye(values.shape[1]) if query is None else _conditional(values, same, query)[:, None]
    model = LogisticRegression(C=10.0, max_iter=1000).fit(values @ ranking, same)
    return ranking @ model.coef_[0], float(model.intercept_[0])


def _conditional(
    values: npt.NDArray[np.float64], same: npt.NDArray[np.bool_], query: Indices
) -> npt.NDArray[np.float64]:
    """The weights that make right candidates the most probable ones among those of their query."""
    from scipy.optimize import minimize

    order = np.argsort(query, kind="stable")
    values, same, query = values[order], same[order], query[order]
    first = np.flatnonzero(np.diff(query, prepend=query[0] - 1))
    useful = np.maximum.reduceat(same, first)
    group = np.repeat(np.arange(len(first)), np.diff(first, append=len(query)))

    def shares(total: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The softmax share of each candidate among those of its query; and the logarithm of their sum."""
        largest = np.maximum.reduceat(total, first)
        powers = np.exp(total - largest[group])
        sums = np.add.reduceat(powers, first)
        return powers / np.maximum(sums, 1e-300)[group], np.log(np.maximum(sums, 1e-300)) + largest

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        total = values @ weights
        among_all, log_all = shares(total)
        among_right, log_right = shares(np.where(same, total, -1e9))
        slope = ((among_all - among_right) * useful[group]) @ values
        ridge = _RIDGE * len(first)
        return (
            float((log_all - log_right)[useful].sum() + ridge * weights @ weights),
            slope + 2 * ridge * weights,
        )

    found = minimize(loss, np.full(values.shape[1], 0.5), jac=True, method="L-BFGS-B")
    return np.asarray(found.x, np.float64)


def mean_of(names: Sequence[str]) -> Fusion:
    """A fusion that was not fitted: entropy similarity, weighted cosine and the cosine of each model count
    equally; the square-root cosine lies between the first two. Its scores are no probabilities."""
    other = (SQUARE_ROOT_COSINE, *CONDITION_PARTS, *EVIDENCE_PARTS)
    similar = tuple(name for name in names if name not in other) or tuple(names)
    count = len(similar)
    return Fusion(
        kind="any",
        open=True,
        parts=similar,
        means=(0.5,) * count,
        scales=(0.1,) * count,
        weights=(1.0 / count,) * count,
        bias=0.0,
        source=NOT_FITTED,
    )


def models_of(parts: Iterable[str]) -> list[str]:
    """Those of the names of parts that are models, in their order."""
    return [name for name in parts if name not in (*SPECTRAL_PARTS, *CONDITION_PARTS, *EVIDENCE_PARTS)]


def choose_fusion(
    fusions: Sequence[Fusion], kind: str, *, open_search: bool, available: Sequence[str]
) -> Fusion:
    """The fusion that uses the most of the parts that are available and no other, of the right kind; the first
    of equals. It must use the cosine of every model. Where there is none, similarities count equally."""
    models = set(models_of(available))
    fitting = [
        one
        for one in fusions
        if one.kind in (kind, "any") and one.open == open_search and models <= set(one.parts) <= set(available)
    ]
    return max(fitting, key=lambda one: len(one.parts)) if fitting else mean_of(available)


def write_fusions(path: Path, fusions: Sequence[Fusion]) -> None:
    """Write fusions as JSON, whole or not at all."""
    write_json(path, [one.model_dump(mode="json") for one in fusions])


def read_fusions(path: Path) -> list[Fusion]:
    """Read the fusions of a JSON file.

    Raises:
        DataError: it cannot be read, or is something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [Fusion.model_validate(one) for one in content]
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", path=path) from None
    except (ValueError, TypeError, ValidationError):
        raise DataError("is not a list of fusions in JSON", path=path) from None


@cache
def shipped_fusions() -> tuple[Fusion, ...]:
    """The fusions that come with the package."""
    return tuple(read_fusions(SHIPPED))
