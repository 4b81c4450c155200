"""Vector search in a large library: queries a second, recall, size and memory.

    python benchmarks/library.py --rows 1000000
    python benchmarks/library.py --rows 1000000 --vectors LIBRARY

The vectors are those of a library's model and, up to the number of rows, perturbed copies of them; without a
library, made ones: 300 classes, in each of them molecules (one for every 26 rows), around each molecule its
spectra. A perturbed copy has a cosine of 0.93 to its origin (--noise 0.4). The queries are further copies.

An index is made as `mmspec library build` makes it, opened as a search opens it and asked in batches. Its
recall at ten is of other queries than those by which it chose its number of lists. Exact search, by comparison
with all vectors, stands beside it. Rows are appended to results/library.csv. Status 1 where a bar is missed: a
recall at 10 of 0.99, 15,000 queries a second, an index of 1.2 GB.
"""

import argparse
import csv
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from runner import RESULTS, commit, device_name

from mmspec_ds.files import entry_of
from mmspec_ds.library.entry import FloatMatrix
from mmspec_ds.library.index import VectorIndex, flat_search, open_index, recall_of, write_index
from mmspec_ds.library.store import Library

HEAD = (
    *(
        "date",
        "commit",
        "device",
        "faiss",
        "vectors",
        "rows",
        "width",
        "contestant",
        "lists",
        "nprobe",
        "batch",
    ),
    *("queries", "queries_s", "queries_cpu_s", "recall_10", "index_mb", "build_cpu_s", "open_ms", "peak_mb"),
)
BAR_RECALL, BAR_SPEED, BAR_MEGABYTES = 0.99, 15_000, 1_200
CLASSES, ROWS_A_MOLECULE, CLASS_NOISE, K = 300, 26, 0.9, 10


