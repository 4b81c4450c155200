"""Collectives and bytes of a training step, counted, against the least that the routing implies.

    python benchmarks/traffic.py                      # 1, 2 and 4 ranks, every expert-parallel size, ZeRO 1
    python benchmarks/traffic.py --chunks 2 --mode capacity --stage 2

Ranks are processes of this machine that talk over gloo. Nothing is timed: what is counted holds on any machine.
Prints a table and appends it to benchmarks/results/traffic.csv, whose columns `Row` explains.

Axes: B samples, S places, T tokens, D model width, K choices, E experts.
"""

import argparse
import csv
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

import runner
import torch
import torch.distributed as dist
from collectives import Call, Counter
from torch import Tensor

from mmspec_ds.data.batch import Batch, ModalityTokens, SpectraBatch
from mmspec_ds.moe import deepspeed_layer, layer
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.moe.expert_settings import MoESettings, ObjectiveSettings, paper_experts
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import ContinuousField, TokenSchema
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.objective import Objective
from mmspec_ds.trainer.engine import make_engine
from mmspec_ds.trainer.training_settings import TrainingSettings

RESULTS = runner.RESULTS.with_name("traffic.csv")
SIZES = ModelSettings(
    d_model=128, heads=4, encoder_layers=2, decoder_layers=1, ffn_width=512, max_target_tokens=24
)
EXPERTS = paper_experts(heavy=512, light=128)
SAMPLES, TOKENS_OF_A_MODALITY, VOCABULARY, ITEM = 16, 32, 40, 4
SCHEMAS = {
    modality: TokenSchema((), (ContinuousField("first"), ContinuousField("second")))
    for modality in (Modality.H_NMR, Modality.C_NMR, Modality.IR, Modality.MS)
}


@dataclass(frozen=True)
class Case:
    """One topology and one way of dispatch; `zero` is the stage."""

    ranks: int
    ep_size: int
    zero: int
    mode: str
    chunks: int
    checkpointing: bool


@dataclass(frozen=True)
class Row(Case):
    """A measured case: collectives that one rank makes, and bytes that all ranks together send to others.

    Attributes:
        layer_forward, layer_backward: collectives of one sparse layer.
        others: all other collectives of a step: the objective's sums, gradients, the optimizer's.
        rows_forward, rows_backward: bytes of rows for each token and sparse layer, there and back.
        least: the same if a token went once to each other rank that has experts of its, and one sum came back.
        over_least: rows_forward over least.
        counted_bytes: bytes of counts, for each token and sparse layer.
        other_bytes: bytes of the other collectives, for each token.
    """

    date: str
    commit: str
    torch: str
    d_model: int
    layers: int
    tokens: int
    layer_forward: float
    layer_backward: float
    others: int
    rows_forward: float
    rows_backward: float
    least: float
    over_least: float
    counted_bytes: float
    other_bytes: float


def make_batch(rank: int) -> Batch:
    """Samples that each lack a modality now and then, drawn anew for each rank."""
    source = torch.Generator().manual_seed(rank)
    present_BM = torch.rand(SAMPLES, len(SCHEMAS), generator=source) > 0.2
    count = TOKENS_OF_A_MODALITY
    modality_BS = torch.full((SAMPLES, len(SCHEMAS) * count), -1)
    tokens = {}
    for column, modality in enumerate(SCHEMAS):
        rows = present_BM[:, column].nonzero()
        places = torch.arange(column * count, (column + 1) * count)
        modality_BS[rows, places] = int(modality)
        place_T = (rows * modality_BS.shape[1] + places).flatten()
        tokens[modality] = ModalityTokens(
            place_T,
            torch.arange(count).repeat(len(rows)),
            torch.empty(len(place_T), 0, dtype=torch.int64),
            torch.randn(len(place_T), 2, generator=source),
        )
    target_BL = torch.randint(4, VOCABULARY, (SAMPLES, SIZES.max_target_tokens), generator=source)
    return Batch(SpectraBatch(modality_BS, tokens), target_BL, torch.ones(SAMPLES))


def make_training(case: Case, rank: int) -> Any:
    """The engine that `mmspec train` would make, with the paper's eight experts at a quarter of the width."""
    settings = TrainingSettings(steps=1, batch_size=SAMPLES, ep_size=case.ep_size)
    moe = MoESettings.model_validate({"experts": EXPERTS, "mode": case.mode, "exchange_chunks": case.chunks})
    torch.manual_seed(0)
    model = build_elucidator(
        SIZES,
        moe,
        SCHEMAS,
        VOCABULARY,
        structure_margin=1.0,
        placement=Placement(case.ep_size, rank % case.ep_size),
        sparse_class=deepspeed_layer.DeepSpeedSparseFeedForward,
        activation_checkpointing=case.checkpointing,
    )
    objective = Objective(model, ObjectiveSettings(), layer.relative_costs(moe), dist.group.WORLD)
    config = {
        "zero_optimization": {"stage": case.zero},
        "train_micro_batch_size_per_gpu": SAMPLES,
        "gradient_clipping": settings.gradient_clipping if case.zero else 0.0,
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
    }
    return make_engine(objective, config, settings)


def note_choices(counter: Counter) -> list[Tensor]:
    """A list that receives the experts [T, K] of every layer's tokens in the forward pass."""
    chosen: list[Tensor] = []
    plan = layer.dispatch

    def noted(index_TK: Tensor, experts: int) -> Any:
        if counter.phase == "forward":
            chosen.append(index_TK)
        return plan(index_TK, experts)

    layer.dispatch = noted  # type: ignore[assignment]
    return chosen


