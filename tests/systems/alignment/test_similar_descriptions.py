"""Descriptions that are put together of those of similar molecules: of which, how weighed, and in use."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from rdkit import Chem, DataStructs
from rdkit.Chem import MACCSkeys, rdFingerprintGenerator

from mmspec_ds.evaluation.bleu import bleu_counts
from mmspec_ds.molecules.fingerprints import mean_similarities, several_fingerprints
from mmspec_ds.systems.alignment.answering.evaluate import Asked, all_answers, model_methods, plain_methods
from mmspec_ds.systems.alignment.answering.methods import Answers
from mmspec_ds.systems.alignment.decoding import Decoding
from mmspec_ds.systems.alignment.model import NEIGHBOURS_STATES, AlignmentModel
from mmspec_ds.systems.alignment.neighbours import known_of
from mmspec_ds.systems.alignment.objects import Example, Molecule
from mmspec_ds.systems.alignment.recombined import Expected, recombined
from mmspec_ds.systems.alignment.run_settings import NeighbourSettings
from mmspec_ds.systems.alignment.similar_descriptions import SimilarDescriptions
from mmspec_ds.systems.alignment.task import AlignmentTask
from mmspec_ds.systems.alignment.trained import Trained, load_alignment
from mmspec_ds.trainer.task import TaskContext
from tests.systems.alignment.test_answering_models import told
from tests.systems.alignment.test_neighbours import ASK, TEXTS, examples
from tests.systems.alignment.tiny import make_run, save_language, save_trained

ANSWER = {"place": "answer", "count": 2, "contrast": 0.0}


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_language(tmp_path_factory.mktemp("language") / "model")


def similar(count: int = 8, contrast: float = 0.0) -> SimilarDescriptions:
    settings = NeighbourSettings(place="answer", count=count, contrast=contrast)
    return SimilarDescriptions(known_of(examples()), settings)


def test_the_expected_agreement_by_hand() -> None:
    # "a b c" and "a b d": 2 of 3 words, 1 of 2 pairs, 0 of 1 triple, 0 of no fours, which count as one
    other = ((2.3 / 3.3) * (1.3 / 2.3) * (0.3 / 1.3) * (0.3 / 1.3)) ** 0.25
    same = (1.0 * 1.0 * 1.0 * (0.3 / 1.3)) ** 0.25
    assert Expected(["a b c"], [1.0])("a b c") == pytest.approx(same)
    assert Expected(["a b c", "a b d"], [0.75, 0.25])("a b c") == pytest.approx(0.75 * same + 0.25 * other)
    assert Expected(["a b c d"], [1.0])("a b c") == pytest.approx(
        math.exp(1 - 4 / 3) * same
    )  # too short by one word of four


def test_it_follows_bleu_of_long_texts() -> None:
    words = [f"w{at % 61}" for at in range(400)]
    text, right = " ".join(words), " ".join([*words[:300], *(f"x{at}" for at in range(100))])
    expected = bleu_counts([text], [right]).bleu(4)
    assert Expected([right], [1.0])(text) == pytest.approx(expected, abs=2e-3)


def test_one_text_is_copied_word_for_word() -> None:
    text = "The molecule is an acid. It has a role as a drug (see A). It is a B."
    assert recombined([text], [1.0]) == text


def test_the_likeliest_text_is_copied_where_nothing_is_common() -> None:
    texts = ["The one is red. It shines.", "Another two were blue; they do not."]
    assert recombined(texts, [0.9, 0.1]) == texts[0]
    assert recombined(texts, [0.1, 0.9]) == texts[1]


def test_sentences_of_several_texts_come_together() -> None:
    first = "The molecule is an alcohol with four carbon atoms in a chain."
    role = "It has a role as a plant metabolite and as a solvent."
    odd = "Zinc salts were once sold under other trade names in France."
    texts = [f"{first} {odd}", f"{first} {role}", f"Methanol is the smallest of all such things here. {role}"]
    assert recombined(texts, [0.4, 0.3, 0.3]) == f"{first} {role}"


def test_similarities_are_those_of_rdkit() -> None:
    made = rdFingerprintGenerator
    features = made.GetMorganFeatureAtomInvGen()
    generators = [
        made.GetMorganGenerator(radius=2, fpSize=2048, includeChirality=True, countSimulation=True),
        made.GetMorganGenerator(radius=2, fpSize=2048, atomInvariantsGenerator=features, countSimulation=True),
        made.GetAtomPairGenerator(fpSize=2048, countSimulation=True),
    ]
    one, other = "C[C@H](N)C(=O)O", "CC(N)C(=O)NC"
    molecules = [Chem.MolFromSmiles(smiles) for smiles in (one, other)]
    prints = [[made.GetFingerprint(molecule) for molecule in molecules] for made in generators]
    prints.append([MACCSkeys.GenMACCSKeys(molecule) for molecule in molecules])
    expected = np.mean([DataStructs.TanimotoSimilarity(*both) for both in prints])
    found = mean_similarities(several_fingerprints([one, "no structure"]), several_fingerprints([other]))
    assert found[:, 0].tolist() == pytest.approx([expected, 0.0], abs=1e-6)


def test_one_neighbour_is_copied_and_never_itself() -> None:
    assert similar(count=1).answers(["CCCCCO", "CCCCO", "no structure"])[:2] == [TEXTS["CCCCO"], TEXTS["CCCO"]]
    known = known_of(examples())[:1]
    assert SimilarDescriptions(known, NeighbourSettings(place="answer")).answers(["CCCCO"]) == [""]


def test_a_cosine_decides_by_its_weight() -> None:
    cosine = np.array([[0.0, 0.0, 0.0, 1.0]])  # with the description of the aromatic acid
    assert similar(count=1, contrast=0.0).answers(["CCCCCO"], cosine) == [TEXTS["CCCCO"]]
    assert similar(count=1, contrast=2.0).answers(["CCCCCO"], cosine) == [TEXTS["OC(=O)c1ccccc1"]]


def test_settings_that_do_not_fit(language: Path) -> None:
    with pytest.raises(ValidationError, match=r"neighbour.contrast is 0.4, but objective.contrastive is 0"):
        make_run(language, neighbour={"place": "answer"})
    with pytest.raises(ValidationError, match="temperatur"):
        make_run(language, neighbour={**ANSWER, "temperatur": 1.0})
    assert not make_run(language, neighbour=ANSWER).neighbour.compared  # type: ignore[union-attr]


def test_a_model_answers_with_them_and_writes_the_rest(language: Path, tmp_path: Path) -> None:
    save_trained(tmp_path / "one", language, known_of(examples()), neighbour=ANSWER)
    save_trained(tmp_path / "plain", language)
    found, plain = load_alignment(tmp_path / "one"), load_alignment(tmp_path / "plain")
    prompts = [ASK, "How many rings has [MOLECULE]?"]
    objects = [(Molecule("CCCCCO"),), (Molecule("CCCCCO"),)]
    heard: list[tuple[int, str]] = []
    answers = found.answer(
        prompts, objects, decoding=Decoding(6), stream=lambda at, text: heard.append((at, text))
    )
    assert answers[0] == similar(count=2).answers(["CCCCCO"])[0]
    assert (0, answers[0]) in heard
    assert answers[1] == plain.answer(prompts[1:], objects[1:], decoding=Decoding(6))[0]
    assert found.answer([ASK], objects[:1], choices=[("a", "b")])[0] in ("a", "b")


def test_a_run_keeps_what_it_compares(language: Path, tmp_path: Path) -> None:
    settings = {"place": "answer", "count": 1, "contrast": 50.0}
    run = make_run(
        language,
        neighbour=settings,
        objective={"layer": 1, "contrastive": 1.0, "autoregressive": 0.0},
        data={"cache": str(tmp_path / "cache")},
        training={"batch_size": 2, "steps": 1},
    )
    run = run.model_copy(update={"encoders": {"molecule": run.encoders["molecule"]}})
    held_back = [Example(ASK, (Molecule("CCCCCO"),), "A pentanol.", "description", group="p")]
    task = AlignmentTask(run, TaskContext(torch.device("cpu")), (examples(), held_back))
    trained = _as_trained(task, run)
    expected = trained.describe(list(TEXTS.values()))
    kept = trained.model.neighbour_vectors()
    assert kept is not None
    assert kept.numpy() == pytest.approx(expected, abs=1e-5)
    assert NEIGHBOURS_STATES in task.model.state_dict()
    # with so great a weight the description is the one with the greatest cosine
    molecule = Molecule("CCCCCO")
    own = trained.contrast("molecule", trained.vectors("molecule", [molecule]), [ASK])
    best = int((own @ expected.T)[0].argmax())
    assert trained.answer([ASK], [(molecule,)]) == [list(TEXTS.values())[best]]


def _as_trained(task: AlignmentTask, run: object) -> Trained:
    assert task.neighbours is not None
    assert isinstance(task.model, AlignmentModel)
    made = SimilarDescriptions(task.neighbours.known, task.neighbours.settings)
    return Trained(task.run, task.model.eval(), task.writer, task.encoders, task.neighbours, made)


def test_the_rows_of_an_evaluation(language: Path, tmp_path: Path) -> None:
    objective = {"layer": 1, "contrastive": 1.0, "autoregressive": 0.0}
    settings = {**ANSWER, "contrast": 0.4}
    known = known_of(examples())
    save_trained(tmp_path / "one", language, known, neighbour=settings, objective=objective)
    found = load_alignment(tmp_path / "one")
    right = Example(ASK, (Molecule("CCCCCO"),), "A pentanol.", "description", group="p")
    rings = replace(right, prompt="How many rings has [MOLECULE]?", task="rings", answer="0")
    acid = replace(right, objects=(Molecule("Cc1ccccc1C(=O)O"),), answer="A toluic acid.", group="q")
    asked = Asked(examples(), [right, acid, rings], shots=())
    answers = all_answers([*plain_methods(asked), *model_methods(asked, {"one": found}, told)], asked)
    made = SimilarDescriptions(known, NeighbourSettings(place="answer"))
    expected: Answers = [*made.answers(["CCCCCO", "Cc1ccccc1C(=O)O"]), None]
    assert answers["similar molecules' sentences"] == expected
    assert answers["one"][2] is None  # it learnt by the contrastive loss alone
    asked_alone: Sequence[str] = found.answer([ASK, ASK], [right.objects, acid.objects])
    assert answers["one"][:2] == asked_alone
    assert answers["one, objects shuffled"][:2] == asked_alone[::-1]
