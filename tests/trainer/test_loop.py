"""Runs from end to end: resumed, stopped, refused, and what they leave behind."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mmspec_ds.files import read_manifest
from mmspec_ds.trainer.checkpoints import CheckpointFolder
from mmspec_ds.trainer.weights import read_weights

ADAM = (
    "training.optimizer=adamw",
    "training.learning_rate=3e-3",
    "training.steps=12",
    "training.validate_every=6",
    "training.keep_checkpoints=2",
    "training.conflict_samples=4",
    "model.dropout=0.1",
    "data.modality_dropout=0.2",
    "training.augment.h_nmr.missing_peak=0.2",
    "training.randomise_smiles=0.5",
)
TWO = ("training.batch_size=8", "training.ep_size=2", "engine=zero1.json")


def manifest_of(folder: Path, step: int) -> dict[str, Any]:
    """What a checkpoint says of itself."""
    return read_manifest(folder / "checkpoints" / f"step_{step:08d}")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a run: steps and values by tag."""
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.fixture(scope="module")
def undisturbed(launcher: Any) -> Any:
    """Twelve steps of AdamW with dropout, saved after six and twelve."""
    finished = launcher.train("undisturbed", *ADAM)
    assert finished.statuses == (0,), finished.output
    return finished


@pytest.mark.parametrize(("ranks", "topology"), [(1, ()), (2, TWO)], ids=["1 rank", "2 ranks, ep 2, ZeRO 1"])
def test_a_resumed_run_is_the_undisturbed_one(
    launcher: Any, undisturbed: Any, ranks: int, topology: tuple[str, ...]
) -> None:
    if ranks == 2:
        undisturbed = launcher.train("undisturbed_2", *ADAM, *topology, ranks=2)
        assert undisturbed.statuses == (0, 0), undisturbed.output
    folder = undisturbed.folder
    whole = undisturbed.metrics() + undisturbed.metrics("validation")
    assert [entry["step"] for entry in whole] == [*range(1, 13), 6, 12]

    # As if it had crashed after step 12, while its last checkpoint was that of step 6.
    saved = manifest_of(folder, 12)
    shutil.rmtree(folder / "checkpoints" / "step_00000012")
    weights = (folder / "model.safetensors").read_bytes()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')
    resumed = launcher.train(folder.name, *ADAM, *topology, "--resume", ranks=ranks)
    assert resumed.statuses == (0,) * ranks, resumed.output

    # Bit for bit: weights and optimizer states of every rank, and the weights with the best loss.
    assert manifest_of(folder, 12)["files"] == saved["files"]
    assert (folder / "model.safetensors").read_bytes() == weights
    again = resumed.metrics() + resumed.metrics("validation")
    assert [entry["step"] for entry in again] == [*range(1, 13), 6, 12], "each step is told once"
    for one, other in zip(whole, again):
        for tag in ("loss/train", "loss/total", "loss/validation", "schedule/learning_rate"):
            assert one.get(tag) == other.get(tag), (one["step"], tag)
    shown = scalars(folder)
    assert [step for step, _ in shown["loss/train"]] == [*range(1, 13)]
    assert [step for step, _ in shown["loss/validation"]] == [6, 12]


def test_dropout_is_on_while_learning(launcher: Any, undisturbed: Any) -> None:
    other = launcher.train("no_dropout", *ADAM, "model.dropout=0.0", "training.steps=1")
    assert other.series("loss/train")[0] != pytest.approx(undisturbed.series("loss/train")[0], abs=1e-3)


