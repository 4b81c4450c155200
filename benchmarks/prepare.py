"""Rows a second and memory of `mmspec prepare`, beside plain pandas on the same rows and the same core.

    python benchmarks/prepare.py speed ROWS.parquet --molecules SMILES.smi.gz
    python benchmarks/prepare.py memory ROWS.parquet --molecules SMILES.smi.gz --rows 1000 20000 200000

ROWS.parquet is a file of the benchmark's schema (its published sample, all columns); its rows are repeated,
each time with other molecules of the SMILES file, so that there are as many distinct ones as rows.

speed: every contestant works in a fresh process on one core, in turn, its imports not counted; rates are by
processor time, reading and writing included, medians over the repeats. The peers are in `prepare_peers.py`.
memory: the highest resident memory of the one process, or of all processes together, pages of mapped files
included; with workers the rate is by the clock, their start included.

Results are appended to results/prepare.csv, whose columns `Row` explains.
"""

import argparse
import csv
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from runner import RESULTS as RUNNER_RESULTS
from runner import commit

from mmspec_ds.spectra.modalities import c_nmr, formula, h_nmr, ir
from mmspec_ds.spectra.modalities.ms_file import ms_columns
from mmspec_ds.spectra.rows import SMILES

RESULTS = RUNNER_RESULTS.with_name("prepare.csv")
WORK = Path(__file__).with_name("prepare_work.py")
FILE_ROWS = 1000
"""Rows of a file for `speed`; row groups for `memory`."""

CONTESTANTS = (
    "ours, benchmark",
    "ours, inchikey",
    "pandas, benchmark text",
    "pandas, same tokens, benchmark",
    "pandas, same tokens, inchikey",
)
"""What they make, and how it is divided: as the benchmark does, which its text is too, or by InChIKey."""


@dataclass(frozen=True)
class Row:
    """One measurement. `rate` is the median of rows a second, of processor time on one core and on the clock on
    several; `seconds` on the clock; `megabytes` the highest resident memory."""

    date: str
    commit: str
    cores: int
    what: str
    contestant: str
    rows: int
    repeats: int
    rate: float
    slowest: float
    fastest: float
    seconds: float
    megabytes: float


