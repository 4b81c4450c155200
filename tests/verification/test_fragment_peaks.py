"""Peaks of MS/MS spectra and the parts of a molecule that explain them."""

import numpy as np
import pytest

from mmspec_ds.molecules.formula import monoisotopic_mass
from mmspec_ds.spectra.records import Polarity, TandemMS
from mmspec_ds.verification.fragment_peaks import explained_share, match_peaks

ELECTRON = 0.00054858


def spectrum(ions: tuple[str, ...], polarity: Polarity = "positive", more: tuple[float, ...] = ()) -> TandemMS:
    """Peaks of equal height at the m/z of these ions, and at others."""
    sign = 1 if polarity == "positive" else -1
    mz = np.array(sorted([*(monoisotopic_mass(ion) - sign * ELECTRON for ion in ions), *more]))
    return TandemMS(mz, np.ones(len(mz)), polarity)


def test_paracetamol() -> None:
    # The textbook's fragments: loss of ketene, then of ammonia or water; the whole ion; its loss of water.
    ions = ("C5H5", "C6H6N", "C6H5O", "C6H8NO", "C8H8NO", "C8H10NO2")
    found = match_peaks(spectrum(ions), "CC(=O)Nc1ccc(O)cc1")
    assert [one.ion for one in found] == [f"{ion}+" for ion in ions]
    assert [one.broken for one in found][3:] == [1, 1, 0]
    assert found[3].atoms == tuple(range(3, 11)), "without the acetyl group"
    assert max(abs(one.error_ppm) for one in found) < 0.1
    assert explained_share(found) == 1.0


def test_a_radical() -> None:
    (one,) = match_peaks(spectrum(("C6H7NO",)), "CC(=O)Nc1ccc(O)cc1")  # 109.0522, loss of an acetyl radical
    assert (one.ion, one.broken, one.atoms) == ("C6H7NO+", 1, tuple(range(3, 11)))


def test_an_anion() -> None:
    (one,) = match_peaks(spectrum(("C6H6NO",), "negative"), "CC(=O)Nc1ccc(O)cc1")
    assert (one.ion, one.atoms) == ("C6H6NO-", tuple(range(3, 11)))


def test_peaks_that_nothing_explains() -> None:
    found = match_peaks(spectrum(("C6H8NO",), more=(77.5, 110.0631)), "CC(=O)Nc1ccc(O)cc1")
    assert [one.ion for one in found] == [None, "C6H8NO+", None]
    assert explained_share(found) == pytest.approx(1 / 3)
    assert found[0].intensity == 100.0


def test_the_tolerance_in_ppm() -> None:
    mz = monoisotopic_mass("C20H31O2") - ELECTRON  # m/z 303: 10 ppm are 0.003
    smiles = "CCCCCC=CCC=CCC=CCC=CCCCC(=O)O"
    for ppm, explained in ((9.0, True), (-9.0, True), (11.0, False)):
        peak = TandemMS(np.array([mz * (1 + ppm * 1e-6)]), np.ones(1))
        (one,) = match_peaks(peak, smiles)
        # arachidonic acid is C20H32O2; C20H31O2+ would be an ion with H2 less
        assert (one.ion == "C20H31O2+") == explained
        if explained:
            assert one.error_ppm == pytest.approx(ppm, abs=0.05)
