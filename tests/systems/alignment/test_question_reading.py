"""Projections that read the question: which words they get, what they make of them, what they begin with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.batch import Place, make_batch, question_words
from mmspec_ds.systems.alignment.decoding import Decoding
from mmspec_ds.systems.alignment.model import AlignmentModel
from mmspec_ds.systems.alignment.objects import Molecule
from mmspec_ds.systems.alignment.projection import Projection
from mmspec_ds.systems.alignment.projection_settings import ProjectionSettings
from mmspec_ds.systems.alignment.projections_from import load_projections
from mmspec_ds.systems.alignment.prompt import FORMATS, PromptWriter, Turn, joined_rows
from mmspec_ds.systems.alignment.question_reading import HEADS, MOST_PLACES, EmbeddedQuestions, QuestionReading
from mmspec_ds.systems.alignment.shared_beginning import shared_beginnings
from mmspec_ds.systems.alignment.trained import Trained, load_alignment
from mmspec_ds.trainer.weights import WEIGHTS, write_weights
from tests.systems.alignment.tiny import (
    ENCODER_CLASSES,
    byte_tokenizer,
    make_run,
    make_tiny,
    save_language,
    save_trained,
)

READS = {"question": True}


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_language(tmp_path_factory.mktemp("language"))


def stirred(model: AlignmentModel) -> AlignmentModel:
    """The model with questions that change what goes out, which they do not before training."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, one in model.named_parameters():
            if "modulations" in name:
                one.normal_(std=0.3, generator=generator)
    return model


def writer_of(name: str) -> PromptWriter:
    return PromptWriter(byte_tokenizer(FORMATS[name].marks), {"molecule": 2, "protein": 3}, first=[5])


@pytest.mark.parametrize("name", list(FORMATS))
def test_the_words_are_those_of_the_own_turn(name: str) -> None:
    writer = writer_of(name)
    turns = [
        Turn("user", "Is [MOLECULE] red?"),
        Turn("assistant", "yes"),
        Turn("user", "Is [PROTEIN] like [MOLECULE] here?"),
    ]
    row = writer.write(turns, "no")
    words = question_words([row], [(0, number) for number in range(3)])
    texts = [writer.decode(ids[mask].tolist()) for ids, mask in zip(words.ids_NL, words.mask_NL)]
    assert words.place_N.tolist() == [0, 0, 1]
    assert "Is red?" in texts[0]
    assert "like" not in texts[0]
    assert "Is like here?" in texts[1]
    assert "red" not in texts[1]
    assert texts[1] == texts[2]
    assert not any("yes" in text or "no" in text for text in texts)  # no answer
    without = question_words([writer.write(turns)], [(0, number) for number in range(3)])
    assert all(torch.equal(one, other) for one, other in zip(words, without))


def test_words_by_hand() -> None:
    writer = writer_of("chatml")
    row = writer.write("A [MOLECULE]b", "yes")
    ids = row.ids.tolist()
    start, end = (writer._tokenizer.token_to_id(mark) for mark in ("<|im_start|>", "<|im_end|>"))
    expected = [start, *writer.text_ids("user\nA"), *writer.text_ids("b"), end, *writer.text_ids("\n")]
    words = question_words([row], [(0, 0)])
    assert words.ids_NL.tolist() == [expected]
    assert ids[row.questions[0][1]] == start  # the turn of the answer
    moved = joined_rows([writer.write("Hi", "yes"), row])
    assert question_words([moved], [(0, 0)]).ids_NL.tolist() == [expected]
    more = question_words([row, writer.write("A long question on [PROTEIN]?")], [(0, 0), (1, 0)])
    assert more.ids_NL[0, : len(expected)].tolist() == expected
    assert more.mask_NL[0].sum() == len(expected)


def test_a_reading_is_a_mean_weighed_by_learnt_heads() -> None:
    torch.manual_seed(0)
    reading = QuestionReading(6).double()
    words_NLW = torch.randn(2, 4, 6, dtype=torch.float64)
    mask_NL = torch.tensor([[True] * 4, [True, True, False, False]])
    found = reading(words_NLW, mask_NL, torch.tensor([0, MOST_PLACES + 3])).detach().numpy()
    state = {name: one.detach().numpy() for name, one in reading.named_parameters()}
    for at, (count, place) in enumerate([(4, 0), (2, MOST_PLACES - 1)]):
        words = words_NLW[at, :count].numpy()
        taken = []
        for head in range(HEADS):
            scores = np.exp(words @ state["score.weight"][head] + state["score.bias"][head])
            taken.append((scores / scores.sum()) @ words)
        mixed = state["mix.weight"] @ np.concatenate(taken) + state["mix.bias"] + state["places.weight"][place]
        positive = np.maximum(mixed, 0)
        assert found[at] == pytest.approx(
            (positive - positive.mean()) / np.sqrt(positive.var() + 1e-5), abs=1e-9
        )


