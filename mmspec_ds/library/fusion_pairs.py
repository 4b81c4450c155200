"""Pairs of queries and entries whose molecules are known, on which a fusion is fitted.

Axes: C pairs.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mmspec_ds.library.entry import Entry
from mmspec_ds.library.peaks import Indices
from mmspec_ds.library.prepared import Parts
from mmspec_ds.library.references import as_measured
from mmspec_ds.library.search import Searcher


def pairs_of(
    searcher: Searcher, queries: Sequence[Entry], blocks: Sequence[str]
) -> tuple[Parts, npt.NDArray[np.bool_], Indices]:
    """Each query with all entries that a search judges.

    Args:
        searcher: of the library; its fusions do not matter.
        queries: of known structure, none of them an entry of the library.
        blocks: of the entries of the library, by row.

    Returns:
        The parts of the score, by name, [C] each; whether the molecule is the same [C]; and the number of the
        query [C]. Queries of unknown structure give no pairs.
    """
    known = [query for query in queries if query.block]
    block = np.array(blocks, dtype=object)
    rankings = searcher.rank([as_measured(query.record) for query in known])
    names = dict.fromkeys(name for ranking in rankings for name in ranking.parts)
    parts = {
        name: np.concatenate(
            [one.parts.get(name, np.full(len(one.rows), np.nan)) for one in rankings] or [np.zeros(0)]
        )
        for name in names
    }
    same = [block[ranking.entries] == query.block for ranking, query in zip(rankings, known)]
    query = np.repeat(np.arange(len(rankings)), [len(one.rows) for one in rankings])
    return parts, np.concatenate([*same, np.zeros(0, dtype=bool)]).astype(bool), query
