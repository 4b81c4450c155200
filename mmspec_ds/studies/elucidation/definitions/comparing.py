"""How sure a difference between two models is: over seeds, and molecule by molecule."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from mmspec_ds.studies.plan import Cell, Results, Value

Ranks = Sequence[int | None]


@dataclass(frozen=True)
class Difference:
    """Top-1 of one model less that of another, in per cent.

    Attributes:
        value: mean and standard deviation over the seeds that both have, seed by seed.
        in_deviations: the mean divided by the pooled standard deviation of the two models' Top-1 over seeds;
            None for fewer than two seeds, or where that is 0.
        first_only, second_only: pairs of a molecule and a seed that the one finds first and the other does not.
        p: of these counts if each were as likely (exact sign test, two-sided). Molecules occur once for each
            seed, so that p is somewhat too small.
    """

    value: Value
    in_deviations: float | None
    first_only: int
    second_only: int
    p: float


def difference(results: Results, first: Cell, second: Cell) -> Difference | None:
    """The difference in Top-1 between the cells of two variants, over the seeds that both have; None without
    one."""
    ranks = {
        seed: (one, other)
        for seed, one in _ranks(results, first).items()
        if (other := _ranks(results, second).get(seed)) is not None and len(one) == len(other)
    }
    return compare(list(ranks.values())) if ranks else None


def compare(pairs: Sequence[tuple[Ranks, Ranks]]) -> Difference:
    """The difference between two models from the ranks that each gives to the same molecules, a pair for each
    seed."""
    tops = [tuple(100 * sum(rank == 1 for rank in one) / len(one) for one in pair) for pair in pairs]
    gaps = [one - other for one, other in tops]
    first_only = sum(_wins(one, other) for one, other in pairs)
    second_only = sum(_wins(other, one) for one, other in pairs)
    trials = first_only + second_only
    spread = None
    if len(pairs) > 1:
        pooled = math.sqrt(sum(statistics.variance(model) for model in zip(*tops)) / 2)
        spread = statistics.fmean(gaps) / pooled if pooled else None
    return Difference(
        value=Value(statistics.fmean(gaps), statistics.stdev(gaps) if len(gaps) > 1 else None, len(gaps)),
        in_deviations=spread,
        first_only=first_only,
        second_only=second_only,
        p=float(binomtest(first_only, trials).pvalue) if trials else 1.0,
    )


def _ranks(results: Results, cell: Cell) -> dict[int, Ranks]:
    """The ranks of each seed of a variant."""
    found = {one.seed: results.of(one, "accuracy") for one in results.alike(cell)}
    return {seed: one["ranks"] for seed, one in found.items() if one is not None}


def _wins(one: Ranks, other: Ranks) -> int:
    return sum(a == 1 and b != 1 for a, b in zip(one, other, strict=True))
