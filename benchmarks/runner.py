"""What every benchmark needs: timing, ceilings of the device, rows of results.

Rows are appended to `results/results.csv`, one line per measurement, with the device, versions and commit.
"""

import csv
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

RESULTS = Path(__file__).resolve().parent / "results" / "results.csv"

Work = Callable[[], object]


@dataclass(frozen=True)
class Cost:
    """The least that an operation must do: floating-point operations, and bytes to and from memory."""

    flop: float
    bytes: float


@dataclass(frozen=True)
class Ceilings:
    """What the device was measured to do: a large matrix product, FLOP/s, and a large copy, bytes/s."""

    flops: float
    bandwidth: float

    def floor(self, cost: Cost) -> float:
        """The shortest time of an operation, seconds."""
        return max(cost.flop / self.flops, cost.bytes / self.bandwidth)


@dataclass(frozen=True)
class Row:
    """One measurement. `fraction` is floor over median: 1 is as fast as the device allows."""

    date: str
    commit: str
    device: str
    torch: str
    triton: str
    benchmark: str
    shape: str
    dtype: str
    operation: str
    contestant: str
    median_ms: float
    fastest_ms: float
    repeats: int
    gflop: float
    megabytes: float
    floor_ms: float
    fraction: float
    peak_megabytes: str


def seconds(work: Work, device: torch.device) -> float:
    """Duration of one call, by device events on a GPU."""
    if device.type != "cuda":
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    start_event, end_event = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start_event.record()
    work()
    end_event.record()
    torch.cuda.synchronize()
    return float(start_event.elapsed_time(end_event)) / 1e3


def interleaved(works: Mapping[str, Work], device: torch.device, repeats: int) -> dict[str, list[float]]:
    """Durations of all, taken in turn, so that a change of the machine's speed meets all of them alike."""
    for work in works.values():
        work()
        work()
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            found[name].append(seconds(work, device))
    return found


def peak_megabytes(work: Work, device: torch.device) -> str:
    """Memory allocated at the highest point of one call beyond what was there before; "" on CPU."""
    if device.type != "cuda":
        return ""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return f"{(torch.cuda.max_memory_allocated() - before) / 1e6:.1f}"


def measure_ceilings(device: torch.device, dtype: torch.dtype, *, small: bool) -> Ceilings:
    """A large product and a large copy, the best of several."""
    side, size = (1024, 1 << 24) if small else (8192, 1 << 28)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    product = min(interleaved({"gemm": lambda: a @ b}, device, 5 if small else 20)["gemm"])
    source = torch.randn(size, device=device)
    target = torch.empty_like(source)
    copy = min(interleaved({"copy": lambda: target.copy_(source)}, device, 5 if small else 20)["copy"])
    return Ceilings(2 * side**3 / product, 2 * source.numel() * 4 / copy)


def device_name(device: torch.device) -> str:
    """The GPU's name, or the processor's with the number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    model = platform.processor() or platform.machine()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {torch.get_num_threads()} threads"


def versions() -> tuple[str, str]:
    """Of torch and triton."""
    try:
        triton = version("triton")
    except PackageNotFoundError:
        triton = ""
    return torch.__version__, triton


def commit() -> str:
    """The commit of the checkout; a + marks changes that are not committed."""
    try:
        run = [
            subprocess.run(["git", *words], capture_output=True, text=True, check=True, cwd=RESULTS.parent)
            for words in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return run[0].stdout.strip() + ("+" if run[1].stdout.strip() else "")


def make_row(
    names: tuple[str, str, str, str, str],
    times: list[float],
    cost: Cost,
    ceilings: Ceilings,
    peak: str,
    device: torch.device,
) -> Row:
    """A row from its names (benchmark, shape, dtype, operation, contestant) and its durations."""
    median, floor = statistics.median(times), ceilings.floor(cost)
    return Row(
        datetime.now(UTC).strftime("%Y-%m-%d"),
        commit(),
        device_name(device),
        *versions(),
        *names,
        median_ms=round(median * 1e3, 4),
        fastest_ms=round(min(times) * 1e3, 4),
        repeats=len(times),
        gflop=round(cost.flop / 1e9, 3),
        megabytes=round(cost.bytes / 1e6, 2),
        floor_ms=round(floor * 1e3, 4),
        fraction=round(floor / median, 3),
        peak_megabytes=peak,
    )


def append(rows: list[Row], path: Path = RESULTS) -> None:
    """Add rows to the file, with a head if it is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def short_table(rows: list[Row]) -> str:
    """The rows for a reader's eye."""
    lines = [
        f"{'operation':18} {'contestant':18} {'median ms':>10} {'floor ms':>9} {'fraction':>8} {'peak MB':>9}"
    ]
    lines += [
        f"{r.operation:18} {r.contestant:18} {r.median_ms:10.3f} {r.floor_ms:9.3f} {r.fraction:8.3f} "
        f"{r.peak_megabytes:>9}"
        for r in rows
    ]
    return "\n".join(lines)
