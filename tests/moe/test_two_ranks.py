"""Expert parallelism on two ranks against one. The checks of two_ranks.py share one launch of two processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = (
    *(
        f"exchange, {name}"
        for name in (
            "even",
            "uneven",
            "first rank has no row",
            "second rank has no row",
            "first rank's experts get nothing",
            "one expert gets nothing",
            "one expert gets all",
            "no row anywhere",
        )
    ),
    "capacity",
    "sum over ranks",
    "layer, dropless",
    "layer, capacity",
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each of the two ranks printed."""
    store = tmp_path_factory.mktemp("two_ranks") / "store"
    worker = Path(__file__).with_name("two_ranks.py")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ranks = [
        subprocess.Popen(
            [sys.executable, str(worker), str(rank), str(store)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        for rank in range(2)
    ]
    try:
        return [rank.communicate(timeout=120)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()


@pytest.mark.parametrize("check", CHECKS)
def test_two_ranks_are_one(told: list[str], check: str) -> None:
    for rank, output in enumerate(told):
        assert f"held: {check}\n" in output, f"rank {rank}: {output}"


def test_no_check_is_forgotten(told: list[str]) -> None:
    assert [line.removeprefix("held: ") for line in told[0].splitlines() if line.startswith("held")] == [
        *CHECKS
    ]
