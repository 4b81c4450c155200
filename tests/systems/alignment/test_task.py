"""Both stages in one process: what is learnt, what stays, and what cannot be learnt from is told."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.cli import main
from mmspec_ds.errors import ConfigError, DataError, UserError
from mmspec_ds.systems.alignment.data import general_texts, read_examples_of
from mmspec_ds.systems.alignment.objects import Example, Molecule
from mmspec_ds.systems.alignment.projections_from import load_projections
from mmspec_ds.systems.alignment.questions.examples_file import read_examples
from mmspec_ds.systems.alignment.run_settings import AlignmentData
from mmspec_ds.systems.alignment.task import AlignmentTask
from mmspec_ds.trainer.task import TaskContext
from tests.systems.alignment.questions_of_molecules import described, questions, talks
from tests.systems.alignment.tiny import make_run, save_language, save_trained

STAGE1 = {"contrastive": 1.0, "autoregressive": 0.5, "layer": 1}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_language(tmp_path_factory.mktemp("language") / "model")


def make_task(
    language: Path, examples: list[Example], rank: int = 0, world: int = 1, **blocks: Any
) -> AlignmentTask:
    data = {"cache": str(language.parent / "cache"), "validation_fraction": 0.3} | blocks.pop("data", {})
    run = make_run(language, data=data, **blocks)
    held = [one for at, one in enumerate(examples) if at % 5 == 0]
    train = [one for at, one in enumerate(examples) if at % 5]
    task = AlignmentTask(run, TaskContext(torch.device("cpu"), rank, 1), (train, held))
    if world > 1:
        task.context = TaskContext(torch.device("cpu"), rank, world)
        task.sampler = task._make_sampler(task.sets.train)
        task.batches_per_epoch = len(task.sampler)
        task._round.cache_clear()
        task._round = task.sampler.round  # type: ignore[assignment]
    return task


def trained_a_little(task: AlignmentTask, steps: int, rate: float) -> list[float]:
    optimizer = torch.optim.Adam(task.model.parameters(), lr=rate)
    losses = []
    for number in range(steps):
        task.module.train()
        loss = task.module(task.batch(number), 0.0)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(float(loss.parts["task"]))
    return losses


def test_stage_1_finds_descriptions_and_tells_them(language: Path) -> None:
    task = make_task(language, described(), objective=STAGE1)
    before = task.validate()
    assert set(before.scalars) == {
        "exact/description", "recall_at_1/molecule", "recall_at_1/protein",
    }  # fmt: skip
    losses = trained_a_little(task, 60, 3e-3)
    after = task.validate()
    assert np.mean(losses[-8:]) < np.mean(losses[:8]) - 0.3
    assert after.score < before.score
    assert task.final_figures() == {"language_model_unchanged": 1.0}


def test_where_there_are_several_tasks_each_has_its_share(language: Path) -> None:
    examples = [replace(one, task="other") if at % 3 else one for at, one in enumerate(described())]
    task = make_task(language, examples, objective=STAGE1)
    trained_a_little(task, 60, 3e-3)
    found, held_back = task.validate().scalars, task.sets.validation
    for kind in ("molecule", "protein"):
        tasks = [one for one, places in zip(held_back.tasks, held_back.places) if places[0].kind == kind]
        shares = [found[f"recall_at_1/{kind}/{one}"] for one in tasks]
        assert found[f"recall_at_1/{kind}"] == pytest.approx(np.mean(shares))
    assert sum(name.count("/") == 2 for name in found) == 4


def test_a_batch_of_stage_1_has_one_kind(language: Path) -> None:
    task = make_task(language, described(), objective=STAGE1)
    kinds = set()
    for number in range(task.batches_per_epoch):
        batch = task.batch(number)
        assert batch.prompts is not None
        assert batch.contrast is not None
        assert len(batch.prompts.objects.vectors) == 1
        kinds.update(batch.contrast.objects.vectors)
        assert len(batch.contrast.objects.vectors) == 1
        own = batch.contrast.states_CW[batch.contrast.description_G]
        answers = task.sets.train.states_MW[task.sets.train.description_N[task._round(0)[number]]]
        assert torch.equal(own, answers)
    assert kinds == {"molecule", "protein"}


def test_negatives_of_the_batch_alone_and_general_text(language: Path, tmp_path: Path) -> None:
    (tmp_path / "general.txt").write_text("A cat sat.\n\nRain falls.\nA cat sat.\n")
    assert general_texts([tmp_path / "general.txt"]) == ["A cat sat.", "Rain falls."]
    data = {"general_text": (str(tmp_path / "general.txt"),)}
    everything = make_task(language, described(), objective=STAGE1, data=data).batch(0)
    few = make_task(language, described(), objective=STAGE1 | {"negatives": "batch"}, data=data).batch(0)
    assert everything.contrast is not None
    assert few.contrast is not None
    own = few.contrast.description_G.unique()
    assert len(few.contrast.states_CW) == len(own) + 2 < len(everything.contrast.states_CW)
    assert torch.equal(
        few.contrast.states_CW[few.contrast.description_G],
        everything.contrast.states_CW[everything.contrast.description_G],
    )
    with pytest.raises(DataError, match="cannot be read as text"):
        general_texts([tmp_path / "absent.txt"])


@pytest.mark.parametrize("negatives", ["all", "batch"])
def test_possible_answers_of_a_batch(language: Path, negatives: str) -> None:
    objective = STAGE1 | {"choices": 1.0, "negatives": negatives}
    examples = [one for one in questions() if one.task == "element"] + described()
    examples = [replace(one, choices=("yes", "no", "maybe")) if one.choices else one for one in examples]
    task = make_task(language, examples, objective=objective)
    texts = task.sets.train.texts
    assert "maybe" in texts  # which answers no example
    for number in range(task.batches_per_epoch):
        chosen = task._round(0)[number]
        batch = task.batch(number).contrast
        assert batch is not None
        states_MW = task.sets.train.states_MW
        for own, description, at in zip(batch.choices_GK, batch.description_G, chosen):
            answer = texts[task.sets.train.description_N[at]]
            possible = ("yes", "no", "maybe") if answer in ("yes", "no") else ()
            assert own[len(possible) :].tolist() == [-1] * (3 - len(possible))
            expected = states_MW[[texts.index(one) for one in possible]]
            assert torch.equal(batch.states_CW[own[: len(possible)]], expected)
            assert description in own or not possible


def test_stage_2_learns_to_answer(language: Path) -> None:
    task = make_task(language, questions(), training={"batch_size": 8, "steps": 4})
    batch = task.batch(0)
    assert batch.contrast is None
    before = task.validate()
    losses = trained_a_little(task, 80, 5e-3)
    after = task.validate()
    assert set(after.scalars) == {"exact/element", "exact/longer", "exact/both"}
    assert np.mean(losses[-8:]) < np.mean(losses[:8]) - 0.8
    assert after.score < before.score
    assert task.final_figures() == {"language_model_unchanged": 1.0}
    assert task.flops(batch, task.module(batch, 0.0)) > 0


def test_a_changed_language_model_is_a_fault(language: Path) -> None:
    task = make_task(language, questions())
    with torch.no_grad():
        next(iter(task.model.language.model.parameters())).mul_(1.0001)
    with pytest.raises(UserError, match="language model have changed"):
        task.final_figures()


def test_ranks_have_the_halves_of_a_batch(language: Path) -> None:
    size = {"batch_size": 8, "steps": 4}
    whole = make_task(language, described(), objective=STAGE1, training=size)
    halves = [
        make_task(language, described(), rank, 2, objective=STAGE1, training=size | {"batch_size": 4})
        for rank in (0, 1)
    ]
    for number in (0, 3):
        one, parts = whole.batch(number), [half.batch(number) for half in halves]
        assert one.contrast is not None
        found = []
        for part in parts:
            assert part.contrast is not None
            assert part.tokens == one.tokens
            assert torch.equal(part.contrast.description_G, parts[0].contrast.description_G)  # type: ignore[union-attr]
            found += part.contrast.objects.vectors.values()
        (of_whole,) = one.contrast.objects.vectors.values()
        assert sorted(torch.cat(found).sum((1, 2)).tolist()) == sorted(of_whole.sum((1, 2)).tolist())


def test_dialogues_hold_every_question_once_and_learn(language: Path) -> None:
    data = {"questions_together": 3, "validation_fraction": 0.3}
    task = make_task(language, talks(), data=data, training={"batch_size": 6, "steps": 4})
    assert "at most 3 in a dialogue" in task.summary
    batches = [task.batch(number) for number in range(task.batches_per_epoch)]
    assert {batch.rows for batch in batches} == {6}
    assert {batch.samples for batch in batches} == {6.0}
    shapes = [batch.prompts.ids_BL.shape[0] for batch in batches if batch.prompts is not None]
    assert min(shapes) < 6
    assert all(batch.tokens == int(batch.prompts.mask_BL.sum()) for batch in batches if batch.prompts)
    held_back = list(task.validation_batches())
    assert all(one.prompts is not None and len(one.prompts.ids_BL) == one.rows for one in held_back)
    losses = trained_a_little(task, 60, 5e-3)
    assert np.mean(losses[-8:]) < np.mean(losses[:8]) - 0.5
    assert set(task.validate().scalars) == {
        f"exact/{name}" for name in ("element", "oxygen", "long", "length", "serine", "proline")
    }


def test_ranks_share_the_dialogues_of_a_batch(language: Path) -> None:
    data, size = {"questions_together": 3}, {"batch_size": 12, "steps": 4}
    whole = make_task(language, talks(), data=data, training=size)
    parts = [
        make_task(language, talks(), rank, 2, data=data, training=size | {"batch_size": 6}) for rank in (0, 1)
    ]
    for number in (0, 3):
        expected = whole.module(whole.batch(number), 0.0)
        batches = [part.batch(number) for part in parts]
        assert [batch.rows_of_all for batch in batches] == [12, 12]
        assert sum(batch.rows for batch in batches) == 12
        # What each rank adds: its answers' losses over all answers, times the ranks, which the mean divides by.
        losses = [
            part.model.answers(batch.prompts).mean_loss(batch.rows) * batch.rows * 2 / 12
            for part, batch in zip(parts, batches)
            if batch.prompts is not None
        ]
        assert float(torch.stack(losses).mean().detach()) == pytest.approx(
            float(expected.parts["task"]), abs=1e-5
        )
        assert float(expected.weight) == 12.0


def test_projections_of_earlier_runs(language: Path, tmp_path: Path) -> None:
    source = save_trained(tmp_path / "one", language)
    target = make_task(language, questions()).model
    load_projections(target, [tmp_path / "one"])
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name
    with pytest.raises(DataError, match="has a projection of a molecule, as"):
        load_projections(target, [tmp_path / "one", tmp_path / "one"])
    save_trained(tmp_path / "wide", language, projection={"hidden": 8})
    with pytest.raises(DataError, match="has other sizes"):
        load_projections(target, [tmp_path / "wide"])
    save_trained(tmp_path / "adapted", language, language={"lora": {"rank": 2, "alpha": 4.0, "dropout": 0.0}})
    with pytest.raises(
        DataError, match=r"adapters of the language model.*expected a run without language\.lora"
    ):
        load_projections(target, [tmp_path / "adapted"])
    save_trained(tmp_path / "other", save_language(tmp_path / "language", seed=4))
    with pytest.raises(DataError, match="another language model"):
        load_projections(target, [tmp_path / "other"])


def test_it_is_told_how_many_descriptions_are_read(language: Path, tmp_path: Path) -> None:
    told: list[tuple[int, str]] = []

    def progress(done: int, what: str = "records", /) -> None:
        told.append((done, what))

    examples = described()
    answers = len({one.answer for one in examples})
    context = TaskContext(torch.device("cpu"), progress=progress)
    run = make_run(language, data={"cache": str(tmp_path / "cache")}, objective=STAGE1)
    AlignmentTask(run, context, (examples, examples))
    assert (answers, f"of {answers} descriptions") in told
    told.clear()
    AlignmentTask(run, context, (examples, examples))
    assert not [what for _, what in told if "descriptions" in what]  # they are in the cache


def test_which_examples_are_used() -> None:
    files = {Path("a"): [*described(), *questions()], Path("b"): questions()[:6]}
    settings = AlignmentData(train=(Path("a"),), validation=(Path("b"),), tasks=("element", "both"))
    train, validation, remarks = read_examples_of(settings, ["molecule"], lambda path: files[path])
    assert {one.task for one in train} == {"element"}
    assert len(validation) == 2
    assert remarks["examples about a protein, of which the run has no encoder"] == 24 + 2
    assert sum("also trained on" in what for what in remarks) == 1
    settings = AlignmentData(train=(Path("a"),), tasks=("element",), validation_fraction=0.3)
    train, validation, remarks = read_examples_of(settings, ["molecule"], lambda path: files[path])
    assert len(train) + len(validation) == 24
    assert not {one.group for one in train} & {one.group for one in validation}
    with pytest.raises(DataError, match="no example to learn from"):
        read_examples_of(AlignmentData(train=(Path("a"),)), ["cell"], lambda path: files[path])
    typo = AlignmentData(train=(Path("a"),), tasks=("element", "elemnt"))
    with pytest.raises(ConfigError, match=r"data\.tasks: no example is of 'elemnt'; did you mean 'element'\?"):
        read_examples_of(typo, ["molecule"], lambda path: files[path])
    with pytest.raises(ConfigError, match="names no file"):
        read_examples_of(AlignmentData(), ["cell"], lambda path: files[path])


def test_a_part_of_the_training_file_of_mmspec_questions_is_held_back(tmp_path: Path) -> None:
    smiles = tmp_path / "molecules.smi"
    smiles.write_text("".join("C" * length + "O\n" for length in range(1, 161)))
    made = str(tmp_path / "made")
    assert not main(["questions", "--molecules", str(smiles), "--tasks", "formula", "--out", made])
    settings = AlignmentData(train=(tmp_path / "made/train.jsonl",), validation_fraction=0.2)
    train, validation, _ = read_examples_of(settings, ["molecule"], read_examples)
    assert 0.05 * len(train) < len(validation) < 0.5 * len(train)


def test_a_molecule_of_a_pair_is_not_on_both_sides() -> None:
    ones = [Molecule("C" * length) for length in range(1, 31)]
    alone = [Example("[MOLECULE]?", (one,), "a", "t", group=one.smiles) for one in ones]
    pairs = [
        Example("[MOLECULE] [MOLECULE]?", (one, other), "b", "t", group=f"{one.smiles}+{other.smiles}")
        for one, other in pairwise(ones)
    ]
    settings = AlignmentData(train=(Path("a"),), validation_fraction=0.5)
    train, validation, remarks = read_examples_of(settings, ["molecule"], lambda _: [*alone, *pairs])
    sides = [{thing for one in side for thing in one.objects} for side in (train, validation)]
    assert not sides[0] & sides[1]
    assert all({len(one.objects) for one in side} == {1, 2} for side in (train, validation))
    told = "examples about two molecules, one of which is held back for validation"
    assert 59 - len(train) - len(validation) == remarks[told] > 0
    files = {Path("a"): alone[:1], Path("b"): pairs[:2]}
    settings = AlignmentData(train=(Path("a"),), validation=(Path("b"),))
    assert 1 in read_examples_of(settings, ["molecule"], lambda path: files[path])[2].values()


def test_an_encoder_that_nothing_is_learnt_for_is_refused(language: Path, tmp_path: Path) -> None:
    molecules = [one for one in questions() if one.task != "both"]
    with pytest.raises(ConfigError, match=r"encoders\.protein: no example to learn from is about a protein"):
        make_task(language, molecules)
    save_trained(tmp_path / "one", language)
    given = {"projections_from": [str(tmp_path / "one")]}
    assert len(make_task(language, molecules, training=given).sets.train) == 38


def test_the_checksum_of_the_examples_is_of_all_of_them(language: Path) -> None:
    def checksum(examples: list[Example]) -> str:
        return str(make_task(language, examples).about["data"])

    first = questions()
    other = [replace(one, prompt=one.prompt.replace("Is N", "Is O")) for one in first]
    objects = [replace(one, objects=before.objects) for one, before in zip(first, first[3:] + first[:3])]
    found = [checksum(examples) for examples in (first, other, objects, first)]
    assert len(set(found)) == 3
    assert found[0] == found[3]


def test_too_deep_a_layer_is_told(language: Path) -> None:
    with pytest.raises(DataError, match="has 2 layers: expected at least 9"):
        make_task(language, described(), objective=STAGE1 | {"layer": 9})


def test_an_example_that_is_too_long_is_left_out(language: Path) -> None:
    long = Example("Is it [MOLECULE]?", (Molecule("CC"),), "x" * 400, "element")
    task = make_task(language, [long, long, *questions()])
    assert task.remarks == ("examples longer than language.longest: 2",)
