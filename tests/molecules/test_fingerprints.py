"""Packed fingerprints against RDKit's own similarity of a pair."""

import numpy as np
import pytest

from mmspec_ds.evaluation.metrics import tanimoto
from mmspec_ds.molecules.fingerprints import morgan_fingerprints, tanimoto_similarities

SMILES = ("CCO", "CCCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O")


def test_every_pair_as_rdkit_compares_it() -> None:
    bits = morgan_fingerprints(SMILES)
    assert bits.shape == (4, 256)
    found = tanimoto_similarities(bits, bits[:3])
    expected = [[tanimoto(one, other) for other in SMILES[:3]] for one in SMILES]
    assert found == pytest.approx(np.array(expected), abs=1e-6)


def test_what_is_no_structure_resembles_nothing() -> None:
    bits = morgan_fingerprints(["not a molecule", "CCO"])
    assert not bits[0].any()
    assert tanimoto_similarities(bits, bits).tolist() == [[0.0, 0.0], [0.0, 1.0]]
