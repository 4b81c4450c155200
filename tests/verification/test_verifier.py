"""Verdicts and assignments of small molecules."""

import numpy as np
import pytest
from rdkit import Chem

from mmspec_ds.simulator.noise_settings import NoiseSettings
from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.spectra.records import (
    HSQC,
    CarbonNMR,
    HSQCPeak,
    HydrogenNMR,
    Infrared,
    Multiplet,
    Record,
)
from mmspec_ds.verification import verifier
from mmspec_ds.verification.assignment import assign
from mmspec_ds.verification.error_models import ErrorModels
from mmspec_ds.verification.predicted import predicted
from mmspec_ds.verification.verifier import UNPREDICTABLE, Verifier

ISOMERS = (
    "CCOC(=O)c1ccccc1",
    "CC(=O)OCc1ccccc1",
    "CCC(=O)Oc1ccccc1",
    "COC(=O)Cc1ccccc1",
    "COC(=O)c1ccccc1C",
    "O=C(O)CCc1ccccc1",
)


def listed(*shifts: float) -> HydrogenNMR:
    """A measured list without couplings and integrals."""
    return HydrogenNMR(tuple(Multiplet(ppm, ppm, ppm, "m", 1) for ppm in shifts))


@pytest.mark.parametrize("smiles", ISOMERS)
def test_the_right_isomer_agrees_best(smiles: str) -> None:
    verdicts = Verifier(simulate_record(smiles, seed=3)).judge(ISOMERS)
    assert max(verdicts, key=lambda one: one.score).smiles == smiles
    assert set(verdicts[0].parts) >= {"h_nmr", "c_nmr", "hsqc"}


def test_measured_lists_of_ethyl_acetate() -> None:
    # Fulmer et al., Organometallics 2010, 29, 2176, table of CDCl3: 1H 2.05, 1.26, 4.12; 13C 21.04, 171.36,
    # 60.49, 14.19.
    record = Record("a", (listed(4.12, 2.05, 1.26), CarbonNMR((171.36, 60.49, 21.04, 14.19))))
    verdicts = Verifier(record).judge(["CCOC(C)=O", "CCC(=O)OC", "CCCC(=O)O", "O=CCCCO"])
    scores = [one.score for one in verdicts]
    assert scores[0] == max(scores)
    matches = assign(record, "CCOC(C)=O")
    atoms = {(one.modality, one.observed_ppm): one.atoms for one in matches}
    assert atoms[("c_nmr", 171.36)] == (3,)
    assert atoms[("c_nmr", 14.19)] == atoms[("h_nmr", 1.26)] == (0,)
    assert atoms[("h_nmr", 2.05)] == atoms[("c_nmr", 21.04)] == (4,)


def test_the_score_is_the_weighted_sum() -> None:
    record = simulate_record("CCO")
    models = ErrorModels(weights={"h_nmr": 2.0, "c_nmr": 0.5, "hsqc": 0.0, "ir": 0.0, "ms": 0.0})
    (verdict,) = Verifier(record, models).judge(["CCO"])
    assert set(verdict.parts) >= {"h_nmr", "c_nmr", "hsqc", "ir"}
    assert verdict.score == pytest.approx(2 * verdict.parts["h_nmr"] + 0.5 * verdict.parts["c_nmr"])


@pytest.mark.parametrize("smiles", ["no molecule", "CCO.CCN", ""])
def test_no_molecule_has_the_lowest_score(smiles: str) -> None:
    record = Record("a", (CarbonNMR((60.0, 20.0)),))
    right, wrong = Verifier(record).judge(["CCO", smiles])
    assert wrong.parts == {"c_nmr": UNPREDICTABLE}
    assert right.score > UNPREDICTABLE


ODD = """
    O O=C=O ClC(Cl)(Cl)Cl [Na+] C[Si](C)(C)C F N#N * [2H]C [H][H] [C-]#[O+] C[N+]#[C-] CN=[N+]=[N-] [CH3]
    C[O] CN(C)[O] CC(=O)O[2H] [2H]OP(C)(=O)O C[N+](=O)[O-] C[n+]1ccccc1 [O-][n+]1ccccc1 c1cc[o+]cc1
    [cH-]1cccc1 c1c[nH]c[nH+]1 c1cc[siH]cc1 C[Si]1=CC=CC=C1 b1ccccc1 [bH]1cccc1 c1cc[b-]cc1 B1=NB=NB=N1
    F[B-](F)(F)F c1cnb[nH]1 Ic1ccccc1I O=I(=O)c1ccccc1 [I+]1c2ccccc2-c2ccccc12 c1cc[te]c1 c1cc[asH]c1 C[Hg]C
    C[Mg]Br [Fe] CS(F)(F)(F)(F)F
    I[c+]1cccccc1 C[Si](C)(C)[c-]1cccc1
"""


