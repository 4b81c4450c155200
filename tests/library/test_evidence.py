"""The parts of a score for fusions that were fitted with them, against loops over single peaks."""

import math
from itertools import pairwise

import numpy as np
import pytest

from mmspec_ds.library.entry import Entry
from mmspec_ds.library.evidence import (
    BELOW,
    COMPOSITE,
    EQUAL,
    EVIDENCE_PARTS,
    EXPLAINED,
    FOUND,
    MANY_EQUAL,
    MORE_COSINES,
    PRECURSOR_PEAK,
    RATIOS,
    evidence_of,
    evidence_parts,
)
from mmspec_ds.library.fusion import Fusion, Kind, mean_of
from mmspec_ds.library.peaks import PeakSettings, peaks_of
from mmspec_ds.library.prepared import ENTROPY, Prepared, prepare
from mmspec_ds.library.references import references_of_entries
from mmspec_ds.library.search import Searcher, SearchSettings
from mmspec_ds.spectra.records import ElectronIonisationMS, Record
from tests.library.made import block_of, entry

SETTINGS = PeakSettings(whole_numbers=True, noise=0.0)
ALL = set(EVIDENCE_PARTS)


def spectra(count: int, seed: int) -> list[dict[int, float]]:
    """Intensities by whole m/z, of sum 1."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        mz = random.choice(np.arange(40, 60), random.integers(1, 15), replace=False)
        heights = random.uniform(0.01, 1.0, len(mz))
        found.append(dict(sorted(zip(mz.tolist(), (heights / heights.sum()).tolist()))))
    return found


def prepared(some: list[dict[int, float]], settings: PeakSettings = SETTINGS) -> Prepared:
    pairs = ((np.array(list(one), float), np.array(list(one.values()))) for one in some)
    return prepare(peaks_of(pairs), settings)


def by_hand(query: dict[int, float], other: dict[int, float]) -> dict[str, float]:
    """The parts of one pair, peak by peak."""
    both = sorted(query.keys() & other.keys())

    def cosine(mz: float, intensity: float) -> float:
        a, b = ({m: m**mz * i**intensity for m, i in one.items()} for one in (query, other))
        length = math.sqrt(sum(x * x for x in a.values()) * sum(x * x for x in b.values()))
        return sum(a[m] * b[m] for m in both) / length

    ratios = []
    for low, high in pairwise(both):
        ratio = ((query[high] / query[low]) / (other[high] / other[low])) ** 0.53
        ratios.append(min(ratio, 1 / ratio))
    mean = sum(ratios) / len(ratios) if ratios else 0.0
    count = len(both)
    return {
        EQUAL: count / len(query.keys() | other.keys()),
        MANY_EQUAL: math.log(1 + count),
        EXPLAINED: sum(query[m] for m in both),
        FOUND: sum(other[m] for m in both),
        RATIOS: mean,
        COMPOSITE: (len(query) * cosine(1.3, 0.53) + count * mean) / (len(query) + count),
        **{name: cosine(weights.mz, weights.intensity) for name, weights in MORE_COSINES.items()},
    }


def test_parts_of_electron_ionisation_are_those_of_one_pair_at_a_time() -> None:
    (query,), others = spectra(1, 0), spectra(40, 1)
    found = evidence_parts(prepared([query]), prepared(others), np.full(40, np.nan), SETTINGS, ALL)
    expected = [by_hand(query, other) for other in others]
    assert {*expected[0], BELOW, PRECURSOR_PEAK} == ALL
    for name in expected[0]:
        np.testing.assert_allclose(found[name], [one[name] for one in expected], atol=1e-9, err_msg=name)


def test_a_fragment_is_no_heavier_than_the_precursor_of_the_entry() -> None:
    """Square roots of the intensities 4, 1, 1 are 2, 1, 1, of which those up to 60 are three quarters."""
    settings = PeakSettings(tolerance_da=0.01, noise=0.0)
    query = prepared([{50: 4.0, 60: 1.0, 70: 1.0}], settings)
    others = prepared([{50: 1.0}] * 5, settings)
    precursors = np.array([65.0, 70.005, 49.0, np.nan, 300.0])
    found = evidence_parts(query, others, precursors, settings, {BELOW, PRECURSOR_PEAK})
    np.testing.assert_allclose(found[BELOW], [0.75, 1.0, 0.0, np.nan, 1.0])
    np.testing.assert_array_equal(found[PRECURSOR_PEAK], [0, 1, 0, np.nan, 0])


@pytest.mark.parametrize("wanted", [{EQUAL}, {"I cosine", BELOW}, set(), {"a model", COMPOSITE}])
def test_what_is_not_wanted_is_not_there(wanted: set[str]) -> None:
    some = prepared(spectra(3, 2))
    found = evidence_parts(some.take(np.array([0])), some, np.full(3, 100.0), SETTINGS, wanted)
    assert set(found) == wanted & ALL


def test_spectra_without_peaks_agree_with_nothing() -> None:
    empty, some = prepared([{}]), prepared(spectra(2, 3))
    for query, others in ((empty, some), (some.take(np.array([0])), empty)):
        found = evidence_parts(query, others, np.full(len(others), 50.0), SETTINGS, {*evidence_of("ei")})
        assert all((part == 0).all() for part in found.values())
    found = evidence_parts(empty, some, np.full(2, 50.0), SETTINGS, {*evidence_of("ms")})
    assert all((part == 0).all() for part in found.values())


def test_equal_weights_do_not_count_evidence() -> None:
    assert mean_of([ENTROPY, *EVIDENCE_PARTS, "a model"]).parts == (ENTROPY, "a model")


def test_a_search_has_the_parts_that_its_fusions_use() -> None:
    """Of two kinds of spectra each is judged by its own fusion; nobody else's parts are computed."""

    def electron_ionisation(number: int, peaks: dict[int, float]) -> Entry:
        spectrum = ElectronIonisationMS(np.array(list(peaks), float), np.array(list(peaks.values())))
        return Entry(Record(f"ei:{number}", (spectrum,), "CCO"), block_of(100 + number))

    ei = [electron_ionisation(number, peaks) for number, peaks in enumerate(spectra(6, 4))]
    tandem = [entry(number) for number in range(6)]
    fusions = [fusion_of("ei", ENTROPY, COMPOSITE), fusion_of("ms", ENTROPY, BELOW)]
    references = references_of_entries([*ei, *tandem])
    searcher = Searcher(references, SearchSettings(precursor_ppm=None, decoys=0), fusions=fusions)
    assert {BELOW, COMPOSITE} < set(searcher.part_names)
    assert searcher.is_fitted("ei")
    assert searcher.is_fitted("ms")
    (first, *_), (other, *_) = searcher.search([ei[2].record, tandem[3].record])
    assert (first.row, other.row) == (2, 9)
    assert (COMPOSITE in first.parts, BELOW in first.parts) == (True, False)
    assert (COMPOSITE in other.parts, BELOW in other.parts) == (False, True)
    assert first.parts[COMPOSITE] == pytest.approx(1, abs=0.05)  # n cosines of 1 and n - 1 ratios of 1, or none
    expected = fusions[0].score({name: np.array([part]) for name, part in first.parts.items()})
    assert first.score == pytest.approx(float(expected[0]))
    plain = Searcher(references, SearchSettings(precursor_ppm=None, decoys=0), fusions=())
    assert not set(EVIDENCE_PARTS) & set(plain.part_names)


def fusion_of(kind: Kind, *parts: str) -> Fusion:
    """Parts of equal weight."""
    count = len(parts)
    return Fusion(
        kind=kind,
        open=True,
        parts=parts,
        means=(0.0,) * count,
        scales=(1.0,) * count,
        weights=(1.0,) * count,
        bias=0.0,
    )
