"""Answers of a model in a folder: greedy and drawn, alone and in a batch, free and of given choices."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.decoding import Decoding
from mmspec_ds.systems.alignment.frozen_language import FrozenLanguage
from mmspec_ds.systems.alignment.objects import Molecule, Protein
from mmspec_ds.systems.alignment.prompt import SOFT, Turn
from mmspec_ds.systems.alignment.trained import Trained, load_alignment
from tests.systems.alignment.tiny import ENCODER_CLASSES, save_language, save_trained

PROMPTS = ["Is [MOLECULE] an acid?", "Do [PROTEIN] and [MOLECULE] bind, and if so, how?", "Hello."]
OBJECTS = [(Molecule("CCO"),), (Protein("MKS"), Molecule("CC(=O)N")), ()]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    save_trained(folder / "run", save_language(folder / "language"))
    return load_alignment(folder / "run", encoders=ENCODER_CLASSES)


def greedy_by_hand(trained: Trained, number: int, length: int) -> str:
    """The whole text read anew for each token, by the stock model."""
    row = trained.writer.write(PROMPTS[number])
    model, language = trained.model, trained.model.language.model
    soft = [
        torch.from_numpy(trained.project(kind, ENCODER_CLASSES[kind].encode([one]), [PROMPTS[number]])[0])
        for kind, one in zip(row.kinds, OBJECTS[number])
    ]
    ids = torch.from_numpy(row.ids)
    embedded = language.get_input_embeddings()(ids.clamp_min(0)).clone()
    if soft:
        embedded[ids == SOFT] = torch.cat(soft)
    found: list[int] = []
    for _ in range(length):
        token = int(language(inputs_embeds=embedded[None]).logits[0, -1].argmax())
        if token in trained.writer.stop_ids:
            break
        found.append(token)
        embedded = torch.cat([embedded, language.get_input_embeddings()(torch.tensor([token]))])
    assert model is trained.model
    return trained.writer.decode(found).strip()


def test_greedy_answers_with_a_cache_are_those_without(trained: Trained) -> None:
    with torch.no_grad():
        expected = [greedy_by_hand(trained, at, 12) for at in range(3)]
    assert trained.answer(PROMPTS, OBJECTS, decoding=Decoding(12)) == expected
    alone = [trained.answer([p], [o], decoding=Decoding(12))[0] for p, o in zip(PROMPTS, OBJECTS)]
    assert alone == expected
    assert len(set(expected)) == 3


def test_what_streams_is_the_answer(trained: Trained) -> None:
    pieces: dict[int, list[str]] = {0: [], 1: [], 2: []}
    answers = trained.answer(
        PROMPTS, OBJECTS, decoding=Decoding(12), stream=lambda at, text: pieces[at].append(text)
    )
    assert ["".join(pieces[at]).strip() for at in range(3)] == answers
    assert max(len(one) for one in pieces.values()) > 1


def test_drawn_answers_follow_the_seed(trained: Trained) -> None:
    def drawn(seed: int, **more: float) -> list[str]:
        return trained.answer(PROMPTS, OBJECTS, decoding=Decoding(8, **{"temperature": 0.7, **more}, seed=seed))

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert drawn(1, top_p=1e-6) == trained.answer(PROMPTS, OBJECTS, decoding=Decoding(8))
    assert drawn(1, temperature=1e-4) == trained.answer(PROMPTS, OBJECTS, decoding=Decoding(8))


def test_choices_have_the_likelihood_of_their_tokens(trained: Trained) -> None:
    choices = ("yes", "no", "")
    found = trained.score_choices(PROMPTS, OBJECTS, choices)
    batch_free = np.array(
        [[likelihood(trained, at, choice) for choice in choices] for at in range(len(PROMPTS))]
    )
    assert found == pytest.approx(batch_free, abs=1e-4)
    answers = trained.answer(PROMPTS, OBJECTS, choices=[choices, ("a", "b"), ()], decoding=Decoding(4))
    assert answers[0] == choices[int(batch_free[0].argmax())]
    assert answers[1] in ("a", "b")
    assert answers[2] == trained.answer(PROMPTS[2:], OBJECTS[2:], decoding=Decoding(4))[0]
    own = trained.score_choices(PROMPTS[:2], OBJECTS[:2], [("yes", "no"), ("no", "yes")])
    assert own == pytest.approx(np.stack([found[0, :2], found[1, [1, 0]]]), abs=1e-4)


def test_questions_with_the_same_choices_are_read_together(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 questions of two sets of choices, as they come in a file of several tasks."""
    prompts = [f"Is [MOLECULE]{' really' * (at % 5)} an acid?" for at in range(40)]
    objects = [(Molecule(f"{'C' * (1 + at // 2)}{'NO'[at % 2]}"),) for at in range(40)]
    both = (("yes", "no"), ("an acid", "a base", "neither"))
    choices = [both[at % 2] for at in range(40)]
    alone = [
        trained.score_choices([prompt], [one], own)[0] for prompt, one, own in zip(prompts, objects, choices)
    ]
    for at in (0, 1):
        found = trained.score_choices(prompts[at::2], objects[at::2], both[at])
        np.testing.assert_allclose(found, alone[at::2], rtol=1e-5)
    expected = [own[int(scores.argmax())] for own, scores in zip(choices, alone)]
    assert len(set(expected)) > 2
    rows: list[int] = []
    states = FrozenLanguage.states

    def counted(self: FrozenLanguage, embedded_BLW: torch.Tensor, **options: Any) -> torch.Tensor:
        rows.append(len(embedded_BLW))
        return states(self, embedded_BLW, **options)

    monkeypatch.setattr(FrozenLanguage, "states", counted)
    assert trained.answer(prompts, objects, choices=choices) == expected
    assert rows == [16, 32, 4, 8, 16, 48, 4, 12]  # prompts, then each with its choices
    rows.clear()
    longest = max(len(trained.writer.write(one)) for one in prompts)
    monkeypatch.setattr("mmspec_ds.systems.alignment.trained.MOST_POSITIONS", 20 * longest)
    assert trained.answer(prompts, objects, choices=choices) == expected
    assert rows == [10, 20, 10, 20, *[6, 18] * 3, 2, 6]


