"""Simulated IR: group frequencies and a fitted function of counts, the arithmetic by hand, and nearness to the
published sample."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from mmspec_ds.simulator.environments import named_key, surroundings
from mmspec_ds.simulator.infrared import (
    BASIS,
    STORED_POINTS,
    InfraredModel,
    described,
    infrared,
    read_model,
    shipped_model,
)
from mmspec_ds.spectra.records import Infrared
from tools import fit_infrared
from tools.spectrum_comparison import infrared_cosine

METHYL, CARBONYL = named_key("atom C sp3 H3"), named_key("atom C sp2 H0")


def spectrum(smiles: str, model: InfraredModel | None = None) -> Infrared:
    mol = Chem.MolFromSmiles(smiles)
    return infrared(mol, surroundings(mol), model)


def two_band_model() -> InfraredModel:
    """Flat 0.5 on the basis; a methyl group adds 1 on three points at 100, a carbonyl takes 2 off at 200."""
    coefficients = np.zeros((2, STORED_POINTS), dtype=np.float32)
    coefficients[0, 99:102], coefficients[1, 200] = 1.0, -2.0
    mean = np.full(STORED_POINTS, 0.5, dtype=np.float32)
    return InfraredModel({METHYL: 0, CARBONYL: 1}, mean, np.array([1.0, 0.0], dtype=np.float32), coefficients)


def test_descriptors_of_acetone_by_hand() -> None:
    mol = Chem.MolFromSmiles("CC(C)=O")
    found = described(mol, surroundings(mol)).counts
    assert found[METHYL] == 2
    assert found[CARBONYL] == 1
    assert found[named_key("coarse C sp3 H3 -C")] == 2
    assert found[named_key("group ketone")] == 1
    assert found[named_key("group methyl on a carbonyl")] == 2
    assert sum(found.values()) == 3 * mol.GetNumAtoms() + 3


def test_the_basis_of_acetone_is_the_root_of_its_groups_spectrum() -> None:
    mol = Chem.MolFromSmiles("CC(C)=O")
    basis = described(mol, surroundings(mol)).basis
    # 8 cm-1 apart instead of 2: a quarter of the squares' sum.
    assert (basis**2).sum() == pytest.approx(BASIS**2 / 4, rel=0.01)
    assert np.linspace(400, 4000, STORED_POINTS)[basis.argmax()] == pytest.approx(1722.0, abs=8.0)
    methane = Chem.MolFromSmiles("C")  # none of the groups
    assert not described(methane, surroundings(methane)).basis.any()


def test_root_is_linear_in_square_roots_of_counts_and_never_negative() -> None:
    basis = np.zeros(STORED_POINTS)
    basis[300] = 0.25
    root = two_band_model().root(Counter({METHYL: 4, CARBONYL: 1, 12345: 7}), basis)
    assert root[100] == pytest.approx(0.5 + (2.0 - 1.0) * 1.0)
    assert root[200] == 0.0  # 0.5 - 2
    assert root[300] == 0.75
    assert root[301] == 0.5


def test_absorbance_is_the_square_on_the_benchmarks_grid() -> None:
    made = spectrum("CC(C)=O", two_band_model())
    assert made.absorbance.shape == (1800,)
    assert (made.start_cm1, made.stop_cm1) == (400.0, 4000.0)
    # Two methyl groups: 0.5 + (sqrt(2) - 1) from 1192 to 1208 cm-1, 0.5 elsewhere, and the basis.
    mol = Chem.MolFromSmiles("CC(C)=O")
    root = 0.5 + described(mol, surroundings(mol)).basis
    root[99:102] += np.sqrt(2) - 1
    root[200] -= 2.0
    stored = np.linspace(400, 4000, STORED_POINTS)
    expected = np.interp(np.linspace(400, 4000, 1800), stored, np.clip(root, 0, None)) ** 2
    assert made.absorbance.max() == 1.0
    np.testing.assert_allclose(made.absorbance, expected / expected.max(), rtol=1e-5, atol=1e-7)


def test_a_stored_model_is_within_half_a_step(tmp_path: Path) -> None:
    model = two_band_model()
    fit_infrared.write_model(tmp_path / "model.npz", model)
    again = read_model(tmp_path / "model.npz")
    assert again.rows == model.rows
    assert np.abs(again.coefficients - model.coefficients).max() <= 2.0 / 127 / 2
    assert np.array_equal(again.mean, model.mean)


def test_isomers_with_like_groups_differ_little_and_others_much() -> None:
    alcohol, other_alcohol, ketone = (spectrum(s) for s in ("CCCCO", "CCC(C)O", "CCC(C)=O"))
    assert infrared_cosine(alcohol, other_alcohol) > infrared_cosine(alcohol, ketone)
    assert not np.allclose(alcohol.absorbance, other_alcohol.absorbance, atol=0.05)


@pytest.mark.parametrize("smiles", ["C", "CB(O)O", "C[Hg]C", "CC(C)Cc1ccc(cc1)C(C)C(=O)O"])
def test_any_molecule_has_a_spectrum(smiles: str) -> None:
    absorbance = spectrum(smiles).absorbance
    assert np.isfinite(absorbance).all()
    assert absorbance.max() == 1.0
    assert absorbance.min() >= 0.0


def test_the_model_is_near_published_spectra_that_it_was_not_fitted_on(shared_data: Path) -> None:
    molecules = fit_infrared.read_measured(shared_data / "alberts" / "example_data_1.parquet")
    matched, mismatched = fit_infrared.matched_and_mismatched(fit_infrared.cross_validate(molecules))
    assert matched >= 0.88  # measured 0.893
    assert mismatched <= 0.84  # measured 0.823


def test_the_shipped_model_is_what_the_script_makes(shared_data: Path) -> None:
    fitted = fit_infrared.fit(fit_infrared.read_measured(shared_data / "alberts" / "example_data_1.parquet"))
    shipped = shipped_model()
    assert shipped.rows == fitted.rows
    assert np.abs(shipped.coefficients - fitted.coefficients).max() <= np.abs(fitted.coefficients).max() / 127