@pytest.mark.parametrize("smiles", ODD.split())
def test_odd_molecules_have_finite_scores(smiles: str) -> None:
    (verdict,) = Verifier(simulate_record("CCO")).judge([smiles])
    assert all(np.isfinite(part) and part > UNPREDICTABLE for part in verdict.parts.values())


@pytest.mark.parametrize("error", [Chem.KekulizeException("no"), RuntimeError("Invariant Violation")])
def test_a_molecule_whose_spectra_cannot_be_predicted_has_the_lowest_score(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(spectrum: Infrared, mol: Chem.Mol) -> float:
        if mol.GetNumAtoms() == 3:
            raise error
        return 0.0

    monkeypatch.setattr(verifier, "infrared_score", failing)
    judge = Verifier(simulate_record("CCO"))
    right, wrong = judge.judge(["CC", "CCO"])
    assert wrong.parts == dict.fromkeys(judge.modalities, UNPREDICTABLE)
    assert judge.judge_quickly([Chem.MolFromSmiles("CCO")]).tolist() == [wrong.score]
    assert right.parts["ir"] == 0.0


def test_attached_hydrogens_tell_ch3_from_ch2() -> None:
    as_ch3, as_ch2 = (Verifier(Record("a", (CarbonNMR((30.0,), (n,)),))).judge(["CC"])[0].score for n in (3, 2))
    models = ErrorModels()
    assert as_ch3 - as_ch2 == pytest.approx(np.log(3 * models.same_hydrogens / (1 - models.same_hydrogens)))


def test_stereochemistry_changes_nothing() -> None:
    record = Record("a", (CarbonNMR((17.0, 126.0)), listed(1.6, 5.4)))
    cis, flat = Verifier(record).judge(["C/C=C\\C", "CC=CC"])
    assert cis.parts == flat.parts


def test_atoms_are_numbered_as_in_the_smiles() -> None:
    smiles = "OC(=O)[C@H](N)C"
    for one in assign(Record("a", (CarbonNMR((176.0, 51.0, 17.0)),)), smiles):
        assert all(Chem.MolFromSmiles(smiles).GetAtomWithIdx(atom).GetSymbol() == "C" for atom in one.atoms)


def test_unexplained_and_missing_signals_are_named() -> None:
    matches = assign(Record("a", (CarbonNMR((200.0, 18.0)),)), "CCO")
    told = [(one.observed_ppm, one.predicted_ppm is None, one.atoms) for one in matches]
    assert told == [(200.0, True, ()), (None, False, (1,)), (18.0, False, (0,))]
    assert matches[0].spread_ppm == 0.0


def test_lines_split_by_fluorine_and_their_centres_both_match() -> None:
    split = simulate_record("FC(F)(F)c1ccccc1", noise=NoiseSettings.off())
    centres = Record("a", (CarbonNMR(tuple(predicted("FC(F)(F)c1ccccc1").carbon.ppm.tolist())),))
    for record in (split, centres):
        matches = [one for one in assign(record, "FC(F)(F)c1ccccc1") if one.modality == "c_nmr"]
        assert all(one.observed_ppm is not None and one.predicted_ppm is not None for one in matches)


def test_cross_peaks_are_matched_in_both_dimensions() -> None:
    right, crossed = (
        Record("a", (HSQC((HSQCPeak(58.0, one), HSQCPeak(18.0, other))),))
        for one, other in ((3.7, 1.2), (1.2, 3.7))
    )
    assert Verifier(right).judge(["CCO"])[0].score > Verifier(crossed).judge(["CCO"])[0].score + 5


def test_a_mobile_hydrogen_may_be_missing() -> None:
    hydrogens = HydrogenNMR((Multiplet(3.7, 3.7, 3.7, "q", 2), Multiplet(1.2, 1.2, 1.2, "t", 3)))
    matches = assign(Record("a", (hydrogens,)), "CCO")
    assert [one.atoms for one in matches if one.observed_ppm is None] == [(2,)]


def test_a_quick_judgement_is_of_narrow_surroundings() -> None:
    # Nothing is more than two bonds away in acetone, so that narrow surroundings are all there are.
    record = Record("r", (CarbonNMR((206.7, 30.9)),))
    judge = Verifier(record)
    exact = [one.score for one in judge.judge(["CC(C)=O", "CCC=O", "CCCCCCC"])]
    quick = judge.judge_quickly([Chem.MolFromSmiles(one) for one in ("CC(C)=O", "CCC=O", "CCCCCCC")])
    assert quick[0] == pytest.approx(exact[0], abs=1e-9)
    assert quick.argmax() == 0
    assert quick == pytest.approx(exact, abs=10)
