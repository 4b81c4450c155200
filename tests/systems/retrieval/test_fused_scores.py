"""The fusion of an evaluation: it is better than its parts where they err apart, and knows no query before."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from mmspec_ds.evaluation.search_ranks import FloatMatrix, IntArray
from mmspec_ds.library.entry import Entry
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.systems.retrieval.evaluate import evaluate_search
from mmspec_ds.systems.retrieval.fused_scores import FOLDS, FusedScores
from mmspec_ds.systems.retrieval.peak_scores import PeakScores, peak_settings
from mmspec_ds.systems.retrieval.search_question import SearchQuestion
from tests.systems.retrieval.spectra_of_molecules import make_entries

MOLECULES = 60


class Noisy:
    """Right rows score one more than others, on average."""

    def __init__(self, name: str, question: SearchQuestion, seed: int) -> None:
        random = np.random.default_rng(seed)
        everything = np.arange(len(question.queries))
        shape = len(question.queries), len(question.library)
        self.name = name
        self._table = (question.right(everything) * 2.5 + random.normal(size=shape)).astype(np.float32)

    def of(self, chosen: IntArray) -> Mapping[str, FloatMatrix]:
        return {self.name: self._table[chosen]}


@pytest.fixture
def question() -> SearchQuestion:
    """Sixty molecules of which nothing is known but the name."""
    entries = [Entry(Record(str(at), (), "C"), f"{at:014d}") for at in range(MOLECULES)]
    return SearchQuestion(tuple(entries), tuple(replace(one) for one in entries))


def test_two_methods_that_err_apart_are_better_together(question: SearchQuestion) -> None:
    methods = [Noisy(name, question, seed) for seed, name in enumerate(("a", "b"))]
    fused = FusedScores(question, {"a": "a", "b": "b"}, "any")
    report = evaluate_search(question, methods, fused=fused)
    opened = report.settings[0].methods
    best = max(opened[name]["MRR"].mean for name in ("a", "b"))
    assert opened["fusion"]["MRR"].mean > best + 0.1
    # Equal parts of equal quality: the sum of both is the best that there is.
    summed = sum(one.of(np.arange(MOLECULES))[one.name] for one in methods)
    places = (summed > np.diag(summed)[:, None]).sum(axis=1) + 1
    assert opened["fusion"]["MRR"].mean == pytest.approx(float((1 / places).mean()), abs=0.03)
    assert report.single == ["a", "b"]


def test_a_fold_is_scored_by_a_fusion_that_has_not_seen_it(question: SearchQuestion) -> None:
    """Changing the scores of one query changes the fusions of the other folds and not that of its own."""
    first = FusedScores(question, {"a": "a", "b": "b"}, "any")
    other = FusedScores(question, {"a": "a", "b": "b"}, "any")
    methods = [Noisy(name, question, seed) for seed, name in enumerate(("a", "b"))]
    everything = np.arange(MOLECULES)
    found = {one.name: one.of(everything)[one.name] for one in methods}
    changed = {name: matrix.copy() for name, matrix in found.items()}
    changed["a"][7] = -changed["a"][7]
    first.learn(everything, found)
    other.learn(everything, changed)
    own = int(first._fold[7])
    same = [first._fusion(True, fold) == other._fusion(True, fold) for fold in range(FOLDS)]
    assert same == [fold == own for fold in range(FOLDS)]


def test_what_is_written_was_fitted_on_all_queries(question: SearchQuestion) -> None:
    """Two methods of equal quality, one of which is told in thousandths: standardised, their weights are near
    each other."""
    one, other = (Noisy(name, question, seed) for seed, name in enumerate(("a", "b")))
    everything = np.arange(MOLECULES)
    found = {"a": one.of(everything)["a"], "b": other.of(everything)["b"] / 1000}
    fused = FusedScores(question, {"a": "first model", "b": "second model"}, "any")
    fused.learn(everything, found)
    (fitted,) = fused.fitted("sixty molecules")
    assert (fitted.parts, fitted.open) == (("first model", "second model"), True)
    assert (fitted.kind, fitted.source) == ("any", "sixty molecules")
    assert fitted.weights[0] == pytest.approx(fitted.weights[1], rel=0.35)
    assert min(fitted.weights) > 0.5
    assert fitted.scales[0] == pytest.approx(1000 * fitted.scales[1], rel=0.2)


def test_peaks_and_conditions_of_real_entries_are_fused() -> None:
    entries = make_entries()
    queries, library = entries[::3], [one for at, one in enumerate(entries) if at % 3]
    question = SearchQuestion(tuple(queries), tuple(library))
    fused = FusedScores(question, {}, "ms")
    report = evaluate_search(question, [PeakScores(question, peak_settings(Modality.MS))], fused=fused)
    assert [one.name for one in report.settings] == ["open", "precursor", "analogues"]
    assert all(one.methods["fusion"]["R@1"].mean == 1.0 for one in report.settings[:2])


def test_nothing_to_learn_from_counts_parts_equally() -> None:
    entries = make_entries(2)
    question = SearchQuestion(tuple(entries[:1]), tuple(entries[1:]))
    report = evaluate_search(
        question, [PeakScores(question, peak_settings(Modality.MS))], fused=FusedScores(question, {}, "ms")
    )
    assert report.settings[0].methods["fusion"]["R@1"].mean == 1.0
