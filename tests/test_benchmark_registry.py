"""The registry of benchmarks knows every script that is one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
HELPERS = {"run.py", "prepare_work.py"}
"""Programs that are started by a benchmark, and the registry itself."""


def test_every_benchmark_is_listed_and_documented() -> None:
    command = [sys.executable, str(BENCHMARKS / "run.py")]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    rows = {line.split()[0]: line.split()[1] for line in listed.splitlines()}
    programs = {path.name for path in BENCHMARKS.glob("*.py") if '__name__ == "__main__"' in path.read_text()}
    assert set(rows.values()) == programs - HELPERS
    documented = re.findall(
        r"^\| `(\w+)` \| `(\w+\.py)` ", (BENCHMARKS / "README.md").read_text(), re.MULTILINE
    )
    assert dict(documented) == rows


@pytest.mark.parametrize(
    ("name", "script", "option"),
    [
        ("readers", "fuzz_formats.py", "--minutes"),
        ("simulator", "simulator.py", "--folds"),  # imports tools, which are not installed
        ("modalities", "modality_gain.py", "--steps"),
        ("spectra", "single_modality.py", "--profiles"),
    ],
)
def test_options_go_to_the_benchmark(name: str, script: str, option: str, tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "run.py"), name, "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path).stdout
    assert told.startswith(f"usage: {script}")
    assert option in told
