"""The benchmark's figures, worked out by hand."""

import math

import pytest

from mmspec_ds.evaluation.metrics import (
    EvaluationResult,
    describe_overlap,
    rank_of,
    score_candidates,
    tanimoto,
    top_k_shares,
)


def test_a_repeat_and_an_invalid_candidate_keep_their_rank():
    assert rank_of("CCO", [None, "CC", "CC", "CCO", "CCO"]) == 4
    assert rank_of("CCO", ["CC", None]) is None
    assert rank_of("CCO", []) is None


def test_top_k_shares():
    """Ranks 1, 3, none and 10 of four molecules."""
    shares = top_k_shares([1, 3, None, 10])
    assert shares == {1: 25, 2: 25, **dict.fromkeys(range(3, 10), 50), 10: 75}


def test_all_figures_of_four_molecules():
    """Ethanol first but written otherwise; benzene second after a fault; acetone never; nothing for
    propane."""
    result = score_candidates(
        [["OCC", "CCO"], ["C1CC", "C1=CC=CC=C1"], ["CC", "((", "CCC"], []],
        ["CCO", "c1ccccc1", "CC(C)=O", "CCC"],
        seconds=1.5,
    )
    assert result.n == 4
    assert result.top_k == {1: 25, **dict.fromkeys(range(2, 11), 50)}
    assert result.validity == pytest.approx(100 * 5 / 7)
    assert result.tanimoto == pytest.approx((1 + 1 + tanimoto("CC(C)=O", "CC") + 0) / 4)
    assert result.seconds == 1.5


@pytest.mark.parametrize(
    ("truth", "candidate", "found"),
    [
        ("C[C@H](N)O", "C[C@H](N)O", 100.0),
        ("C[C@H](N)O", "C[C@@H](N)O", 0.0),
        ("C[C@H](N)O", "CC(N)O", 0.0),
        ("F/C=C/F", "F/C=C\\F", 0.0),
        ("F/C=C/F", "F\\C=C\\F", 100.0),
    ],
    ids=["same centre", "mirror image", "centre left open", "other double bond", "same bond written otherwise"],
)
def test_stereochemistry_counts(truth, candidate, found):
    assert score_candidates([[candidate]], [truth]).top_k[1] == found


def test_tanimoto_by_hand():
    """Environments up to radius 2. Ethane: an atom CH3 and the whole, 2 bits. Propane: atoms CH3 and CH2,
    each with its neighbours, 4 bits; radius 2 adds no bond set that is new. Only CH3 itself is in both: 1 /
    5."""
    assert tanimoto("CC", "CCC") == pytest.approx(1 / 5)
    assert tanimoto("CCO", "OCC") == 1


def test_the_similarity_is_that_of_the_first_valid_candidate():
    assert score_candidates([["((", "CC", "CCC"]], ["CCC"]).tanimoto == pytest.approx(1 / 5)
    assert score_candidates([["(("]], ["CCC"]).tanimoto == 0


def test_no_candidate_at_all_is_zero_and_not_an_error():
    result = score_candidates([[], []], ["C", "CC"])
    assert (result.validity, result.tanimoto, result.top_k[10]) == (0, 0, 0)
    assert all(math.isfinite(value) for value in result.to_json().values() if value != "raw")


@pytest.mark.parametrize(
    ("candidates", "truths"),
    [([], []), ([["C"]], ["C", "C"]), ([["C"]], ["(("])],
    ids=["none", "uneven", "no truth"],
)
def test_misuse_is_refused(candidates, truths):
    with pytest.raises(ValueError):
        score_candidates(candidates, truths)


def test_json_is_flat_and_ordered():
    result = EvaluationResult(
        n=2, top_k={k: 10.0 * k for k in range(1, 11)}, validity=99, tanimoto=0.5, seconds=3
    )
    assert list(result.to_json()) == [
        "n",
        *(f"top_{k}" for k in range(1, 11)),
        "validity",
        "tanimoto",
        "seconds",
        "rule",
    ]
    assert result.to_json()["top_7"] == 70


def test_overlap():
    assert describe_overlap(["C", "CC", "CC"], ["CC", "CCC", "CC"]) == 1