def unit(rows: FloatMatrix) -> FloatMatrix:
    """Rows of length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def perturbed(rows: FloatMatrix, noise: float, random: np.random.Generator) -> FloatMatrix:
    """Copies with noise of this length added, of length 1."""
    added = random.standard_normal(rows.shape, dtype=np.float32)
    return unit(rows + np.float32(noise / np.sqrt(rows.shape[1])) * added)


def origins_of(options: argparse.Namespace, random: np.random.Generator) -> tuple[str, FloatMatrix]:
    """The vectors that are perturbed, and what they are."""
    if options.vectors is not None:
        library = Library.open(options.vectors)
        name = options.model or next(iter(library.embedders))
        rows = np.array(library.vectors(name))
        return f"{name} of {options.vectors.name}", rows[rows.any(axis=1)]
    classes = unit(random.standard_normal((CLASSES, options.width), dtype=np.float32))
    molecules = max(1, options.rows // ROWS_A_MOLECULE)
    return "made", perturbed(classes[random.integers(CLASSES, size=molecules)], CLASS_NOISE, random)


def vectors_of(origins: FloatMatrix, options: argparse.Namespace, random: np.random.Generator) -> FloatMatrix:
    """The origins, if they are real, and perturbed copies."""
    found = np.empty((options.rows, origins.shape[1]), np.float32)
    begin = min(len(origins), len(found)) if options.vectors is not None else 0
    found[:begin] = origins[:begin]
    for start in range(begin, len(found), 50_000):
        count = len(found[start : start + 50_000])
        chosen = origins[random.integers(len(origins), size=count)]
        found[start : start + count] = perturbed(chosen, options.noise, random)
    return found


def timed(search: Callable[[FloatMatrix], Any], queries: FloatMatrix, batch: int) -> tuple[float, float]:
    """Queries a second, and a second of processor time, in batches."""
    search(queries[:64])
    wall, processor = time.perf_counter(), time.process_time()
    for start in range(0, len(queries), batch):
        search(queries[start : start + batch])
    return len(queries) / (time.perf_counter() - wall), len(queries) / (time.process_time() - processor)


def memory() -> str:
    """The highest resident memory of this process so far, MB; mapped files that were read are in it."""
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f}"


def measure_index(
    vectors: FloatMatrix, queries: FloatMatrix, tenth: np.ndarray, options: argparse.Namespace
) -> dict[str, Any]:
    """Build, open and ask an index. `tenth` has the tenth best score of each of the first queries."""
    some = queries[: len(tenth)]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        path = Path(name) / "index.faiss"
        started = time.process_time()
        about = write_index(path, vectors)
        build_s = time.process_time() - started
        print(f"index made in {build_s:.0f} s of processor time", flush=True)
        manifest = {"indexes": {"model": {"file": path.name, **about}}, "arrays": {}, "files": {}}
        manifest["files"] = {path.name: entry_of(path)}
        started = time.perf_counter()
        index = open_index(path.parent, manifest, "model", vectors)
        open_ms = 1e3 * (time.perf_counter() - started)
        speed, speed_cpu = max(
            timed(lambda rows: index.search(rows, K), queries, options.batch) for _ in range(3)
        )
        recall = recall_of(vectors, some, index.search(some, K)[1], tenth)
        megabytes = path.stat().st_size / 1e6
    return {
        "contestant": "index",
        "lists": about["lists"],
        "nprobe": about["nprobe"],
        "queries_s": f"{speed:.0f}",
        "queries_cpu_s": f"{speed_cpu:.0f}",
        "recall_10": f"{recall:.4f}",
        "index_mb": f"{megabytes:.0f}",
        "build_cpu_s": f"{build_s:.0f}",
        "open_ms": f"{open_ms:.1f}",
        "peak_mb": memory(),
    }


def append(rows: list[dict[str, Any]]) -> None:
    """Add rows to the file of results, with a head if it is new."""
    path = RESULTS.with_name("library.csv")
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, HEAD, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Measure the index and the exact search, and hold them to the bars."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=256, help="of made vectors")
    parser.add_argument("--vectors", type=Path, help="a library whose vectors are taken and perturbed")
    parser.add_argument("--model", help="the model of that library, if it has several")
    parser.add_argument("--noise", type=float, default=0.4, help="length of what perturbs a vector of length 1")
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--exact", type=int, default=1_000, help="queries that are also compared with all")
    parser.add_argument("--batch", type=int, default=4_096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the index is written for the time of the run")
    options = parser.parse_args()
    faiss.omp_set_num_threads(options.threads)
    torch.set_num_threads(options.threads)  # what the device's name tells
    random = np.random.default_rng(options.seed)
    name, origins = origins_of(options, random)
    vectors = vectors_of(origins, options, random)
    queries = perturbed(origins[random.integers(len(origins), size=options.queries)], options.noise, random)
    print(f"{len(vectors):,} vectors of width {vectors.shape[1]}, {vectors.nbytes / 1e6:,.0f} MB", flush=True)
    some = queries[: options.exact]
    tenth = flat_search(vectors, some, K)[0][:, -1]
    flat = VectorIndex(vectors)
    speed, speed_cpu = timed(lambda rows: flat.search(rows, K), some, options.batch)
    shared = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit(), "vectors": name,
              "device": device_name(torch.device("cpu")), "faiss": faiss.__version__, "rows": len(vectors),
              "width": vectors.shape[1], "batch": options.batch}  # fmt: skip
    exact = {"contestant": "exact", "queries": len(some), "queries_s": f"{speed:.0f}", "recall_10": "1.0000",
             "queries_cpu_s": f"{speed_cpu:.0f}", "peak_mb": memory()}  # fmt: skip
    index = measure_index(vectors, queries, tenth, options) | {"queries": len(queries)}
    rows = [shared | exact, shared | index]
    for row in rows:
        print("\n".join(f"{key:14} {row[key]}" for key in HEAD if key in row), end="\n\n", flush=True)
    append(rows)
    missed = [
        f"{what} {index[key]}, the bar is {bar:,}"
        for what, key, bar, sign in (
            ("recall at 10:", "recall_10", BAR_RECALL, 1),
            ("queries a second:", "queries_s", BAR_SPEED, 1),
            ("megabytes of the index:", "index_mb", BAR_MEGABYTES, -1),
        )
        if sign * float(index[key]) < sign * bar
    ]
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
