"""Entries and queries of several mass spectra: all of them are compared, and the best pair counts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.library.answers import answer_of, molecules_of_hits
from mmspec_ds.library.build import add_to_library, build_library
from mmspec_ds.library.decoys import with_companions
from mmspec_ds.library.entry import Entry
from mmspec_ds.library.layout import load_manifest, save_manifest
from mmspec_ds.library.references import References, references_of_entries, references_of_library
from mmspec_ds.library.search import Searcher, SearchSettings
from mmspec_ds.library.store import Library
from mmspec_ds.library.summary import summary_lines
from mmspec_ds.spectra.records import CarbonNMR, ElectronIonisationMS, Record, Spectrum, TandemMS
from tests.library.made import Model, block_of, entry

CARBON = CarbonNMR((20.0,))
WINDOW = SearchSettings(decoys=0)
OPEN = SearchSettings(precursor_ppm=None, decoys=0)


def spectrum(number: int, energy: float, precursor_mz: float = 200.0, adduct: str = "[M+H]+") -> TandemMS:
    """A spectrum with peaks of its own."""
    made = entry(number).record.spectra[0]
    assert isinstance(made, TandemMS)
    return replace(
        made,
        polarity="positive",
        collision_energy_ev=energy,
        measured_energy_ev=energy,
        precursor_mz=precursor_mz,
        adduct=adduct,
    )


def several(number: int, *spectra: Spectrum) -> Entry:
    return Entry(Record(f"several:{number}", spectra, "CCO", "C2H6O"), block_of(900 + number))


SERIES = several(0, spectrum(1, 10.0), CARBON, spectrum(2, 20.0), spectrum(3, 40.0, 222.0, "[M+Na]+"))
ENTRIES = [entry(50), several(1, CARBON), SERIES, entry(51), several(2, spectrum(4, 10.0), spectrum(5, 20.0))]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Written in two additions, each of which has an entry of several spectra."""
    build_library(tmp_path / "lib", ENTRIES[:3], [Model()])
    add_to_library(tmp_path / "lib", ENTRIES[3:], [Model()])
    return Library.open(tmp_path / "lib")


