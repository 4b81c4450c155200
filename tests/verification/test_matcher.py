"""The matcher that learns nothing, among a few hundred molecules and by hand.

Axes: N molecules.
"""

import numpy as np
import pytest

from mmspec_ds.molecules.composition import Composition
from mmspec_ds.simulator.enumeration import enumerate_molecules
from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Modality, Multiplet, Record
from mmspec_ds.verification.candidate_space import (
    BINS,
    Bins,
    CandidateSpace,
    observed_vectors,
    predicted_vectors,
)
from mmspec_ds.verification.matcher import matcher_candidates
from mmspec_ds.verification.predicted import predicted
from mmspec_ds.verification.verifier import Verifier

TRUTHS = ("COC(C)=O", "OCC1CC1", "CC#CCN", "CC(C)C=O")


@pytest.fixture(scope="module")
def space() -> CandidateSpace:
    """All molecules of up to five heavy atoms, and some of six, among them the right ones."""
    smiles = dict.fromkeys([*enumerate_molecules(300, 6), *TRUTHS, "CCO.CC", "not a molecule"])
    return CandidateSpace.of(smiles)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return [simulate_record(one, seed=7) for one in TRUTHS]


def of(record: Record, *modalities: Modality) -> Record:
    return Record(record.id, tuple(one for one in record.spectra if one.modality in modalities))


def test_bins_by_hand() -> None:
    bins = Bins(0.0, 20.0, 2.0)
    assert bins.count == 10
    # 9 ppm is the middle of the fifth bin; half of a signal stays there, a quarter goes to each side.
    assert bins.fill([9.0]).tolist() == [0, 0, 0, 0.25, 0.5, 0.25, 0, 0, 0, 0]
    assert bins.fill([10.0]).tolist() == [0, 0, 0, 0.125, 0.375, 0.375, 0.125, 0, 0, 0]
    assert bins.fill([9.3, 12.2], [3, 1]).sum() == pytest.approx(4)
    assert bins.fill([-100.0, 100.0]).sum() == pytest.approx(2)
    assert bins.fill([]).sum() == 0


def test_vectors_are_of_the_predicted_signals() -> None:
    prediction = predicted("CCC(=O)O")
    found = predicted_vectors(prediction.mol)
    np.testing.assert_allclose(found["C"], BINS["C"].fill(prediction.carbon.ppm), atol=1e-6)
    hydrogen = prediction.hydrogen
    on_carbon = ~hydrogen.mobile
    expected = BINS["H"].fill(hydrogen.ppm[on_carbon], hydrogen.hydrogens[on_carbon])
    np.testing.assert_allclose(found["H"], expected, atol=1e-2)  # centroids are rounded to 0.01 ppm
    assert found["H"].sum() == pytest.approx(5)


def test_what_is_no_molecule_is_left_out(space: CandidateSpace) -> None:
    assert space.skipped == 2
    assert len(space) == len(set(space.smiles)) == len(space.mass_N) == len(space.vectors["C"])
    half = space.subset(np.arange(0, len(space), 2))
    assert half.smiles == space.smiles[::2]


def test_likeness_is_the_formula_on_whole_vectors(space: CandidateSpace, records: list[Record]) -> None:
    among = np.array([3, 1, 20])
    own = observed_vectors(records[0])
    expected = np.zeros(3)
    for nucleus in ("C", "H"):
        rows = space.vectors[nucleus][among].astype(np.float64)
        expected += 2 * rows @ own[nucleus] / ((rows**2).sum(1) + (own[nucleus] ** 2).sum())
    np.testing.assert_allclose(space.likeness(records[0], among), expected, rtol=1e-5)
    shifted = CarbonNMR((20.0, 50.0)), HydrogenNMR((Multiplet(3.5, 3.6, 3.4, "s", 3),))
    assert {n: v.sum() for n, v in observed_vectors(Record("x", shifted)).items()} == {"C": 2, "H": 3}


def test_hsqc_stands_in_for_both(records: list[Record]) -> None:
    crossed = observed_vectors(of(records[0], Modality.HSQC))
    assert crossed["C"].sum() == pytest.approx(2)  # the two methyl groups of methyl acetate
    assert observed_vectors(of(records[0], Modality.IR)) == {}


def test_formulas_and_masses(space: CandidateSpace) -> None:
    formula = Composition.of_formula("C4H8O")
    found = {space.smiles[at] for at in space.fitting(formula)}
    expected = {one for one in space.smiles if formula.fits(predicted(one).mol)}
    assert found == expected >= {"OCC1CC1", "CC(C)C=O"}
    mass = Composition.of_mass(72.0575, 5)
    assert {space.smiles[at] for at in space.fitting(mass)} == expected
    assert len(space.fitting(None)) == len(space)


def test_the_right_molecule_is_found(space: CandidateSpace, records: list[Record]) -> None:
    nmr = [of(one, Modality.H_NMR, Modality.C_NMR) for one in records]
    for truth, best in zip(TRUTHS, matcher_candidates(nmr, space, keep=40)):
        assert truth in [one.smiles for one in best[:3]]
        assert len(best) == 10
        assert [one.score for one in best] == sorted((one.score for one in best), reverse=True)
    best = matcher_candidates(records[:1], space, keep=40, judged=5)[0]
    verdicts = Verifier(records[0]).judge([one.smiles for one in best])
    assert [one.score for one in best] == [one.score for one in verdicts]
    assert best[0].smiles == TRUTHS[0]
    assert len(best) == 5


def test_a_space_without_the_right_one(space: CandidateSpace, records: list[Record]) -> None:
    without = space.subset(np.array([at for at, one in enumerate(space.smiles) if one != TRUTHS[1]]))
    nmr = of(records[1], Modality.H_NMR, Modality.C_NMR)
    known = [Composition.of_formula("C4H8O")]
    (best,) = matcher_candidates([nmr], without, known, keep=40)
    assert 0 < len(best) <= 10
    assert all(known[0].fits(predicted(one.smiles).mol) for one in best)
    assert TRUTHS[1] not in [one.smiles for one in best]


def test_without_nmr_the_formula_must_be_known(space: CandidateSpace, records: list[Record]) -> None:
    ir = of(records[1], Modality.IR)
    assert matcher_candidates([ir], space) == [[]]
    (best,) = matcher_candidates([ir], space, [Composition.of_formula("C4H8O")])
    assert "OCC1CC1" in [one.smiles for one in best]
