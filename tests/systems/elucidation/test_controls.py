"""Exchanged spectra, and the search among training spectra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.errors import DataError
from mmspec_ds.evaluation.features import SpectralFeatures
from mmspec_ds.spectra.records import CarbonNMR, Infrared, Modality, Record, TandemMS
from mmspec_ds.spectra.registry import CompressionSettings, compress_records, schema_of
from mmspec_ds.systems.elucidation import controls
from mmspec_ds.systems.elucidation.controls import derangement, nearest_molecules, shuffle_spectra

MODALITIES = (Modality.C_NMR, Modality.IR, Modality.MS)
SETTINGS = CompressionSettings()


def molecule(smiles, carbons=(), band=None, peaks=()):
    """13C lines in ppm, an IR spectrum of one band (cm-1), m/z of equally strong peaks."""
    spectra = [CarbonNMR(tuple(carbons))] if len(carbons) else []
    if band is not None:
        grid = np.linspace(400, 4000, 1800)
        spectra.append(Infrared(np.exp(-(((grid - band) / 60) ** 2))))
    if len(peaks):
        spectra.append(TandemMS(np.array(peaks, float), np.ones(len(peaks)), "positive", 20.0))
    return Record(smiles, tuple(spectra), smiles)


def dataset(*records):
    schemas = {modality: schema_of(modality, SETTINGS) for modality in MODALITIES}
    names = tuple(record.id for record in records)
    smiles = tuple(record.smiles for record in records)
    return SpectraDataset(names, smiles, compress_records(records, MODALITIES, SETTINGS), schemas)


LIBRARY = (
    molecule("CCO", carbons=(58, 18), band=3350, peaks=(47, 29)),
    molecule("CC(C)=O", carbons=(206, 31, 31), band=1715, peaks=(59, 43)),
    molecule("c1ccccc1", carbons=(128,) * 6, band=1480, peaks=(79, 51)),
    molecule("CC#N", carbons=(117, 2), band=2250, peaks=(42, 15)),
)


def found(train, *wanted, **options):
    return [[one.smiles for one in row] for row in nearest_molecules(train, dataset(*wanted), **options)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=40), st.integers(0, 9))
def test_nobody_stands_in_a_place_of_his_own_group(groups, seed):
    largest = max(groups.count(group) for group in groups)
    if 2 * largest > len(groups):
        with pytest.raises(DataError, match="cannot be exchanged"):
            derangement(groups, seed)
        return
    order = derangement(groups, seed)
    assert sorted(order) == list(range(len(groups)))
    assert all(groups[at] != groups[other] for at, other in enumerate(order))


def test_the_exchange_is_seeded():
    groups = [str(number) for number in range(50)]
    assert derangement(groups, 1).tolist() == derangement(groups, 1).tolist()
    assert derangement(groups, 1).tolist() != derangement(groups, 2).tolist()


def test_every_other_molecule_is_as_likely():
    """Over 3,000 seeds each of the 3 others stands in place 0 some 1,000 times; 5 sigma are 130."""
    partners = np.bincount([derangement(list("abcd"), seed)[0] for seed in range(3000)], minlength=4)
    assert partners[0] == 0
    assert np.abs(partners[1:] - 1000).max() < 130


def test_mirror_images_are_one_molecule_when_spectra_are_exchanged():
    smiles = ("F[C@H](Cl)Br", "F[C@@H](Cl)Br", "CCO", "C")
    exchanged = shuffle_spectra(
        dataset(*(molecule(one, carbons=(ppm,)) for one, ppm in zip(smiles, (1, 1, 2, 3))))
    )
    bins = exchanged.tokens[Modality.C_NMR].discrete[:, 0].tolist()
    assert exchanged.smiles == smiles
    assert set(bins[:2]) == {220, 230}
    assert bins[2:] == [210, 210]


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_the_same_molecule_is_found_again(noise):
    wanted = [
        molecule("?", carbons=(206 + noise, 31 - noise, 30), band=1700, peaks=(59.02, 43.02)),
        molecule("?", carbons=(116 - noise, 2), band=2240, peaks=(42.03,)),
    ]
    nearest = found(dataset(*LIBRARY), *wanted)
    assert [row[0] for row in nearest] == ["CC(C)=O", "CC#N"]
    assert all(sorted(row) == sorted(one.smiles for one in LIBRARY) for row in nearest)


@pytest.mark.parametrize(
    "wanted",
    [molecule("?", carbons=(128,) * 6), molecule("?", band=1480), molecule("?", peaks=(79, 51))],
    ids=["13C alone", "IR alone", "MS/MS alone"],
)
def test_each_modality_finds_it_alone(wanted):
    assert found(dataset(*LIBRARY), wanted, n_best=1) == [["c1ccccc1"]]


def test_only_what_both_have_is_compared():
    """A library entry without 13C is judged by its IR, not punished for what it lacks."""
    library = dataset(*LIBRARY, molecule("CCCO", band=3330))
    (best,) = nearest_molecules(library, dataset(molecule("?", carbons=(58, 18), band=3330)), n_best=2)
    assert {one.smiles for one in best} == {"CCO", "CCCO"}
    (alone,) = nearest_molecules(library, dataset(molecule("?", carbons=(58, 18))), n_best=5)
    assert alone[-1].smiles == "CCCO"
    assert alone[-1].score == -1


def test_molecules_are_distinct_and_the_best_spectrum_counts():
    twice = molecule("CCO", carbons=(80, 40), band=3000, peaks=(20,))
    nearest = found(dataset(twice, *LIBRARY, twice), molecule("?", carbons=(58, 18), band=3350, peaks=(47, 29)))
    assert nearest[0][0] == "CCO"
    assert len(nearest[0]) == len(set(nearest[0])) == 4


def test_parts_of_the_library_give_what_the_whole_gives(monkeypatch):
    rng = np.random.default_rng(0)
    library = dataset(
        *(
            molecule("C" * (1 + at // 2), carbons=rng.uniform(0, 200, 4), peaks=rng.uniform(20, 90, 3))
            for at in range(60)
        )
    )
    wanted = [molecule("?", carbons=rng.uniform(0, 200, 4), peaks=rng.uniform(20, 90, 3)) for _ in range(9)]
    whole = nearest_molecules(library, dataset(*wanted), n_best=5)
    monkeypatch.setattr(controls, "_MOLECULES_AT_ONCE", 7)
    monkeypatch.setattr(controls, "_SAMPLES_AT_ONCE", 4)
    parts = nearest_molecules(library, dataset(*wanted), n_best=5)
    assert [[one.smiles for one in row] for row in parts] == [[one.smiles for one in row] for row in whole]
    np.testing.assert_allclose(
        [[one.score for one in row] for row in parts], [[one.score for one in row] for row in whole], atol=1e-6
    )


def test_likeness_equals_a_plain_calculation():
    """Cosines of the centred vectors in float64, averaged over three modalities."""
    train, wanted = dataset(*LIBRARY), dataset(molecule("?", carbons=(60, 20), band=3300, peaks=(47,)))
    features = SpectralFeatures.fit(train)
    one, many = features.vectors(wanted, np.array([0])), features.vectors(train, np.arange(4))
    expected = {
        LIBRARY[at].smiles: np.mean(
            [float(one[m][0].astype(float) @ many[m][at].astype(float)) for m in MODALITIES]
        )
        for at in range(4)
    }
    (row,) = nearest_molecules(train, wanted)
    assert {hit.smiles: hit.score for hit in row} == pytest.approx(expected, abs=1e-6)
    assert [hit.score for hit in row] == sorted([hit.score for hit in row], reverse=True)
    assert row[0].smiles == "CCO"


def test_datasets_of_other_fields_are_refused():
    other = dataset(*LIBRARY).only([Modality.IR])
    with pytest.raises(ValueError, match="not encoded alike"):
        nearest_molecules(other, dataset(molecule("?", carbons=(1,))).only([Modality.C_NMR]))


def test_a_library_needs_structures():
    with pytest.raises(ValueError, match="structure of every sample"):
        nearest_molecules(dataset(Record("x", (CarbonNMR((1.0,)),))), dataset(*LIBRARY))
