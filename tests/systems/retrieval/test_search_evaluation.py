"""Evaluation of a search: what is searched in each setting, and figures worked out by hand and by sorting."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.evaluation.search_ranks import FloatMatrix, IntArray
from mmspec_ds.evaluation.search_report import difference_of
from mmspec_ds.library.entry import Entry
from mmspec_ds.molecules.identity import identify
from mmspec_ds.spectra.records import Polarity, Record, TandemMS
from mmspec_ds.systems.retrieval.evaluate import evaluate_search
from mmspec_ds.systems.retrieval.search_question import SearchQuestion

ETHANOL, PROPANOL, PHENOL = "CCO", "CCCO", "Oc1ccccc1"


def entry(
    smiles: str, precursor: float | None = None, institute: str = "A", polarity: Polarity = "positive"
) -> Entry:
    spectrum = TandemMS(np.array([30.0, 45.0]), np.array([1.0, 2.0]), polarity, precursor_mz=precursor)
    block = identify(smiles, "skeleton").group
    return Entry(Record(smiles, (spectrum,), smiles), block, {"institute": institute} if institute else {})


class Given:
    """Scores that stand in a table."""

    def __init__(self, name: str, table: Sequence[Sequence[float]]) -> None:
        self.name, self._table = name, np.array(table, dtype=np.float32)

    def of(self, chosen: IntArray) -> Mapping[str, FloatMatrix]:
        return {self.name: self._table[chosen]}


@pytest.fixture
def question() -> SearchQuestion:
    """Two queries, and five rows."""
    return SearchQuestion(
        queries=(entry(ETHANOL, 47.0491), entry(PHENOL, 95.0491, "B")),
        library=(
            entry(ETHANOL, 47.0492),
            entry(ETHANOL, 47.0491, "B"),
            entry(PROPANOL, 47.0495),  # within 10 ppm of the first query
            entry(PHENOL, 95.0491, "B"),
            entry(PROPANOL, 95.0491, "C", "negative"),
        ),
    )


def searched(question: SearchQuestion, setting: str) -> list[list[int]]:
    found = question.candidates(setting, np.arange(2))  # type: ignore[arg-type]
    return [np.flatnonzero(row).tolist() for row in found]


def test_what_is_searched_in_each_setting(question: SearchQuestion) -> None:
    assert searched(question, "open") == [[0, 1, 2, 3, 4]] * 2
    assert searched(question, "precursor") == [[0, 1, 2], [3]]
    assert searched(question, "cross-source") == [[1, 3, 4], [0, 2, 4]]
    assert searched(question, "cross-source, precursor") == [[1], []]
    assert searched(question, "analogues") == [[2, 3, 4], [0, 1, 2, 4]]
    assert question.right(np.arange(2)).tolist() == [
        [True, True, False, False, False],
        [*[False] * 3, True, False],
    ]


def test_figures_are_those_of_the_hand(question: SearchQuestion) -> None:
    good = Given("good", [[0.2, 0.9, 0.5, 0.1, 0.0], [0.3, 0.1, 0.2, 0.8, 0.4]])
    poor = Given("poor", [[0.5, 0.1, 0.5, 0.6, 0.0], [0.3, 0.3, 0.3, 0.3, 0.3]])
    report = evaluate_search(question, [good, poor])
    by_name = {one.name: one for one in report.settings}
    opened = by_name["open"]
    assert (opened.n, opened.molecules, opened.unanswerable) == (2, 2, 0)
    assert opened.methods["good"]["R@1"].mean == 1.0
    assert opened.methods["poor"]["R@1"].mean == 0.0
    assert opened.methods["poor"]["MRR"].mean == pytest.approx((1 / 3 + 1 / 5) / 2)  # ties stand before
    assert difference_of(opened, "poor", "good")["R@1"].mean == -1.0
    assert difference_of(opened, "good", "poor")["R@1"].mean == 1.0
    crossed = by_name["cross-source"]
    assert (crossed.n, crossed.unanswerable) == (1, 1)  # phenol is of one institute alone
    assert crossed.methods["poor"]["MRR"].mean == pytest.approx(1 / 2)
    near = by_name["precursor"]
    assert near.methods["poor"]["MRR"].mean == pytest.approx((1 / 2 + 1) / 2)
    alike = by_name["analogues"].methods["good"]["Tanimoto of 1"].mean
    expected = question.tanimoto(np.arange(2))
    assert alike == pytest.approx((expected[0, 2] + expected[1, 4]) / 2)


def test_scores_that_rounding_tells_apart_are_equal(question: SearchQuestion) -> None:
    close = Given("close", [[0.5, 0.5, 0.5 - 1e-7, 0, 0], [0, 0, 0, 1, 0]])
    report = evaluate_search(question, [close])
    assert report.settings[0].methods["close"]["R@1"].mean == 0.5


def test_a_query_is_not_found_by_itself() -> None:
    first, second, third = entry(ETHANOL), entry(ETHANOL), entry(PHENOL)
    question = SearchQuestion((first,), (first, second, third))
    assert question.candidates("open", np.arange(1)).tolist() == [[False, True, True]]


def test_settings_that_cannot_be_answered_are_left_out() -> None:
    question = SearchQuestion((entry(ETHANOL, None, ""),), (entry(ETHANOL, None, ""),))
    assert question.settings == ("open",)


def test_nothing_to_search_is_one_line() -> None:
    with pytest.raises(DataError, match="no queries"):
        SearchQuestion((), (entry(ETHANOL),))
    with pytest.raises(DataError, match="no rows of the library"):
        SearchQuestion((entry(ETHANOL),), ())


def test_queries_to_learn_from_are_not_judged(question: SearchQuestion) -> None:
    """The figures of the first queries are the same whatever others there are to learn from."""
    names = question.queries
    more = replace(question, queries=(*names, *names[:1]), learned=1)
    scores = np.random.default_rng(0).random((len(names) + 1, len(question.library))).astype(np.float32)
    alone, beside = (evaluate_search(one, [Given("given", scores.tolist())]) for one in (question, more))
    assert (beside.queries, more.judged) == (len(names), len(names))
    assert [one.to_json() for one in beside.settings] == [one.to_json() for one in alone.settings]
    with pytest.raises(DataError, match="no queries"):
        replace(question, learned=len(names))
