"""Which rows there are, which one is recommended, what helps where none fits, and how it is told."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mmspec_ds.errors import ConfigError
from mmspec_ds.files import write_json
from mmspec_ds.profiling import plan
from mmspec_ds.profiling.activations import batch_tensors, pass_stages
from mmspec_ds.profiling.extrapolation import step_flops
from mmspec_ds.profiling.memory import Holding, Phase, RankMemory
from mmspec_ds.profiling.plan import Change, Planner, PlanRow, check_request, recommended, smallest
from mmspec_ds.profiling.plan_report import make_report, print_report, to_json
from mmspec_ds.profiling.tokens import token_figures
from mmspec_ds.profiling.traffic import Traffic
from mmspec_ds.systems.elucidation.dimensions import dimensions_of
from mmspec_ds.trainer.engine_file import read_engine

SMALL_BUCKETS = {"zero_optimization": {"stage": 1, "reduce_bucket_size": 10_000}}


@pytest.fixture(autouse=True, scope="module")
def _watched_once() -> Iterator[None]:
    """A pass of one model and one batch size needs to be watched once."""
    known: dict[Any, Any] = {}

    def watch(run: Any, schemas: Any, vocabulary: int, batch: Any, **how: Any) -> Any:
        shapes = tuple(tensor.shape for tensor in batch_tensors(batch))
        key = (run.model.model_dump_json(), repr(run.moe), vocabulary, shapes, repr(how))
        if key not in known:
            known[key] = pass_stages(run, schemas, vocabulary, batch, **how)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "pass_stages", watch)
        yield


def make_planner(run: Any, tokens: int = 60) -> Planner:
    return Planner(run, read_engine(run.engine), token_figures(run, tokens))


def made_row(name: int, sent: float, held: float, *, fits: bool = True, offload: bool = False) -> PlanRow:
    memory = RankMemory(0.0, 0.0, (Phase("pass", held, 0.0),), 0.0, 0.0)
    traffic = Traffic(sent, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, {})
    return PlanRow(Holding(name, offload, 1, 1, 4), memory, traffic, fits)


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([made_row(0, 5, 9, fits=False), made_row(1, 7, 4), made_row(2, 8, 3)], 1),
        ([made_row(0, 7, 9), made_row(1, 7, 4), made_row(2, 7, 5)], 1),
        ([made_row(1, 7, 4, offload=True), made_row(2, 7, 6)], 2),
        ([made_row(1, 6, 4, offload=True), made_row(2, 7, 6)], 1),
    ],
    ids=[
        "least traffic of what fits",
        "then least memory",
        "no offload before memory",
        "traffic before offload",
    ],
)
def test_rule(rows: list[PlanRow], chosen: int) -> None:
    best = recommended(rows)
    assert best is not None
    assert best.holding.stage == chosen


def test_nothing_fits() -> None:
    rows = [made_row(0, 1, 9, fits=False), made_row(2, 5, 3, fits=False)]
    assert recommended(rows) is None
    assert smallest(rows).holding.stage == 2


def test_all_combinations(make_run: Any) -> None:
    planner = make_planner(make_run(engine=SMALL_BUCKETS))
    assert [planner.ep_sizes(world) for world in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2], [1, 2, 4]]
    rows = planner.rows(8, 1e9)
    found = [(r.holding.stage, r.holding.offload, r.holding.ep_size) for r in rows]
    kinds = [(0, False), (1, False), (2, False), (1, True), (2, True)]
    assert found == [(*kind, ep) for kind in kinds for ep in (1, 2, 4)]
    assert {r.holding.element for r in rows} == {4}
    dense = make_planner(make_run("moe=null", engine=SMALL_BUCKETS))
    assert [r.holding.ep_size for r in dense.rows(8, 1e9)] == [1] * 5


def test_a_run_in_bf16_is_in_fp32_without_zero(make_run: Any) -> None:
    run = make_run(engine={"zero_optimization": {"stage": 2}, "bf16": {"enabled": "auto"}})
    rows = make_planner(run).rows(2, 1e12)
    assert {(r.holding.stage, r.holding.element) for r in rows} == {(0, 4), (1, 2), (2, 2)}
    # DeepSpeed's default buckets, twice 500 million bytes, are counted in full.
    assert next(r for r in rows if r.holding.stage == 1).memory.most("buffers") >= 1e9


def test_a_tenth_of_the_memory_stays_free(make_run: Any) -> None:
    planner = make_planner(make_run(engine=SMALL_BUCKETS))
    total = planner.rows(1, 1e9)[0].memory.total
    assert planner.rows(1, total / 0.89)[0].fits
    assert not planner.rows(1, total / 0.91)[0].fits


def test_changes_change_memory(make_run: Any) -> None:
    planner = make_planner(make_run(engine=SMALL_BUCKETS))
    base = planner.rows(2, 1e9)[0].memory
    half = planner.rows(2, 1e9, Change(batch_size=2, accumulation=2))[0].memory
    again = planner.rows(2, 1e9, Change(checkpointing=True))[0].memory
    assert half.most("activations") == pytest.approx(base.most("activations") / 2, rel=0.05)
    assert again.most("activations") < base.most("activations")
    assert (half.weights, again.weights) == (base.weights, base.weights)


@pytest.mark.parametrize(
    ("overrides", "world", "memory", "told"),
    [
        ((), 0, 1e9, "--gpus is 0: expected at least 1"),
        ((), 1, 0.0, "--memory is 0: expected GB"),
        (("training.ep_size=3",), 3, 1e9, "training.ep_size is 3, but there are 4 experts"),
        (("training.ep_size=2",), 3, 1e9, "training.ep_size is 2, but --gpus is 3"),
        (("moe=null", "training.ep_size=2"), 2, 1e9, "but the model is dense: expected 1"),
    ],
)
def test_what_is_refused(
    make_run: Any, overrides: tuple[str, ...], world: int, memory: float, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        check_request(make_run(*overrides), world, memory)


def test_flops_by_hand(make_run: Any) -> None:
    run = make_run("moe=null", "model.encoder_layers=1", "model.decoder_layers=1", "training.batch_size=1")
    planner = make_planner(run, tokens=10)
    figures = replace(planner.figures, target=3.0)
    d, f, v = 32, 64, figures.vocabulary
    # Projections, scores and mixing, feed-forward of 10 places; the same of 3 target tokens with attention to 3
    # and to 10, keys and values of the 10; logits. Two operations each, and twice as many in the backward pass.
    encoder = 10 * (4 * d * d + 2 * 10 * d + 2 * d * f)
    decoder = 3 * (6 * d * d + 2 * 3 * d + 2 * 10 * d + 2 * d * f) + 10 * 2 * d * d
    sizes = dimensions_of(run, figures.schemas, v)
    features = sum(figures.shares[m] * count for m, count in sizes.features.items())
    embedding = 10 * d * features + d * sizes.waves  # its inputs need no gradient
    by_hand = 6 * (encoder + decoder + 3 * v * d) + 4 * embedding
    assert step_flops(run, figures) == pytest.approx(by_hand, rel=1e-12)


def test_report_names_a_way_out(make_run: Any) -> None:
    run = make_run(engine=SMALL_BUCKETS)
    engine, tokens = read_engine(run.engine), 400
    least = min(row.memory.total for row in make_planner(run, tokens).rows(1, 1e12))
    report = make_report(run, engine, 1, 0.6 * least / 0.9, tokens=tokens)
    assert report.best is None
    changes = {way.change: way.row for way in report.ways}
    halved = next(row for change, row in changes.items() if change.startswith("training.batch_size"))
    assert halved.fits
    assert halved.memory.total < least
    assert changes["training.activation_checkpointing=true"].memory.total < least
    out = io.StringIO()
    print_report(report, Console(file=out, width=400))
    assert "fits nowhere: the least is" in out.getvalue()
    assert "training.batch_size=" in out.getvalue()


def test_report_on_a_terminal_and_as_json(make_run: Any, tmp_path: Path) -> None:
    run = make_run("training.ep_size=2", engine=SMALL_BUCKETS)
    report = make_report(run, read_engine(run.engine), 4, 1e9, tokens=50, extrapolate=[16, 4])
    assert report.best is not None
    assert report.own.name == "ZeRO 1, ep 2"
    assert [scaled.row.holding.world for scaled in report.scaled] == [4, 4, 16, 16]
    out = io.StringIO()
    print_report(report, Console(file=out, width=400, force_terminal=True))
    assert "recommended" in out.getvalue()
    write_json(tmp_path / "plan.json", to_json(report))
    told = json.loads((tmp_path / "plan.json").read_text())
    assert len(told["rows"]) == 15
    assert sum(row["recommended"] for row in told["rows"]) == 1
    for row in told["rows"]:
        memory = row["memory"]
        phases = [
            sum(p[k] for k in ("gradients", "buffers", "activations", "working")) for p in memory["phases"]
        ]
        assert memory["total"] == max(memory["start"], memory["weights"] + memory["optimizer"] + max(phases))
    assert {path.name for path in tmp_path.iterdir()} == {"plan.json", "run.yaml", "engine.json"}
