"""A run that adapts a trained model: what it learns, what it saves, and how it is found again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.systems.fusion.adapted import load_adapted
from mmspec_ds.systems.fusion.beginning import begin
from mmspec_ds.systems.fusion.domain_adapters import base_parameters
from mmspec_ds.systems.fusion.outcome import macro_auc
from mmspec_ds.systems.fusion.tables import sets_of_cohort
from mmspec_ds.systems.fusion.task import FusionTask
from mmspec_ds.systems.fusion.trained import load_fusion
from mmspec_ds.systems.run_file import system_of
from mmspec_ds.trainer.export import export
from mmspec_ds.trainer.task import TaskContext, count_parameters
from mmspec_ds.trainer.weights import read_weights, write_weights
from tests.systems.fusion.conftest import EXPERTS, learn, make_records, make_run, make_task
from tests.systems.fusion.test_tables import make_cohort

KINDS = ("bottleneck", "lora")
BATCH = {"batch_size": 32}


def save(task: FusionTask, folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.yaml").write_text(task.run.to_yaml())
    write_weights(task.model.state_dict(), folder / "model.safetensors")
    task.save_files(folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has not learnt anything."""
    torch.set_num_threads(1)
    return save(make_task(name="whole", seed=3), tmp_path_factory.mktemp("base") / "whole")


def adapting(base: Path, kind: str = "bottleneck", **blocks: Any) -> FusionTask:
    adapt = {"base": str(base), "kind": kind, "width": 4, "most_share": 1.0} | blocks.pop("adapt", {})
    return make_task(name="new", adapt=adapt, training=BATCH, **blocks)


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_learn_on_a_base_that_stays(base: Path, kind: str, tmp_path: Path) -> None:
    task = adapting(base, kind)
    stored, _ = read_weights(base / "model.safetensors")
    untrained = task.validate().score
    assert untrained == pytest.approx(load_score(base), abs=1e-6)
    learn(task, 120, rate=1e-2)
    assert task.validate().score > max(0.75, untrained + 0.1)
    ours = base_parameters(task.network)
    assert ours.keys() | {"prior_C"} == stored.keys()
    assert all(torch.equal(one, stored[name]) for name, one in ours.items())
    assert torch.equal(task.network.prior_C, stored["prior_C"])
    folder = save(task, tmp_path / "new")
    own, _ = read_weights(folder / "model.safetensors")
    assert all("lora" in name or "after_" in name for name in own)
    assert sum(one.numel() for one in own.values()) == count_parameters(task)
    facts = json.loads((folder / "adapter.json").read_text())
    assert (facts["base"], facts["base_name"]) == (load_fusion(base).identity, "whole")
    assert facts["parameters"] == count_parameters(task)
    assert facts["base_parameters"] == sum(one.numel() for one in ours.values())
    trained = load_fusion(folder)
    records, _ = make_records(41, seed=1)
    told = trained.predict(records).probability_NC
    np.testing.assert_allclose(told, task.outcome().probability_NC, atol=1e-6)
    both = load_adapted(base, {"one": folder})
    np.testing.assert_array_equal(both.use("one").predict(records).probability_NC, told)
    plain = load_fusion(base).predict(records).probability_NC
    np.testing.assert_array_equal(both.use().predict(records).probability_NC, plain)
    assert not np.allclose(plain, told, atol=1e-3)


def load_score(base: Path) -> float:
    records, labels = make_records(41, seed=1)
    told = load_fusion(base).predict(records).probability_NC
    return macro_auc(told, np.eye(2, dtype=np.float32)[labels])


def test_routers_of_a_sparse_base_stay(tmp_path: Path) -> None:
    moe = {"k": 2, "experts": EXPERTS, "selection_bias_rate": 0.1}
    folder = save(make_task(name="whole", moe=moe), tmp_path / "whole")
    stored, _ = read_weights(folder / "model.safetensors")
    task = adapting(folder, moe=moe, routing={"temperature": 3.0})
    learn(task, 3)
    now = task.network.state_dict()
    assert all(torch.equal(now[name], stored[name]) for name in stored)
    assert task.sharding.size == 1


