"""Expert parallelism on two and on four ranks against one process. All checks of exchange_checks.py and
layer_checks.py share one launch."""

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
            "the first rank has no row",
            "only the last rank has rows",
            "the first rank's experts get nothing",
            "one expert gets nothing",
            "one expert gets all",
            "no row anywhere",
        )
    ),
    "exchange in groups of two",
    "order of events",
    "capacity",
    "sum over ranks",
    "initial weights",
    "layer, dropless",
    "layer, capacity",
    "layer, sigmoid and always on",
    "layer, experts choose",
    "activation checkpointing, dropless",
    "activation checkpointing, capacity",
    "activation checkpointing, sigmoid and always on",
    "activation checkpointing, experts choose",
)
WORLDS = (2, 4)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[str]]:
    """What each rank wrote, by the number of ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    worker = Path(__file__).with_name("ranks.py")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run([sys.executable, str(worker), str(folder)], env=environment, timeout=240, check=False)
    return {w: [(folder / f"{w}.{rank}").read_text() for rank in range(w)] for w in WORLDS}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("check", CHECKS)
def test_ranks_together_are_one(told: dict[int, list[str]], check: str, world: int) -> None:
    for rank, output in enumerate(told[world]):
        assert f"held: {check}\n" in output, f"rank {rank}: {output}"


def test_no_check_is_forgotten(told: dict[int, list[str]]) -> None:
    for outputs in told.values():
        for output in outputs:
            assert [line.removeprefix("held: ") for line in output.splitlines()] == [*CHECKS]
