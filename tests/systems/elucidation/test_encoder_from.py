"""A run that begins with an encoder of fusion: what is taken over, that it means the same, what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.data.collate import collate
from mmspec_ds.data.reading import pack
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.moe.expert_names import ExpertSharding
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.spectra.parquet import write_records
from mmspec_ds.spectra.records import CarbonNMR, Modality, Record, TandemMS
from mmspec_ds.systems.elucidation.encoder_from import load_encoder
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.elucidation.task import ElucidationTask
from mmspec_ds.systems.fusion.data import make_batch
from mmspec_ds.systems.fusion.reading import data_of_records
from mmspec_ds.systems.fusion.task import FusionTask
from mmspec_ds.trainer.task import TaskContext
from mmspec_ds.trainer.weights import write_weights
from tests.systems.fusion.conftest import EXPERTS, SIZES, make_task

SPARSE = {"k": 2, "experts": EXPERTS}
KINDS = pytest.mark.parametrize("moe", [None, SPARSE], ids=["dense", "sparse"])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve molecules with a 13C spectrum, a mass spectrum and a formula."""
    peaks = np.array([29.0, 45.5]), np.array([4.0, 1.0])
    rows = [
        Record(
            str(at), (CarbonNMR((10.0 + at, 60.0)), TandemMS(*peaks, "positive", 10.0)), "C" * at + "O", "CH4O"
        )
        for at in range(1, 13)
    ]
    write_records(tmp_path / "data.parquet", rows)
    return tmp_path / "data.parquet"


def make_source(folder: Path, **blocks: Any) -> FusionTask:
    """A fusion run in its folder, its weights as drawn but for the routers' tags and biases."""
    task = make_task(objective={"kind": "masked"}, seed=5, **blocks)
    with torch.no_grad():
        for name, one in task.model.named_parameters():
            if name.endswith((".gate.tag", ".gate.bias")):
                one.normal_()
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(task.run.to_yaml())
    write_weights(task.model.state_dict(), folder / "model.safetensors")
    task.save_files(folder)
    return task


def run_of(data: Path, /, **blocks: Any) -> ElucidationRun:
    """A run of the same sizes; each argument replaces keys of a block, or a whole value."""
    content: dict[str, Any] = {
        "name": "run",
        "engine": "zero0.json",
        "data": {
            "train": [str(data)],
            "modalities": ["c_nmr", "ms"],
            "formula": True,
            "max_target_tokens": 20,
            "validation_fraction": 0.4,
            "compression": {"c_nmr": {"bin_ppm": 0.05}, "ms": {"max_peaks": 8, "precursor": True}},
        },
        "model": {**SIZES, "embedding": "axis", "patch": 4, "decoder_layers": 1, "max_target_tokens": 24},
        "training": {"steps": 1, "batch_size": 4},
    }
    for name, value in blocks.items():
        content[name] = content.get(name, {}) | value if isinstance(value, dict) else value
    return ElucidationRun.model_validate(content)


def task_of(run: ElucidationRun) -> ElucidationTask:
    return ElucidationTask(run, TaskContext(torch.device("cpu")))


@KINDS
def test_embedding_and_encoder_are_taken_over_and_nothing_else(
    data: Path, tmp_path: Path, moe: dict[str, Any] | None
) -> None:
    source = make_source(tmp_path / "masked", moe=moe).model.state_dict()
    begun = task_of(run_of(data, moe=moe, training={"encoder_from": tmp_path / "masked"})).model.state_dict()
    drawn = task_of(run_of(data, moe=moe)).model.state_dict()
    taken, rows = 0, [int(Modality.C_NMR), int(Modality.MS)]
    for name, found in begun.items():
        inner = name.replace("embedding.tokens.", "embedding.") if "tokens." in name else name
        expected = drawn[name].clone()
        if name.startswith(("embedding.tokens.", "encoder.")):
            theirs = source[f"encoder.{inner}"]
            if name.endswith((".gate.tag", ".gate.bias")):
                expected[rows] = theirs
            else:
                expected = theirs
            taken += 1
        assert torch.equal(found, expected), name
    assert taken == sum(one.startswith(("encoder.embedding.", "encoder.encoder.")) for one in source)


