"""Objects of one question, compared: the formula, what it never changes, and that comparing can be learnt."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.batch import Place, PromptBatch, make_batch
from mmspec_ds.systems.alignment.comparison import VIEW, Comparison
from mmspec_ds.systems.alignment.factory import ENCODERS, make_writer
from mmspec_ds.systems.alignment.model import AlignmentModel
from mmspec_ds.systems.alignment.objects import Example, Molecule
from mmspec_ds.systems.alignment.projection_settings import ProjectionSettings
from mmspec_ds.systems.alignment.projections_from import load_projections
from mmspec_ds.systems.alignment.question_reading import EmbeddedQuestions
from mmspec_ds.systems.alignment.run_settings import AlignmentRun
from mmspec_ds.systems.alignment.task import AlignmentTask
from mmspec_ds.trainer.task import TaskContext
from tests.systems.alignment.questions_of_molecules import SMILES
from tests.systems.alignment.tiny import make_run, make_tiny, run_content, save_language, save_trained

COMPARES = {"question": True, "compare": True}
VECTORS = {
    "molecule": np.random.default_rng(0).normal(size=(3, 2, 6)).astype(np.float32),
    "protein": np.random.default_rng(1).normal(size=(2, 2, 4)).astype(np.float32),
}
PAIR = ("Which, [MOLECULE] or [MOLECULE]?", (Place("molecule", 2), Place("molecule", 0)))
MIXED = ("Is [PROTEIN] with [MOLECULE]?", (Place("protein", 1), Place("molecule", 0)))
ALONE = ("Is [MOLECULE] red?", (Place("molecule", 0),))


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_language(tmp_path_factory.mktemp("language"))


def stirred(model: AlignmentModel) -> AlignmentModel:
    """The model with a comparison that changes what goes out, which it does not before training."""
    assert model.comparison is not None
    last = model.comparison.change[-1]
    torch.nn.init.normal_(last.weight, std=0.3, generator=torch.Generator().manual_seed(2))  # type: ignore[arg-type]
    return model


def batch_of(model: AlignmentModel, language: Path, *asked: tuple[str, tuple[Place, ...]]) -> PromptBatch:
    writer = make_writer(make_run(language), model.language, model.soft_tokens)
    rows = [writer.write(text) for text, _ in asked]
    return make_batch(rows, [places for _, places in asked], VECTORS, model.soft_tokens)  # type: ignore[arg-type]


def soft_of(model: AlignmentModel, language: Path, *asked: tuple[str, tuple[Place, ...]]) -> torch.Tensor:
    """The soft tokens of all objects, prompt by prompt."""
    batch = batch_of(model, language, *asked)
    return model.embedded(batch)[batch.ids_BL < 0].detach()


def test_a_comparison_by_hand() -> None:
    torch.manual_seed(0)
    one = Comparison(6, ProjectionSettings(soft_tokens=2, dropout=0, question=True, compare=True)).double()
    torch.nn.init.normal_(one.change[-1].weight, std=0.3)  # type: ignore[arg-type]
    one.fit(torch.randn(6).double(), 0.5)
    directions = torch.randn(5, 2, 6).double()
    words = [torch.randn(2, 3, 6).double(), torch.randn(3, 4, 6).double()]  # of two kinds
    places = [torch.tensor([0, 0]), torch.tensor([1, 0, 2])]
    questions = [
        EmbeddedQuestions(some, torch.ones(some.shape[:2], dtype=torch.bool), place)
        for some, place in zip(words, places)
    ]
    turn = [0, 1, 0, 2, 0]  # three objects of one question, and two that stand alone
    found = one(directions, questions, torch.tensor(turn)).detach().numpy()

    state = {name: value.detach().numpy() for name, value in one.state_dict().items()}
    taken = torch.cat(
        [one.reading((some - one.table_mean_W) / 0.5, *asked[1:]) for some, asked in zip(words, questions)]
    )

    def normed(x: np.ndarray, name: str) -> np.ndarray:  # type: ignore[type-arg]
        x = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
        return x * state[f"{name}.weight"] + state[f"{name}.bias"]

    views = [
        normed(state["view.0.weight"] @ x.reshape(-1).numpy() + state["view.0.bias"], "view.1")
        for x in directions
    ]
    for at in range(5):
        others = [views[other] for other in range(5) if other != at and turn[other] == turn[at]]
        if not others:
            assert not found[at].any()
            continue
        u, v = views[at], sum(others) / len(others)
        assert len(u) == VIEW
        more = {
            0: [views[2] - u, views[4] - u],
            2: [u - views[0], views[4] - u],
            4: [u - views[0], u - views[2]],
        }
        x = np.concatenate([u, v, u * v, sum(more[at]) / 2, taken[at].detach().numpy()])
        x = normed(np.maximum(state["change.0.weight"] @ x + state["change.0.bias"], 0), "change.2")
        expected = state["change.4.weight"] @ x + state["change.4.bias"]
        assert found[at].reshape(-1) == pytest.approx(expected, abs=1e-9)


def test_what_it_changes(language: Path) -> None:
    plain = make_tiny(make_run(language, projection={"question": True}))
    model = make_tiny(make_run(language, projection=COMPARES))
    missing = model.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing
    assert all(name.startswith("comparison.") for name in missing)
    asked = (PAIR, ALONE, MIXED)
    before = soft_of(plain, language, *asked)
    assert torch.allclose(soft_of(model, language, *asked), before, atol=1e-5)  # at first nothing
    after = soft_of(stirred(model), language, *asked)
    changed = (after - before).abs().amax(1) > 1e-4
    assert changed.tolist() == [True] * 4 + [False] * 2 + [True] * 4  # two soft tokens an object
    alone = torch.cat([soft_of(model, language, one) for one in asked])
    assert torch.allclose(after, alone, atol=1e-5)  # questions of a batch do not mix


def test_each_object_depends_on_the_other(language: Path) -> None:
    model = stirred(make_tiny(make_run(language, projection=COMPARES)))
    for text, (first, second) in (PAIR, MIXED):
        before = soft_of(model, language, (text, (first, second)))
        after = soft_of(model, language, (text, (first, second._replace(row=1))))
        assert (after - before).abs().amax(1).min() > 1e-4


def test_what_is_compared_with_an_answer_is_the_sum_over_the_objects(language: Path) -> None:
    run = make_run(language, projection=COMPARES, objective={"contrastive": 1.0})
    model = stirred(make_tiny(run))
    objects = batch_of(model, language, MIXED, PAIR).objects
    directions = model.directions(objects)
    of_objects = {kind: model.heads[kind](one.mean(1)) for kind, one in directions.items()}
    sums = torch.stack(
        [of_objects["molecule"][0] + of_objects["protein"][0], of_objects["molecule"][1:].sum(0)]
    )
    found = model.contrast_vectors(objects)
    assert torch.allclose(found, sums / sums.norm(dim=1, keepdim=True), atol=1e-6)


@pytest.mark.parametrize("compares", [True, False])
def test_stage_1_learns_to_compare(language: Path, compares: bool) -> None:
    """Whether two molecules have as many nitrogens is not in the sum of what each says by itself."""
    molecules = [Molecule(one) for one in SMILES]
    examples = [
        Example(
            "As many N in [MOLECULE] as in [MOLECULE]?",
            (one, other),
            "yes" if one.smiles.count("N") == other.smiles.count("N") else "no",
            "as many",
            choices=("yes", "no"),
            group=f"{one.smiles}+{other.smiles}",
        )
        for one in molecules
        for other in molecules
    ]
    content = run_content(
        language,
        projection={"question": True, "compare": compares, "hidden": 32},
        objective={"contrastive": 1.0, "choices": 1.0, "autoregressive": 0.0, "layer": 1},
        training={"batch_size": 32, "steps": 4},
        data={"cache": str(language.parent / "cache")},
    )
    del content["encoders"]["protein"]
    run = AlignmentRun.model_validate(content)
    if not compares:
        with pytest.raises(DataError, match="576 examples about 2 objects, which the contrastive loss"):
            AlignmentTask(run, TaskContext(torch.device("cpu"), 0, 1), (examples, examples))
        return
    sides = [[one for at, one in enumerate(examples) if (at % 5 == 0) == held] for held in (False, True)]
    task = AlignmentTask(run, TaskContext(torch.device("cpu"), 0, 1), (sides[0], sides[1]))
    optimizer = torch.optim.Adam(task.model.parameters(), lr=3e-3)
    for number in range(240):
        task.module.train()
        optimizer.zero_grad()
        task.module(task.batch(number), 0.0).total.backward()
        optimizer.step()
    found = task.validate().scalars
    assert found["recall_at_1/molecule"] > 0.95
    assert found["choice/molecule/as_many"] > 0.95


def test_an_earlier_comparison_is_taken(language: Path, tmp_path: Path) -> None:
    save_trained(tmp_path / "reads", language, projection={"question": True})
    first = save_trained(tmp_path / "first", language, projection=COMPARES)
    model = make_tiny(make_run(language, projection=COMPARES), seed=1)
    fresh = {name: one.clone() for name, one in model.state_dict().items()}
    load_projections(model, [tmp_path / "reads"])
    own = model.state_dict()
    assert all(torch.equal(own[name], fresh[name]) for name in own if name.startswith("comparison."))
    load_projections(model, [tmp_path / "first"])
    given = first.state_dict()
    assert all(torch.equal(own[name], given[name]) for name in own if name.startswith("comparison."))
    with pytest.raises(DataError, match=r"compare objects: expected projection\.compare=true"):
        load_projections(make_tiny(make_run(language, projection={"question": True})), [tmp_path / "first"])
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    for name, kind in (("first", "molecule"), ("second", "protein")):
        path = tmp_path / name / ENCODERS
        path.write_text(json.dumps({kind: json.loads(path.read_text())[kind]}))
    with pytest.raises(DataError, match=r"second: compares objects, as .*first does: expected one that does"):
        load_projections(model, [tmp_path / "first", tmp_path / "second"])
