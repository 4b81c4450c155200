"""The score of a molecule for measured MS/MS spectra: by loops from the scorer, and which isomer it finds."""

import math
from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem

from mmspec_ds.simulator.fragment_features import describe
from mmspec_ds.simulator.fragment_scorer import intensities, ion_grid, measured_scorer
from mmspec_ds.simulator.fragmentation import fragments
from mmspec_ds.spectra.records import TandemMS
from mmspec_ds.verification.tandem import INDEPENDENT_PEAKS, PRECURSOR_PENALTY, tandem_score

PARACETAMOL, AMINOBENZOATE = (Chem.MolFromSmiles(one) for one in ("CC(=O)Nc1ccc(O)cc1", "COC(=O)c1ccc(N)cc1"))
"""Isomers C8H9NO2: one loses ketene (to 110.0600, C6H8NO+), the other methanol (to 120.0444, C7H6NO+)."""


def spectrum(*peaks: tuple[float, float]) -> TandemMS:
    mz, intensity = np.array(peaks).T
    return TandemMS(mz, intensity, "positive", 20.0, 152.0706, "[M+H]+", 1)


KETENE = spectrum((65.0386, 12.0), (92.0495, 3.0), (93.0335, 8.0), (110.0600, 100.0), (152.0706, 60.0))
METHANOL = spectrum((65.0386, 15.0), (92.0495, 20.0), (120.0444, 100.0), (152.0706, 30.0))


def test_each_isomer_has_the_higher_score_for_its_own_losses() -> None:
    assert tandem_score([KETENE], PARACETAMOL) > tandem_score([KETENE], AMINOBENZOATE) + 0.3
    assert tandem_score([METHANOL], AMINOBENZOATE) > tandem_score([METHANOL], PARACETAMOL) + 0.3


def test_the_score_by_loops() -> None:
    described = describe(PARACETAMOL, fragments(PARACETAMOL))
    grid = ion_grid(described, "positive", radicals=True)
    scores = measured_scorer().scores(described.features)[:3]
    shares = sum(intensities(one, grid) for one in scores) / 3
    weights = {peak: height ** (1 / 3) for peak, height in zip(KETENE.mz, KETENE.intensity) if peak < 150.57}
    expected = 0.0
    for peak, weight in weights.items():
        near = sum(share for ion, share in zip(grid.mz, shares) if abs(ion - peak) <= 0.01)
        expected += weight / sum(weights.values()) * math.log(1 + near / 1e-3)
    # The scorer multiplies in float32: two calls may differ in the last bit.
    assert tandem_score([KETENE], PARACETAMOL) == pytest.approx(INDEPENDENT_PEAKS * expected, rel=1e-6)


def test_several_spectra_count_by_their_mean() -> None:
    one, other = (tandem_score([each], PARACETAMOL) for each in (KETENE, METHANOL))
    assert tandem_score([KETENE, METHANOL], PARACETAMOL) == pytest.approx((one + other) / 2)
    assert tandem_score([METHANOL, KETENE], PARACETAMOL) == pytest.approx((one + other) / 2)


def test_another_precursor_costs() -> None:
    hydrated = replace(KETENE, precursor_mz=170.0812)
    beyond = replace(KETENE, precursor_mz=152.0706 + 0.0014)  # 9 ppm
    assert tandem_score([beyond], PARACETAMOL) == pytest.approx(tandem_score([KETENE], PARACETAMOL))
    assert tandem_score([hydrated], PARACETAMOL) < tandem_score([KETENE], PARACETAMOL) - PRECURSOR_PENALTY + 5.0


def test_an_unknown_precursor_is_that_of_the_molecule() -> None:
    unknown = replace(KETENE, precursor_mz=None, adduct=None)
    assert tandem_score([unknown], PARACETAMOL) == pytest.approx(tandem_score([KETENE], PARACETAMOL))


@pytest.mark.parametrize(
    ("observed", "smiles"),
    [
        ([], "CC(=O)Nc1ccc(O)cc1"),
        ([replace(KETENE, adduct="[M+Na]+")], "CC(=O)Nc1ccc(O)cc1"),
        ([KETENE], "C[N+](C)(C)CC"),
        ([spectrum((152.0706, 1.0))], "CC(=O)Nc1ccc(O)cc1"),
    ],
    ids=["none", "sodium adduct", "charged molecule", "precursor alone"],
)
def test_where_nothing_is_known_the_score_is_nought(observed: list[TandemMS], smiles: str) -> None:
    assert tandem_score(observed, Chem.MolFromSmiles(smiles)) == 0.0
