"""Ranks, recall and analogues of a search, against values worked out by hand."""

import numpy as np
import pytest

from mmspec_ds.evaluation.search_ranks import (
    ABSENT,
    analogue_similarity,
    recall_values,
    right_ranks,
)


def ranked(scores: list[float], right: list[int], candidates: list[int]) -> int:
    """The rank of one query."""
    one = [np.array([values]) for values in (scores, right, candidates)]
    return int(right_ranks(one[0].astype(np.float32), one[1].astype(bool), one[2].astype(bool))[0])


@pytest.mark.parametrize(
    ("scores", "right", "candidates", "rank"),
    [
        ([0.9, 0.5, 0.1], [1, 0, 0], [1, 1, 1], 1),
        ([0.9, 0.5, 0.1], [0, 0, 1], [1, 1, 1], 3),
        ([0.9, 0.5, 0.1], [0, 1, 1], [1, 1, 1], 2),  # the best of two right rows
        ([0.9, 0.5, 0.1], [0, 1, 0], [0, 1, 1], 1),  # what is not searched stands before nobody
        ([0.9, 0.5, 0.1], [1, 0, 0], [0, 1, 1], ABSENT),
        ([0.5, 0.5, 0.5], [1, 0, 0], [1, 1, 1], 3),  # ties count against the method
        ([0.0, 0.0, 0.0], [0, 1, 1], [1, 1, 1], 2),
        ([np.nan, 0.5, 0.1], [0, 0, 1], [1, 1, 1], 2),
        ([0.9, np.nan, 0.1], [0, 1, 0], [1, 1, 1], 3),
        ([0.9, -1.0, np.nan], [0, 0, 1], [1, 1, 1], 3),
    ],
)
def test_the_rank_of_the_right_molecule(
    scores: list[float], right: list[int], candidates: list[int], rank: int
) -> None:
    assert ranked(scores, right, candidates) == rank


def test_recall_is_the_mean_of_its_values() -> None:
    values = recall_values(np.array([1, 2, 6, 11, ABSENT]))
    means = {name: float(one.mean()) for name, one in values.items()}
    assert means == pytest.approx(
        {"R@1": 0.2, "R@5": 0.4, "R@10": 0.6, "MRR": (1 + 1 / 2 + 1 / 6 + 1 / 11) / 5}
    )


def test_ranks_agree_with_a_sort_of_many_random_scores() -> None:
    random = np.random.default_rng(3)
    scores = random.integers(0, 6, (40, 30)).astype(np.float32)  # many ties
    right, candidates = random.random((40, 30)) < 0.1, random.random((40, 30)) < 0.7
    for query, rank in enumerate(right_ranks(scores, right, candidates)):
        rows = [row for row in range(30) if candidates[query, row]]
        rows.sort(key=lambda row: (-scores[query, row], right[query, row]))  # wrong before right
        places = [at for at, row in enumerate(rows, start=1) if right[query, row]]
        own = sum(right[query, row] for row in rows[: places[0] - 1]) if places else 0
        assert rank == (places[0] - own if places else ABSENT)


def test_analogues_of_the_first_hits() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.1], [0.5, 0.5, 0.5, 0.1]], dtype=np.float32)
    tanimoto = np.array([[1.0, 0.2, 0.6, 0.9], [0.3, 0.1, 0.2, 0.9]], dtype=np.float32)
    searched = np.array([[0, 1, 1, 1], [1, 1, 1, 1]], dtype=bool)
    found = analogue_similarity(scores, searched, tanimoto, hits=2)
    # Of three equal scores the two least similar stand first.
    assert found == pytest.approx(np.array([[0.2, 0.4, 0.6], [0.1, 0.15, 0.2]]))
    assert analogue_similarity(scores, searched, tanimoto)[0] == pytest.approx([0.2, 1.7 / 3, 0.9])
    assert np.isnan(analogue_similarity(scores, np.zeros_like(searched), tanimoto)).all()


def test_analogues_agree_with_a_sort_of_many_random_scores() -> None:
    random = np.random.default_rng(5)
    scores = random.integers(-3, 40, (20, 1500)).astype(
        np.float32
    )  # many ties, and more rows than one block has
    tanimoto = random.random((20, 1500), dtype=np.float32)
    searched = random.random((20, 1500)) < np.linspace(0.002, 0.9, 20)[:, None]
    found = analogue_similarity(scores, searched, tanimoto)
    for query in range(20):
        rows = sorted(
            np.flatnonzero(searched[query]), key=lambda row: (-scores[query, row], tanimoto[query, row])
        )
        top = tanimoto[query, rows[:10]]
        assert found[query] == pytest.approx([top[0], top.mean(), top.max()])