def test_what_tensorboard_is_told(undisturbed: Any) -> None:
    shown = scalars(undisturbed.folder)
    parts = {f"auxiliary/{name}" for name in ("balance", "entropy", "cost", "structure", "z")}
    load = {f"load_{m}/expert_{e}" for m in ("h_nmr", "c_nmr", "ms") for e in range(4)}
    importance = {f"importance_{m}/expert_{e}" for m in ("h_nmr", "c_nmr", "ms") for e in range(4)}
    dropped = {f"{what}/{m}" for m in ("h_nmr", "c_nmr", "ms") for what in ("dropped", "entropy")}
    conflict = {f"conflict/{pair}" for pair in ("h_nmr_c_nmr", "h_nmr_ms", "c_nmr_ms")}
    resources = {f"resources/{what}" for what in ("memory_gib", "gigaflops_per_second", "megaflops_per_token")}
    counts = ("seconds", "samples", "flops", "parameters", "active_parameters")
    final = {f"final/{what}" for what in (*counts, "best_validation_loss", "validation_loss")}
    active = ("parameters", "nominal_parameters", "feedforward_megaflops", "encoder_megaflops")
    final |= {f"active/{what}" for what in (*active, "feedforward_share", "encoder_share")}
    schedule = {"schedule/lambda", "schedule/tau", "schedule/learning_rate"}
    losses = {"loss/train", "loss/total", "loss/validation"}
    others = {"throughput/tokens_per_second", "throughput/samples_per_second", "gradient/norm"}
    routing = load | importance | dropped | conflict
    assert set(shown) == losses | parts | routing | schedule | resources | final | others
    assert min(value for _, value in shown["throughput/tokens_per_second"]) > 0
    for modality in ("h_nmr", "c_nmr", "ms"):
        for step in range(12):
            for share in ("load", "importance"):
                values = [shown[f"{share}_{modality}/expert_{e}"][step][1] for e in range(4)]
                assert sum(values) == pytest.approx(1)
            assert 0 < shown[f"entropy/{modality}"][step][1] <= math.log(4) + 1e-6
    assert shown["schedule/tau"][0] == (1, pytest.approx(2.0))
    assert shown["schedule/lambda"][0] == (1, pytest.approx(0.1))
    assert shown["schedule/learning_rate"][-1] == (12, pytest.approx(0.0, abs=1e-12))
    total = undisturbed.metrics()[0]
    weighted = 0.1 * (total["auxiliary/balance"] + total["auxiliary/entropy"] + total["auxiliary/cost"])
    weighted += 0.1 * total["auxiliary/structure"] + 0.01 * total["auxiliary/z"]
    assert total["loss/total"] == pytest.approx(total["loss/train"] + weighted, abs=1e-5)


def test_a_run_folder_holds_what_a_reader_needs(undisturbed: Any) -> None:
    files = {path.name for path in undisturbed.folder.iterdir()}
    assert files == {
        "checkpoints",
        "config.yaml",
        "engine.json",
        "metrics.jsonl",
        "model.safetensors",
        "tensorboard",
        "vocabulary.json",
    }
    checkpoints = undisturbed.folder / "checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["step_00000006", "step_00000012"]
    losses = {entry["step"]: entry["loss/validation"] for entry in undisturbed.metrics("validation")}
    best = CheckpointFolder(checkpoints).at(min(losses, key=lambda step: losses[step]))
    assert best.state.best_step == best.state.step
    assert best.state.best_score == pytest.approx(min(losses.values()))
    published = read_weights(undisturbed.folder / "model.safetensors").tensors
    weights = best.weights()
    assert published.keys() == weights.keys()
    assert all(torch.equal(published[name], weights[name]) for name in published)


@pytest.fixture(scope="module")
def stopped(launcher: Any) -> Any:
    """Two ranks, of which the first is sent SIGTERM in the middle."""

    def has_begun(folder: Path) -> bool:
        metrics = folder / "metrics.jsonl"
        return metrics.exists() and len(metrics.read_text().splitlines()) >= 3

    return launcher.train("stopped", *TWO, "training.steps=100000", ranks=2, when=has_begun)


def test_sigterm_ends_with_a_checkpoint(stopped: Any) -> None:
    assert stopped.statuses == (143, 143), stopped.output
    step = stopped.metrics()[-1]["step"]
    assert CheckpointFolder(stopped.folder / "checkpoints").steps() == [step]
    assert (stopped.folder / "model.safetensors").is_file(), "the weights of a stopped run can be used"
    assert f"stopped after {step} steps" in stopped.output
    assert "Traceback" not in stopped.output


def test_a_stopped_run_goes_on_from_its_own_config(launcher: Any, stopped: Any) -> None:
    step = stopped.metrics()[-1]["step"]
    resumed = launcher.train(
        "stopped", f"training.steps={step + 2}", "--resume", ranks=2, file=stopped.folder / "config.yaml"
    )
    assert resumed.statuses == (0, 0), resumed.output
    assert [entry["step"] for entry in resumed.metrics()] == [*range(1, step + 3)]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("model.d_model=64", "model.d_model is 64, but "),
        ("moe.k=1", "moe.k is 1, but "),
        ("data.modalities=[h_nmr, c_nmr]", "data.modalities is ['h_nmr', 'c_nmr'], but "),
        ("training.optimizer=adamw", "training.optimizer is 'adamw', but "),
    ],
)
def test_another_model_is_not_resumed(launcher: Any, stopped: Any, override: str, told: str) -> None:
    other = launcher.train("stopped", "--resume", override)
    assert other.statuses == (1,)
    assert told in other.output
    assert "expected the same, or another name for another run" in other.output
    assert "Traceback" not in other.output