def test_a_library_and_its_entries_in_memory_are_the_same_references(library: Library) -> None:
    assert library.first.tolist() == [0, 1, 2, 5, 6]
    one, other = references_of_library(library), references_of_entries(ENTRIES)
    assert one.entry.tolist() == [0, 1, 2, 2, 2, 3, 4, 4]
    for name in ("entry", "kind", "precursor_mz", "polarity", "energy_ev", "molecule"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for name in ("mz", "intensity", "offsets"):
        np.testing.assert_array_equal(getattr(one.peaks, name), getattr(other.peaks, name), err_msg=name)
    assert [one.adducts[at] for at in one.adduct[2:5]] == ["[M+H]+", "[M+H]+", "[M+Na]+"]
    assert one.rows_of(np.array([4, 0, 2])).tolist() == [0, 2, 3, 4, 6, 7]
    first = references_of_entries(ENTRIES, first_alone=True)
    assert first.precursor_mz[[0, 2]].tolist() == [ENTRIES[0].record.spectra[0].precursor_mz, 200.0]  # type: ignore[union-attr]
    assert len(first) == 5


def test_entries_come_back_with_all_their_spectra(library: Library, tmp_path: Path) -> None:
    found = library.entries([2, 4])
    mz = [one.mz.tolist() for one in found[0].record.spectra[:3]]  # type: ignore[union-attr]
    assert mz == [spectrum(number, 10.0).mz.tolist() for number in (1, 2, 3)]
    assert [one.measured_energy_ev for one in found[0].record.spectra[:3]] == [10.0, 20.0, 40.0]  # type: ignore[union-attr]
    assert found[0].record.spectra[3] == CARBON
    assert len(found[1].record.spectra) == 2
    again = add_to_library(library.path, [*library.all_entries(), *ENTRIES], [Model()])
    assert (again.entries, again.duplicates) == (0, 10)  # in the order of a file, and in that of a library
    assert library.faults() == []
    assert "7 MS/MS (6 positive, 1 negative), 2 of other kinds" in "\n".join(summary_lines(library))


@pytest.mark.parametrize("settings", [WINDOW, OPEN], ids=["window", "open"])
@pytest.mark.parametrize(
    ("query", "place"),
    [(spectrum(1, 10.0), 0), (spectrum(2, 35.0), 1), (spectrum(3, 40.0, 222.0, "[M+Na]+"), 2)],
)
def test_an_entry_is_found_by_each_of_its_spectra(
    library: Library, settings: SearchSettings, query: TandemMS, place: int
) -> None:
    hits = Searcher(references_of_library(library), settings).search([Record("q", (query,))])[0]
    assert (hits[0].row, hits[0].spectrum, hits[0].asked) == (2, 2 + place, 0)
    assert hits[0].parts["entropy"] == pytest.approx(1.0)
    assert [hit.row for hit in hits].count(2) == 1
    answer = answer_of("q", hits, molecules_of_hits(hits, library))["hits"][0]
    assert (answer["entry"], answer["row"], answer["place"]) == ("several:0", 2, place)
    assert (answer["precursor_mz"], answer["adduct"]) == (query.precursor_mz, query.adduct)


def test_of_several_spectra_of_a_query_the_best_pair_counts(library: Library) -> None:
    searcher = Searcher(references_of_library(library), OPEN)
    poor, good = spectrum(60, 10.0), spectrum(2, 20.0)
    alone = {hit.row: hit for hit in searcher.search([Record("q", (good,))])[0]}
    other = {hit.row: hit for hit in searcher.search([Record("q", (poor,))])[0]}
    both = {hit.row: hit for hit in searcher.search([Record("q", (poor, good))])[0]}
    assert both.keys() == alone.keys() == other.keys()
    for row, hit in both.items():
        assert hit.score == max(alone[row].score, other[row].score)
        best = alone[row] if alone[row].score > other[row].score else other[row]
        assert hit.parts == best.parts
        assert hit.asked == (best is alone[row])
    assert (both[2].spectrum, both[2].asked) == (3, 1)


def test_a_query_of_two_kinds_tells_which_of_its_spectra_was_asked(library: Library) -> None:
    """Whatever the kinds of the queries before it: places are those in the record."""
    volatile = ElectronIonisationMS(np.array([41.0, 55.0]), np.array([1.0, 2.0]))
    mixed = Record("mixed", (volatile, spectrum(60, 10.0), volatile, spectrum(2, 20.0)))
    before = Record("before", (spectrum(1, 10.0),))
    searcher = Searcher(references_of_library(library), OPEN)
    for queries in ([mixed], [before, mixed]):
        hit = searcher.search(queries)[-1][0]
        assert (hit.row, hit.spectrum, hit.asked) == (2, 3, 3)


def test_each_spectrum_has_its_own_window_and_kind(library: Library) -> None:
    searcher = Searcher(references_of_library(library), WINDOW)
    far = spectrum(3, 40.0, 600.0)
    assert searcher.search([Record("q", (far,))]) == [[]]
    hits = searcher.search([Record("q", (far, spectrum(60, 10.0)))])[0]
    assert {hit.row for hit in hits} == {2, 4}  # those of precursor 200
    electrons = ElectronIonisationMS(np.array([57.0]), np.ones(1))
    assert searcher.search([Record("q", (electrons, spectrum(4, 10.0)))])[0][0].row == 4


def test_a_vector_is_of_the_whole_record_and_brings_in_all_its_spectra(library: Library) -> None:
    """The model's vector of entry 2 finds it, and the best of its spectra is the one that is told."""

    class Fixed(Model):
        def embed(self, records, progress=None):  # type: ignore[no-untyped-def]
            return super().embed([SERIES.record for _ in records])

    settings = OPEN.model_copy(update={"keep": 1})
    query = replace(spectrum(5, 20.0), mz=np.append(spectrum(5, 20.0).mz, spectrum(3, 40.0).mz[0]),
                    intensity=np.append(spectrum(5, 20.0).intensity, 1.0))  # fmt: skip
    query = replace(query, mz=np.sort(query.mz), intensity=query.intensity[np.argsort(query.mz)])
    searcher = Searcher(references_of_library(library), settings, library, [Fixed()])
    hits = {hit.row: hit for hit in searcher.search([Record("q", (query,))])[0]}
    assert hits[2].spectrum == 4
    assert hits[2].parts["made model"] == pytest.approx(1.0, abs=1e-6)
    nothing = searcher.search([Record("q", (CARBON,))])[0]
    assert (nothing[0].row, nothing[0].spectrum) == (2, 2)


def test_decoys_have_as_many_spectra_as_their_query() -> None:
    references: References = references_of_entries(ENTRIES)
    assert with_companions(references, 3, 1).tolist() == [3]
    assert with_companions(references, 3, 2).tolist() == [3, 2]
    assert with_companions(references, 3, 9).tolist() == [3, 2, 4]
    assert with_companions(references, 5, 2).tolist() == [5]


def test_libraries_of_the_format_before(tmp_path: Path) -> None:
    """One whose entries had one mass spectrum each is read and added to; another has to be built anew."""
    folder = tmp_path / "lib"
    build_library(folder, [entry(0), entry(1)])
    manifest = load_manifest(folder)
    arrays = {name: spans for name, spans in manifest["arrays"].items() if name != "second.i64"}
    save_manifest(folder, manifest | {"format": 1, "arrays": arrays})
    (folder / "second.i64").unlink()
    assert Library.open(folder).first.tolist() == [0, 1]
    add_to_library(folder, [SERIES])
    assert Library.open(folder).first.tolist() == [0, 1, 2]
    assert Library.open(folder).manifest["format"] == 2
    assert Library.open(folder).faults() == []
    parts = [
        {**part, "further": [{"file": "further-0000-0000.parquet", "spectra": 1}]} for part in manifest["parts"]
    ]
    save_manifest(folder, manifest | {"format": 1, "parts": parts})
    with pytest.raises(DataError, match="has format 1, expected 2: build it anew from its files"):
        Library.open(folder)
