"""Classical scores of a whole library at once, against those of one pair at a time and against matchms."""

import numpy as np
import pytest

from mmspec_ds.library.entry import Entry
from mmspec_ds.library.peaks import PeakSettings
from mmspec_ds.library.similarity import cosine, entropy_similarity, entropy_weighted, modified_cosine
from mmspec_ds.spectra.records import ElectronIonisationMS, Record, TandemMS
from mmspec_ds.systems.retrieval.peak_scores import (
    COSINES,
    ENTROPY,
    MODIFIED,
    ModifiedCosineScores,
    PeakScores,
    mass_peaks,
)
from mmspec_ds.systems.retrieval.search_question import SearchQuestion


def made(count: int, seed: int, precursors: bool = True) -> list[Entry]:
    """Spectra whose peaks lie at few places, so that many are equal, and equal again after a shift."""
    random = np.random.default_rng(seed)
    found = []
    for at in range(count):
        peaks = random.choice(np.arange(50.0, 90.0), random.integers(1, 20), replace=False)
        mz = np.sort(peaks + random.normal(0, 0.008, len(peaks)))
        precursor = float(random.integers(100, 112)) if precursors and at % 5 else None
        found.append(
            Entry(Record(str(at), (TandemMS(mz, random.random(len(mz)) + 0.02, precursor_mz=precursor),)))
        )
    return found


@pytest.fixture
def question() -> SearchQuestion:
    return SearchQuestion(tuple(made(6, 1)), tuple(made(80, 2)))


@pytest.mark.parametrize(
    "settings", [PeakSettings(), PeakSettings(tolerance_ppm=150), PeakSettings(whole_numbers=True, noise=0.0)]
)
def test_cosines_and_entropy_are_those_of_one_query_at_a_time(
    question: SearchQuestion, settings: PeakSettings
) -> None:
    found = PeakScores(question, settings).of(np.arange(6))
    library, queries = (mass_peaks(one).cleaned(settings) for one in (question.library, question.queries))
    for at in range(6):
        query = queries.take(np.array([at]))
        for name, weights in COSINES.items():
            assert found[name][at] == pytest.approx(cosine(query, library, settings, weights), abs=1e-6)
        entropy = entropy_similarity(entropy_weighted(query), entropy_weighted(library), settings)
        assert found[ENTROPY][at] == pytest.approx(entropy, abs=1e-6)


def test_the_modified_cosine_is_that_of_one_query_at_a_time(question: SearchQuestion) -> None:
    settings = PeakSettings()
    found = ModifiedCosineScores(question, settings).of(np.arange(6))[MODIFIED]
    library, queries = (mass_peaks(one).cleaned(settings) for one in (question.library, question.queries))
    own, others = (
        [one.record.spectra[0].precursor_mz for one in side] for side in (question.queries, question.library)
    )
    precursors = np.array(others, dtype=np.float64)
    for at in range(6):
        mz = np.nan if own[at] is None else own[at]
        expected = modified_cosine(queries.take(np.array([at])), mz, library, precursors, settings)
        assert found[at] == pytest.approx(expected, abs=1e-6)


def test_the_modified_cosine_is_that_of_matchms(question: SearchQuestion) -> None:
    matchms = pytest.importorskip("matchms")
    similarity = pytest.importorskip("matchms.similarity")
    settings = PeakSettings(noise=0.0)
    rows = [one for one in question.library if one.record.spectra[0].precursor_mz]
    queries = [one for one in question.queries if one.record.spectra[0].precursor_mz]
    asked = SearchQuestion(tuple(queries), tuple(rows))
    found = ModifiedCosineScores(asked, settings).of(np.arange(len(queries)))[MODIFIED]

    def theirs(entry: Entry) -> object:
        peaks = mass_peaks([entry]).cleaned(settings)
        mz = entry.record.spectra[0].precursor_mz
        return matchms.Spectrum(peaks.mz, peaks.intensity, {"precursor_mz": mz}, metadata_harmonization=False)

    score = (
        similarity.ModifiedCosineGreedy
        if hasattr(similarity, "ModifiedCosineGreedy")
        else similarity.ModifiedCosine
    )
    compare = score(tolerance=0.02)
    expected = [[float(compare.pair(theirs(row), theirs(query))["score"]) for row in rows] for query in queries]
    # Where two pairs of peaks have the same product, either may come first.
    assert np.median(np.abs(found - np.array(expected))) < 1e-6
    assert np.mean(np.abs(found - np.array(expected)) > 1e-6) < 0.02


def test_a_record_without_a_mass_spectrum_scores_nothing() -> None:
    spectrum = ElectronIonisationMS(np.array([43.0, 58.0]), np.array([10.0, 20.0]))
    known = Entry(Record("a", (spectrum,)))
    scores = PeakScores(SearchQuestion((known,), (known, Entry(Record("b")))), PeakSettings()).of(np.arange(1))
    assert scores[ENTROPY][0] == pytest.approx([1.0, 0.0], abs=1e-6)
