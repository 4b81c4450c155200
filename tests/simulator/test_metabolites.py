"""Signals and ions of the metabolites of simulated mixtures, against values worked out by hand."""

import pytest

from mmspec_ds.simulator.metabolites import lines_of, serum_metabolites
from mmspec_ds.spectra.records import Multiplet

BY_NAME = {one.name: one for one in serum_metabolites()}


def test_alanine_has_a_methyl_doublet_and_its_ion() -> None:
    alanine = BY_NAME["alanine"]
    methyl = alanine.multiplets[-1]
    # 1.47 ppm is measured in water; the table of shifts is of organic solvents, where it stands at 1.3.
    assert (methyl.category, methyl.hydrogens) == ("d", 3)
    assert methyl.centroid_ppm == pytest.approx(1.47, abs=0.2)
    # C3H7NO2 89.04768 and a proton 1.00728
    assert alanine.mz == pytest.approx(90.05496, abs=2e-5)


@pytest.mark.parametrize(
    ("name", "mz"),  # monoisotopic mass of the formula, and a proton more or less
    [
        ("glucose", 180.06339 - 1.00728),
        ("lactate", 90.03169 - 1.00728),
        ("tryptophan", 204.08988 + 1.00728),
        ("acetylcarnitine", 203.11576 + 1.00728),
    ],
)
def test_ions(name: str, mz: float) -> None:
    assert BY_NAME[name].mz == pytest.approx(mz, abs=3e-5)


@pytest.mark.parametrize(
    ("name", "hydrogens"),  # on carbon: those on O and N exchange with water
    [("glucose", 7), ("lactate", 4), ("citrate", 4), ("valine", 8), ("tryptophan", 8), ("acetylcarnitine", 17)],
)
def test_lines_hold_the_hydrogens_on_carbon(name: str, hydrogens: int) -> None:
    assert sum(share for _, share in BY_NAME[name].lines) == pytest.approx(hydrogens)


def test_a_doublet_of_triplets_by_pascals_triangle() -> None:
    # 10 Hz and 5 Hz at 500 MHz are 0.02 and 0.01 ppm; the letters name the large coupling first.
    lines = sorted(lines_of(Multiplet(2.0, 2.1, 1.9, "dt", 2, (5.0, 10.0))))
    assert [ppm for ppm, _ in lines] == pytest.approx([1.98, 1.99, 2.0, 2.0, 2.01, 2.02])
    assert sorted(share for _, share in lines) == pytest.approx([0.25] * 4 + [0.5] * 2)


def test_a_septet_is_one_coupling_to_six() -> None:
    lines = lines_of(Multiplet(3.0, 3.1, 2.9, "hept", 1, (6.0,)))
    assert [share * 64 for _, share in sorted(lines)] == pytest.approx([1, 6, 15, 20, 15, 6, 1])


def test_a_multiplet_without_couplings_is_spread_over_its_width() -> None:
    lines = lines_of(Multiplet(7.2, 7.2665, 7.1335, "m", 2, ()))
    # 0.133 ppm between the edges less the width of a line, 0.033 ppm
    assert (min(lines)[0], max(lines)[0]) == pytest.approx((7.15, 7.25))
    assert sum(share for _, share in lines) == pytest.approx(2.0)


def test_names_are_unique_and_pathways_have_company() -> None:
    assert len(BY_NAME) == len(serum_metabolites())
    pathways = [one.pathway for one in serum_metabolites()]
    assert sum(pathways.count(one) > 1 for one in set(pathways)) >= 7
