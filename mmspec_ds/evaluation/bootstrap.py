"""Paired bootstrap: by how much one method is better than another on the same queries, and how sure that is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

DRAWS = 4000
"""Resamples: the ends of a 95 % interval then move by about 3 % of its width from seed to seed."""


@dataclass(frozen=True)
class Estimate:
    """A mean over queries, or a difference of two, in the unit of its values.

    Attributes:
        mean: over all queries; of a ratio, that of the sums over all.
        error: its standard error, the standard deviation over the resamples.
        low: the lower end of the 95 % interval (percentiles of the resamples).
        high: the upper end.
        n: queries.
        groups: molecules that the queries belong to; these are resampled.
    """

    mean: float
    error: float
    low: float
    high: float
    n: int
    groups: int

    def to_json(self) -> dict[str, float | int]:
        """The attributes by name."""
        return asdict(self)


class Bootstrap:
    """Resamples of one set of queries, the same for every method and measure.

    Whole groups are drawn with replacement: queries of one molecule resemble each other, and a bootstrap that
    drew them one by one would be too sure (Davison and Hinkley, Bootstrap Methods and their Application, 1997,
    section 3.8).

    Args:
        groups: [n], which molecule each query belongs to.
        seed: of the resampling.

    Raises:
        ValueError: no groups.
    """

    def __init__(self, groups: Sequence[str] | npt.NDArray[np.int64], seed: int = 0) -> None:
        if not len(groups):
            raise ValueError("no queries to resample")
        _, self._group = np.unique(np.asarray(groups), return_inverse=True)
        self._counts = np.bincount(self._group)
        share = np.full(len(self._counts), 1 / len(self._counts))
        self._chosen = np.random.default_rng(seed).multinomial(len(share), share, DRAWS).astype(np.float64)

    def estimate(self, values: FloatArray) -> Estimate:
        """The mean of one value a query, [n], with its uncertainty.

        Raises:
            ValueError: not as many values as queries.
        """
        return self.ratio(values, np.ones(len(values)))

    def ratio(self, parts: FloatArray, wholes: FloatArray) -> Estimate:
        """The sum of `parts` in the sum of `wholes`, both [n], with its uncertainty; 0 where that of `wholes`
        is.

        Raises:
            ValueError: as `estimate`.
        """
        for values in (parts, wholes):
            if len(values) != len(self._group):
                raise ValueError(f"{len(values)} values of {len(self._group)} queries")
        mean = float(parts.sum() / wholes.sum()) if wholes.any() else 0.0
        part, whole = (np.bincount(self._group, weights=values) for values in (parts, wholes))
        sums = self._chosen @ whole
        drawn = np.divide(self._chosen @ part, sums, out=np.zeros_like(sums), where=sums > 0)
        low, high = np.percentile(drawn, (2.5, 97.5))
        error = float(drawn.std(ddof=1))
        return Estimate(mean, error, float(low), float(high), len(parts), len(self._counts))

    def difference(self, first: FloatArray, second: FloatArray) -> Estimate:
        """How much larger the mean of `first` is than that of `second`, both [n] and of the same queries.

        The same queries are drawn for both, so that what makes a query hard for both does not blur the
        difference.

        Raises:
            ValueError: as `estimate`.
        """
        if len(first) != len(second):
            raise ValueError(f"{len(first)} and {len(second)} values")
        return self.estimate(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64))