def routed_rows(chosen: Sequence[Tensor], ep_size: int, ep_rank: int) -> tuple[int, int]:
    """Pairs of a token and an expert on another rank, and distinct pairs of a token and such a rank."""
    pairs = distinct = 0
    for index_TK in chosen:
        owner_TK = torch.where(index_TK >= 0, index_TK * ep_size // len(EXPERTS), ep_rank)
        for other in set(range(ep_size)) - {ep_rank}:
            pairs += int((owner_TK == other).sum())
            distinct += int((owner_TK == other).any(1).sum())
    return pairs, distinct


def measure(case: Case, rank: int) -> Row:
    """Two steps, of which the second is counted: the first makes what is made once."""
    counter = Counter()
    counter.watch()
    chosen = note_choices(counter)
    engine, batch = make_training(case, rank), make_batch(rank)
    for _ in range(2):
        counter.calls.clear()
        chosen.clear()
        with counter.during("forward"):
            loss = engine(batch, 0.0)
        with counter.during("backward"):
            engine.backward(loss.total)
        with counter.during("update"):
            engine.step()
    return make_row(
        case,
        counter.calls,
        int(batch.spectra.mask_BS.sum()),
        routed_rows(chosen, case.ep_size, rank % case.ep_size),
    )


def purpose(call: Call) -> str:
    """What a layer exchanges, "rows" and "counts" (those of capacity among them), or "other"."""
    if call.name == "all_to_all_single" and call.floating:
        return "rows"
    return "other" if call.floating or call.phase == "update" else "counts"


def make_row(case: Case, calls: Sequence[Call], tokens: int, routed: tuple[int, int]) -> Row:
    """The row of a case from what this rank counted; bytes, tokens and `routed_rows` are summed over ranks."""

    def sent(what: str, phase: str = "") -> float:
        return sum(c.bytes for c in calls if purpose(c) == what and phase in ("", c.phase))

    def made(phase: str) -> float:
        return sum(purpose(c) != "other" and c.phase == phase for c in calls) / SIZES.encoder_layers

    rows = [sent("rows", phase) for phase in ("forward", "backward")]
    together = torch.tensor([tokens, *routed, *rows, sent("counts"), sent("other")], dtype=torch.float64)
    dist.all_reduce(together)
    tokens, pairs, distinct, forward, backward, counts, other = together.tolist()
    each, there_and_back = tokens * SIZES.encoder_layers, 2 * SIZES.d_model * ITEM
    assert round(forward) == pairs * there_and_back, "sent is what was routed, and nothing to fill up with"
    least = distinct * there_and_back
    return Row(
        **asdict(case),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        commit=runner.commit(),
        torch=torch.__version__,
        d_model=SIZES.d_model,
        layers=SIZES.encoder_layers,
        tokens=int(tokens),
        layer_forward=made("forward"),
        layer_backward=made("backward"),
        others=sum(purpose(c) == "other" for c in calls),
        rows_forward=round(forward / each, 1),
        rows_backward=round(backward / each, 1),
        least=round(least / each, 1),
        over_least=round(forward / least, 3) if least else 1.0,
        counted_bytes=round(counts / each, 3),
        other_bytes=round(other / tokens, 1),
    )


def run_rank(case: Case, rank: int, folder: str, results: Any) -> None:
    """One process of a case."""
    torch.set_num_threads(1)
    os.environ["LOCAL_RANK"] = str(rank)  # DeepSpeed asks for it
    store = dist.FileStore(f"{folder}/store", case.ranks)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=case.ranks)
    row = measure(case, rank)
    if rank == 0:
        results.put(row)
    dist.barrier()
    dist.destroy_process_group()


def run_case(case: Case) -> Row | None:
    """All its processes; None if one failed, which has said why."""
    context = multiprocessing.get_context("fork")  # everything is imported once
    results = context.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        ranks = [context.Process(target=run_rank, args=(case, r, folder, results)) for r in range(case.ranks)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()
    if any(process.exitcode for process in ranks):
        return None
    row: Row = results.get()
    return row


def append(rows: Sequence[Row]) -> None:
    """Add rows to the file, with a head if it is new."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


COLUMNS = {
    "ranks": 5, "ep_size": 7, "zero": 4, "mode": 8, "chunks": 6, "layer_forward": 13, "layer_backward": 14,
    "others": 6, "rows_forward": 12, "rows_backward": 13, "least": 8, "over_least": 10, "counted_bytes": 13,
    "other_bytes": 11,
}  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """The rows for a reader's eye."""
    lines = ["  ".join(f"{name:>{width}}" for name, width in COLUMNS.items())]
    lines += ["  ".join(f"{getattr(row, name):>{width}}" for name, width in COLUMNS.items()) for row in rows]
    return "\n".join(lines)


def main() -> int:
    """Every topology of one way of dispatch. Status 1 when one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--mode", choices=["dropless", "capacity"], default="dropless")
    parser.add_argument("--chunks", type=int, default=1, help="of each exchange")
    parser.add_argument("--stage", type=int, choices=[0, 1, 2], default=1, help="of ZeRO")
    parser.add_argument("--checkpointing", action="store_true", help="compute encoder layers again")
    parser.add_argument("--no-csv", action="store_true", help="only print")
    chosen = parser.parse_args()
    rows = []
    for ranks in chosen.ranks:
        for ep_size in (size for size in (1, 2, 4) if ranks % size == 0):
            case = Case(ranks, ep_size, chosen.stage, chosen.mode, chosen.chunks, chosen.checkpointing)
            row = run_case(case)
            if row is None:
                print(f"error: {case} failed", file=sys.stderr)
                return 1
            rows.append(row)
    print(table(rows))
    if not chosen.no_csv:
        append(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