@KINDS
def test_the_states_of_a_spectrum_are_those_of_fusion(
    data: Path, tmp_path: Path, moe: dict[str, Any] | None
) -> None:
    """Where there is one kind of spectrum, tokens attend to the same others in both systems."""
    source = make_source(tmp_path / "masked", moe=moe)
    task = task_of(run_of(data, moe=moe, training={"encoder_from": tmp_path / "masked"}))
    mass = TandemMS(np.array([43.5, 58.0, 91.0625]), np.array([1.0, 16.0, 4.0]), "negative", precursor_mz=102.5)
    for spectrum in (CarbonNMR((170.35, 60.05, 14.1)), mass):
        record = Record("r", (spectrum,))
        packed = pack([(record, task.data.encoding.encode(record))], task.data.encoding.schemas)
        fused = data_of_records([record], source.schema, source.run.tokens)
        with torch.no_grad():
            ours = task.model.eval().encode(collate(packed, [0]).spectra, 1.0).hidden_BSD
            pieces = make_batch(fused, np.arange(1)).pieces
            theirs = source.model.eval().encoder.states(pieces, 1.0).hidden_BSD
        assert ours.std() > 0.1
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_each_rank_takes_its_experts(data: Path, tmp_path: Path) -> None:
    source = make_source(tmp_path / "masked", moe=SPARSE).model.state_dict()
    run = run_of(data, moe=SPARSE, training={"encoder_from": tmp_path / "masked"})
    whole = task_of(run)
    assert run.moe is not None
    widths = tuple(one.width for one in physical_order(run.moe.experts))
    for rank in range(2):
        placement = Placement(2, rank)
        model = build_elucidator(run.model, run.moe, whole.data.encoding.schemas, 20, placement=placement)
        load_encoder(model, run, ExpertSharding(placement, widths))
        for at, number in enumerate(placement.local(4)):
            name = "layers.0.feedforward.deepspeed_moe.experts.deepspeed_experts.{}.w1"
            found = model.encoder.state_dict()[name.format(at)]
            assert torch.equal(found, source["encoder.encoder." + name.format(number)])


@pytest.mark.parametrize(
    ("blocks", "told"),
    [
        ({"model": {"heads": 4}}, "heads is 2, in this run 4"),
        ({"model": {"patch": 8}}, "patch is 4, in this run 8"),
        ({"model": {"encoder_layers": 3}}, "encoder_layers is 1, in this run 3"),
        ({"model": {"ffn_width": 64}, "moe": None}, "the encoder is sparse, in this run dense"),
        ({"moe": {**SPARSE, "k": 1}}, r"moe\.k is 2, in this run 1"),
        (
            {"moe": {**SPARSE, "experts": [*EXPERTS[:3], EXPERTS[1]]}},
            r"moe\.experts is shared 32; .* modality 16 ms, in this run shared 32; .* c_nmr; shared 16",
        ),
        (
            {"data": {"modalities": ["c_nmr", "ms", "ir"]}},
            "what it reads is c_nmr, ms, in this run c_nmr, ir, ms",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_both_values(
    data: Path, tmp_path: Path, blocks: dict[str, Any], told: str
) -> None:
    make_source(tmp_path / "masked", moe=SPARSE)
    run = run_of(data, **{"moe": SPARSE, "training": {"encoder_from": tmp_path / "masked"}, **blocks})
    with pytest.raises(DataError, match=f"masked: does not fit training.encoder_from: {told}") as refused:
        task_of(run)
    assert "\n" not in str(refused.value)


def test_dense_networks_have_one_width(data: Path, tmp_path: Path) -> None:
    make_source(tmp_path / "masked")
    begun = {"encoder_from": tmp_path / "masked"}
    run = run_of(data, model={"ffn_width": 64}, training=begun)
    with pytest.raises(DataError, match="ffn_width is 32, in this run 64"):
        task_of(run)
    task_of(run_of(data, model={"ffn_width": 64, "encoder_ffn_width": 32}, training=begun))


def test_only_fusion_offers_encoders(data: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.yaml").write_text(run_of(data).to_yaml())
    run = run_of(data, training={"encoder_from": tmp_path / "other"})
    with pytest.raises(ConfigError, match="other: system is 'elucidation': expected a model of fusion"):
        task_of(run)
    with pytest.raises(DataError, match="none: no such folder: expected that of a trained run"):
        task_of(run_of(data, training={"encoder_from": tmp_path / "none"}))


@pytest.mark.parametrize(
    ("blocks", "told"),
    [
        (
            {"model": {"embedding": "modality", "patch": 16}},
            "encoder_from is given, but model.embedding is",
        ),
        ({"model": {"fusion": "late"}}, "encoder_from is given, but model.fusion is 'late': expected 'early'"),
        ({"training": {"start_from": "b", "encoder_from": "a"}}, "are both given: expected one"),
    ],
)
def test_settings_that_contradict_each_other(blocks: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        run_of(Path("data"), **{"training": {"encoder_from": "a"}, **blocks})


def test_settings_of_the_embedding() -> None:
    with pytest.raises(
        ValueError, match="patch is 4, but embedding is 'modality': expected 'axis', or no patch"
    ):
        run_of(Path("data"), model={"embedding": "modality"})
    with pytest.raises(ValueError, match=r"data\.representation is 'text': expected 'compressed'"):
        run_of(Path("data"), data={"representation": "text", "compression": {}})
    with pytest.raises(ValueError, match=r"model\.patch is 4, but tokens of ir have 8 intensities"):
        run_of(Path("data"), data={"modalities": ["ir"], "compression": {"ir": {"window": 8, "stride": 8}}})
    old = run_of(Path("data")).model_dump(mode="json")
    del old["model"]["embedding"], old["model"]["patch"], old["training"]["encoder_from"]
    assert ElucidationRun.model_validate(old).model.embedding == "modality"
    assert run_of(Path("d"), training={"encoder_from": "a"}).without_paths().training.encoder_from is None