def write_rows(source: Path, smiles: Iterator[str], rows: int, path: Path, columns: list[str] | None) -> None:
    """A parquet file of `rows` rows in groups of 1000, with molecules of `smiles`."""
    table = pq.read_table(source, columns=columns)
    at = table.schema.get_field_index(SMILES)
    # Rows repeat, numbers of a real file do not: a dictionary of them would make reading them cheaper.
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    with pq.ParquetWriter(path, table.schema, use_dictionary=texts) as writer:
        left = rows
        while left:
            group = min(left, FILE_ROWS)
            part = pa.concat_tables([table] * -(-group // table.num_rows)).slice(0, group)
            new = pa.array(list(islice(smiles, group)), pa.string())
            writer.write_table(part.set_column(at, SMILES, new), row_group_size=FILE_ROWS)
            left -= group


def molecules(path: Path) -> Iterator[str]:
    """The SMILES of a file, then the same with a water molecule beside it, and so on."""
    with gzip.open(path, "rt") as file:
        texts = [line.split()[0] for line in file if line.strip()]
    water = 0
    while True:
        yield from (text + ".O" * water for text in texts)
        water += 1


def needed_columns(source: Path) -> list[str]:
    """The columns that training reads."""
    names = pq.read_schema(source).names
    spectra = [h_nmr.COLUMN, c_nmr.COLUMN, ir.COLUMN, *(column.name for column in ms_columns(names))]
    return [SMILES, formula.COLUMN, *spectra]


def started(contestant: str, files: Sequence[Path], workers: int, cores: set[int]) -> dict[str, float]:
    """Run one contestant in a fresh process; the memory of several processes is looked at from outside."""
    with tempfile.TemporaryDirectory() as folder:
        names = [str(path) for path in files]
        command = [
            sys.executable,
            str(WORK),
            contestant,
            str(Path(folder) / "out"),
            str(workers),
            *names,
        ]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        peak = 0.0
        while workers > 1 and process.poll() is None:
            peak = max(peak, resident_megabytes(process.pid))
            time.sleep(0.1)
        output = process.communicate()[0]
        if process.returncode:
            raise SystemExit(f"{contestant}: ended with status {process.returncode}")
        result: dict[str, float] = json.loads(output.splitlines()[-1])
        return result | ({"megabytes": peak} if peak else {})


def resident_megabytes(pid: int) -> float:
    """Memory of a process and of those that it started."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    own = next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)
    return own + sum(resident_megabytes(int(child)) for child in children)


def row_of(what: str, contestant: str, rows: int, results: Sequence[dict[str, float]], cores: int) -> Row:
    """A line of the results."""
    # What workers take is not in the processor time of their parent: for them the clock counts.
    rates = [rows / (one["processor"] if cores == 1 else one["clock"]) for one in results]
    return Row(
        datetime.now(UTC).strftime("%Y-%m-%d"),
        commit(),
        cores,
        what,
        contestant,
        rows,
        len(results),
        round(statistics.median(rates), 1),
        round(min(rates), 1),
        round(max(rates), 1),
        round(statistics.median(one["clock"] for one in results), 2),
        round(max(one["megabytes"] for one in results), 1),
    )


def speed(options: argparse.Namespace, folder: Path) -> list[Row]:
    """All contestants in turn on one core."""
    smiles, files = molecules(options.molecules), [folder / "warm_up.parquet"]
    write_rows(options.source, smiles, 10, files[0], None)
    for start in range(0, options.rows[0], FILE_ROWS):
        files.append(folder / f"part_{start // FILE_ROWS:03}.parquet")
        write_rows(options.source, smiles, min(FILE_ROWS, options.rows[0] - start), files[-1], None)
    cores = sorted(os.sched_getaffinity(0))
    results: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for _ in range(options.repeats):
        for name in CONTESTANTS:
            results[name].append(started(name, files, 1, {cores[-1]}))
            rate = options.rows[0] / results[name][-1]["processor"]
            print(f"{name}: {rate:,.0f} rows per second of processor time", flush=True)
    return [row_of("speed", name, options.rows[0], found, 1) for name, found in results.items()]


def memory(options: argparse.Namespace, folder: Path) -> list[Row]:
    """Ours with one worker and with two, on files of rising size."""
    rows, cores = [], sorted(os.sched_getaffinity(0))
    for count in options.rows:
        path, warm = folder / "rows.parquet", folder / "warm_up.parquet"
        columns = needed_columns(options.source)
        write_rows(options.source, molecules(options.molecules), 10, warm, columns)
        write_rows(options.source, molecules(options.molecules), count, path, columns)
        for workers in options.workers:
            result = started("ours, inchikey", [warm, path], workers, set(cores[:workers]))
            rows.append(row_of("memory", "ours, inchikey", count, [result], workers))
            print(f"{count:,} rows, {workers} worker(s): {result['megabytes']:.0f} MB", flush=True)
        path.unlink()
    return rows


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "memory"))
    parser.add_argument("source", type=Path, help="a file of the benchmark's schema")
    parser.add_argument("--molecules", type=Path, required=True, help="SMILES, gzipped, one a line")
    parser.add_argument("--rows", type=int, nargs="+", default=[2000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="for memory")
    parser.add_argument("--repeats", type=int, default=3, help="for speed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = (speed if options.what == "speed" else memory)(options, Path(folder))
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    for row in rows:
        print(
            f"{row.what:7} {row.contestant:30} {row.cores} core(s) {row.rows:8,} rows {row.rate:9,.0f} rows/s"
        )


if __name__ == "__main__":
    main()