def test_an_adapter_of_another_base_is_refused(base: Path, tmp_path: Path) -> None:
    folder = save(adapting(base), tmp_path / "new")
    other = save(make_task(name="other", seed=4), tmp_path / "other")
    with pytest.raises(DataError, match=r"new: adapters of another base: expected whole with checksum") as told:
        load_adapted(other, {"one": folder})
    assert "\n" not in str(told.value)
    (folder / "base").symlink_to(other)
    with pytest.raises(DataError, match="adapters of another base"):
        load_fusion(folder)


def test_an_export_finds_its_base_beside_it(base: Path, tmp_path: Path) -> None:
    task = adapting(base)
    folder, exported = save(task, tmp_path / "new"), tmp_path / "export"
    export(task.run, system_of(task.run), folder, exported)
    with pytest.raises(DataError, match="holds adapters alone: expected their base at whole, or a link base"):
        load_fusion(exported)
    (exported / "base").symlink_to(base)
    assert load_fusion(exported).identity == load_fusion(folder).identity
    (exported / "adapter.json").unlink()
    with pytest.raises(DataError, match=r"holds no adapter\.json"):
        load_fusion(exported)


def test_what_does_not_fit_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent: adapt\.base: no such folder"):
        adapting(tmp_path / "absent")
    with pytest.raises(
        ConfigError, match=r"^model: not that of adapt\.base, .*expected the block model of its"
    ):
        adapting(base, model={"ffn_width": 64})
    with pytest.raises(ConfigError, match=r"^adapt\.width is 4: the adapters have .* at most 3 %"):
        adapting(base, adapt={"most_share": 0.03})
    twice = save(adapting(base), tmp_path / "once")
    with pytest.raises(ConfigError, match=r"once has adapters itself"):
        adapting(twice)
    masked = save(make_task(objective={"kind": "masked"}), tmp_path / "masked")
    with pytest.raises(ConfigError, match="is pretrained alone"):
        adapting(masked)
    refused: list[dict[str, Any]] = [{"balance": {"kind": "ogm_ge"}}, {"objective": {"kind": "masked"}}]
    for block in refused:
        with pytest.raises(ValueError, match=r"adapt needs objective\.kind 'classify'"):
            adapting(base, **block)
    with pytest.raises(ValueError, match="adapt and distillation are both given"):
        adapting(base, distillation={"teacher": "run"})


def test_tables_of_another_instrument_are_scaled_anew(tmp_path: Path) -> None:
    """Values a thousand times as large: scaled as the base does they are beyond its range, anew not."""
    cohort, context = make_cohort(240), TaskContext(torch.device("cpu"))
    run = make_run(name="whole", training=BATCH, data={"validation_fraction": 0.3})
    whole = FusionTask(run, context, sets_of_cohort(cohort, run))
    learn(whole, 100)
    folder = save(whole, tmp_path / "whole")
    blocks = tuple(replace(one, values_NF=1000 * one.values_NF) for one in cohort.blocks)
    louder = replace(cohort, blocks=blocks)
    told = {}
    for scaling in ("base", "own"):
        adapt = {"base": str(folder), "scaling": scaling, "most_share": 1.0}
        run = make_run(name=scaling, adapt=adapt, training=BATCH, data={"validation_fraction": 0.3})
        known = begin(run, context).schema
        assert (known is None) is (scaling == "own")
        task = FusionTask(run, context, sets_of_cohort(louder, run, known))
        found = load_fusion(save(task, tmp_path / scaling))
        told[scaling] = found.predict_cohort(louder).probability_NC
    plain = load_fusion(folder).predict_cohort(cohort).probability_NC
    np.testing.assert_allclose(told["own"], plain, atol=1e-5)
    assert abs(told["base"] - plain).max() > 0.1


def test_other_classes_than_those_of_the_base_are_refused(tmp_path: Path) -> None:
    cohort, context = make_cohort(), TaskContext(torch.device("cpu"))
    run = make_run(name="whole")
    folder = save(FusionTask(run, context, sets_of_cohort(cohort, run)), tmp_path / "whole")
    run = make_run(adapt={"base": str(folder), "scaling": "own", "most_share": 1.0})
    other = replace(cohort, classes=("healthy", "worse"))
    with pytest.raises(DataError, match=r"^data: other classes than adapt\.base: expected healthy, ill"):
        FusionTask(run, context, sets_of_cohort(other, run))


NEW = {"head": "new", "most_share": 1.0}


