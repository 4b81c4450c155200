"""Rankings against verdicts and log probabilities that are asked for one by one."""

from collections.abc import Iterator

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.readers.candidate_list import Suspect
from mmspec_ds.readers.known_composition import known_composition
from mmspec_ds.readers.requests import Request
from mmspec_ds.spectra.records import HSQC, CarbonNMR, HSQCPeak, Record, TandemMS
from mmspec_ds.systems.elucidation import rank as ranking
from mmspec_ds.systems.elucidation.likelihood import Likelihood
from mmspec_ds.systems.elucidation.rank import (
    model_evidence,
    rank,
    spelling_log_probabilities,
)
from mmspec_ds.systems.elucidation.rank_files import Suspects, rank_requests
from mmspec_ds.systems.elucidation.trained import TrainedModel
from mmspec_ds.verification.verifier import Verifier
from tests.systems.elucidation.test_likelihood import trained as trained

BUTANONE = Record("r", (CarbonNMR((209.3, 36.9, 29.4, 7.9)),))
ISOMERS = [canonical_smiles(one) for one in ("CCC(C)=O", "CCCC=O", "CC(C)C=O", "C1CCCO1", "C=CCCO", "OC1CCC1")]


def suspects(smiles: list[str] = ISOMERS) -> list[Suspect]:
    return [Suspect(one, f"no. {number}") for number, one in enumerate(smiles)]


def tandem(precursor_mz: float, adduct: str) -> TandemMS:
    return TandemMS(np.array([50.0]), np.array([1.0]), precursor_mz=precursor_mz, adduct=adduct)


def test_prediction_alone_is_the_order_of_the_verdicts() -> None:
    found = rank(BUTANONE, suspects())
    verdicts = sorted(Verifier(BUTANONE).judge(ISOMERS), key=lambda one: -one.score)
    assert [(one.smiles, one.score) for one in found.molecules] == [(one.smiles, one.score) for one in verdicts]
    assert found.molecules[0].smiles == "CCC(C)=O"
    assert found.molecules[0].name == "no. 0"
    assert [one.rank for one in found.molecules] == [1, 2, 3, 4, 5, 6]
    assert (found.judged, found.first_pass) == (6, None)
    assert found.molecules[0].log_probability is None
    odds = np.exp([one.score - verdicts[0].score for one in found.molecules])
    assert [one.share for one in found.molecules] == pytest.approx(odds / odds.sum(), rel=1e-9)


def test_a_model_adds_its_evidence(trained: TrainedModel) -> None:
    smiles = ["CCO", "CCC", "CCCCCCCC", "CCN", "CC(C)=O"]
    found = {one.smiles: one for one in rank(BUTANONE, suspects(smiles), trained).molecules}
    scores = Likelihood(trained, BUTANONE).log_probabilities(smiles)
    assert np.isneginf(scores[3])  # no nitrogen in its vocabulary
    odds = 0.8 * 5 * np.exp(scores) / np.exp(scores).sum() + 0.2
    for verdict, one in zip(Verifier(BUTANONE).judge(smiles), odds):
        assert found[verdict.smiles].score == pytest.approx(verdict.score + np.log(one), rel=1e-9)
        assert found[verdict.smiles].parts == verdict.parts
    assert found["CCN"].log_probability == -np.inf


def test_the_evidence_of_a_model_is_bounded() -> None:
    sure = model_evidence(np.array([-1.0, -500.0, -np.inf]), 1.0)
    assert sure == pytest.approx(np.log([0.8 * 3 + 0.2, 0.2, 0.2]))
    assert model_evidence(np.array([-7.0, -7.0]), 0.5) == pytest.approx([0.0, 0.0])
    assert (model_evidence(np.array([-np.inf, -np.inf]), 1.0) == 0).all()


def test_both_spellings_of_a_stereoisomer_count(trained: TrainedModel) -> None:
    likelihood = Likelihood(trained, BUTANONE)
    plain, stereo, unknown = spelling_log_probabilities(likelihood, ["CCO", "C[C@H](O)CC", "CCN"])
    assert plain == likelihood.log_probabilities(["CCO"])[0]
    assert stereo == likelihood.log_probabilities(["CCC(C)O"])[0]
    assert unknown == -np.inf


