"""Cross-validation judges no molecule by a model that has seen its skeleton."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from tools import fit_infrared, fit_tandem
from tools.folds import folds_of


def test_folds_go_round_and_one_skeleton_has_one_fold() -> None:
    """L- and D-alanine share the first block of their InChIKey."""
    smiles = ["CCO", "C[C@H](N)C(=O)O", "CC(=O)CC(C)=O", "C[C@@H](N)C(=O)O", "CCC", "CCCC"]
    assert folds_of([Chem.MolFromSmiles(one) for one in smiles], 3) == [0, 1, 2, 1, 0, 1]


def test_the_published_spectrum_of_a_molecule_has_no_part_in_its_simulated_one(shared_data: Path) -> None:
    """Neither its own nor that of a second row of the same molecule: both are turned round, and what is made
    of the molecule stays as near to the others' spectra as it was."""
    molecules = fit_infrared.read_measured(shared_data / "alberts" / "example_data_1.parquet")[:30]
    molecules.insert(17, molecules[3])
    before = fit_infrared.cross_validate(molecules)
    for place in (3, 17):
        spectrum = molecules[place].spectrum
        turned = replace(spectrum, absorbance=spectrum.absorbance[::-1].copy())
        molecules[place] = replace(molecules[place], spectrum=turned)
    after = fit_infrared.cross_validate(molecules)
    others = [place for place in range(31) if place not in (3, 17)]
    assert np.array_equal(before[np.ix_([3, 17], others)], after[np.ix_([3, 17], others)])
    assert np.abs(before - after)[np.ix_(others, others)].max() > 1e-3


def test_a_scorer_is_fitted_without_the_molecules_that_it_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    smiles = ["CCO", "C[C@H](N)C(=O)O", "CCN", "CCC", "C[C@@H](N)C(=O)O", "CCCC"]
    examples = [fit_tandem.Example(Chem.MolFromSmiles(one), np.zeros((1, 1)), (), (), ()) for one in smiles]
    seen: list[list[int]] = []

    def noted(chosen: Sequence[fit_tandem.Example], epochs: int) -> str:
        seen.append([place for place, one in enumerate(examples) if any(one is other for other in chosen)])
        return f"scorer {len(seen) - 1}"

    monkeypatch.setattr(fit_tandem, "fit", noted)
    scorers = fit_tandem.held_out_scorers(examples, 3)
    assert seen == [[1, 2, 4, 5], [0, 2, 3], [0, 1, 3, 4, 5]]
    for place, name in enumerate(scorers):
        assert place not in seen[int(str(name).split()[1])]
    assert scorers[1] == scorers[4]
