"""Fusion of the parts of a score, compared with scikit-learn and with values worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.library.entry import Entry
from mmspec_ds.library.fusion import (
    Fusion,
    choose_fusion,
    fit_fusion,
    mean_of,
    read_fusions,
    shipped_fusions,
    write_fusions,
)
from mmspec_ds.library.fusion_pairs import pairs_of
from mmspec_ds.library.prepared import ADDUCT, ENTROPY, PRECURSOR, SPECTRAL_PARTS, WEIGHTED_COSINE
from mmspec_ds.library.references import references_of_entries
from mmspec_ds.library.search import Searcher, SearchSettings
from tests.library.made import entry

BY_HAND = Fusion(
    kind="ms",
    open=False,
    parts=(ENTROPY, ADDUCT),
    means=(0.5, 0.75),
    scales=(0.25, 0.5),
    weights=(2.0, 1.0),
    bias=-1.0,
    source="made",
)


def pairs(count: int = 4000) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Pairs whose logarithm of the odds is 3 x + y - 2, and a part that tells nothing."""
    random = np.random.default_rng(0)
    x, y, nothing = random.standard_normal((3, count))
    same = random.random(count) < 1 / (1 + np.exp(-(3 * x + y - 2)))
    return {ENTROPY: x, "a model": 5 * y + 1, "nothing": nothing}, same


def test_score_by_hand_with_an_unknown_and_a_missing_part() -> None:
    parts = {ENTROPY: np.array([0.5, 1.0, np.nan]), ADDUCT: np.array([0.75, 1.0, 1.0])}
    np.testing.assert_allclose(BY_HAND.score(parts), 1 / (1 + np.exp([1.0, -3.5, 0.5])))
    np.testing.assert_allclose(BY_HAND.score({ENTROPY: np.array([0.75])}), 1 / (1 + np.exp(-1)))


def test_a_fit_finds_the_weights_and_is_calibrated() -> None:
    parts, same = pairs()
    fusion = fit_fusion(parts, same, kind="ms", open_search=True, source="made")
    by_part = dict(zip(fusion.parts, np.array(fusion.weights) / fusion.scales))
    assert by_part[ENTROPY] == pytest.approx(3, abs=0.3)
    assert by_part["a model"] == pytest.approx(1 / 5, abs=0.05)
    assert by_part["nothing"] == pytest.approx(0, abs=0.15)
    score = fusion.score(parts)
    assert score.mean() == pytest.approx(same.mean(), abs=1e-3)
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = (score >= low) & (score < low + 0.25)
        assert same[inside].mean() == pytest.approx(score[inside].mean(), abs=0.06)


def test_a_fit_that_knows_the_queries_is_not_misled_by_easy_and_hard_ones() -> None:
    """Candidates of one query share an offset of x, by which the right one of a hard query has less of it than
    wrong ones of an easy query; within a query the odds are those of 3 x + y."""
    random = np.random.default_rng(0)
    queries, each = 1500, 8
    x, y = random.standard_normal((2, queries, each))
    log_odds = 3 * x + y
    right = (log_odds + random.gumbel(size=log_odds.shape)).argmax(axis=1)
    same = (np.arange(each) == right[:, None]).ravel()
    offset = 4 * random.standard_normal((queries, 1))
    parts = {ENTROPY: (x + offset).ravel(), "a model": y.ravel()}
    number = np.repeat(np.arange(queries), each)
    shuffled = random.permutation(len(same))
    fusion = fit_fusion(
        {name: part[shuffled] for name, part in parts.items()},
        same[shuffled],
        kind="ms",
        open_search=True,
        query=number[shuffled],
    )
    weights = np.array(fusion.weights) / fusion.scales
    assert weights[0] / weights[1] == pytest.approx(3, abs=0.3)
    assert fusion.score(parts).mean() == pytest.approx(1 / each, abs=0.01)
    blind = fit_fusion(parts, same, kind="ms", open_search=True)
    assert blind.weights[0] / blind.scales[0] < blind.weights[1] / blind.scales[1]  # misled


def test_parts_that_no_pair_has_are_left_out_of_a_fit() -> None:
    parts, same = pairs(200)
    parts[ADDUCT] = np.full(200, np.nan)
    parts[ENTROPY][:20] = np.nan
    fusion = fit_fusion(parts, same, kind="ms", open_search=True)
    assert set(fusion.parts) == {ENTROPY, "a model", "nothing"}
    assert np.isfinite(fusion.score(parts)).all()


