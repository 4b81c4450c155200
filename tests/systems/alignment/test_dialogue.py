"""Dialogues with a model of prepared answers: what it is asked, what is checked, how history is kept."""

from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.requests import Request
from mmspec_ds.spectra.records import CarbonNMR, Record, TandemMS
from mmspec_ds.systems.alignment.decoding import GREEDY, Decoding
from mmspec_ds.systems.alignment.dialogue import Dialogue
from mmspec_ds.systems.alignment.objects import Molecule, Protein
from mmspec_ds.systems.alignment.prompt import PromptTooLong
from mmspec_ds.systems.alignment.subjects import (
    molecule_subject,
    protein_subjects,
    sample_subject,
    spectrum_subject,
)
from tests.systems.alignment.speaking import Speaking

FILES = Path(__file__).parents[2] / "readers/files"
SPECTRA = (CarbonNMR((21.0, 122.4, 170.1)),)


def dialogue(*answers: str, history: int = 0, most: int = 100) -> tuple[Speaking, Dialogue]:
    model = Speaking(answers, most)
    return model, Dialogue(model, [molecule_subject("OC(=O)C")], history=history)


def test_a_question_is_put_and_its_answer_checked() -> None:
    model, talk = dialogue("yes")
    pieces: list[str] = []
    reply = talk.ask("Does it contain an ester?", stream=pieces.append)
    assert model.asked[0].turns[0].text == "Does the molecule [MOLECULE] contain an ester?"
    assert model.asked[0].objects == [Molecule("CC(=O)O")]  # canonical
    assert model.asked[0].decoding == GREEDY
    assert (reply.answer, "".join(pieces).strip()) == ("yes", "yes")
    assert str(reply) == "yes\nchecked: ester: yes disagrees with the structure given (no ester)"
    assert reply.to_json() == {
        "question": "Does it contain an ester?",
        "prompt": "Does the molecule [MOLECULE] contain an ester?",
        "objects": ["OC(=O)C"],
        "answer": "yes",
        "checks": [
            {
                "what": "group",
                "said": "ester: yes",
                "expected": "no ester",
                "verdict": "disagrees",
                "by": "the structure given",
            }
        ],
        "not_checked": None,
        "remarks": [],
    }


def test_history_is_read_up_to_its_length_and_forgotten() -> None:
    model, talk = dialogue("yes", "no", "maybe", history=1)
    for question in ("Is it a?", "Is it b?", "Is it c?"):
        talk.ask(question)
    assert [[turn.text for turn in one.turns] for one in model.asked] == [
        ["Is the molecule [MOLECULE] a?"],
        ["Is the molecule [MOLECULE] a?", "yes", "Is the molecule [MOLECULE] b?"],
        ["Is the molecule [MOLECULE] b?", "no", "Is the molecule [MOLECULE] c?"],
    ]
    assert [len(one.objects) for one in model.asked] == [1, 2, 2]
    talk.forget()
    talk.ask("Is it d?")
    assert len(model.asked[-1].turns) == 1
    assert [one.answer for one in talk.replies] == ["yes", "no", "maybe", "yes"]


def test_a_dialogue_that_is_too_long_loses_its_beginning() -> None:
    model, talk = dialogue("yes", history=9, most=3)
    replies = [talk.ask(f"Is it {one}?") for one in "abcd"]
    assert [len(one.turns) for one in model.asked] == [1, 3, 3, 3]
    assert [len(one.remarks) for one in replies] == [0, 0, 1, 1]
    assert "its earliest questions are no longer read" in replies[-1].remarks[0]
    model.most = 0
    with pytest.raises(PromptTooLong, match=r"^a prompt of 1 turns$"):
        talk.ask("Is it e?")


def test_drawn_answers_have_another_seed_for_each_question() -> None:
    model = Speaking(("yes",))
    talk = Dialogue(model, [], Decoding(5, temperature=0.5, top_p=0.9, seed=7))
    talk.ask("Why?")
    talk.ask("Why?")
    assert [one.decoding.seed for one in model.asked] == [7, 8]
    assert (model.asked[0].decoding.temperature, model.asked[0].decoding.top_p) == (0.5, 0.9)


def test_an_object_that_cannot_be_read_is_one_line_and_the_dialogue_goes_on() -> None:
    _, talk = dialogue("yes")
    with pytest.raises(DataError, match=r"^nothing that the encoder reads$"):
        talk.ask("Is it a fault?")
    assert talk.ask("Is it a ring?").answer == "yes"
    assert len(talk.replies) == 1


def test_choices_are_passed_on() -> None:
    model, talk = dialogue("maybe")
    assert talk.ask("Is it?", choices=("no", "yes")).answer == "no"
    assert model.asked[0].choices == ["no", "yes"]


