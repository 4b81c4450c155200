"""Decoys of the queries of a search, and what share of the hits is false by their count.

The decoy of a query is a measured spectrum of the library with a precursor near the query's, which is searched
while all spectra of its own molecule are left out, so that its best hit is a false one. It meets isomers and
relatives of its molecule as a query does whose molecule the library lacks. A query of several mass spectra has
decoys of as many of one molecule, where the library has them, because the best of several pairs counts.

Decoys that are put together of fragments, as the spectrum-based ones of Scheubert et al. 2017 (Nature
Communications 8, 1494), score less than such queries. With 593 MassBank queries, the molecules of half of them
removed from the library, and a window of 10 ppm, those estimate 5 % false hits where 15 % are; these estimate
10, 15 and 20 % where 7, 13 and 19 % are. Without a window those estimate 5 % where 34 % are; these estimate
30 % where 21 % are, and no less for any hit. Nor does a model have to embed anything, as the vectors of the
library are there.

Axes: D decoys, Q queries.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mmspec_ds.library.peaks import Indices
from mmspec_ds.library.references import Conditions, References

NEAR = 30
"""Entries next to the precursor of a query of which one is drawn."""


def draw_decoys(
    references: References,
    queries: Sequence[Conditions | None],
    count: int,
    generator: np.random.Generator,
) -> tuple[Indices, Indices]:
    """Entries that are searched as decoys: of so many of the queries, or the same number for each.

    Args:
        references: of the library.
        queries: [Q] how each was measured; None for one without a mass spectrum, which has no decoy.
        count: of decoys, or a few more.
        generator: of random numbers.

    Returns:
        The queries [D] and the rows [D] of their decoys; of the same kind of spectrum and polarity, the
        precursor among the nearest where both have one. None of either where the library has no such entry.
    """
    known = [(place, one) for place, one in enumerate(queries) if one is not None]
    pools = {key: _by_precursor(references, *key) for key in {(one.kind, one.polarity) for _, one in known}}
    usable = [(place, one) for place, one in known if len(pools[one.kind, one.polarity][0])]
    if not usable or not count:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    if len(usable) > count:
        chosen = np.sort(generator.choice(len(usable), count, replace=False))
    else:
        chosen = np.repeat(np.arange(len(usable)), -(-count // len(usable)))
    rows = np.empty(len(chosen), dtype=np.int64)
    for at, number in enumerate(chosen):
        query = usable[number][1]
        rows[at] = _near(*pools[query.kind, query.polarity], query.precursor_mz, generator)
    return np.array([usable[number][0] for number in chosen]), rows


def with_companions(references: References, row: int, count: int) -> Indices:
    """A row and further ones of its molecule, kind and polarity, `count` in all, or as many as there are."""
    if count == 1:
        return np.array([row])
    same = (references.molecule == references.molecule[row]) & (references.kind == references.kind[row])
    same &= (references.polarity == references.polarity[row]) & (references.peaks.counts > 0)
    others = np.flatnonzero(same)
    return np.concatenate([[row], others[others != row][: count - 1]])


def _by_precursor(references: References, kind: str, polarity: int) -> tuple[Indices, npt.NDArray[np.float64]]:
    """The rows of a kind and polarity (0: any) by rising precursor, those without one last, and these m/z."""
    usable = (references.kind == kind) & (references.peaks.counts > 0)
    if polarity:
        usable &= references.polarity != -polarity
    rows = np.flatnonzero(usable)
    rows = rows[np.argsort(references.precursor_mz[rows], kind="stable")]
    return rows, references.precursor_mz[rows]


def _near(rows: Indices, precursors: npt.NDArray[np.float64], mz: float, generator: np.random.Generator) -> int:
    known = int(np.count_nonzero(~np.isnan(precursors)))
    if np.isnan(mz) or not known:
        return int(rows[generator.integers(len(rows))])
    first = max(0, min(int(np.searchsorted(precursors[:known], mz)) - NEAR // 2, known - NEAR))
    return int(rows[generator.integers(first, min(first + NEAR, known))])


def q_values(
    scores: npt.NDArray[np.float64],
    competitors: npt.NDArray[np.float64],
    decoys: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """The share of false hits among all hits that score at least as much, by target-decoy competition.

    A query and its decoy compete (Elias and Gygi 2007, Nature Methods 4, 207): a wrong hit wins as often as it
    loses, so that the decoys that win count the wrong hits that do. With one more decoy added, which keeps the
    estimate from being too low for few queries (He et al. 2015, arXiv 1501.00537). A query may compete with
    several decoys, as in Keich et al. 2019 (J Proteome Res 18, 585), and not every query need have one.

    Args:
        scores: [Q] for which the share is asked.
        competitors: [D] the best score of the query of each decoy.
        decoys: [D] the best score of each decoy.

    Returns:
        [Q] from 0 to 1, not rising with the score.
    """
    wins = competitors > decoys
    winners = np.sort(competitors[wins])
    losers = np.sort(decoys[~wins])
    asked = np.unique(np.concatenate([scores, winners, losers]))
    false = len(losers) - np.searchsorted(losers, asked)
    true = len(winners) - np.searchsorted(winners, asked)
    share = np.minimum((false + 1) / np.maximum(true, 1), 1.0)
    lowest = np.minimum.accumulate(share)  # of any lower threshold
    return np.asarray(lowest[np.searchsorted(asked, scores)])
