"""The Triton kernels on this CPU, under Triton's interpreter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize("checks", ["check_dispatch.py", "check_route.py", "check_experts.py"])
def test_kernels_under_the_interpreter(checks: str) -> None:
    """In a process of its own: the interpreter is chosen when triton is first imported, for good."""
    pytest.importorskip("triton", reason="triton is not installed")
    paths = [str(HERE.parents[1] / "kernels"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(p for p in paths if p)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=prepend"]
    done = subprocess.run(
        [*command, str(HERE / "on_device" / checks)],
        env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
