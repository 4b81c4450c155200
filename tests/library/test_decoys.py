"""Decoys and the false discovery rate, compared with a plain loop and with simulated truth."""

import numpy as np
import pytest

from mmspec_ds.library.decoys import NEAR, draw_decoys, q_values
from mmspec_ds.library.references import Conditions, References, references_of_entries
from tests.library.made import entry

REFERENCES: References = references_of_entries([entry(number) for number in range(200)])


def simulated(
    seed: int, queries: int, wrong: float, each: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores of first hits, whether each is false, and the competitors and scores of decoys, which score as
    false hits do."""
    random = np.random.default_rng(seed)
    false = random.random(queries) < wrong
    scores = np.where(false, random.beta(2, 6, queries), random.beta(6, 2, queries))
    return scores, false, np.repeat(scores, each), random.beta(2, 6, queries * each)


def by_loop(scores: np.ndarray, competitors: np.ndarray, decoys: np.ndarray) -> list[float]:
    def share(threshold: float) -> float:
        false = sum(d >= threshold and d >= c for c, d in zip(competitors, decoys))
        true = sum(c >= threshold and c > d for c, d in zip(competitors, decoys))
        return min((false + 1) / max(true, 1), 1.0)

    thresholds = [*scores, *competitors, *decoys]
    return [min(share(one) for one in thresholds if one <= score) for score in scores]


def test_q_values_are_those_of_a_plain_loop() -> None:
    scores, _, competitors, decoys = simulated(1, 60, 0.4)
    np.testing.assert_allclose(q_values(scores, competitors, decoys), by_loop(scores, competitors, decoys))
    some = slice(0, 20)
    expected = by_loop(scores, competitors[some], decoys[some])
    np.testing.assert_allclose(q_values(scores, competitors[some], decoys[some]), expected)


def test_q_values_do_not_rise_with_the_score() -> None:
    scores, _, competitors, decoys = simulated(2, 300, 0.5)
    shares = q_values(scores, competitors, decoys)[np.argsort(scores)]
    assert (np.diff(shares) <= 0).all()
    assert shares.min() > 0
    assert shares.max() <= 1


@pytest.mark.parametrize("wrong", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(("queries", "each"), [(4000, 1), (400, 10)])
def test_the_estimate_is_near_the_truth(wrong: float, queries: int, each: int) -> None:
    """The mean over 20 simulations; decoys that win stand for as many false hits, to within a fifth."""
    truths, estimates = [], []
    for seed in range(20):
        scores, false, competitors, decoys = simulated(seed, queries, wrong, each)
        shares = q_values(scores, competitors, decoys)
        chosen = shares <= 0.1
        truths.append(false[chosen].mean())
        estimates.append(shares[chosen].max())
    assert np.mean(truths) == pytest.approx(np.mean(estimates), abs=0.02)


def test_one_query_is_judged_by_many_decoys() -> None:
    """500 decoys, of which 5 score more: (5 + 1) / 495."""
    decoys = np.concatenate([np.full(495, 0.1), np.full(5, 0.9)])
    assert q_values(np.array([0.8]), np.full(500, 0.8), decoys)[0] == pytest.approx(6 / 495)


def test_decoys_are_near_the_precursor_and_of_the_same_polarity() -> None:
    query = Conditions("ms", precursor_mz=300.0, polarity=1)
    places, rows = draw_decoys(REFERENCES, [None, query], 400, np.random.default_rng(0))
    assert (places == 1).all()
    assert len(rows) == 400
    assert (REFERENCES.polarity[rows] == 1).all()
    distance = np.sort(np.abs(REFERENCES.precursor_mz[REFERENCES.polarity == 1] - 300))
    assert np.abs(REFERENCES.precursor_mz[rows] - 300).max() <= distance[2 * NEAR]
    assert len(set(rows.tolist())) == NEAR


def test_decoys_at_the_ends_without_a_precursor_and_for_many_queries() -> None:
    generator = np.random.default_rng(0)
    for mz in (1.0, 1e5, np.nan):
        _, rows = draw_decoys(REFERENCES, [Conditions("ms", mz)], 50, generator)
        assert len(rows) == 50
    many = [Conditions("ms", 200.0 + place) for place in range(90)]
    places, rows = draw_decoys(REFERENCES, many, 30, generator)
    assert len(places) == len(set(places.tolist())) == 30


def test_there_are_none_where_the_library_has_no_such_spectrum() -> None:
    generator = np.random.default_rng(0)
    for queries in ([], [None], [Conditions("ei")]):
        places, rows = draw_decoys(REFERENCES, queries, 50, generator)
        assert len(places) == len(rows) == 0
