"""A library on disk gives back what was put in."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.library.build import add_to_library, build_library
from mmspec_ds.library.entry import Entry
from mmspec_ds.library.store import Library
from mmspec_ds.readers.part import Rejected
from mmspec_ds.spectra.records import (
    HSQC,
    CarbonNMR,
    ElectronIonisationMS,
    HSQCPeak,
    HydrogenNMR,
    Infrared,
    Multiplet,
    Record,
    TandemMS,
)
from tests.library.made import Model, block_of, entry


def same(one: Entry, other: Entry) -> bool:
    """Whether two entries agree in every field; arrays by value."""
    a, b = (
        [(type(s), {n: np.asarray(getattr(s, n)).tolist() for n in s.__slots__}) for s in e.record.spectra]
        for e in (one, other)
    )
    known = [(e.record.id, e.record.smiles, e.record.formula, e.block) for e in (one, other)]
    return a == b and known[0] == known[1]


def test_entries_come_back_as_they_were(tmp_path: Path) -> None:
    made = [entry(number) for number in range(20)]
    added = build_library(tmp_path / "lib", made)
    library = Library.open(tmp_path / "lib")
    assert (added.entries, len(library)) == (20, 20)
    found = library.entries(range(20))
    assert all(same(one, other) for one, other in zip(found, made))
    assert found[3].metadata.items() >= made[3].metadata.items()
    mz, intensity = library.peaks(7)
    assert mz.tolist() == made[7].record.spectra[0].mz.tolist()
    assert intensity.tolist() == made[7].record.spectra[0].intensity.tolist()
    assert library.offsets.tolist() == np.cumsum([0, *(3 + n % 5 for n in range(20))]).tolist()
    assert library.faults() == []
    assert [one.name for one in (tmp_path / "lib").glob("*.partial")] == []


def test_arrays_for_the_choice_of_candidates(tmp_path: Path) -> None:
    made = [entry(number) for number in range(9)]
    unknown = TandemMS(np.array([50.0]), np.array([1.0]))
    made.append(Entry(Record("x:0", (unknown,)), "", {}))
    build_library(tmp_path / "lib", made)
    library = Library.open(tmp_path / "lib")
    precursors = [100 + (37.25 * number) % 400 for number in range(9)]
    order, sorted_mz = library.by_precursor
    assert sorted_mz.tolist() == sorted(precursors)
    assert order.tolist() == np.argsort(precursors).tolist()
    assert library.polarity.tolist() == [-1, 1, 1, -1, 1, 1, -1, 1, 1, 1]
    assert set(library.kinds) == {"ms"}
    assert np.isnan(library.precursor_mz[9])
    assert library.metadata["licence"].to_pylist() == ["CC0"] * 9 + [None]


def test_spectra_of_any_kind_come_back(tmp_path: Path) -> None:
    first, second = entry(1).record.spectra[0], entry(2).record.spectra[0]
    grid = np.random.default_rng(0).uniform(0, 1, 1800).astype(np.float32).astype(np.float64)
    others = (
        CarbonNMR((128.5, 20.25)),
        HydrogenNMR((Multiplet(7.25, 7.3, 7.2, "m", 5),)),
        Infrared(grid),
        HSQC((HSQCPeak(128.5, 7.25, 1),)),
    )
    several = Entry(Record("a:0", (others[0], first, *others[1:], second), "CCO", None), block_of(1), {})
    electrons = ElectronIonisationMS(np.array([77.0, 105.0]), np.array([40.0, 999.0]), 70.0)
    ionised = Entry(Record("a:2", (electrons,), "CO"), block_of(3), {})
    without_peaks = Entry(Record("a:1", (others[0], CarbonNMR((77.0,))), "CC", None), block_of(2), {})
    build_library(tmp_path / "lib", [several, entry(5), without_peaks, ionised])
    library = Library.open(tmp_path / "lib")
    found = library.entries([2, 0, 1, 3])
    whole = Record("a:0", (first, second, *others), "CCO", None)
    assert same(found[1], Entry(whole, block_of(1)))
    assert library.all_peaks.spectrum(1)[0].tolist() == second.mz.tolist()
    assert same(found[0], without_peaks)
    assert same(found[2], entry(5))
    assert same(found[3], ionised)
    assert library.first.tolist() == [0, 2, 3, 4]
    assert library.all_peaks.take(np.array([4])).mz.tolist() == [77.0, 105.0]
    assert library.peaks(2)[0].tolist() == []
    assert library.kinds.tolist() == ["ms", "ms", "ms", "", "ei"]


def test_metadata_of_any_type_comes_back(tmp_path: Path) -> None:
    odd = {
        "institute": 5,
        "ri": 1000.5,
        "précis": "\u00e4\ud800",
        "precursor_mz": "100.1 (calc)",
        "charge": "1+",
    }
    build_library(tmp_path / "lib", [entry(0, **odd)])
    found = Library.open(tmp_path / "lib").entries([0])[0].metadata
    assert found.items() >= {**odd, "lab_note": "a"}.items()


def test_duplicates_are_kept_once(tmp_path: Path) -> None:
    one = entry(1)
    spectrum = one.record.spectra[0]
    scaled = TandemMS(
        spectrum.mz,
        spectrum.intensity * 7,
        spectrum.polarity,
        spectrum.collision_energy_ev,
        spectrum.precursor_mz,
        spectrum.adduct,
        spectrum.charge,
        spectrum.measured_energy_ev,
    )
    negative = TandemMS(spectrum.mz, spectrum.intensity, "negative")
    other_energy = {"collision_energy": "35 eV"}
    made = [
        one,
        Entry(Record("again:0", (scaled,), "C[C@H](N)O"), one.block, one.metadata),
        Entry(Record("again:1", (negative,), "CC"), one.block, one.metadata),
        Entry(one.record, block_of(2), one.metadata),
        Entry(one.record, one.block, {**one.metadata, **other_energy}),
    ]
    added = build_library(tmp_path / "lib", made)
    assert (added.entries, added.duplicates) == (4, 1)
    again = add_to_library(tmp_path / "lib", [*made, entry(9)])
    assert (again.entries, again.duplicates) == (1, 5)
    assert len(Library.open(tmp_path / "lib")) == 5


def test_what_is_counted(tmp_path: Path) -> None:
    path = Path("a.msp")
    items = [
        entry(0),
        Entry(Record("a:1", entry(1).record.spectra), "", {"name": "unknown"}),
        Rejected(path, 2, "no peaks"),
        Rejected(path, 3, "a survey scan", fault=False),
        Entry(Record("a:4", (CarbonNMR((20.0,)),), "CC"), block_of(3), {}),
    ]
    seen: list[int] = []
    added = build_library(tmp_path / "lib", items, [Model()], seen.append)
    counts = (added.entries, added.without_structure, added.rejected, added.passed_over, added.blank)
    assert counts == (3, 1, 1, 1, {"made model": 1})
    assert added.examples == ["a.msp, record 2: no peaks"]
    assert seen == [5]


def test_vectors_of_additions_are_one_array(tmp_path: Path) -> None:
    models = [Model(), Model("other model", "9999", 4)]
    made = [entry(number) for number in range(30)]
    build_library(tmp_path / "lib", made[:20], models)
    before = Library.open(tmp_path / "lib")
    add_to_library(tmp_path / "lib", made[20:], models[::-1])
    library = Library.open(tmp_path / "lib")
    for model in models:
        expected = model.embed([one.record for one in made])
        assert np.array_equal(library.vectors(model.name), expected)
        assert np.array_equal(before.vectors(model.name), expected[:20])
    assert library.embedders == {"made model": "1111aaaa2222bbbb", "other model": "9999"}
    scores, rows = library.search_vectors("made model", models[0].embed([made[25].record]), 3)
    exact = models[0].embed([one.record for one in made]).astype(np.float64)
    expected = exact @ exact[25]
    assert rows[0].tolist() == np.argsort(-expected)[:3].tolist()
    assert scores[0] == pytest.approx(np.sort(expected)[::-1][:3], abs=1e-6)
    assert not library.vectors("made model").flags.writeable


def test_another_model_is_refused(tmp_path: Path) -> None:
    build_library(tmp_path / "lib", [entry(0)], [Model()])
    library = Library.open(tmp_path / "lib")
    library.check_embedders([Model()])
    for model, told in (
        (
            Model(identity="3333cccc4444dddd"),
            "was built with another model 'made model' .1111aaaa2222, this one",
        ),
        (Model("stranger"), "has no vectors of the model 'stranger', its models: 'made model'"),
    ):
        with pytest.raises(DataError, match=told):
            library.check_embedders([model])
        with pytest.raises(DataError, match=told):
            add_to_library(tmp_path / "lib", [entry(1)], [model])
    with pytest.raises(DataError, match="has vectors of the model 'made model': expected that model"):
        add_to_library(tmp_path / "lib", [entry(1)])
    with pytest.raises(DataError, match="has no vectors of the model 'stranger'"):
        library.vectors("stranger")
    with pytest.raises(DataError, match="two models are named 'made model'"):
        build_library(tmp_path / "two", [entry(0)], [Model(), Model()])
    assert not (tmp_path / "two").exists()


def test_a_model_that_gives_no_numbers_is_refused(tmp_path: Path) -> None:
    class Broken(Model):
        def embed(self, records, progress=None):  # type: ignore[no-untyped-def]
            return np.full((len(records), self.width), np.nan, np.float32)

    with pytest.raises(DataError, match=r"gave vectors of shape \(1, 8\) or values that are not finite"):
        build_library(tmp_path / "lib", [entry(0)], [Broken()])
    assert list(tmp_path.iterdir()) == []


def test_where_no_library_can_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no entry for a library: 1 at fault and 0 of no use"):
        build_library(tmp_path / "lib", [Rejected(Path("a.msp"), 0, "no peaks")])
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    with pytest.raises(DataError, match="exists already"):
        build_library(tmp_path / "full", [entry(0)])
    with pytest.raises(DataError, match="there is no such library"):
        Library.open(tmp_path / "lib")
    with pytest.raises(DataError, match="is not a library"):
        add_to_library(tmp_path / "full", [entry(0)])
    (tmp_path / "empty").mkdir()
    assert build_library(tmp_path / "empty", [entry(0)]).entries == 1


def test_another_format_is_refused(tmp_path: Path) -> None:
    from mmspec_ds.library.layout import load_manifest, save_manifest

    build_library(tmp_path / "lib", [entry(0)])
    save_manifest(tmp_path / "lib", load_manifest(tmp_path / "lib") | {"format": 9})
    with pytest.raises(DataError, match="has format 9, expected 2"):
        Library.open(tmp_path / "lib")
    content = json.loads((tmp_path / "lib" / "manifest.json").read_text())
    content["entries"] = 7
    (tmp_path / "lib" / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="damaged"):
        Library.open(tmp_path / "lib")
