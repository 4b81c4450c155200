"""The task of a run: it learns, ranks embed what one would, and its model is found again in its folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.spectra.records import CarbonNMR, Record, TandemMS
from mmspec_ds.systems.retrieval.data import RetrievalSets, collected
from mmspec_ds.systems.retrieval.embedders import load_embedder
from mmspec_ds.systems.retrieval.factory import make_encoding
from mmspec_ds.systems.retrieval.held_back import first_hits
from mmspec_ds.systems.retrieval.task import RetrievalTask
from mmspec_ds.systems.run_file import system_of
from mmspec_ds.trainer.export import export
from mmspec_ds.trainer.task import TaskContext
from mmspec_ds.trainer.weights import write_weights
from tests.systems.retrieval.conftest import EXPERTS, make_run, make_task
from tests.systems.retrieval.spectra_of_molecules import make_entries


def test_the_nearest_of_all_others_by_hand() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0.9, 0.1], [0, 1], [0, 1]], dtype=np.float32)
    molecule = np.array([0, 0, 1, 2, 2])
    assert first_hits(vectors, molecule).tolist() == [False, True, True, True], "molecule 1 has one record"
    assert not first_hits(np.zeros((3, 2), np.float32), np.array([0, 0, 1])).any(), "ties are not found"


def test_it_learns_to_find_records_of_a_molecule() -> None:
    sizes = {"d_model": 32, "width": 16}
    task = make_task(training={"batch_size": 16}, objective={"mine_every": 10}, model=sizes)
    optimizer = torch.optim.Adam(task.model.parameters(), lr=2e-3)
    train, held_back = task.sets.train, task.sets.validation
    untrained = first_hits(task.embed(train), train.molecule_N).mean()
    for number in range(100):
        task.module.train()
        loss = task.module(task.batch(number), 0.0)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        task.after_update(loss)
    trained = first_hits(task.embed(train), train.molecule_N).mean()
    assert (untrained, trained) == (pytest.approx(0.2, abs=0.2), pytest.approx(0.9, abs=0.1))
    hits = first_hits(task.embed(held_back), held_back.molecule_N)
    validation = task.validate()
    assert validation.score == hits.mean()
    assert validation.scalars["loss/validation"] > 0
    assert task.schedule.at(100).neighbours_MH is not None


def test_two_kinds_of_noise_for_a_record_that_comes_twice() -> None:
    task = make_task(
        objective={"kind": "dropout_pairs"}, training={"augment": {"ms": {"intensity": 0.5}}, "batch_size": 4}
    )
    batch = task.batch(0)
    assert len(set(batch.molecule_G.tolist())) == 2
    (part,) = batch.parts
    heights = next(iter(part.tokens.values())).continuous_TF[:, 1].view(4, -1)
    assert len({tuple(row) for row in heights.tolist()}) == 4


def test_ranks_share_a_batch_of_the_same_records() -> None:
    (alone,) = (make_task(training={"batch_size": 8}),)
    ranks = [make_task(rank, 2, training={"batch_size": 4}) for rank in range(2)]
    whole, shares = alone.batch(1), [one.batch(1) for one in ranks]
    assert sorted(whole.molecule_G.tolist()) == sorted(shares[0].molecule_G.tolist())
    assert shares[0].molecule_G.tolist() == shares[1].molecule_G.tolist()
    assert [(one.first, one.rows) for one in shares] == [(0, 4), (4, 4)]
    tokens = [int(part.mask_BS.sum()) for one in (whole, *shares) for part in one.parts]
    assert tokens[0] == tokens[1] + tokens[2]


@pytest.mark.parametrize("moe", [None, {"k": 2, "experts": EXPERTS}], ids=["dense", "sparse"])
def test_a_trained_model_is_found_again(tmp_path: Path, moe: dict[str, object] | None) -> None:
    task = make_task(moe=moe)
    folder, exported = tmp_path / "run", tmp_path / "export"
    folder.mkdir()
    (folder / "config.yaml").write_text(task.run.to_yaml())
    write_weights(task.model.state_dict(), folder / "model.safetensors")
    embedder = load_embedder(folder)
    assert (embedder.name, embedder.width) == ("run", 12)
    records = [entry.record for entry in make_entries()]
    done: list[int] = []
    vectors = embedder.embed(records, done.append)
    assert done == [60]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(60), abs=1e-6)
    entries = [entry for entry in make_entries() if entry.metadata["split"] == "train"]
    of_training = embedder.embed([entry.record for entry in entries])
    assert of_training == pytest.approx(task.embed(task.sets.train), abs=1e-6)
    export(task.run, system_of(task.run), folder, exported)
    again = load_embedder(exported)
    assert again.identity == embedder.identity
    assert again.embed(records).tolist() == vectors.tolist()
    (exported / "model.safetensors").write_bytes((exported / "model.safetensors").read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"model\.safetensors"):
        load_embedder(exported)


def test_other_weights_or_settings_are_another_model(tmp_path: Path) -> None:
    identities = set()
    for seed, peaks in ((0, 100), (1, 100), (0, 5)):
        task = make_task(seed=seed, data={"compression": {"ms": {"max_peaks": peaks}}})
        (tmp_path / "config.yaml").write_text(task.run.to_yaml())
        write_weights(task.model.state_dict(), tmp_path / "model.safetensors")
        identities.add(load_embedder(tmp_path).identity)
    assert len(identities) == 3


def test_a_record_of_several_spectra_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    task = make_task(data={"modalities": ["ms", "c_nmr"]}, moe={"k": 1, "experts": EXPERTS})
    (tmp_path / "config.yaml").write_text(task.run.to_yaml())
    write_weights(task.model.state_dict(), tmp_path / "model.safetensors")
    embedder = load_embedder(tmp_path)
    one, other = (entry.record for entry in make_entries(molecules=1, spectra=2))
    carbon = CarbonNMR((18.1, 58.3))
    records = [
        Record("both", (*one.spectra, carbon)),
        Record("two", (*one.spectra, *other.spectra)),
        Record("carbon", (carbon,)),
        Record("none", ()),
    ]
    vectors = embedder.embed(records)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 0], abs=1e-6)
    assert len({tuple(row) for row in vectors[:3].round(3).tolist()}) == 3


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a batch of 64 records is more than the 30 of a round"):
        make_task(training={"batch_size": 64})
    run, entries = make_run(), make_entries()
    encoding = make_encoding(run)
    single = [entry for entry in entries if entry.record.id.endswith(":0")]
    sets = RetrievalSets(collected(entries, encoding), collected(single, encoding))
    with pytest.raises(DataError, match="no held-back molecule has two records"):
        RetrievalTask(run, TaskContext(torch.device("cpu")), sets)
    carbon = make_encoding(make_run(data={"modalities": ["c_nmr"]}))
    with pytest.raises(DataError, match="60 records without a spectrum that the model reads"):
        collected(entries, carbon)


def test_untrained_vectors_with_a_skip_compare_like_a_cosine() -> None:
    """The sinusoids of peaks that lie close agree: two spectra of a molecule, which share six of eight peaks,
    are nearer than those of others, before anything is learnt."""
    sizes = {
        "pooling": "intensity",
        "skip": True,
        "intensity_forms": True,
        "sinusoid_features": 64,
        "width": 64,
    }
    task = make_task(model=sizes, data={"modalities": ["ms", "c_nmr"]})
    train = task.sets.train
    with torch.no_grad():
        task.model.head.projection.weight.zero_()
    assert first_hits(task.embed(train), train.molecule_N).mean() > 0.8
    task.module(task.batch(0), 0.0).total.backward()
    assert all(p.grad is not None for p in task.model.parameters())


def test_collision_energies_are_told_where_a_run_wants_it() -> None:
    (entry,) = make_entries(molecules=1, spectra=1)
    (spectrum,) = entry.record.spectra
    assert isinstance(spectrum, TandemMS)
    high = replace(spectrum, collision_energy_ev=40.0, measured_energy_ev=38.0)
    records = [entry.record, replace(entry.record, spectra=(high,))]
    for told in (False, True):
        run = make_run(data={"collision_energy": told, "compression": {"ms": {"precursor": True}}})
        one, other = (make_encoding(run).encode([record]) for record in records)
        fields = [next(iter(rows.tokens.values())).discrete.tolist() for rows in (one, other)]
        assert (fields[0] != fields[1]) is told
