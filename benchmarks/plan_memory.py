"""The planner's memory and traffic against what a training takes, on this machine's CPU.

    PYTHONPATH=kernels python benchmarks/plan_memory.py

Each case is a short training with the DeepSpeed engine in fresh processes, one for each rank. Measured is the
peak of the resident set (VmHWM) from just before the model is built, less what grew in mapped files and shared
memory meanwhile (libraries that load late, gloo's and DeepSpeed's buffers): private memory of the run. glibc
keeps freed blocks for later use; MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ are set to 64 KiB, so that
a freed block goes back to the system.

A small training goes first in the same process, for what is loaded on first use. Reduce buckets are small here.
DeepSpeed's default of 500 million elements is allocated in full on a GPU, and so the planner counts it in full;
on a CPU only its used pages would become resident.

Collectives of the last step are counted where torch is asked for them, with the bytes that a rank sends; the
planner takes the mean length of samples and an even routing, the step has its own.
"""

import argparse
import csv
import gc
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

RESULTS = Path(__file__).resolve().parent / "results" / "plan_memory.csv"
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "2"}
BUCKET = 4_000_000
STEPS = 2
PORT = 29640


@dataclass(frozen=True)
class Case:
    """A training: widths of the model, depth, batch, and how it is held."""

    name: str
    d_model: int
    layers: int
    batch_size: int
    stage: int
    ranks: int
    ep_size: int
    sparse: bool = True
    checkpointing: bool = False

    def run_file(self, folder: Path) -> dict[str, Any]:
        """The run, with data and engine file in `folder`."""
        served = {"shared": [[]], "modality": [["h_nmr", "c_nmr"], ["ir", "ms"]], "interaction": [[]]}
        experts = [
            {"family": family, "width": width, "modalities": modalities}
            for family, each in served.items()
            for modalities in each
            for width in (4 * self.d_model, self.d_model)
        ]
        return {
            "name": self.name,
            "engine": str(folder / f"{self.name}.json"),
            "output": str(folder / "runs"),
            "data": {"train": [str(folder / "train.parquet")], "validation": [str(folder / "val.parquet")]},
            "model": {
                "d_model": self.d_model,
                "heads": self.d_model // 64,
                "encoder_layers": self.layers,
                "decoder_layers": self.layers,
                "ffn_width": 4 * self.d_model,
            },
            "moe": {"k": 2, "experts": experts} if self.sparse else None,
            "training": {
                "steps": STEPS,
                "batch_size": self.batch_size,
                "ep_size": self.ep_size,
                "threads": 1,
                "activation_checkpointing": self.checkpointing,
            },
        }


CASES = (
    Case("d128-zero0", 128, 2, 64, stage=0, ranks=1, ep_size=1),
    Case("d256-zero1-ep2", 256, 3, 24, stage=1, ranks=2, ep_size=2),
    Case("d512-zero2", 512, 3, 8, stage=2, ranks=2, ep_size=1),
    Case("d256-zero0-dense", 256, 3, 32, stage=0, ranks=1, ep_size=1, sparse=False),
    Case("d256-zero0-checkpointed", 256, 4, 48, stage=0, ranks=1, ep_size=1, checkpointing=True),
    Case("d512-zero1-weights", 512, 6, 1, stage=1, ranks=2, ep_size=2),
)