@torch.no_grad()
def likelihood(trained: Trained, at: int, answer: str) -> float:
    """Of an answer and its end, by the stock model on the whole text."""
    row = trained.writer.write(PROMPTS[at], answer)
    language = trained.model.language.model
    ids = torch.from_numpy(row.ids)
    embedded = language.get_input_embeddings()(ids.clamp_min(0)).clone()
    if row.kinds:
        embedded[ids == SOFT] = torch.cat(
            [
                torch.from_numpy(trained.project(kind, ENCODER_CLASSES[kind].encode([one]), [PROMPTS[at]])[0])
                for kind, one in zip(row.kinds, OBJECTS[at])
            ]
        )
    log_p = language(inputs_embeds=embedded[None]).logits[0].log_softmax(-1)
    places = range(row.answer, len(row))
    return float(sum(log_p[place - 1, ids[place]] for place in places))


def test_descriptions_are_compared_by_a_model_of_stage_1(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="without the contrastive loss"):
        trained.describe(["ethanol"])
    language = save_language(tmp_path / "language")
    model = save_trained(tmp_path / "run", language, objective={"contrastive": 1.0, "layer": 2})
    found = load_alignment(tmp_path / "run", encoders=ENCODER_CLASSES)
    texts = found.describe(["ethanol", "a"])
    ids = torch.tensor([found.writer.text_ids("ethanol")])
    states = model.language.model(ids, output_hidden_states=True).hidden_states[2].mean(1)
    expected = model.text_vectors(states)[0].detach().numpy()
    assert texts[0] == pytest.approx(expected, abs=1e-5)
    objects = found.contrast("molecule", ENCODER_CLASSES["molecule"].encode([Molecule("CCO")]), ["[MOLECULE]?"])
    assert np.linalg.norm(objects, axis=1) == pytest.approx(1.0)
    assert np.linalg.norm(texts, axis=1) == pytest.approx(1.0)


def test_a_dialogue_is_one_prompt(trained: Trained) -> None:
    dialogue = [
        Turn("user", "What is [MOLECULE]?"),
        Turn("assistant", "It is [MOLECULE], that is ethanol."),
        Turn("user", "And [MOLECULE]?"),
    ]
    two = (Molecule("CCO"), Molecule("CCN"))
    assert trained.writer.write(dialogue).kinds == ("molecule", "molecule")
    (answer,) = trained.answer([dialogue], [two], decoding=Decoding(6))
    (swapped,) = trained.answer([dialogue], [two[::-1]], decoding=Decoding(6))
    assert answer != swapped


def test_wrong_objects_are_told_in_one_line(trained: Trained) -> None:
    with pytest.raises(DataError, match="question 1 names molecule, and the objects are none"):
        trained.answer(["Hello", "What is [MOLECULE]?"], [(), ()])
    with pytest.raises(
        DataError, match="question 0: the prompt names a cell: the model was trained with molecule"
    ):
        trained.answer(["What is [CELL]?"], [()])
    with pytest.raises(DataError, match=r"question 0: a prompt of [\d,]+ tokens: expected at most 256"):
        trained.answer(["a" * 300], [()])


def test_a_language_model_that_is_elsewhere_is_told(tmp_path: Path) -> None:
    language = save_language(tmp_path / "language")
    save_trained(tmp_path / "run", language)
    language.rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"run: there is no folder .*language with its language model"):
        load_alignment(tmp_path / "run")
    (tmp_path / "run" / "language_model").symlink_to(tmp_path / "moved")
    assert load_alignment(tmp_path / "run").kinds == ("molecule", "protein")


def test_another_language_model_or_encoder_is_refused(tmp_path: Path) -> None:
    save_trained(tmp_path / "run", save_language(tmp_path / "language"))
    other = save_language(tmp_path / "other", seed=1)
    with pytest.raises(DataError, match="the language model is not the one") as refused:
        load_alignment(tmp_path / "run", other)
    assert "\n" not in str(refused.value)
    with pytest.raises(DataError, match="encoder letters of a molecule is not the one"):
        load_alignment(tmp_path / "run", encoders={"molecule": ENCODER_CLASSES["protein"]})
    weights = tmp_path / "run/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(DataError, match="altered"):
        load_alignment(tmp_path / "run")