def test_a_question_scales_and_shifts_each_hidden_layer() -> None:
    torch.manual_seed(0)
    one = Projection(2, 3, 6, ProjectionSettings(hidden=8, soft_tokens=2, dropout=0, question=True)).double()
    for layer in one.modulations:
        torch.nn.init.normal_(layer.weight, std=0.3)  # type: ignore[arg-type]
        torch.nn.init.normal_(layer.bias)  # type: ignore[arg-type]
    one.fit(torch.randn(9, 2, 3).double(), torch.randn(6).double(), 0.5)
    vectors_NXD = torch.randn(2, 2, 3).double()
    words_NLW = torch.randn(2, 3, 6).double()
    question = EmbeddedQuestions(words_NLW, torch.ones(2, 3, dtype=torch.bool), torch.tensor([0, 1]))
    found = one(vectors_NXD, question).detach().numpy()

    state = {name: value.detach().numpy() for name, value in one.state_dict().items()}
    assert one.reading is not None
    asked = one.reading((words_NLW - one.table_mean_W) / 0.5, question.mask_NL, question.place_N)
    x = ((vectors_NXD.numpy() - state["center_XD"]) * state["factor_XD"]).reshape(2, 6)
    for layer, (linear, norm) in enumerate([(1, 3), (5, 7)]):
        x = np.maximum(x @ state[f"mlp.{linear}.weight"].T + state[f"mlp.{linear}.bias"], 0)
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        x = x * state[f"mlp.{norm}.weight"] + state[f"mlp.{norm}.bias"]
        change = asked.detach().numpy() @ state[f"modulations.{layer}.weight"].T
        change = change + state[f"modulations.{layer}.bias"]
        x = x * (1 + change[:, :8]) + change[:, 8:]
    out = (x @ state["mlp.9.weight"].T + state["mlp.9.bias"]).reshape(2, 2, 6)
    out = out / np.sqrt((out**2).mean(-1, keepdims=True) + 1e-6)
    assert found == pytest.approx(state["table_mean_W"] + 0.5 * out, abs=1e-8)


def test_at_first_a_question_changes_nothing(language: Path) -> None:
    plain, reads = make_tiny(make_run(language)), make_tiny(make_run(language, projection=READS))
    missing = reads.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing
    assert all(".reading." in name or ".modulations." in name for name in missing)
    writer = PromptWriter(plain.language.tokenizer, plain.soft_tokens)
    rows = [writer.write("Is [MOLECULE] red?"), writer.write("Why is [MOLECULE] so?")]
    vectors = {"molecule": np.random.default_rng(0).normal(size=(2, 2, 6)).astype(np.float32)}
    batch = make_batch(rows, [(Place("molecule", 0),), (Place("molecule", 0),)], vectors, plain.soft_tokens)  # type: ignore[arg-type]
    assert torch.equal(plain.embedded(batch), reads.embedded(batch))
    changed = stirred(reads).embedded(batch)[batch.ids_BL < 0]
    assert not torch.allclose(changed[:2], changed[2:], atol=1e-3)  # one molecule, two questions


@pytest.fixture(scope="module")
def trained(language: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained") / "run"
    model = save_trained(folder, language, projection=READS, objective={"contrastive": 1.0})
    write_weights(stirred(model).state_dict(), folder / WEIGHTS)
    return load_alignment(folder, encoders=ENCODER_CLASSES)


def test_answers_do_not_depend_on_what_is_read_together(trained: Trained) -> None:
    before = [Turn("user", "What is it?"), Turn("assistant", "a thing")]
    prompts: list[Any] = [[*before, Turn("user", f"Is [MOLECULE] {what}?")] for what in ("red", "wet", "so")]
    prompts += ["Is [MOLECULE] like [MOLECULE], and why?"]
    objects = [(Molecule("CCO"),)] * 3 + [(Molecule("CCO"), Molecule("CCN"))]
    rows = [trained.writer.write(one) for one in prompts]
    assert len(shared_beginnings(prompts, rows)[0]) > len("What is it?")  # what is read once
    together = trained.score_choices(prompts, objects, ["yes", "no"])
    alone = [trained.score_choices([one], [own], ["yes", "no"])[0] for one, own in zip(prompts, objects)]
    assert together == pytest.approx(np.stack(alone), abs=1e-4)
    assert len(set(np.round(together[:, 0], 3))) == 4
    assert trained.answer(prompts, objects, decoding=Decoding(6)) == [
        trained.answer([one], [own], decoding=Decoding(6))[0] for one, own in zip(prompts, objects)
    ]


def test_soft_tokens_and_comparisons_depend_on_the_question(trained: Trained) -> None:
    vectors = ENCODER_CLASSES["molecule"].encode([Molecule("CCO"), Molecule("CCO")])
    prompts = ["Is [MOLECULE] red?", "Describe [MOLECULE]."]
    for found in (
        trained.project("molecule", vectors, prompts).reshape(2, -1),
        trained.contrast("molecule", vectors, prompts),
    ):
        assert np.abs(found[0] - found[1]).max() > 1e-3


def test_the_order_of_two_objects_can_be_told(trained: Trained) -> None:
    both = [(Molecule("CCO"), Molecule("CCO"))]
    row = trained.writer.write("Which, [MOLECULE] or [MOLECULE]?")
    vectors = {"molecule": ENCODER_CLASSES["molecule"].encode(both[0])}
    batch = make_batch(
        [row], [(Place("molecule", 0), Place("molecule", 1))], vectors, trained.model.soft_tokens
    )  # type: ignore[arg-type]
    soft = trained.model.embedded(batch)[batch.ids_BL < 0]
    assert not torch.allclose(soft[:2], soft[2:], atol=1e-3)


def test_a_run_begins_with_projections_that_read_no_question(language: Path, tmp_path: Path) -> None:
    save_trained(tmp_path / "plain", language)
    reads = stirred(make_tiny(make_run(language, projection=READS), seed=1))
    fresh = {name: one.clone() for name, one in reads.state_dict().items()}
    load_projections(reads, [tmp_path / "plain"])
    plain = make_tiny(make_run(language)).state_dict()
    for name, one in reads.state_dict().items():
        assert torch.equal(one, plain.get(name, fresh[name])), name
    save_trained(tmp_path / "reads", language, projection=READS)
    with pytest.raises(DataError, match=r"reads the question: expected projection\.question=true"):
        load_projections(make_tiny(make_run(language)), [tmp_path / "reads"])