def main() -> int:
    """Run the cases, or be one rank of one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", help="names of cases, with commas")
    parser.add_argument("--rank", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank:
        train(options.rank)
        return 0
    chosen = [case for case in CASES if not options.only or case.name in options.only.split(",")]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        make_data(Path(folder))
        for case in chosen:
            rows.append(compare(case, Path(folder)))
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
            write(rows[-1])
    return int(any(abs(float(row["ratio"]) - 1) > 0.15 for row in rows))


def make_data(folder: Path) -> None:
    """Simulated molecules with all 256 IR tokens."""
    from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset

    simulate_dataset(folder, SimulationSettings(molecules=260, max_heavy_atoms=8, seed=0))


def compare(case: Case, folder: Path) -> dict[str, object]:
    """Estimated and measured peak of the rank that takes most, megabytes."""
    zero = {"stage": case.stage, **({"reduce_bucket_size": BUCKET} if case.stage else {})}
    (folder / f"{case.name}.json").write_text(json.dumps({"zero_optimization": zero}))
    run_file = folder / f"{case.name}.yaml"
    run_file.write_text(yaml.safe_dump(case.run_file(folder)))
    ranks = launch(case, run_file)
    row = planned(case, run_file)
    estimated, measured = row.memory.total, max(rank["peak"] for rank in ranks)
    sent = max(rank["sent"] for rank in ranks)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "torch": version("torch"),
        "deepspeed": version("deepspeed"),
        **asdict(case),
        "estimated_mb": round(estimated / 1e6, 1),
        "measured_mb": round(measured / 1e6, 1),
        "ratio": round(estimated / measured, 3),
        "planned_collectives": sum(row.traffic.collectives.values()),
        "counted_collectives": ranks[0]["collectives"],
        "planned_sent_mb": round(row.traffic.total / 1e6, 2),
        "counted_sent_mb": round(sent / 1e6, 2),
    }


def planned(case: Case, run_file: Path) -> Any:
    """The row of `mmspec plan` for this stage and ep."""
    from mmspec_ds.profiling.plan import Planner
    from mmspec_ds.profiling.tokens import token_figures
    from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
    from mmspec_ds.systems.run_file import load_run
    from mmspec_ds.trainer.engine_file import read_engine

    run = load_run(run_file, (), ElucidationRun)
    rows = Planner(run, read_engine(run.engine), token_figures(run)).rows(case.ranks, 1e12)
    wanted = (case.stage, False, case.ep_size)
    return next(r for r in rows if (r.holding.stage, r.holding.offload, r.holding.ep_size) == wanted)


def launch(case: Case, run_file: Path) -> list[dict[str, float]]:
    """Train in one process for each rank; what each has to tell."""
    processes = []
    for rank in range(case.ranks):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": case.ranks, "MASTER_ADDR": "127.0.0.1"}
        environment = os.environ | MALLOC | {"OMP_NUM_THREADS": "1", "MASTER_PORT": str(PORT)}
        environment |= {name: str(value) for name, value in place.items()}
        command = [sys.executable, __file__, "--rank", str(run_file)]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    answers = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"{case.name}: a rank failed")
    return [json.loads(re.findall(r"^measured (.*)$", answer, re.MULTILINE)[-1]) for answer in answers]


class Counted:
    """Stands before torch's collectives and counts those of groups of several ranks, and the bytes sent by
    rings."""

    def __init__(self) -> None:
        import torch.distributed as dist

        self.dist, self.calls, self.sent = dist, 0, 0.0
        for name in ("all_reduce", "all_gather", "all_gather_into_tensor", "all_to_all_single"):
            setattr(dist, name, self._counting(name, getattr(dist, name)))

    def _counting(self, name: str, call: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            group = kwargs.get("group", args[2] if name == "all_gather_into_tensor" and len(args) > 2 else None)
            ranks = self.dist.get_world_size(group)
            if ranks > 1:
                self.calls += 1
                self.sent += self._bytes(name, ranks, group, args, kwargs)
            return call(*args, **kwargs)

        return counted

    def _bytes(self, name: str, ranks: int, group: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
        first = args[0] if args else kwargs.get("tensor", kwargs.get("output_tensor"))
        if name == "all_to_all_single":
            rows, splits = args[1], args[3] if len(args) > 3 else [len(args[1]) // ranks] * ranks
            away = sum(splits) - splits[self.dist.get_rank(group)]
            return float(away * rows[:1].numel() * rows.element_size()) if len(rows) else 0.0
        share = (ranks - 1) / ranks
        if name == "all_reduce":
            return 2 * share * first.nbytes
        return share * (sum(one.nbytes for one in first) if name == "all_gather" else first.nbytes)


def train(run_file: Path) -> None:
    """A rank: build, train, and print the peak."""
    import deepspeed  # noqa: F401, its memory is not the run's
    import torch
    import torch.distributed as dist

    from mmspec_ds.data.batch import Batch
    from mmspec_ds.data.collate import collate
    from mmspec_ds.data.reading import read_training
    from mmspec_ds.data.sampler import BucketSampler
    from mmspec_ds.moe.expert_parallel import Placement
    from mmspec_ds.profiling.resident import memory_of_process, reset_peak
    from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
    from mmspec_ds.systems.elucidation.task import make_objective
    from mmspec_ds.systems.run_file import load_run
    from mmspec_ds.trainer.distributed import process_group
    from mmspec_ds.trainer.engine import engine_config, make_engine, update
    from mmspec_ds.trainer.engine_file import read_engine

    run = load_run(run_file, (), ElucidationRun)
    settings = run.training
    torch.set_num_threads(1)
    counted = Counted()
    with process_group(5):
        rank, world = dist.get_rank(), dist.get_world_size()
        data = read_training(run.data)
        sampler = BucketSampler(data.train.lengths, settings.batch_size, world_size=world, rank=rank)
        longest = sorted(sampler.epoch(0), key=lambda s: -int(data.train.lengths[s.indices].max()))
        batches = [collate(data.train, indices, weights) for indices, weights in longest[:STEPS]]
        placement = Placement(settings.ep_size, rank % settings.ep_size)

        def steps(run: ElucidationRun, batches: Sequence[Batch]) -> None:
            config = engine_config(read_engine(run.engine), settings, torch.device("cpu"), world)
            engine = make_engine(make_objective(run, data, placement), config, settings)
            engine.train()
            for batch in batches:
                counted.calls, counted.sent = 0, 0.0
                engine.backward(engine(batch, 0.0).total)
                update(engine, placement.size, settings.gradient_clipping)

        # What Python, DeepSpeed and oneDNN load when they are first used is not the run's: a small run goes
        # first.
        small = run.model.model_copy(update={"d_model": 64, "heads": 1, "ffn_width": 64})
        steps(run.model_copy(update={"model": small}), [collate(data.train, [0, 1])])
        dist.barrier()
        gc.collect()
        before = reset_peak()
        started = time.perf_counter()
        steps(run, batches)
        after = memory_of_process()
        shared = sum(after[key] - before[key] for key in ("RssFile", "RssShmem"))
        peak = after["VmHWM"] - before["VmRSS"]
        told = {"peak": peak - shared, "collectives": counted.calls, "sent": counted.sent}
        print(f"measured {json.dumps(told)}\n{time.perf_counter() - started:.0f} s", flush=True)


def write(row: dict[str, object]) -> None:
    """One case in the place of its last measurement."""
    rows: list[dict[str, Any]] = []
    if RESULTS.exists():
        with RESULTS.open(newline="", encoding="utf-8") as file:
            rows = [old for old in csv.DictReader(file) if old["name"] != row["name"]]
    names = [case.name for case in CASES]
    rows = sorted([*rows, row], key=lambda one: names.index(str(one["name"])))
    partial = RESULTS.with_name(f".{RESULTS.name}.partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerows(rows)
    os.replace(partial, RESULTS)


if __name__ == "__main__":
    sys.exit(main())
