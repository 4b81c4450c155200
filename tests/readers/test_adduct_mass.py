"""The mass of a molecule from the m/z of its ion, caffeine's (C8H10N4O2, 194.08038 Da)."""

import pytest

from mmspec_ds.readers.adduct import parse_adduct

CAFFEINE_DA = 194.08038


@pytest.mark.parametrize(
    ("adduct", "mz"),
    [
        ("[M+H]+", 195.08765),
        ("[M+Na]+", 217.06960),
        ("[M+NH4]+", 212.11420),
        ("[M+H-H2O]+", 177.07709),
        ("[M+2H]2+", 98.04747),
        ("[2M+H]+", 389.16803),
        ("[M+ACN+H]+", 236.11420),
        ("[M-H]-", 193.07310),
        ("[M+Cl]-", 229.04977),
        ("[M+FA-H]-", 239.07858),
        ("[M]+", 194.07983),
    ],
)
def test_mass_of_the_molecule(adduct: str, mz: float) -> None:
    read = parse_adduct(adduct)
    assert read is not None
    assert read.neutral_mass(mz) == pytest.approx(CAFFEINE_DA, abs=2e-5)


@pytest.mark.parametrize("adduct", ["[Cat]+", "[M+XYZ]+"])
def test_no_mass_where_the_ion_is_not_understood(adduct: str) -> None:
    read = parse_adduct(adduct)
    assert read is not None
    assert read.neutral_mass(100.0) is None