def test_the_model_is_not_told_the_structure_that_answers_are_checked_by() -> None:
    record = Record("a.sdf", SPECTRA, smiles="CC(=O)OC", formula="C3H6O2")
    subject = spectrum_subject(Request("a.sdf", record, remarks=("picked",)))
    assert subject.object == Record("a.sdf", SPECTRA)
    assert (subject.known.smiles, subject.known.source) == ("COC(C)=O", "the structure in a.sdf")
    assert subject.remarks == ("picked",)
    reply = Dialogue(Speaking(("yes",)), [subject]).ask("Does it contain an ester?")
    assert [one.verdict for one in reply.checked.checks] == ["agrees"]


def test_the_model_is_not_told_the_adduct_that_it_is_asked_for() -> None:
    peaks = np.array([43.0]), np.array([1.0])
    spectrum = TandemMS(*peaks, precursor_mz=61.0284, adduct="[M+H]+", polarity="positive")
    sample = spectrum_subject(Request("s", Record("s", (spectrum,))))
    model = Speaking(("[M+H]+",))
    talk = Dialogue(model, [sample])
    assert str(talk.ask("Which adduct was it?").checked.checks[0].verdict) == "agrees"
    talk.ask("Does it contain an ester?")
    told = [one.objects[0].spectra[0].adduct for one in model.asked]  # type: ignore[union-attr]
    assert told == [None, "[M+H]+"]


def test_formula_and_precursor_are_known_where_the_structure_is_not() -> None:
    given = spectrum_subject(Request("a", Record("a", SPECTRA, formula="C3H6O2")), formula_given=True)
    assert (given.known.formula, given.known.source) == ("C3H6O2", "the formula given")
    spectrum = TandemMS(np.array([43.0]), np.array([1.0]), precursor_mz=75.0441, adduct="[M+H]+")
    by_mass = spectrum_subject(Request("b", Record("b", (spectrum,)))).known
    assert by_mass.mass_da == pytest.approx((74.0361, 74.0376), abs=1e-4)
    assert (by_mass.adduct, by_mass.formula) == ("[M+H]+", None)


def test_a_proposal_is_told_as_such() -> None:
    subject = spectrum_subject(Request("a", Record("a", SPECTRA))).inferred("COC(C)=O", "starter", 0.25)
    reply = Dialogue(Speaking(("C3H6O2",)), [subject]).ask("What is the molecular formula of it?")
    (check,) = reply.checked.checks
    assert check.by == "the structure that starter proposes, COC(C)=O, 25% sure"
    assert check.verdict == "agrees"


def test_two_molecules_and_other_objects() -> None:
    model = Speaking(("the second", "yes", "hydrolase"))
    talk = Dialogue(model, [molecule_subject("CO"), molecule_subject("CCO"), *protein_subjects("MKV*")])
    heavier = talk.ask("Which one is heavier: [MOLECULE 1] or [MOLECULE 2]?")
    assert [one.verdict for one in heavier.checked.checks] == ["agrees"]
    assert heavier.names == ("CO", "CCO")
    assert talk.ask("Is [PROTEIN] an enzyme?").checked.reason == "only answers about molecules can be checked"
    assert model.asked[-1].objects == [Protein("MKV", "the sequence given")]


def test_objects_that_are_none() -> None:
    with pytest.raises(DataError, match=r"invalid SMILES .C1CC."):
        molecule_subject("C1CC")
    for text in ("none.fasta", "nonefasta", "MKV1"):  # of which "NONE.FASTA" would be letters of amino acids
        with pytest.raises(DataError, match="there is no such file: expected FASTA, or the letters"):
            protein_subjects(text)
    with pytest.raises(DataError, match=r"the protein 'ACGT.*' has letters of nucleotides alone"):
        protein_subjects("ACGT" * 10)
    with pytest.raises(DataError, match="damaged"):
        spectrum_subject(Request("a", error="a: damaged"))


def test_samples_of_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for name in ("c_nmr.csv", "h_nmr.csv"):
        (tmp_path / "s" / name).write_bytes((FILES / name).read_bytes())
    (tmp_path / "s/notes.docx").write_bytes(b"PK\x03\x04 notes")
    both = sample_subject(tmp_path / "s", None)
    assert both.name == "s"
    assert len(both.details) == 2
    assert any("notes.docx: left out" in remark for remark in both.remarks)
    (tmp_path / "nothing.csv").write_text("")
    with pytest.raises(DataError, match=r"nothing\.csv"):
        sample_subject(tmp_path / "nothing.csv", None)
