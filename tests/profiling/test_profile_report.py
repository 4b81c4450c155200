"""Figures of several runs, their ratios, and how a profile is told."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from mmspec_ds.files import write_json
from mmspec_ds.nn.flops import FLOP_PARTS, PassFlops
from mmspec_ds.profiling.compare import Effort, Model, Profile
from mmspec_ds.profiling.measurements import (
    Figure,
    all_rows,
    decoding_figures,
    memory_figures,
    ratios,
    training_figures,
)
from mmspec_ds.profiling.peak import PeakMemory
from mmspec_ds.profiling.profile_report import (
    head_lines,
    markdown,
    number,
    print_profile,
    table_rows,
    tail_lines,
    to_json,
    write_tensorboard,
)
from mmspec_ds.profiling.trainee import DecodingRun, TrainingRun
from mmspec_ds.systems.elucidation.activity import Activity

SHARES = {
    "data": 0.02, "forward": 0.3, "backward": 0.5, "optimizer": 0.1, "engine": 0.05, "logging": 0.01,
    "loop": 0.02, "all-to-all": 0.2, "hooks": 0.01,
}  # fmt: skip


ACTIVITY = Activity(3e6, 2e6, 1.9e6, 4e5, 6e5, 100.0, 1e6, 1.2e6)


def made_run(seconds: float) -> TrainingRun:
    forward = dict.fromkeys(FLOP_PARTS, 1e9)
    return TrainingRun(
        steps=10, seconds=seconds,
        processor_seconds=4.0, samples=100, spectrum_tokens=3000, target_tokens=1000, shares=SHARES,
        all_to_all_bytes=5e6, flops=PassFlops(forward, {p: 2 * v for p, v in forward.items()}),
        activity=ACTIVITY,
    )  # fmt: skip


def made_profile() -> Profile:
    memory = PeakMemory(5e7, 1e7, 1e7, 2e7, 1.5e7)
    about = {
        "kind": "dense", "data": "made up", "precision": "float32", "zero_stage": 1, "ep_size": 1, "threads": 1,
        "batch_size": 10, "gradient_accumulation": 1, "weights": "untrained",
    }  # fmt: skip
    models = []
    for name, speed in (("sparse", 2.0), ("dense", 4.0)):
        figures = training_figures(3_000_000, [made_run(speed), made_run(1.25 * speed)])
        figures |= decoding_figures(5, [DecodingRun(0.1 * speed, 20.0), DecodingRun(0.1 * speed, 10.0)])
        models.append(Model(name, about, figures | memory_figures(memory)))
    where = {"ranks": 2, "device": "CPU", "torch": "2", "deepspeed": "0", "memory": "growth"}
    found = ratios(models[0].figures, models[1].figures)
    return Profile(tuple(models), found, Effort(runs=2, beams=(5,)), where, max_tokens=11)


def test_mean_and_deviation() -> None:
    assert (Figure((2.0, 4.0)).mean, Figure((2.0, 4.0)).deviation) == (3.0, pytest.approx(2**0.5))
    assert Figure((2.0,)).deviation is None


def test_figures_of_a_training_run_by_hand() -> None:
    figures = {key: figure.mean for key, figure in training_figures(7, [made_run(2.0)]).items()}
    assert figures["parameters/total"] == 7
    assert figures["parameters/active"] == 2e6
    assert figures["parameters/nominal"] == 1.9e6
    assert (figures["flops/encoder_feedforward"], figures["flops/encoder"]) == (4e5, 6e5)
    assert (figures["flops/encoder_feedforward_share"], figures["flops/encoder_share"]) == (0.4, 0.5)
    assert figures["tokens/spectrum"] == 30
    assert figures["tokens/target"] == 10
    assert figures["flops/forward_per_token"] == 6e9 / 4000
    assert figures["flops/backward_per_token"] == 12e9 / 4000
    assert figures["flops/per_sample"] == 18e9 / 100
    assert figures["flops/forward_per_step"] == 6e8
    assert figures["flops/backward/head"] == 2e8
    assert figures["training/samples_per_second"] == 50
    assert figures["training/tokens_per_second"] == 2000
    assert figures["training/seconds_per_step"] == 0.2
    assert figures["training/processor_seconds_per_step"] == 0.4
    assert figures["training/flops_per_second"] == 9e9
    assert figures["share/outside"] == pytest.approx(0.1)
    assert figures["all_to_all/bytes_per_step"] == 5e6


def test_ratios_are_of_the_runs_in_turn() -> None:
    first = {"a": Figure((2.0, 6.0)), "b": Figure((1.0,)), "c": Figure((1.0,))}
    second = {"a": Figure((1.0, 2.0)), "b": Figure((0.0,))}
    assert ratios(first, second) == {"a": Figure((2.0, 3.0))}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1.23456, "1.235"),
        (999.96, "1000"),
        (1234.5, "1,234"),
        (0.00123, "0.00123"),
        (1e-6, "0.000001"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_the_table() -> None:
    rows = {cells[0].strip(): cells[1:] for cells in table_rows(made_profile())}
    assert rows["parameters, M"] == ["3", "3", "1.00"]
    assert rows["training, samples/s"] == ["45 ± 7.1", "22.5 ± 3.5", "2.00"]
    assert rows["peak memory, MB"] == ["50", "50", "1.00"]
    assert rows["data, %"] == ["2", "2", ""]
    assert rows["decoding, beam 5, ms of a sample"] == ["200", "400", "0.50"]
    assert rows["decoding, beam 5, samples/s"][0] == "15 ± 7.1"
    assert len(rows) == len(all_rows((5,)))


def test_one_model_has_no_ratio_and_what_was_not_measured_no_row() -> None:
    profile = made_profile()
    figures = {k: v for k, v in profile.models[0].figures.items() if k.partition("/")[0] != "memory"}
    alone = replace(profile, models=(replace(profile.models[0], figures=figures),), ratios={}, max_tokens=None)
    assert {len(cells) for cells in table_rows(alone)} == {2}
    assert not any("memory" in cells[0] for cells in table_rows(alone))
    assert not any(line.startswith(("memory", "decoding")) for line in tail_lines(alone))
    assert not any(line.startswith("B:") for line in head_lines(alone))


def test_printed_and_as_json(tmp_path: Path) -> None:
    profile, out = made_profile(), io.StringIO()
    print_profile(profile, Console(file=out, width=300))
    assert "A: sparse, dense; float32, ZeRO 1" in out.getvalue()
    assert re.search(r"training, samples/s +45 ± 7\.1 +22\.5 ± 3\.5 +2\.00\n", out.getvalue())
    on_terminal = io.StringIO()
    print_profile(profile, Console(file=on_terminal, width=200, force_terminal=True))
    assert "┃" in on_terminal.getvalue()
    write_json(tmp_path / "profile.json", to_json(profile))
    content = json.loads((tmp_path / "profile.json").read_text())
    assert content == json.loads(json.dumps(to_json(profile)))
    speed = content["models"][0]["figures"]["training/samples_per_second"]
    assert speed == {"mean": 45, "standard_deviation": pytest.approx(50**0.5), "values": [50, 40]}
    assert content["ratios"]["training/samples_per_second"]["values"] == [2, 2]
    assert content["effort"]["beams"] == [5]
    assert [path.name for path in tmp_path.iterdir()] == ["profile.json"]


def test_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write_tensorboard(tmp_path, made_profile())
    assert {path.name for path in tmp_path.iterdir()} == {"A_sparse", "B_dense", "A_over_B"}
    events = EventAccumulator(str(tmp_path / "A_sparse")).Reload()
    speeds = events.Scalars("profile_training/samples_per_second")
    assert [(event.step, event.value) for event in speeds] == [(0, 50), (1, 40)]
    text = events.Tensors("profile/table/text_summary")[0].tensor_proto.string_val[0].decode()
    assert text == markdown(made_profile())
    assert "| training, samples/s | 45 ± 7.1 | 22.5 ± 3.5 | 2.00 |" in text
