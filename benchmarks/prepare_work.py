"""One contestant of `prepare.py`, in a process of its own that imports nothing else.

    python benchmarks/prepare_work.py CONTESTANT OUT WORKERS WARM_UP.parquet FILE...

The first file is done beforehand and not counted, so that everything is imported. Prints a line of JSON.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

Prepare = Callable[[Sequence[Path], Path], int]


def contestant_of(name: str, workers: int) -> Prepare:
    """What turns files into a data set in a folder, and says how many records are in it."""
    if name.startswith("pandas"):
        import prepare_peers

        if name.endswith("text"):
            return prepare_peers.benchmark_text
        return partial(prepare_peers.tokens, by_inchikey=name.endswith("inchikey"))
    from mmspec_ds.data.shards.plan import PrepareSettings
    from mmspec_ds.data.shards.prepare import prepare_shards
    from mmspec_ds.molecules.splits import BENCHMARK_SEED

    rule = name.removeprefix("ours, ")
    seed = BENCHMARK_SEED if rule == "benchmark" else 0
    settings = PrepareSettings.model_validate({"split": {"rule": rule, "seed": seed}})

    def ours(files: Sequence[Path], out: Path) -> int:
        return sum(prepare_shards(files, out, settings, workers=workers).splits.values())

    return ours


def highest_megabytes() -> float:
    """The highest resident memory of this process. Not by getrusage, which begins with that of the parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """The command line above."""
    name, out, workers, warm_up, *files = sys.argv[1:]
    prepare = contestant_of(name, int(workers))
    for folder in ("warm", "out"):
        (Path(out) / folder).mkdir(parents=True)
    prepare([Path(warm_up)], Path(out) / "warm")
    clock, processor = time.perf_counter(), time.process_time()
    kept = prepare([Path(file) for file in files], Path(out) / "out")
    result = {
        "kept": kept,
        "processor": time.process_time() - processor,
        "clock": time.perf_counter() - clock,
        "megabytes": highest_megabytes(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
