"""Search of a small library: which entries are compared, what is found, and what the hits say."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mmspec_ds.library.build import build_library
from mmspec_ds.library.candidates import Candidates
from mmspec_ds.library.entry import Entry, FloatMatrix
from mmspec_ds.library.peak_index import PeakIndex
from mmspec_ds.library.peaks import PeakSettings, peaks_of
from mmspec_ds.library.prepared import (
    ADDUCT,
    ENERGY,
    ENTROPY,
    POLARITY,
    PRECURSOR,
    SQUARE_ROOT_COSINE,
    WEIGHTED_COSINE,
    condition_parts,
    prepare,
    spectral_parts,
)
from mmspec_ds.library.references import (
    Conditions,
    References,
    as_measured,
    references_of_entries,
    references_of_library,
)
from mmspec_ds.library.search import Searcher, SearchSettings
from mmspec_ds.library.similarity import NIST, SQUARE_ROOT, cosine, entropy_similarity, entropy_weighted
from mmspec_ds.library.store import Library
from mmspec_ds.spectra.records import CarbonNMR, ElectronIonisationMS, Record, TandemMS
from tests.library.made import Model, block_of, entry

ENTRIES = [entry(number) for number in range(40)]
OPEN = SearchSettings(precursor_ppm=None, decoys=0)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("search") / "library"
    build_library(folder, ENTRIES, [Model()])
    return Library.open(folder)


def noisy(number: int, seed: int = 0) -> Record:
    """The spectrum of an entry with other intensities, and m/z within 2 mDa."""
    spectrum = ENTRIES[number].record.spectra[0]
    assert isinstance(spectrum, TandemMS)
    random = np.random.default_rng(seed + number)
    mz = spectrum.mz + random.uniform(-0.002, 0.002, len(spectrum.mz))
    intensity = spectrum.intensity * random.uniform(0.8, 1.2, len(mz))
    changed = TandemMS(
        mz, intensity, spectrum.polarity, 17.5, spectrum.precursor_mz, spectrum.adduct, measured_energy_ev=17.5
    )
    return Record(f"query {number}", (changed,))


class Fixed(Model):
    """A model that gives every record the vector of entry 11."""

    def embed(self, records: Sequence[Record], progress: Callable[[int], None] | None = None) -> FloatMatrix:
        return super().embed([ENTRIES[11].record for _ in records])


def rows_found(searcher: Searcher, queries: list[Record], top: int = 10) -> list[list[int]]:
    return [[hit.row for hit in hits] for hits in searcher.search(queries, top)]


def test_a_library_on_disk_and_its_entries_in_memory_are_the_same_references(library: Library) -> None:
    one, other = references_of_library(library), references_of_entries(ENTRIES)
    for name in ("kind", "precursor_mz", "polarity", "energy_ev"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    np.testing.assert_array_equal(one.peaks.mz, other.peaks.mz)
    assert len(set(one.molecule)) == len(ENTRIES)
    assert [one.adducts[number] for number in one.adduct] == ["[M+H]+"] * len(ENTRIES)


@pytest.mark.parametrize("settings", [SearchSettings(decoys=0), OPEN], ids=["window", "open"])
def test_each_spectrum_finds_its_molecule(library: Library, settings: SearchSettings) -> None:
    searcher = Searcher(references_of_library(library), settings)
    found = rows_found(searcher, [noisy(number) for number in range(40)])
    assert [rows[0] for rows in found] == list(range(40))


def test_candidates_are_those_of_a_plain_loop(library: Library) -> None:
    references = references_of_library(library)
    candidates = Candidates(references)
    query = Conditions("ms", precursor_mz=references.precursor_mz[7] * (1 + 9e-6), polarity=1)
    for ppm, polarity in ((10.0, False), (1e5, False), (1e5, True), (None, True), (5.0, False)):
        expected = [
            row
            for row in range(40)
            if (ppm is None or abs(references.precursor_mz[row] / query.precursor_mz - 1) <= ppm * 1e-6)
            and (not polarity or references.polarity[row] == 1)
        ]
        assert candidates.rows(query, ppm, same_polarity=polarity).tolist() == expected
    assert candidates.rows(Conditions("ei"), None, same_polarity=False).tolist() == []
    assert (
        len(candidates.rows(Conditions("ms"), 10.0, same_polarity=False)) == 40
    )  # no precursor: compared with all


def test_the_index_of_peaks_says_what_the_similarity_of_each_pair_says() -> None:
    random = np.random.default_rng(3)
    spectra = [(100 + np.sort(random.choice(400, 30)) * 0.013, random.lognormal(0, 1, 30)) for _ in range(50)]
    for settings in (PeakSettings(), PeakSettings(tolerance_ppm=80)):
        weighted = entropy_weighted(peaks_of(spectra).cleaned(settings))
        index = PeakIndex(weighted, settings)
        for row in (0, 17):
            query = weighted.take(np.array([row]))
            expected = entropy_similarity(query, weighted, settings)
            np.testing.assert_allclose(index.entropy_similarity(query.mz, query.intensity), expected, atol=3e-6)
    np.testing.assert_array_equal(index.entropy_similarity(np.array([9.0]), np.ones(1)), np.zeros(50))


def test_spectral_parts_are_the_similarities() -> None:
    settings = PeakSettings()
    peaks = references_of_entries(ENTRIES).peaks
    cleaned, prepared = peaks.cleaned(settings), prepare(peaks, settings)
    row = np.array([4])
    parts = spectral_parts(prepared.take(row), prepared, settings)
    weighted = entropy_weighted(cleaned)
    np.testing.assert_allclose(
        parts[ENTROPY], entropy_similarity(weighted.take(row), weighted, settings), atol=1e-12
    )
    for name, weights in ((SQUARE_ROOT_COSINE, SQUARE_ROOT), (WEIGHTED_COSINE, NIST)):
        np.testing.assert_allclose(
            parts[name], cosine(cleaned.take(row), cleaned, settings, weights), atol=1e-12
        )


def test_agreement_of_conditions_by_hand(library: Library) -> None:
    references = references_of_library(library)
    mz = references.precursor_mz[2]
    query = Conditions("ms", mz * (1 + 4e-6), polarity=1, adduct="[M+H]+", energy_ev=35.0)
    parts = condition_parts(query, references, np.array([2, 3]), ppm=10.0)
    assert parts[PRECURSOR][0] == pytest.approx(0.6, abs=1e-4)
    assert parts[PRECURSOR][1] == 0
    np.testing.assert_array_equal(parts[POLARITY], [1, 0])  # entry 3 is negative
    np.testing.assert_array_equal(parts[ADDUCT], [1, 1])
    np.testing.assert_allclose(parts[ENERGY], np.full(2, -np.log(2)))
    unknown = condition_parts(Conditions("ms"), references, np.array([2]), ppm=None)
    assert PRECURSOR not in unknown
    assert all(np.isnan(part).all() for part in unknown.values())


def test_a_molecule_is_one_hit_by_its_best_spectrum() -> None:

    entries = [*ENTRIES[:8], *(Entry(noisy(4, seed), ENTRIES[4].block) for seed in (1, 2))]
    hits = Searcher(references_of_entries(entries), OPEN).search([ENTRIES[4].record])[0]
    assert (hits[0].row, hits[0].spectra) == (4, 3)
    assert len({hit.row for hit in hits} & {4, 8, 9}) == 1
    assert hits[0].parts[ENTROPY] == pytest.approx(1.0)


def test_polarity_and_kind_of_spectrum_part_the_library() -> None:
    entries = [
        *ENTRIES[:6],
        Entry(Record("ei", (ElectronIonisationMS(np.array([57.0]), np.ones(1)),)), "E" * 14),
    ]
    references = references_of_entries(entries)
    same = Searcher(references, OPEN.model_copy(update={"polarity": True}))
    assert set(rows_found(same, [noisy(3)])[0]) == {0, 3}  # every third is negative
    electron = Record("q", (ElectronIonisationMS(np.array([57.1, 58.9]), np.array([5.0, 1.0])),))
    assert rows_found(Searcher(references, SearchSettings(decoys=0)), [electron]) == [[6]]


def test_vectors_bring_in_what_peaks_do_not_find(library: Library) -> None:
    settings = OPEN.model_copy(update={"keep": 2})
    query = noisy(5)
    without = Searcher(references_of_library(library), settings)
    assert 11 not in rows_found(without, [query])[0]
    hits = Searcher(references_of_library(library), settings, library, [Fixed()]).search([query])[0]
    found = {hit.row: hit.parts["made model"] for hit in hits}
    assert found[11] == pytest.approx(1.0, abs=1e-6)
    assert 5 in found


def test_records_without_a_mass_spectrum_are_found_by_vectors_alone(library: Library) -> None:
    query = Record("carbon", (CarbonNMR((20.0,)),))
    references = references_of_library(library)
    hits = Searcher(references, SearchSettings(), library, [Fixed()]).search([query])[0]
    assert hits[0].row == 11
    assert hits[0].q_value is None
    assert Searcher(references, SearchSettings()).search([query]) == [[]]


def test_only_first_hits_have_a_q_value_and_decoys_repeat_with_the_seed(library: Library) -> None:
    settings = SearchSettings(precursor_ppm=None, decoys=60)
    searcher = Searcher(references_of_library(library), settings)
    queries = [noisy(number) for number in range(20)]
    first, second = searcher.search(queries), searcher.search(queries)
    assert first == second
    assert all(hits[0].q_value == pytest.approx(1 / 60) for hits in first)  # no decoy wins
    assert all(hit.q_value is None for hits in first for hit in hits[1:])


def test_kinds_of_spectra_have_q_values_of_their_own_decoys() -> None:
    """EI entries are twins of each other, so that their decoys always win; MS/MS entries are not."""
    random = np.random.default_rng(0)
    electron = [
        Record(f"ei:{number}", (ElectronIonisationMS(np.array([57.0, 91.0]), random.uniform(9, 10, 2)),))
        for number in range(10)
    ]
    entries = [*ENTRIES, *(Entry(one, block_of(500 + place)) for place, one in enumerate(electron))]
    searcher = Searcher(references_of_entries(entries), SearchSettings(precursor_ppm=None, decoys=60))
    carbon = Record("carbon", (CarbonNMR((20.0,)),))
    poor = Record("poor", (ElectronIonisationMS(np.array([57.0, 91.0]), np.array([9.0, 2.0])),))
    hits = searcher.search([noisy(4), poor, noisy(7), carbon])
    assert [one[0].q_value for one in (hits[0], hits[2])] == pytest.approx([1 / 60, 1 / 60])
    assert hits[1][0].q_value == 1.0
    assert hits[3] == []


def test_energies_of_queries_are_those_of_the_instrument() -> None:
    spectrum = TandemMS(np.ones(1), np.ones(1), collision_energy_ev=20.0, measured_energy_ev=17.0)
    guessed = TandemMS(np.ones(1), np.ones(1), collision_energy_ev=20.0)
    measured = as_measured(Record("q", (spectrum, guessed)))
    assert [one.collision_energy_ev for one in measured.spectra] == [17.0, None]  # type: ignore[union-attr]


def test_nothing_is_found_in_a_library_without_entries_of_the_kind() -> None:
    references: References = references_of_entries([Entry(Record("nmr", (CarbonNMR((20.0,)),)), "A" * 14)])
    assert Searcher(references, SearchSettings()).search([noisy(1)]) == [[]]
    assert Searcher(references, SearchSettings()).search([]) == []
