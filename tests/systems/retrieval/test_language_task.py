"""Trainings of a language model: it learns, its objectives follow each other, and few files restore it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.errors import DataError
from mmspec_ds.systems.retrieval.embedders import LANGUAGE_MODEL, load_embedder
from mmspec_ds.systems.retrieval.held_back import first_hits
from mmspec_ds.systems.retrieval.task import RetrievalTask
from mmspec_ds.systems.run_file import system_of
from mmspec_ds.trainer.export import export
from mmspec_ds.trainer.weights import write_weights
from tests.language.tiny_language_model import save_model
from tests.systems.retrieval.conftest import make_run, make_task
from tests.systems.retrieval.spectra_of_molecules import make_entries


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("language")
    save_model(path)
    return path


def language_task(base: Path, **blocks: Any) -> RetrievalTask:
    language = {"base": str(base), "width": 16, "text": {"form": "mz_tokens", "max_mz": 310}}
    language |= blocks.pop("language", {})
    return make_task(encoder="language", language=language, **blocks)


def trained(task: RetrievalTask, steps: int, rate: float = 5e-3) -> list[float]:
    """The losses of a training by Adam."""
    optimizer = torch.optim.Adam(task.module.parameters(), lr=rate)
    losses = []
    task.module.train()
    for number in range(steps):
        loss = task.module(task.batch(number), 0.0)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(float(loss.parts["task"]))
    return losses


def test_it_learns_to_find_records_of_a_molecule(base: Path) -> None:
    task = language_task(base, training={"batch_size": 16, "gradient_cache": 8})
    train = task.sets.train
    untrained = first_hits(task.embed(train), train.molecule_N).mean()
    losses = trained(task, 40)
    after = first_hits(task.embed(train), train.molecule_N).mean()
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert after > max(0.8, untrained)


def test_hidden_tokens_are_learnt(base: Path) -> None:
    task = language_task(base, objective={"kind": "mntp"}, training={"batch_size": 16})
    losses = trained(task, 40)
    assert np.mean(losses[-5:]) < 0.85 * np.mean(losses[:5])
    assert 0 <= task.validate().score <= 1
    loss = task.module(task.batch(0), 0.0)
    hidden = sum(int((part.ids_BLP[part.hidden_BL] >= 0).sum()) for part in task.batch(0).parts)
    assert int(loss.weight) == hidden > 0


def test_each_step_goes_on_with_the_weights_of_the_last(base: Path) -> None:
    shapes = []
    for kind in ("mntp", "dropout_pairs", "structure"):
        task = language_task(base, objective={"kind": kind}, language={"attention_dropout": 0.3})
        assert np.isfinite(trained(task, 2)).all()
        shapes.append({name: value.shape for name, value in task.model.state_dict().items()})
    assert shapes[0] == shapes[1] == shapes[2]


def test_a_trained_model_is_found_again(base: Path, tmp_path: Path) -> None:
    task = language_task(base)
    trained(task, 3)
    folder, exported = tmp_path / "run", tmp_path / "export"
    folder.mkdir()
    (folder / "config.yaml").write_text(task.run.to_yaml())
    write_weights(task.model.state_dict(), folder / "model.safetensors")
    records = [entry.record for entry in make_entries() if entry.metadata["split"] == "train"]
    embedder = load_embedder(folder)
    vectors = embedder.embed(records)
    assert vectors == pytest.approx(task.embed(task.sets.train), abs=1e-5)

    export(task.run, system_of(task.run), folder, exported)
    assert str(base) not in (exported / "config.yaml").read_text()
    with pytest.raises(DataError, match="no such folder of a language model"):
        load_embedder(exported)
    (exported / LANGUAGE_MODEL).symlink_to(base)
    again = load_embedder(exported)
    assert again.identity == embedder.identity
    assert np.array_equal(again.embed(records), vectors)
    (exported / LANGUAGE_MODEL).unlink()
    save_model(exported / LANGUAGE_MODEL, seed=9)
    with pytest.raises(DataError, match="is not the language model that these weights were trained with"):
        load_embedder(exported)


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ({"encoder": "language"}, "language.base"),
        ({"language": {"base": "x"}}, "expected the block language to be absent"),
        ({"objective": {"kind": "mntp"}}, "expected encoder 'language'"),
    ],
)
def test_settings_that_do_not_fit(blocks: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make_run(**blocks)
