"""Beam search: against `transformers` with the same weights, and sparse against dense. Correctness first.

    pip install '.[bench]'
    PYTHONPATH=kernels python benchmarks/decoding.py --threads 2                      # against transformers
    PYTHONPATH=kernels python benchmarks/decoding.py --threads 2 --sparse-and-dense   # beam 5, one sample

Every contestant makes the same number of steps. They are timed in turn in one process; medians are compared.
Without transformers ours is checked and timed alone. Prints a table and appends it to results/results.csv.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass, field, replace

import decoding_peers as peers
import decoding_work as works
import runner
import torch
from decoding_work import Shape
from runner import Cost, Row, Work

from mmspec_ds.nn.beam import Candidate, beam_search

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass
class Contestant:
    """One search: what it does, the least that it must do, and how long it took."""

    work: Work
    cost: Cost
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


def cache_is_right(device: torch.device) -> bool:
    """With the cache as without, in float64, of a search that ends when it likes; prints what it saw."""
    torch.manual_seed(1)
    work = works.one_modality(works.SHAPES["tiny"]).to(device, torch.float64)
    both = [
        beam_search(work.model, work.spectra, beam=4, n_best=4, max_tokens=12, cached=c) for c in (True, False)
    ]
    same = [[[c.tokens for c in row] for row in found] for found in both]
    scores = [torch.tensor([c.score for row in found for c in row]) for found in both]
    good = same[0] == same[1] and bool((scores[0] - scores[1]).abs().max() < 1e-10)
    print(f"correct: with the cache as without it, float64 {'' if good else 'FAILED'}")
    return good


def search_is_theirs(device: torch.device) -> bool:
    """Every sequence and score of transformers' beam search, in float64; prints what it saw."""
    torch.manual_seed(2)
    shape = works.SHAPES["tiny"]
    work = works.one_modality(shape).to(device, torch.float64)
    theirs = peers.generate(peers.pegasus(work, shape), work, shape)
    ours = [[(c.tokens, c.score) for c in row] for row in works.decode(work, shape)]
    same = [[tokens for tokens, _ in row] for row in ours] == [[tokens for tokens, _ in row] for row in theirs]
    error = max(abs(a[1] - b[1]) for mine, other in zip(ours, theirs) for a, b in zip(mine, other))
    good = same and error < 1e-6  # transformers adds up scores in float32
    print(
        f"correct: all {shape.batch * shape.beam} sequences of transformers, float64, "
        f"scores within {error:.1e} {'' if good else 'FAILED'}"
    )
    return good


def at_this_size(ours: list[list[Candidate]], theirs: peers.Found) -> None:
    """Print how well two searches agree; rounding may part neighbours of a beam."""
    pairs = [(c, t) for row, other in zip(ours, theirs) for c, t in zip(row, other)]
    equal = sum(c.tokens == tokens for c, (tokens, _) in pairs)
    error = max(abs(c.score - score) for c, (_, score) in pairs)
    print(f"at this size: {equal} of {len(pairs)} sequences equal, scores within {error:.1e}")


def transformers_contest(shape: Shape, dtype: torch.dtype, device: torch.device) -> dict[str, Contestant]:
    """Ours and, if it is there, transformers with our weights."""
    work = works.one_modality(shape).to(device, dtype)
    cost = works.least_work(shape, shape.source_tokens, shape.settings.ffn_width, dtype.itemsize)
    ours = work.packed()
    found = {"ours": Contestant(lambda: works.decode(ours, shape), cost)}
    if peers.transformers_is_there():
        theirs = peers.pegasus(work, shape)
        found["transformers"] = Contestant(lambda: peers.generate(theirs, work, shape), cost)
    return found


def sparse_contest(shape: Shape, dtype: torch.dtype, device: torch.device) -> dict[str, Contestant]:
    """The sparse model on compressed spectra and the dense one on text."""
    sparse, dense = (
        make(shape).to(device, dtype).packed() for make in (works.sparse_compressed, works.dense_text)
    )
    wide = works.mean_active_width()
    return {
        "sparse": Contestant(
            lambda: works.decode(sparse, shape),
            works.least_work(shape, sum(works.COMPRESSED.values()), wide, dtype.itemsize),
        ),
        "dense text": Contestant(
            lambda: works.decode(dense, shape),
            works.least_work(shape, sum(works.TEXT.values()), shape.settings.ffn_width, dtype.itemsize),
        ),
    }


def timed(contestants: dict[str, Contestant], device: torch.device, repeats: int) -> None:
    """Durations of all, taken in turn after one call of each that is not counted."""
    first = [one.work() for one in contestants.values()]
    if "transformers" in contestants:
        at_this_size(*first)
    for _ in range(repeats):
        for one in contestants.values():
            busy = time.process_time()
            one.seconds.append(runner.seconds(one.work, device))
            one.processor.append(time.process_time() - busy)


def run(options: argparse.Namespace, dtype: str, device: torch.device) -> list[Row] | None:
    """All rows; None if a result is wrong."""
    there = peers.transformers_is_there()
    if not (cache_is_right(device) and (not there or search_is_theirs(device))):
        return None
    if not there:
        print(f"left out: {peers.MISSING}")
    ceilings = runner.measure_ceilings(device, DTYPES[dtype], small=device.type != "cuda")
    torch.manual_seed(0)
    contest = sparse_contest if options.sparse_and_dense else transformers_contest
    shape = chosen_shape(options)
    contestants = contest(shape, DTYPES[dtype], device)
    timed(contestants, device, options.repeats)
    for name, one in contestants.items():
        print(summary(name, one, contestants, shape))
    what = f"beam {shape.beam} {shape.batch}x{shape.steps}"
    return [
        runner.make_row(
            ("decoding", options.shape, dtype, what, name),
            one.seconds,
            one.cost,
            ceilings,
            runner.peak_megabytes(one.work, device),
            device,
        )
        for name, one in contestants.items()
    ]


def summary(name: str, one: Contestant, contestants: dict[str, Contestant], shape: Shape) -> str:
    """Samples a second, and how many times as long it takes as the first contestant."""
    first = next(iter(contestants.values()))
    median = statistics.median(one.seconds)
    ratio = median / statistics.median(first.seconds)
    busy = statistics.median(one.processor) / statistics.median(first.processor)
    return (
        f"{name:14} {shape.batch / median:8.2f} samples/s {1e3 * median / shape.batch:9.1f} ms a sample, "
        f"{ratio:.2f} times the first ({busy:.2f} by processor time)"
    )


def chosen_shape(options: argparse.Namespace) -> Shape:
    """The shape with what the command line changes."""
    shape = works.SHAPES[options.shape]
    if options.sparse_and_dense:
        shape = replace(shape, beam=5, batch=1)
    changes = {name: getattr(options, name) for name in ("beam", "batch", "steps")}
    return replace(shape, **{name: value for name, value in changes.items() if value is not None})


def main() -> int:
    """Run and report; status 1 if a result is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=works.SHAPES, default="paper")
    parser.add_argument("--sparse-and-dense", action="store_true", help="instead of transformers")
    parser.add_argument("--beam", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of a CPU")
    parser.add_argument("--no-csv", action="store_true")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{runner.device_name(device)}: {options.shape}, {options.dtype}")
    rows = run(options, options.dtype, device)
    if rows is None:
        print("error: a result is wrong, so no speed is reported", file=sys.stderr)
        return 1
    print(runner.short_table(rows))
    if not options.no_csv:
        runner.append(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
