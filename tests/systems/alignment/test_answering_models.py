"""Answers of a model that was never trained, of its language model by text, and its search for descriptions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.systems.alignment.answering.description_search import ranks, search_descriptions
from mmspec_ds.systems.alignment.answering.evaluate import Asked, learnt_groups, model_methods
from mmspec_ds.systems.alignment.answering.language_answers import AlignmentAnswers, TextAnswers
from mmspec_ds.systems.alignment.decoding import Decoding
from mmspec_ds.systems.alignment.frozen_language import FrozenLanguage
from mmspec_ds.systems.alignment.objects import Cell, Example, Molecule
from mmspec_ds.systems.alignment.prompt import Prompt, Turn
from mmspec_ds.systems.alignment.questions.question import MoleculeReference, Question
from mmspec_ds.systems.alignment.questions.question_lines import write_questions
from mmspec_ds.systems.alignment.shared_beginning import shared_beginnings
from mmspec_ds.systems.alignment.trained import Trained, load_alignment
from tests.systems.alignment.tiny import ENCODER_CLASSES, save_language, save_trained

CHOICES = ("yes", "no")
ASKED = [
    Example("Is [MOLECULE] an acid?", (Molecule(smiles),), answer, "functional group", CHOICES)
    for smiles, answer in (("CC(=O)O", "yes"), ("CCO", "no"), ("CCCN", "no"))
]
OF_A_CELL = Example("Is [CELL] big?", (Cell(np.ones(1, np.float32), ("G",)),), "yes", "size", CHOICES)
DESCRIBED = [
    Example("Describe [MOLECULE].", (Molecule("C" * n + "O"),), f"chain of {n}", "description", group=str(n))
    for n in range(1, 13)
]


@contextmanager
def told(what: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda done: None


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    save_trained(folder / "run", save_language(folder / "language"), objective={"contrastive": 1.0})
    return load_alignment(folder / "run", encoders=ENCODER_CLASSES)


def test_a_model_chooses_the_likeliest_answer(trained: Trained) -> None:
    given = AlignmentAnswers(trained, "run", told=told).answers([*ASKED, OF_A_CELL])
    scores = trained.score_choices([one.prompt for one in ASKED], [one.objects for one in ASKED], CHOICES)
    assert given == [*(CHOICES[at] for at in scores.argmax(1)), None]  # it knows no cells
    free = AlignmentAnswers(trained, "run", free=True, told=told).answers(ASKED[:1])
    assert free == trained.answer([ASKED[0].prompt], [ASKED[0].objects], decoding=Decoding(24))
    asked = Example("List the groups of [MOLECULE].", ASKED[0].objects, "alcohol", "functional groups")
    listed = AlignmentAnswers(trained, "run", told=told).answers([asked])
    assert listed == trained.answer([asked.prompt], [asked.objects], decoding=Decoding(64))


def test_a_language_model_reads_objects_as_text(trained: Trained) -> None:
    alone = TextAnswers(trained, ASKED, 0, told=told)
    prompts = [f"Is {smiles} an acid?" for smiles in ("CC(=O)O", "CCO", "CCCN")]
    scores = trained.score_choices(prompts, [()] * 3, CHOICES)
    assert alone.answers(ASKED) == [CHOICES[at] for at in scores.argmax(1)]
    shown = TextAnswers(trained, ASKED, 2, told=told)
    assert shown.name == "language model, objects as text, 2 examples"
    assert set(shown.answers(ASKED[:2])) <= set(CHOICES)
    long = Example("[MOLECULE]?", (Molecule("C" * 400),), "yes", "functional group", CHOICES)
    assert alone.answers([long]) == [None]  # does not fit into a prompt of this model
    wordy = Example(f"Is [MOLECULE] {'very ' * 80}big?", ASKED[0].objects, "yes", "functional group", CHOICES)
    aligned = AlignmentAnswers(trained, "run", told=told).answers([wordy, ASKED[0]])
    assert [answer is None for answer in aligned] == [True, False]


def test_what_is_shown_is_read_once_and_changes_nothing(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [Turn("user", "Is CCN an acid?"), Turn("assistant", "no")]
    asked = ["Is CC(=O)O an acid?", "Is C an acid?", "Is CCCCC one?"]
    prompts: list[Prompt] = [[*shown, Turn("user", one)] for one in asked]
    lengths: list[int] = []
    states = FrozenLanguage.states

    def counted(self: FrozenLanguage, embedded_BLW: torch.Tensor, **options: Any) -> torch.Tensor:
        lengths.append(embedded_BLW.shape[1])
        return states(self, embedded_BLW, **options)

    apart = np.concatenate([trained.score_choices([one], [()], CHOICES) for one in prompts])
    monkeypatch.setattr(FrozenLanguage, "states", counted)
    together = trained.score_choices(prompts, [()] * 3, CHOICES)
    np.testing.assert_allclose(together, apart, atol=1e-5)
    rows = [trained.writer.write(one) for one in prompts]
    beginning, *rest = lengths
    assert beginning == len(shared_beginnings(prompts, rows)[0]) > 40
    assert max(rest) == max(map(len, rows)) - beginning
    alone = [trained.answer([one], [()], decoding=Decoding(6))[0] for one in prompts]
    assert trained.answer(prompts, [()] * 3, decoding=Decoding(6)) == alone
    mixed = trained.score_choices([*prompts, "Is it?"], [()] * 4, CHOICES)
    np.testing.assert_allclose(mixed[:3], apart, atol=1e-5)


def test_what_dialogues_begin_with(trained: Trained) -> None:
    first, second = Turn("user", "Is [MOLECULE] red?"), Turn("assistant", "no")
    prompts: list[Prompt] = [
        "Hi",
        [first, second, Turn("user", "Why?")],
        [first, second, Turn("user", "Where?")],
        [second, Turn("user", "Why?")],
        [Turn("user", "Why?")],
    ]
    found = shared_beginnings(prompts, [trained.writer.write(one) for one in prompts])
    assert found[0] == found[3] == found[4] == ()
    assert found[1] == found[2]
    assert trained.writer.decode(found[1]).endswith("Is")  # up to the place of the object


def test_nothing_is_asked_of_a_model_that_only_compares(trained: Trained) -> None:
    asked = Asked(ASKED, ASKED, shots=(0,))
    names = [one.name for one in model_methods(asked, {"run": trained}, told)]
    assert names == ["run", "run, objects shuffled", "language model, objects as text"]
    compares = trained.run.objective.model_copy(update={"autoregressive": 0.0})
    run = trained.run.model_copy(update={"objective": compares})
    assert model_methods(asked, {"run": replace(trained, run=run)}, told) == []


def test_each_language_model_is_asked_once(trained: Trained) -> None:
    asked = Asked(ASKED, ASKED, shots=(0, 3))
    names = [one.name for one in model_methods(asked, {"a": trained, "b": trained}, told)]
    models = ["a", "a, objects shuffled", "b", "b, objects shuffled"]
    assert names == [*models, "language model, objects as text", "language model, objects as text, 3 examples"]
    language = trained.run.language.model_copy(update={"system": "Be brief."})
    other = replace(trained, run=trained.run.model_copy(update={"language": language}))
    names = [one.name for one in model_methods(asked, {"a": trained, "b": other}, told)]
    assert names[4::2] == [f"language model, objects as text of {name}" for name in "ab"]
    assert len(set(names)) == len(names)


def test_no_examples_are_shown_of_a_kind_that_was_not_trained_on(trained: Trained) -> None:
    other = replace(ASKED[0], task="aromaticity")
    found = TextAnswers(trained, ASKED, 3, told=told).answers([ASKED[0], other])
    assert [answer is None for answer in found] == [False, True]


def test_the_language_model_that_reads_text_has_no_adapters(tmp_path: Path) -> None:
    language = save_language(tmp_path / "language")
    save_trained(tmp_path / "plain", language)
    save_trained(tmp_path / "adapted", language, language={"lora": {"rank": 2, "alpha": 99.0, "dropout": 0.0}})
    plain, adapted = (
        load_alignment(tmp_path / name, encoders=ENCODER_CLASSES) for name in ("plain", "adapted")
    )
    with torch.no_grad():
        for one in adapted.model.adapter.values():
            one.copy_(torch.ones_like(one))
    prompts, objects = [f"Is {n} an acid?" for n in "abc"], [()] * 3
    assert adapted.answer(prompts, objects) != plain.answer(prompts, objects)
    ways = [TextAnswers(one, ASKED, 0, free=True, told=told) for one in (plain, adapted)]
    assert ways[0].answers(ASKED) == ways[1].answers(ASKED)
    assert adapted.answer(prompts, objects) != plain.answer(prompts, objects)  # they are on again


def test_what_a_model_itself_learnt_from_is_told(trained: Trained, tmp_path: Path) -> None:
    groups = ("A", "B", "A+C")
    test = [replace(one, group=group) for one, group in zip(ASKED, groups)]
    learnt = tmp_path / "learnt.jsonl"
    reference = (MoleculeReference("CCO"),)
    write_questions(
        learnt, [Question("Is [MOLECULE]?", reference, "yes", "t", group=name) for name in ("C", "D")]
    )
    data = trained.run.data.model_copy(update={"train": (learnt, tmp_path / "gone.jsonl")})
    model = replace(trained, run=trained.run.model_copy(update={"data": data}))
    assert learnt_groups(model, Asked([], test)) == (1, [tmp_path / "gone.jsonl"])
    some = replace(model, run=model.run.model_copy(update={"data": data.model_copy(update={"tasks": ("u",)})}))
    assert learnt_groups(some, Asked([], test))[0] == 0


def test_ranks_by_hand() -> None:
    scores = np.array([[0.9, 0.5, 0.1], [0.2, 0.2, 0.2], [0.1, 0.2, 0.3]])
    right = np.array([[True, False, False], [False, True, False], [True, True, False]])
    assert ranks(scores, right).tolist() == [
        1,
        3,
        2,
    ]  # equal wrong ones stand before


def test_objects_are_sought_by_their_descriptions(trained: Trained) -> None:
    rows = search_descriptions(trained, DESCRIBED[::2], DESCRIBED[1::2])["molecule"]
    assert [one.method for one in rows] == ["alignment", "ridge regression"]
    for one in rows:
        assert one.chance == {1: pytest.approx(1 / 6), 10: 1.0}
        assert one.descriptions[10].mean == one.objects[10].mean == 1.0
        assert 0 <= one.descriptions[1].mean <= 1
        assert one.to_json()["description_at_1"]["n"] == 6