def test_an_earlier_run_is_neither_lost_nor_mixed_up(launcher: Any, undisturbed: Any) -> None:
    before = (undisturbed.folder / "metrics.jsonl").read_bytes()
    refused = launcher.train("undisturbed", "training.steps=1")
    assert refused.statuses == (1,)
    assert "holds a run already: expected --resume, --overwrite or another name" in refused.output
    assert (undisturbed.folder / "metrics.jsonl").read_bytes() == before

    mine = undisturbed.folder / "notes.txt"
    mine.write_text("mine")
    replaced = launcher.train(
        "undisturbed", "training.steps=2", "--overwrite", file=undisturbed.folder / "config.yaml"
    )
    assert replaced.statuses == (0,), replaced.output
    assert [entry["step"] for entry in replaced.metrics()] == [1, 2]
    assert sorted(path.name for path in (replaced.folder / "checkpoints").glob("step_*")) == ["step_00000002"]
    assert mine.read_text() == "mine"
    mine.unlink()


def test_an_epoch_is_an_epoch_with_accumulation_too(launcher: Any) -> None:
    finished = launcher.train(
        "accumulated", "training.steps=null", "training.epochs=1", "training.gradient_accumulation=2"
    )
    assert finished.statuses == (0,), finished.output
    molecules = int(finished.output.split(" molecules to learn from")[0].split()[-1].replace(",", ""))
    batches = -(-molecules // 16)
    assert len(finished.metrics()) == round(batches / 2)


def test_bf16_follows_fp32(launcher: Any, run_file: Path) -> None:
    engine = run_file.parent / "bf16.json"
    engine.write_text(json.dumps({"zero_optimization": {"stage": 1}, "bf16": {"enabled": True}}))
    steps = "training.steps=4"
    narrow = launcher.train("bf16", f"engine={engine}", steps)
    wide = launcher.train("fp32", "engine=zero1.json", steps)
    assert narrow.statuses == wide.statuses == (0,), narrow.output
    # bf16 keeps 8 bits: 2^-8 relative on each number, averaged over thousands.
    assert narrow.series("loss/train")[0] == pytest.approx(wide.series("loss/train")[0], rel=2**-8)
    assert narrow.series("loss/train") != wide.series("loss/train")


def test_a_dense_model_trains_on_two_ranks(launcher: Any) -> None:
    dense = launcher.train("dense", "moe=null", "training.steps=3")
    two = launcher.train("dense_2", "moe=null", "training.steps=3", "training.batch_size=8", ranks=2)
    assert (dense.statuses, two.statuses) == ((0,), (0, 0)), dense.output + two.output
    assert two.series("loss/train") == pytest.approx(dense.series("loss/train"), abs=1e-5)
    assert not any(tag.startswith(("auxiliary", "load_", "schedule/tau")) for tag in dense.metrics()[0])


def test_a_key_that_deepspeed_does_not_know(launcher: Any, run_file: Path) -> None:
    engine = run_file.parent / "misspelt.json"
    engine.write_text(json.dumps({"zero_optimization": {"stage": 1, "offlod": True}}))
    refused = launcher.train("misspelt", f"engine={engine}")
    assert refused.statuses == (1,)
    assert (
        "mmspec: the engine file: DeepSpeedZeroConfig: offlod: Extra inputs are not permitted" in refused.output
    )
    assert "Traceback" not in refused.output


@pytest.mark.parametrize(
    ("ranks", "overrides", "told"),
    [
        (2, ("training.ep_size=4",), "training.ep_size is 4, but there are 2 ranks: expected a divisor"),
        (1, ("training.ep_size=2",), "training.ep_size is 2, but there are 1 ranks: expected a divisor"),
        (2, ("moe=null", "training.ep_size=2"), "training.ep_size is 2, but the model is dense: expected 1"),
        (
            2,
            (
                "training.ep_size=2",
                f"moe.experts=[{', '.join(['{family: shared, width: 16}'] * 3)}]",
            ),
            "training.ep_size is 2, but there are 3 experts: expected a divisor",
        ),
    ],
    ids=["ranks", "alone", "dense", "experts"],
)
def test_expert_parallel_sizes_that_cannot_work(
    launcher: Any, ranks: int, overrides: tuple[str, ...], told: str
) -> None:
    refused = launcher.train("refused", *overrides, ranks=ranks)
    assert refused.statuses == (1,) * ranks
    assert told in refused.output
    assert "Traceback" not in refused.output
    assert not refused.folder.exists()
