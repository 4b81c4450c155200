"""A student of a trained model: what it learns, what stays as it was, and what is saved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.systems.fusion.data import FusionSets
from mmspec_ds.systems.fusion.distillation.objective import DistillingObjective
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.task import FusionTask
from mmspec_ds.systems.fusion.trained import load_fusion
from mmspec_ds.trainer.task import TaskContext
from mmspec_ds.trainer.weights import write_weights
from tests.systems.fusion.conftest import SCHEMA, learn, make_data, make_records, make_run, make_task

STUDENT = {"d_model": 8, "ffn_width": 8, "heads": 1}
KINDS = ("flow", "logit", "feature")


def save(task: FusionTask, folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.yaml").write_text(task.run.to_yaml())
    write_weights(task.model.state_dict(), folder / "model.safetensors")
    task.save_files(folder)
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two layers that has learnt."""
    torch.set_num_threads(1)
    task = make_task(model={"encoder_layers": 2}, training={"batch_size": 32})
    learn(task, 80)
    assert task.validate().score > 0.9
    return save(task, tmp_path_factory.mktemp("teacher") / "run")


def make_student(teacher: Path, kind: str, **blocks: Any) -> FusionTask:
    distillation = {"teacher": str(teacher), "kind": kind, "steps": 3, "width": 16}
    return make_task(
        **{"model": STUDENT, "distillation": distillation, "training": {"batch_size": 32}, **blocks}
    )


def pieces(task: FusionTask) -> DistillingObjective:
    assert isinstance(task.objective, DistillingObjective)
    return task.objective


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_the_student_and_the_flow_alone(teacher: Path, kind: str) -> None:
    task = make_student(teacher, kind)
    model = pieces(task).teacher.model
    before = {name: one.clone() for name, one in model.state_dict().items()}
    learn(task, 3)
    assert not any(one.requires_grad or one.grad is not None for one in model.parameters())
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert not any("teacher" in name for name, _ in task.module.named_parameters())
    assert all(one.grad is not None for one in task.model.parameters())
    has_transfer = any(name.startswith("transfer.") for name in task.model.state_dict())
    assert has_transfer is (kind != "logit")


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_learns_and_comes_near_its_teacher(teacher: Path, kind: str, tmp_path: Path) -> None:
    task = make_student(teacher, kind)
    first = task.module(task.batch(0), 0.0).parts
    learn(task, 120, rate=5e-3)
    task.module.train()
    last = task.module(task.batch(0), 1.0).parts
    expected = {"flow": {"soft", "align", "judged"}, "logit": {"soft"}, "feature": {"align"}}[kind]
    assert set(first) - {"task", "head"} == expected
    compared = "align" if "align" in expected else "soft"
    assert last[compared] < 0.7 * first[compared]
    assert task.validate().score > 0.9
    # What training alone needed is not in the model that is used.
    trained = load_fusion(save(task, tmp_path / kind))
    assert trained.model.transfer is None
    outcome = trained.predict(make_records(41, seed=1)[0])
    np.testing.assert_allclose(outcome.probability_NC, task.outcome().probability_NC, atol=1e-6)


def test_parts_of_the_loss_by_hand(teacher: Path) -> None:
    """Feature distillation of one batch, with the parts computed from the vectors."""
    task = make_student(teacher, "feature")
    batch, objective = task.batch(0), pieces(task)
    task.module.train()
    loss = task.module(batch, 0.0)
    with torch.no_grad():
        ours = task.network.encode(batch.pieces)
    theirs = objective.teacher.model.encode(batch.pieces).vectors_BMD
    assert task.network.transfer is not None
    square = (task.network.transfer(ours.vectors_BMD) - theirs).square().mean(-1).detach().double()
    rows = [square[at][ours.present_BM[at]].mean() for at in range(32)]
    assert float(loss.parts["align"]) == pytest.approx(float(torch.stack(rows).mean()), rel=1e-5)
    whole = loss.parts["task"] + loss.parts["head"] + loss.parts["align"]
    assert float(loss.total.detach()) == pytest.approx(float(whole), rel=1e-5)


def test_the_teacher_reads_all_modalities_and_validation_does_without_it(teacher: Path) -> None:
    task = make_student(teacher, "logit", training={"batch_size": 32, "modality_dropout": 0.5})
    told = pieces(task).teacher.told(task.batch(0))
    trained = load_fusion(teacher)
    rows = task._epoch(0)[0]
    expected = trained.outcome(task.sets.train.subset(rows)).probability_NC
    np.testing.assert_allclose(told.logits_BC.softmax(-1).numpy(), expected, atol=1e-6)
    task.module.eval()
    assert "soft" not in task.module(next(iter(task.validation_batches())), 1.0).parts


def test_the_schema_is_the_teachers(teacher: Path) -> None:
    """Where a task reads its own data, the table scaling and the classes are those of the teacher."""
    run = make_run(model=STUDENT, distillation={"teacher": str(teacher)})
    sets = FusionSets(make_data(run, 96), make_data(run, 41, 1), SCHEMA)
    task = FusionTask(run, TaskContext(torch.device("cpu")), sets)
    assert pieces(task).teacher.schema == SCHEMA
    assert task.identity["teacher"] == load_fusion(teacher).identity


def test_another_split_than_the_teachers_is_remarked(teacher: Path) -> None:
    task = make_student(teacher, "flow", data={"split_seed": 3})
    assert any("another data.split_seed" in one for one in task.remarks)
    assert not any("another" in one for one in make_student(teacher, "flow").remarks)


def test_what_does_not_fit_is_refused(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent: distillation\.teacher: no such folder"):
        make_student(tmp_path / "absent", "flow")
    with pytest.raises(ConfigError, match=r"^tokens: other ones than those of distillation\.teacher"):
        make_student(teacher, "flow", tokens={"patch": 8})
    with pytest.raises(ConfigError, match=r"^data\.modalities: expected those of distillation\.teacher"):
        make_student(teacher, "flow", data={"modalities": ["c_nmr"]})
    masked = save(make_task(objective={"kind": "masked"}), tmp_path / "masked")
    with pytest.raises(ConfigError, match="is pretrained alone: expected one that classifies"):
        make_student(masked, "flow")
    with pytest.raises(ValueError, match=r"objective\.kind is 'masked', which no teacher tells"):
        make_run(distillation={"teacher": "run"}, objective={"kind": "masked"})


def test_an_export_names_its_teacher_without_the_path() -> None:
    run: FusionRun = make_run(distillation={"teacher": "/somewhere/runs/large"})
    shown = run.without_paths().distillation
    assert shown is not None
    assert str(shown.teacher) == "large"