def adapting_cohort(folder: Path, kind: str, classes: tuple[str, ...] = ("left", "right")) -> FusionTask:
    """A run with a new head, on tables whose classes the base does not know."""
    cohort = replace(make_cohort(240), classes=classes)
    adapt = {"base": str(folder), "kind": kind, **NEW}
    run = make_run(name=kind, adapt=adapt, training=BATCH, data={"validation_fraction": 0.3})
    context = TaskContext(torch.device("cpu"))
    return FusionTask(run, context, sets_of_cohort(cohort, run, begin(run, context).schema))


@pytest.mark.parametrize("kind", [*KINDS, "none"])
def test_a_new_head_tells_other_classes_of_other_tables(base: Path, kind: str, tmp_path: Path) -> None:
    stored, _ = read_weights(base / "model.safetensors")
    task = adapting_cohort(base, kind)
    untrained = task.validate().score
    learn(task, 100, rate=1e-2)
    least = 0.6 if kind == "none" else 0.8  # the encoder of this base has not learnt anything
    assert task.validate().score > max(least, untrained)
    now = task.network.state_dict()
    encoder = {name for name in stored if name.startswith("encoder.")}
    ours = {name.replace(".base_layer.", "."): one for name, one in now.items()}
    assert all(torch.equal(ours[name], stored[name]) for name in encoder)
    folder = save(task, tmp_path / "new")
    own, _ = read_weights(folder / "model.safetensors")
    kinds = {name.split(".")[0] for name in own}
    assert kinds == ({"head", "prior_C"} if kind == "none" else {"adapter", "head", "prior_C"})
    facts = json.loads((folder / "adapter.json").read_text())
    assert facts["parameters"] == count_parameters(task)
    assert facts["base_parameters"] == sum(one.numel() for one in stored.values()) - len(stored["prior_C"])
    cohort = replace(make_cohort(240), classes=("left", "right"))
    told = load_fusion(folder).predict_cohort(cohort)
    held_back = task.outcome().probability_NC
    assert len(held_back) < len(cohort.samples)
    again = task.network.eval()
    with torch.no_grad():
        batch = next(iter(task.validation_batches()))
        encoded = again.encode(batch.pieces)
        logits_BC = again.fuse(encoded.vectors_BMD, encoded.present_BM).logits_BC
    np.testing.assert_allclose(logits_BC.softmax(1).numpy(), held_back[: len(logits_BC)], atol=1e-6)
    # beside adapters of the base's own classes, on one encoder in memory
    records, _ = make_records(41, seed=1)
    plain = load_fusion(base).predict(records).probability_NC
    other = adapting(base)
    learn(other, 3, rate=1e-2)
    both = load_adapted(base, {"study": folder, "instrument": save(other, tmp_path / "instrument")})
    for _ in range(2):
        found = both.use("study").predict_cohort(cohort)
        np.testing.assert_allclose(found.probability_NC, told.probability_NC, atol=1e-6)
        of_instrument = both.use("instrument").predict(records).probability_NC
        assert not np.allclose(of_instrument, plain, atol=1e-4)
        np.testing.assert_allclose(both.use().predict(records).probability_NC, plain, atol=1e-6)
    with pytest.raises(ValueError, match="no adapter 'third': expected one of study, instrument"):
        both.use("third")


def test_a_new_head_on_a_pretrained_base(tmp_path: Path) -> None:
    folder = save(make_task(objective={"kind": "masked"}), tmp_path / "masked")
    task = adapting_cohort(folder, "bottleneck", ("one", "two"))
    assert task.schema.names == ("one", "two")
    learn(task, 3)
    assert load_fusion(save(task, tmp_path / "new")).schema.names == ("one", "two")


def test_a_new_head_counts_and_a_sparse_base_reads_its_own_spectra(base: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^adapt\.width is 4: the adapters and the new head have .* at most 3 %"
    ):
        adapting(base, adapt={"head": "new", "most_share": 0.03})
    with pytest.raises(ValueError, match="which learns nothing"):
        adapting(base, "none")
    moe = {"k": 2, "experts": EXPERTS}
    folder = save(make_task(name="whole", moe=moe), tmp_path / "sparse")
    assert adapting(folder, moe=moe, adapt=NEW).schema.modalities == ("c_nmr", "ms")
    run = make_run(adapt={"base": str(folder), **NEW}, moe={"k": 2, "experts": EXPERTS[:2]})
    with pytest.raises(ConfigError, match=r"^moe: not that of adapt\.base"):
        begin(run, TaskContext(torch.device("cpu")))