def test_a_first_pass_keeps_the_best_of_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "PIECE", 2)
    read = 0

    def stream() -> Iterator[Suspect]:
        nonlocal read
        for one in [*suspects(["CC" + "C" * n for n in range(20)]), *suspects()]:
            read += 1
            yield one

    told: list[int] = []
    found = rank(BUTANONE, stream(), keep=3, progress=lambda count: told.append(count - read))
    assert (found.judged, found.first_pass) == (26, "c_nmr")
    assert [one.smiles for one in found.molecules] == [
        one.smiles for one in rank(BUTANONE, suspects()).molecules[:3]
    ]
    assert told[2:] == [0] * 11  # a piece is judged before the next one is read


def test_without_shifts_the_model_makes_the_first_pass(trained: TrainedModel) -> None:
    record = Record("r", (HSQC((HSQCPeak(29.4, 2.1),)),))
    smiles = ["CCCCCC", "CCO", "CC(C)=O", "CCCCCCCC", "CCN"]
    found = rank(record, suspects(smiles), trained, keep=2)
    assert (found.judged, found.first_pass) == (5, "model")
    scores = dict(zip(smiles, Likelihood(trained, record).log_probabilities(smiles)))
    assert {one.smiles for one in found.molecules} == set(sorted(smiles, key=lambda one: -scores[one])[:2])
    alone = rank(record, suspects(smiles), keep=2)  # nothing quick: all are judged by everything
    assert (len(alone.molecules), alone.first_pass) == (5, None)


def test_equal_candidates_share_a_rank() -> None:
    found = rank(BUTANONE, [Suspect("C[C@@H](O)CC"), Suspect("C[C@H](O)CC"), Suspect("CCC(C)=O"), Suspect("C")])
    assert [one.rank for one in found.molecules] == [1, 2, 2, 4]


def test_what_a_record_says_of_its_atoms() -> None:
    assert str(known_composition(Record("r", formula="C4H8O"), 10)) == "formula C4H8O"
    by_mass = known_composition(Record("r", (tandem(73.06479, "[M+H]+"), tandem(95.04673, "[M+Na]+"))), 10)
    assert str(by_mass) == "mass 72.0568 to 72.0582"  # C4H8O: 72.05751
    assert known_composition(BUTANONE, 10) is None
    with pytest.raises(DataError, match="give masses from 72"):
        known_composition(Record("r", (tandem(73.06479, "[M+H]+"), tandem(95.04673, "[M+H]+"))), 10)


def test_a_record_without_spectra() -> None:
    with pytest.raises(DataError, match="no spectrum by which"):
        rank(Record("empty"), suspects())


def test_answers_count_what_was_left_out() -> None:
    record = Record("r", BUTANONE.spectra, formula="C4H8O")
    requests = [Request("a", record), Request("b", error="damaged"), Request("c", Record("c", formula="C4H8O"))]
    offered = Suspects(isomers=(*ISOMERS, "O=C(C)CC", "CCO", "C1CC"))
    first, second, third = rank_requests(requests, offered)
    assert first["candidates"][0]["smiles"] == "CCC(C)=O"
    assert (first["read"], first["judged"], first["composition"]) == (9, 6, "formula C4H8O")
    assert first["left_out"] == {"repeated": 1, "of another formula": 2}
    assert second == {"id": "b", "error": "damaged", "remarks": []}
    assert "no spectrum" in third["error"]


def test_nothing_left_is_an_error() -> None:
    (answer,) = rank_requests(
        [Request("a", Record("a", BUTANONE.spectra, formula="C9H8O4"))], Suspects(isomers=("C",))
    )
    assert answer["error"] == "none of 1 candidates is left: 1 of another formula (expected formula C9H8O4)"


def test_a_formula_that_cannot_be_read_is_the_error_of_its_record() -> None:
    requests = [Request(one, Record(one, BUTANONE.spectra, formula=one)) for one in ("C4??", "C4H8O")]
    damaged, right = rank_requests(requests, Suspects(isomers=tuple(ISOMERS)))
    assert damaged["error"].startswith("'C4??' is not a molecular formula")
    assert right["candidates"][0]["smiles"] == "CCC(C)=O"
