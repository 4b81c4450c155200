"""Parts of several files, one record: what joins, and which contradictions are named."""

from dataclasses import replace

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.assembly import assemble, merge_tandem
from mmspec_ds.readers.part import INCHIKEY, Part
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Multiplet, Polarity, Spectrum, TandemMS

PROTON = HydrogenNMR((Multiplet(1.2, 1.3, 1.1, "t", 3),))
CARBON = CarbonNMR((58.0, 18.0))
IR = Infrared(np.array([0.0, 1.0, 0.5]))


def ms(
    energy: float | None = 20.0, polarity: Polarity = "positive", mz: tuple[float, ...] = (50.0, 60.0)
) -> TandemMS:
    return TandemMS(np.array(mz), np.linspace(50.0, 100.0, len(mz)), polarity, energy)


def part(name: str, *spectra: Spectrum, **more: object) -> Part:
    return Part(name, spectra, **more)  # type: ignore[arg-type]


def test_one_record_of_four_files() -> None:
    record = assemble(
        [
            part("d.mgf:0", ms(20.0, "negative")),
            part("c.jdx:0", IR),
            part("b.csv:0", CARBON, smiles="CCO"),
            part("d.mgf:1", ms(40.0), smiles="OCC"),
            part("d.mgf:2", ms(10.0)),
            part("a.jdx:0", PROTON, formula="C2H6O"),
        ],
        record_id="ethanol",
    )
    assert (record.id, record.smiles, record.formula) == ("ethanol", "CCO", "C2H6O")
    assert record.spectra[:3] == (PROTON, CARBON, IR)
    tandem = [spectrum for spectrum in record.spectra if isinstance(spectrum, TandemMS)]
    assert [(one.polarity, one.collision_energy_ev) for one in tandem] == [
        ("positive", 10.0),
        ("positive", 40.0),
        ("negative", 20.0),
    ]


def test_the_id_is_that_of_the_parts() -> None:
    assert assemble([part("a:0", CARBON), part("b:3", IR)]).id == "a:0+b:3"


def test_spectra_of_one_slot_become_one() -> None:
    """Worked by hand: 50 is in both, 60.000 and 60.004 are one peak, 70 is in the second alone."""
    first = TandemMS(np.array([50.0, 60.0]), np.array([100.0, 50.0]), "positive", 20.0)
    second = TandemMS(np.array([50.0, 60.004, 70.0]), np.array([20.0, 10.0, 2.0]), "positive", 20.0)
    merged = merge_tandem([first, second])
    np.testing.assert_allclose(merged.mz, [50.0, 60.002, 70.0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(merged.intensity, [100.0, 50.0, 5.0], rtol=1e-12)
    assert (merged.polarity, merged.collision_energy_ev) == ("positive", 20.0)
    (joined,) = assemble([part("a:0", first), part("b:0", second)]).spectra
    assert isinstance(joined, TandemMS)
    assert joined.mz.tolist() == merged.mz.tolist()


def test_stereo_of_the_smiles_and_order_of_the_formula() -> None:
    record = assemble([part("a:0", CARBON, formula="C2H6O"), part("b:0", IR, formula="OC2H6")])
    assert record.formula == "C2H6O"


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (
            {"smiles": "CCO"},
            {"smiles": "CCN"},
            "the SMILES of b:0 is CCN, that of a:0 is CCO: not one molecule",
        ),
        ({"formula": "C2H6O"}, {"formula": "C2H7N"}, "the formula of b:0 is C2H7N, that of a:0 is C2H6O"),
        (
            {"metadata": {INCHIKEY: "LFQSCWFLJHTTHZ-UHFFFAOYSA-N"}},
            {"metadata": {INCHIKEY: "QUSNBJAOOMFDIB-UHFFFAOYSA-N"}},
            "the InChIKey of b:0 is QUSN",
        ),
    ],
    ids=["smiles", "formula", "inchikey"],
)
def test_contradictions_are_named(first: dict[str, object], second: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        assemble([part("a:0", ms(10.0), **first), part("b:0", ms(20.0), **second)])


def of(mz: float | None, adduct: str | None, energy: float = 20.0, **more: object) -> TandemMS:
    return replace(ms(energy), precursor_mz=mz, adduct=adduct, **more)  # type: ignore[arg-type]


def test_two_precursors_of_one_adduct_are_a_contradiction() -> None:
    words = r"the precursor \[M\+H\]\+ of b:0 is m/z 46.0600, that of a:0 is 47.0500: not one molecule"
    with pytest.raises(DataError, match=words):
        assemble([part("a:0", of(47.05, "[M+H]+", 10.0)), part("b:0", of(46.06, "[M+H]+"))])


def test_other_adducts_and_stereo_are_not_a_contradiction() -> None:
    parts = [
        part("a:0", of(47.05, "[M+H]+", 10.0), metadata={INCHIKEY: "AAAAAAAAAAAAAA-B-N"}),
        part("b:0", of(69.03, "[M+Na]+"), metadata={INCHIKEY: "AAAAAAAAAAAAAA-C-N"}),
    ]
    assert len(assemble(parts).spectra) == 2


def test_what_is_known_of_the_precursors_of_merged_spectra() -> None:
    protonated = of(47.05, "[M+H]+", charge=1, measured_energy_ev=18.0)
    one = merge_tandem([protonated, of(47.06, "[M+H]+", charge=1, measured_energy_ev=25.0), of(None, None)])
    assert (one.precursor_mz, one.adduct, one.charge, one.measured_energy_ev) == (47.05, "[M+H]+", 1, 21.5)
    two = merge_tandem([protonated, of(69.03, "[M+Na]+", charge=1)])
    assert (two.precursor_mz, two.adduct, two.charge, two.measured_energy_ev) == (None, None, 1, 18.0)


def test_two_spectra_of_one_kind_are_a_contradiction() -> None:
    with pytest.raises(DataError, match="b:0 and a:0 both give a 13C NMR spectrum, a record has one"):
        assemble([part("a:0", CARBON), part("b:0", CARBON)])


def test_what_is_given_beside_the_files_must_agree_and_be_sound() -> None:
    with pytest.raises(DataError, match="the formula of a:0 is C2H6O, that of the given one is C3H8O"):
        assemble([part("a:0", CARBON, formula="C2H6O")], formula="C3H8O")
    with pytest.raises(DataError, match="the given formula: 'Xx'"):
        assemble([part("a:0", CARBON)], formula="Xx")
    with pytest.raises(ValueError, match="no part"):
        assemble([])
