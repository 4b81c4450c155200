"""The set of molecules that have been seen, against Python's own; and the memory of preparing."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmspec_ds.data.shards.distinct import DistinctMolecules, molecule_hash

Write = Callable[..., Path]


@given(st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=12))
def test_new_is_what_a_python_set_does_not_hold(batches: list[list[int]]) -> None:
    distinct, seen = DistinctMolecules(), set[int]()
    for batch in batches:
        expected = []
        for one in batch:
            expected.append(one not in seen)
            seen.add(one)
        assert distinct.add(np.array(batch, dtype=np.uint64)).tolist() == expected
        assert len(distinct) == len(seen)


def test_a_million_molecules_take_eight_bytes_each() -> None:
    distinct, rng = DistinctMolecules(), np.random.default_rng(0)
    for _ in range(250):
        assert distinct.add(rng.integers(0, 2**63, 4096, dtype=np.uint64)).all()
    arrays = distinct.__dict__["_runs"]
    assert sum(run.nbytes for run in arrays) == 8 * 250 * 4096
    assert len(arrays) < 12


def test_a_hash_is_of_64_bits_and_of_the_text_alone() -> None:
    # b2sum -l 64 of "CCO" gives these bytes, the first the lowest
    assert molecule_hash("CCO") == int.from_bytes(bytes.fromhex("6d200b6f6c9553c3"), "little")


PEAK = """
import sys
from pathlib import Path
from mmspec_ds.data.shards.plan import PrepareSettings
from mmspec_ds.data.shards.prepare import prepare_shards

if __name__ == "__main__":
    settings = PrepareSettings.model_validate({"shard_rows": 500, "split": {"rule": "benchmark"}})
    prepare_shards([Path(sys.argv[2])], Path(sys.argv[1]), settings, workers=1)
    print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def peak_megabytes(script: Path, source: Path, out: Path) -> float:
    """The highest resident memory of a process that prepares a file."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(script), str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return int(done.stdout) / 1024


@pytest.mark.parametrize("group", [100, 100_000], ids=["small row groups", "one row group"])
def test_memory_does_not_grow_with_the_file(write: Write, tmp_path: Path, group: int) -> None:
    rng, some = np.random.default_rng(0), pq.read_table(write(range(500)))
    at, ir = (some.schema.get_field_index(name) for name in ("smiles", "ir_spectra"))
    curves = pa.array(rng.random((500, 1800), dtype=np.float32).tolist(), pa.list_(pa.float32()))
    some = some.set_column(ir, "ir_spectra", curves)
    names = some.column("smiles").to_pylist()
    parts = [some.set_column(at, "smiles", pa.array([f"{n}.[{c + 1}CH4]" for n in names])) for c in range(16)]
    script = tmp_path / "peak.py"
    script.write_text(PEAK)
    peaks, sizes = [], []
    for count in (4, 16):
        path = tmp_path / f"{count}.parquet"
        pq.write_table(pa.concat_tables(parts[:count]), path, row_group_size=group, use_dictionary=["smiles"])
        peaks.append(peak_megabytes(script, path, tmp_path / f"{count}"))
        sizes.append(path.stat().st_size / 2**20)
    assert sizes[1] - sizes[0] > 40
    assert peaks[1] - peaks[0] < 20  # 3 to 11 were seen; 63 where Arrow read whole columns ahead
