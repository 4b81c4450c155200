"""What a run that is looked at leaves for TensorBoard, and what is left of it after a crash."""

import gzip
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util.tensor_util import make_ndarray

from mmspec_ds.systems.elucidation.observer import evenly
from mmspec_ds.systems.run_file import load_run
from mmspec_ds.trainer.monitor.record import forget_beyond, read_metrics

PICTURES = {"load_by_layer", "load_by_family", "gradient_conflict", "proposals"}


def events_of(folder: Path) -> EventAccumulator:
    """What is shown of a run, everything as tensors, which is how TensorBoard itself reads."""
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0})
    events.Reload()
    return events


def plugin_of(events: EventAccumulator, tag: str) -> str:
    """Which page of TensorBoard shows a tag."""
    return str(events.SummaryMetadata(tag).plugin_data.plugin_name)


def curve(events: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    """The points of a curve."""
    return [(e.step, float(make_ndarray(e.tensor_proto))) for e in events.Tensors(tag)]


def curves(events: EventAccumulator) -> list[str]:
    """The tags of curves."""
    return [tag for tag in events.Tags()["tensors"] if plugin_of(events, tag) == "scalars"]


def strings(events: EventAccumulator, tag: str) -> list[bytes]:
    """What the last event of a tag holds."""
    return list(events.Tensors(tag)[-1].tensor_proto.string_val)


def steps_of(events: EventAccumulator) -> dict[str, list[int]]:
    """The steps at which each picture and each text stands."""
    shown = [tag for tag in events.Tags()["tensors"] if plugin_of(events, tag) in ("images", "text")]
    return {tag: [e.step for e in events.Tensors(tag)] for tag in shown}


def test_pictures_are_drawn_at_each_validation(watched: Any) -> None:
    events = events_of(watched.folder)
    steps = steps_of(events)
    assert steps == {f"validation/{name}": [6, 12] for name in PICTURES} | {
        "validation/proposals/text_summary": [6, 12]
    }
    for name in PICTURES:
        image = Image.open(io.BytesIO(strings(events, f"validation/{name}")[2]))  # after width and height
        assert len(image.convert("RGB").getcolors(1 << 24)) > 20, name
    text = strings(events, "validation/proposals/text_summary")[0].decode()
    told = watched.metrics("proposals")[-1]["examples"]
    assert len(told) == 2
    for example in told:
        assert f"`{example['truth']}`" in text
        assert len(example["proposals"]) == 3
        assert f"`{example['proposals'][0]['smiles']}`" in text


def test_every_curve_has_a_place_in_the_layout(watched: Any) -> None:
    events = events_of(watched.folder)
    stored = strings(events, "custom_scalars__config__")[0]
    layout = layout_pb2.Layout.FromString(stored)
    charts = {c.title: list(chart.multiline.tag) for c in layout.category for chart in c.chart}
    parts = ["losses", "schedules", "routing", "active part", "gradient conflict", "resources"]
    assert list(charts) == parts
    patterns = [tag for c in layout.category for chart in c.chart for tag in chart.multiline.tag]
    tags = curves(events)
    homeless = [tag for tag in tags if not any(re.match(pattern, tag) for pattern in patterns)]
    counts = ("active_parameters", "flops", "parameters", "samples", "seconds")
    assert sorted(homeless) == sorted(
        f"final/{what}" for what in (*counts, "best_validation_loss", "validation_loss")
    )
    empty = [pattern for pattern in patterns if not any(re.match(pattern, tag) for tag in tags)]
    assert empty == [], "no chart is without a curve"


def test_settings_stand_beside_the_final_figures(watched: Any) -> None:
    events = events_of(watched.folder)
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    shown = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert shown["training.learning_rate"].number_value == pytest.approx(0.3)
    assert shown["model.d_model"].number_value == 32
    assert shown["moe.experts"].string_value == "shared 64, shared 16, modality 64, modality 16"
    assert shown["data.modalities"].string_value == "h_nmr,c_nmr,ms"
    losses = [entry["loss/validation"] for entry in watched.metrics("validation")]
    assert curve(events, "final/validation_loss") == [(12, pytest.approx(losses[-1]))]
    assert curve(events, "final/best_validation_loss") == [(12, pytest.approx(min(losses)))]
    assert watched.metrics("end")[-1]["finished"] is True


def test_a_trace_of_the_steps_that_were_asked_for(watched: Any) -> None:
    (path,) = (watched.folder / "tensorboard").glob("*.pt.trace.json.gz")
    assert path.name == "trace_step_00000006_rank_00000.pt.trace.json.gz"
    with gzip.open(path, "rt") as file:
        names = [event.get("name", "") for event in json.load(file)["traceEvents"]]
    assert sum("optimizer" in name.lower() and "step" in name.lower() for name in names) == 2
    assert any("aten::addmm" in name for name in names)


def test_the_record_says_on_what_a_run_ran(watched: Any) -> None:
    (start,) = watched.metrics("start")
    assert start["step"] == 0
    assert start["versions"].keys() >= {"python", "torch", "deepspeed", "mmspec-ds", "rdkit"}
    assert (start["ranks"], start["threads"], start["ep_size"]) == (1, 1, 1)
    assert start["molecules"]["train"] > 50
    assert start["parameters"] > 1000
    assert start["commit"] is None or re.fullmatch(r"[0-9a-f]{7,}(-dirty)?", start["commit"])


def test_what_a_crash_left_is_told_once(watched: Any, launcher: Any, tmp_path: Path) -> None:
    before = [(e["kind"], e["step"]) for e in read_metrics(watched.folder)]
    tables = [entry["routing"] for entry in watched.metrics("validation")]
    kept = tmp_path / "kept"
    shutil.copytree(watched.folder, kept)
    shutil.rmtree(watched.folder / "checkpoints" / "step_00000012")
    overrides = ("training.steps=12", "training.validate_every=6", "training.pictures=2")
    resumed = launcher.train("watched", *overrides, "training.conflict_samples=4", "--resume")
    try:
        assert resumed.statuses == (0,), resumed.output
        after = [(e["kind"], e["step"]) for e in read_metrics(watched.folder)]
        assert sorted(after) == sorted([*before, ("start", 6)])
        assert [entry["routing"] for entry in resumed.metrics("validation")] == tables
        assert set(map(tuple, steps_of(events_of(watched.folder)).values())) == {(6, 12)}
        assert [step for step, _ in curve(events_of(watched.folder), "loss/train")] == list(range(1, 13))
    finally:
        shutil.rmtree(watched.folder)
        shutil.move(kept, watched.folder)


def test_lines_beyond_a_step_and_cut_lines_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "train", "step": 1}\n{"kind": "train", "step": 2}\n{"kind": "tr')
    assert [entry["step"] for entry in read_metrics(tmp_path)] == [1, 2]
    forget_beyond(path, 1)
    assert path.read_text() == '{"kind": "train", "step": 1}\n'
    assert read_metrics(tmp_path / "nowhere") == []


def test_settings_are_flat_and_plain(run_file: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(run_file.read_text())
    del content["moe"]
    path = tmp_path / "dense.yaml"
    path.write_text(yaml.safe_dump(content | {"engine": str(run_file.parent / "zero0.json")}))
    found = load_run(path).hyperparameters()
    assert found["seed"] == 0
    assert found["training.betas"] == "[0.9, 0.999]"
    assert "training.tokens_per_batch" not in found, "None is left out"
    assert not any(key.startswith("moe") for key in found)


@pytest.mark.parametrize(
    ("count", "wanted", "expected"), [(10, 4, [0, 3, 6, 9]), (3, 8, [0, 1, 2]), (5, 1, [0]), (1, 3, [0])]
)
def test_samples_are_spread_over_the_validation(count: int, wanted: int, expected: list[int]) -> None:
    assert evenly(count, wanted) == expected