def test_agreement_of_conditions_does_not_count_against_a_candidate() -> None:
    parts, same = pairs(400)
    parts[ADDUCT] = -parts["a model"]
    parts[PRECURSOR] = parts.pop("a model")
    fusion = fit_fusion(parts, same, kind="ms", open_search=False)
    assert set(fusion.parts) <= {ENTROPY, PRECURSOR, "nothing"}
    assert fusion.weights[fusion.parts.index(PRECURSOR)] > 0


def test_a_fit_needs_pairs_of_both_kinds() -> None:
    parts, same = pairs(50)
    with pytest.raises(ValueError, match="the same and of other molecules"):
        fit_fusion(parts, np.ones_like(same), kind="ms", open_search=True)


def test_the_fusion_of_most_parts_is_chosen_and_it_must_know_every_model() -> None:
    small = BY_HAND.model_copy(
        update={"parts": (ENTROPY,), "means": (0.0,), "scales": (1.0,), "weights": (1.0,)}
    )
    fusions = [small, BY_HAND]

    def chosen(available: list[str], kind: str = "ms", open_search: bool = False) -> Fusion:
        return choose_fusion(fusions, kind, open_search=open_search, available=available)

    assert chosen([ENTROPY, ADDUCT, PRECURSOR]) is BY_HAND
    assert chosen([ENTROPY]) is small
    assert chosen([ENTROPY, ADDUCT, "a model"]).parts == (ENTROPY, "a model")  # equal weights
    assert chosen([ENTROPY], kind="ei").source == "equal weights, not fitted"
    assert chosen([ENTROPY], open_search=True).source == "equal weights, not fitted"


def test_equal_weights_order_as_the_mean() -> None:
    random = np.random.default_rng(1)
    parts = {ENTROPY: random.random(30), WEIGHTED_COSINE: random.random(30), ADDUCT: np.zeros(30)}
    score = mean_of(list(parts)).score(parts)
    np.testing.assert_array_equal(np.argsort(score), np.argsort(parts[ENTROPY] + parts[WEIGHTED_COSINE]))


def test_fusions_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "fusion.json"
    write_fusions(path, [BY_HAND])
    assert read_fusions(path) == [BY_HAND]


@pytest.mark.parametrize(
    "text", ["", "{", "3", '{"kind": 1}', "[1]", '[{"kind": "ms"}]'], ids=["empty", "cut", "3", "a", "b", "c"]
)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fusion.json"
    path.write_text(text)
    with pytest.raises(DataError, match="is not a list of fusions in JSON"):
        read_fusions(path)


def test_fusions_of_unequal_lengths_or_unknown_keys_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "fusion.json"
    good = BY_HAND.model_dump(mode="json")
    for change in ({"weights": [1.0]}, {"scales": [0.0, 1.0]}, {"strange": 1}):
        path.write_text(json.dumps([good | change]))
        with pytest.raises(DataError):
            read_fusions(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_fusions(tmp_path / "absent.json")


def test_those_that_come_with_the_package_name_a_source_whose_licence_allows_it() -> None:
    fusions = shipped_fusions()
    assert {(one.kind, one.open) for one in fusions} >= {("ms", True), ("ms", False)}
    for one in fusions:
        assert "MassBank" in one.source
        assert "CC BY" in one.source
        assert "NC" not in one.source
        assert "SA" not in one.source
        assert set(SPECTRAL_PARTS) <= set(one.parts)
        assert (PRECURSOR in one.parts) != one.open or one.kind == "ei"


def test_pairs_of_a_search_are_what_the_search_judged() -> None:
    entries = [entry(number) for number in range(12)]
    searcher = Searcher(references_of_entries(entries), SearchSettings(precursor_ppm=None, decoys=0))
    unknown = Entry(entry(5).record, "")
    parts, same, query = pairs_of(searcher, [entry(3), unknown, entry(7)], [one.block for one in entries])
    np.testing.assert_array_equal(query, np.repeat([0, 1], 12))
    assert same.sum() == 2
    np.testing.assert_allclose(parts[ENTROPY][same], 1.0)
    assert set(parts) >= {*SPECTRAL_PARTS, ADDUCT}
