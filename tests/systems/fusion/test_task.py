"""The task of a run: it learns, ranks tell what one would, and its model is found again in its folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.spectra.records import CarbonNMR, Infrared, Modality, Record
from mmspec_ds.systems.fusion.data import FusionData, FusionSets
from mmspec_ds.systems.fusion.evaluate import interval
from mmspec_ds.systems.fusion.fusers import LateMean
from mmspec_ds.systems.fusion.outcome import macro_auc
from mmspec_ds.systems.fusion.schema import Schema
from mmspec_ds.systems.fusion.task import FusionTask, share_of
from mmspec_ds.systems.fusion.trained import load_fusion
from mmspec_ds.systems.run_file import system_of
from mmspec_ds.systems.trained_states import read_states
from mmspec_ds.trainer.export import export
from mmspec_ds.trainer.task import TaskContext
from mmspec_ds.trainer.weights import write_weights
from tests.systems.fusion.conftest import EXPERTS, SCHEMA, learn, make_records, make_run, make_sets, make_task

BATCH = {"batch_size": 32}


@pytest.mark.parametrize("kind", ["contribution", "contribution_vectors", "late_mean", "gated", "concatenated"])
def test_it_learns_from_two_modalities(kind: str) -> None:
    task = make_task(fusion={"kind": kind}, training=BATCH)
    untrained = task.validate()
    learn(task, 150)
    trained = task.validate()
    # The 13C line tells the class wherever there is one, the mass spectrum in three of four.
    assert trained.score > 0.95 > untrained.score
    assert trained.scalars["contribution/c_nmr"] > 1.5 * trained.scalars["contribution/ms"] > 0


@pytest.mark.parametrize("kind", ["contribution", "ogm_ge", "blending"])
def test_it_learns_with_balanced_modalities(kind: str) -> None:
    balance = {"kind": kind, "every": 40, "batches": 1}
    task = make_task(fusion={"kind": "late_mean"}, balance=balance, training=BATCH)
    learn(task, 150)
    assert task.validate().score > 0.95
    assert bool(task.state()) is (kind == "blending")
    if kind == "blending":
        assert task.state()["weights"] != [1 / 3] * 3
        assert set(task.module(task.batch(0), 0.0).parts) == {"task", "alone_c_nmr", "alone_ms"}


def test_many_groups_do_not_silence_the_modality_that_is_ahead() -> None:
    """A class told twelve times over, as groups, is told alike: the gradient of an encoder is that of one."""
    found = []
    for count in (1, 12):
        run = make_run(balance={"kind": "contribution", "alpha": 2.0}, fusion={"kind": "late_mean"})
        plain = make_sets(run)
        names = tuple(f"group {at}" for at in range(count))
        schema = Schema(SCHEMA.modalities, "groups", names, {})
        sides = [
            FusionData(one.ids, one.pieces, np.repeat(one.target_NC[:, 1:], count, axis=1), one.groups)
            for one in (plain.train, plain.validation)
        ]
        task = FusionTask(run, TaskContext(torch.device("cpu")), FusionSets(*sides, schema))
        assert isinstance(task.network.fuser, LateMean)
        with torch.no_grad():  # every group has the same classifiers
            for at, head in enumerate(task.network.fuser.heads.heads):
                head.weight[:] = torch.linspace(-2, 2, 16) * (1 + at)
        torch.manual_seed(0)
        for name, one in task.network.named_parameters():
            if name.startswith("encoder.") and one.dim() > 1:
                torch.nn.init.normal_(one, std=0.2)
        task.module.double().train()
        task.module(task.batch(0), 0.0).total.backward()
        found.append([one.grad for _, one in task.network.encoder.named_parameters()])
    for one, many in zip(*found):
        torch.testing.assert_close(many, one, rtol=1e-6, atol=1e-10)


def test_pretraining_fills_in_hidden_intensities() -> None:
    task = make_task(objective={"kind": "masked"}, training=BATCH)
    untrained = task.validate().score
    learn(task, 100)
    assert task.validate().score < 0.7 * untrained
    assert task.validate().score == task.validate().score, "hides the same tokens each time"


def test_every_parameter_has_a_gradient() -> None:
    blocks: list[dict[str, Any]] = [
        {"moe": {"k": 2, "experts": EXPERTS}, "fusion": {"attention": 1}},
        {"objective": {"kind": "masked"}, "model": {"pooling": "attention"}},
        {"fusion": {"kind": "gated"}},
        {"fusion": {"kind": "concatenated"}, "objective": {"alone": 0.3}},
    ]
    for block in blocks:
        task = make_task(**block)
        task.module.train()
        task.module(task.batch(0), 0.5).total.backward()
        without = [name for name, one in task.model.named_parameters() if one.grad is None]
        assert not without


def test_ranks_share_a_batch_and_a_validation() -> None:
    alone = make_task(training={"batch_size": 8, "modality_dropout": 0.3, "corruption": {"share": 0.5}})
    changed = {"batch_size": 4, "modality_dropout": 0.3, "corruption": {"share": 0.5}}
    ranks = [make_task(rank, 2, training=changed) for rank in range(2)]
    whole, shares = alone.batch(3), [one.batch(3) for one in ranks]
    for name in ("target_BC", "kept_BM"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(one, name) for one in shares]))
    assert not whole.kept_BM.all()
    tokens = [int(one.pieces.mask_PS.sum()) for one in (whole, *shares)]
    assert tokens[0] == tokens[1] + tokens[2]
    places, weights = zip(*(share_of(41, rank, 2) for rank in range(2)))
    assert sorted(np.concatenate(places)[np.concatenate(weights) > 0].tolist()) == list(range(41))
    assert len(places[0]) == len(places[1]) == 21


@pytest.mark.parametrize("moe", [None, {"k": 2, "experts": EXPERTS}], ids=["dense", "sparse"])
def test_a_trained_model_is_found_again(tmp_path: Path, moe: dict[str, object] | None) -> None:
    task = make_task(moe=moe)
    folder, exported = tmp_path / "run", tmp_path / "export"
    folder.mkdir()
    (folder / "config.yaml").write_text(task.run.to_yaml())
    write_weights(task.model.state_dict(), folder / "model.safetensors")
    task.save_files(folder)
    trained = load_fusion(folder)
    records, labels = make_records(41, seed=1)
    outcome = trained.predict(records)
    assert outcome.probability_NC.sum(1) == pytest.approx(np.ones(41), abs=1e-6)
    assert outcome.weight_NM.sum(1) == pytest.approx(np.ones(41), abs=1e-6)
    assert outcome.weight_NM[0].tolist() == [1, 0], "the first record has no mass spectrum"
    ours = task.outcome()
    np.testing.assert_allclose(outcome.probability_NC, ours.probability_NC, atol=1e-6)
    expected = roc_auc_score(labels, outcome.probability_NC[:, 1])
    assert task.validate().score == pytest.approx(expected, abs=1e-9)
    export(task.run, system_of(task.run), folder, exported)
    again = load_fusion(exported)
    assert again.identity == trained.identity
    np.testing.assert_array_equal(again.predict(records).probability_NC, outcome.probability_NC)
    with pytest.raises(DataError, match="bare: has nothing that model run reads: expected any of c_nmr, ms"):
        trained.predict([Record("bare", (Infrared(np.ones(4)),))])
    one = Record("carbon", (CarbonNMR((120.0,)),))
    assert trained.predict([one]).weight_NM.tolist() == [[1, 0]]
    (folder / "schema.json").write_text("{}")
    with pytest.raises(DataError, match=r"schema\.json.*cannot be read as the schema"):
        load_fusion(folder)


def test_states_of_tokens_for_other_systems(tmp_path: Path) -> None:
    task = make_task()
    (tmp_path / "config.yaml").write_text(task.run.to_yaml())
    write_weights(task.model.state_dict(), tmp_path / "model.safetensors")
    task.save_files(tmp_path)
    reader = read_states(tmp_path)
    records, _ = make_records(3, seed=1)
    found = reader.states(records)
    carbon, mass = int(Modality.C_NMR), int(Modality.MS)
    assert found.modality_BS.tolist() == [
        [carbon] * 4 + [-1] * 4,  # the first record has no mass spectrum
        [carbon] * 4 + [mass] * 4,
        [carbon] * 4 + [mass] * 4,
    ]
    alone = reader.states([Record("mass", records[2].spectra[1:])])
    torch.testing.assert_close(found.hidden_BSD[2, 4:], alone.hidden_BSD[0])
    assert not found.hidden_BSD[0, 4:].any()
    with pytest.raises(DataError, match="record bare: no spectrum that the model reads: expected c_nmr or ms"):
        reader.states([Record("bare")])


def test_the_mean_auc_over_groups_by_hand() -> None:
    target = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 0]], dtype=np.float32)
    told = np.array([[0.9, 0.1, 0.2], [0.1, 0.2, 0.7], [0.05, 0.3, 0.5]], dtype=np.float32)
    # First group: 0.9 > 0.1 and 0.05 < 0.1; no molecule has the second; third: 0.2 < 0.5 and 0.7 > 0.5.
    assert macro_auc(told, target) == 0.5
    assert macro_auc(told[:, :2], np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32)) == 1.0


def test_an_interval_leaves_out_draws_of_one_class() -> None:
    told = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], dtype=np.float32)
    target = np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32)
    assert np.isnan(macro_auc(told[1:], target[1:]))
    assert interval(told, target, ("a", "b", "c")) == (1.0, 1.0), "where both classes are drawn it is 1"


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(ConfigError, match="a batch of 200 samples is more than the 96 that there are"):
        make_task(training={"batch_size": 200})
    experts = [*EXPERTS[:2], {"family": "modality", "width": 16, "modalities": ["ir"]}]
    with pytest.raises(ConfigError, match=r"moe\.experts\[2\]\.modalities: 'ir' is not read"):
        make_task(moe={"k": 1, "experts": experts})


def test_an_encoder_goes_from_pretraining_to_classes(tmp_path: Path) -> None:
    source = make_task(objective={"kind": "masked"}, seed=5)
    (tmp_path / "config.yaml").write_text(source.run.to_yaml())
    write_weights(source.model.state_dict(), tmp_path / "model.safetensors")
    source.save_files(tmp_path)
    task = make_task(training={"encoder_from": tmp_path})
    plain = make_task()
    for name, one in task.model.named_parameters():
        theirs = dict(source.model.named_parameters()).get(name)
        expected = theirs if name.startswith("encoder.") else dict(plain.model.named_parameters())[name]
        assert torch.equal(one, expected)
    with pytest.raises(DataError, match=r"does not fit training\.encoder_from"):
        make_task(training={"encoder_from": tmp_path}, model={"ffn_width": 64})
