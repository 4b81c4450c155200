"""The list of molecules to simulate for a test on measured spectra: none of the test's, each once."""

import gzip
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SCRIPT = Path(__file__).parents[2] / "benchmarks/measured_molecules.py"


def test_molecules_of_the_test_are_left_out(tmp_path: Path) -> None:
    mapped = [
        "[CH3:1][CH2:2][OH:3]",  # of the test
        "[CH3:1][CH2:2][CH2:3][OH:4]",
        "C[C@H](F)Cl",
        "C[C@@H](F)Cl",  # the same block
        "CC[O-]",
        "CCO.CCN",
        "C[Si](C)(C)C",
        "CC",  # too small
        "C" * 23,  # too large
        "O=C=O",  # no hydrogen on carbon
        "no molecule",
    ]
    pq.write_table(pa.table({"mapped_smiles": mapped}), tmp_path / "a.parquet")
    (tmp_path / "b.smi.gz").write_bytes(gzip.compress(b"OCC\nCCCO name\nCC(N)=O\n"))
    pq.write_table(pa.table({"smiles": ["OCC", "CC(=O)O"]}), tmp_path / "test.parquet")
    command = [sys.executable, SCRIPT, tmp_path / "a.parquet", tmp_path / "b.smi.gz"]
    command += ["--exclude", tmp_path / "test.parquet", "--out", tmp_path / "list.smi"]
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, timeout=60, check=True)
    listed = (tmp_path / "list.smi").read_text().split()
    assert sorted(listed[:2]) == ["CC(F)Cl", "CCCO"]
    assert listed[2:] == ["CC(N)=O"]
    assert done.stdout == f"{tmp_path / 'list.smi'}: 3 molecules, none of the 2 of the test\n"
