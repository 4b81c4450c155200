"""The registry of benchmarks knows every script that is one."""

import re
import subprocess
import sys
from pathlib import Path

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


def test_options_go_to_the_benchmark() -> None:
    command = [sys.executable, str(BENCHMARKS / "run.py"), "readers", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert told.startswith("usage: fuzz_formats.py")
    assert "--minutes" in told
