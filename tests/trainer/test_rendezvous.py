"""How the ranks of a run meet: what a launcher sets, and every way in which that fails, in one line each."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mmspec_ds.errors import ConfigError
from mmspec_ds.trainer.distributed import LAUNCHER, Rendezvous, check_rendezvous, find_rendezvous

COMPLETE = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "node-a", "MASTER_PORT": "29500"}


def test_a_launcher_says_where_the_ranks_meet() -> None:
    assert find_rendezvous(COMPLETE) == Rendezvous(rank=1, world=2, address="node-a", port=29500)
    torchrun = COMPLETE | {"TORCHELASTIC_USE_AGENT_STORE": "True"}
    assert find_rendezvous(torchrun) == Rendezvous(1, 2, "node-a", 29500, served=True)


@pytest.mark.parametrize("given", [(), ("MASTER_PORT",), ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK")], ids=str)
def test_without_rank_and_world_size_a_process_is_alone(given: tuple[str, ...]) -> None:
    assert find_rendezvous({name: COMPLETE[name] for name in given}) is None


@pytest.mark.parametrize("missing", LAUNCHER)
def test_a_partial_environment_is_refused(missing: str) -> None:
    with pytest.raises(ConfigError, match=f"but not {missing}: expected all"):
        find_rendezvous({name: value for name, value in COMPLETE.items() if name != missing})
    with pytest.raises(ConfigError, match=f"but not {missing}: expected all"):
        find_rendezvous(COMPLETE | {missing: ""})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("RANK", "2", "RANK is '2' in the environment: expected a whole number, 0 to 1"),
        ("RANK", "-1", "RANK is '-1'"),
        ("RANK", "one", "RANK is 'one'"),
        ("WORLD_SIZE", "0", "WORLD_SIZE is '0' in the environment: expected a whole number, 1 to"),
        (
            "MASTER_PORT",
            "70000",
            "MASTER_PORT is '70000' in the environment: expected a whole number, 1 to 65535",
        ),
        ("MASTER_PORT", "0", "MASTER_PORT is '0'"),
        ("MASTER_PORT", "29500.5", r"MASTER_PORT is '29500\.5'"),
    ],
)
def test_wrong_values_are_named(name: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        find_rendezvous(COMPLETE | {name: value})


def test_an_unknown_address_is_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"MASTER_ADDR is 'no-such-machine\.invalid', which leads nowhere"):
        check_rendezvous(Rendezvous(1, 2, "no-such-machine.invalid", 29500))


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_a_port_that_is_taken_is_named(host: str) -> None:
    with socket.socket() as listener:
        listener.bind((host, 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} cannot be opened .*Address already in use"):
            check_rendezvous(Rendezvous(0, 2, "127.0.0.1", port))
        check_rendezvous(Rendezvous(0, 2, "127.0.0.1", port, served=True))
        check_rendezvous(Rendezvous(1, 2, "127.0.0.1", port))
    check_rendezvous(Rendezvous(0, 2, "127.0.0.1", port))


JOIN = """
import sys
from mmspec_ds.errors import UserError
from mmspec_ds.trainer.distributed import process_group
try:
    with process_group(0.03):
        print("met")
except UserError as error:
    sys.exit(f"mmspec: {error}")
"""


def joined(port: int, **changes: str) -> tuple[int, str, float]:
    """Status, errors and seconds of one rank of two that tries to meet the other for two seconds."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    environment |= COMPLETE | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)} | changes
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", JOIN], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stderr, time.monotonic() - start


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_peer_that_does_not_come_is_one_line(rank: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    status, errors, _ = joined(port, RANK=rank)
    assert status == 1
    assert re.fullmatch(
        rf"mmspec: rank {rank} of 2 did not meet the others at 127\.0\.0\.1:{port} \(.+\): expected all ranks"
        r" to start within training\.timeout_minutes, 0\.03, and to reach that address\n",
        errors,
    ), errors


def test_an_error_in_the_run_file_is_told_once(launcher: Any, tmp_path: Path) -> None:
    refused = launcher.train("told_once", "training.batch_size=0", ranks=2, patience=1)
    assert refused.statuses[0] == 1
    assert refused.statuses[1] != 0
    assert refused.output.count("mmspec: ") == 1
    assert "training.batch_size" in refused.output


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_local_rank_of_a_launcher_is_accepted(launcher: Any, place: str) -> None:
    train = ["train", str(launcher.run_file), f"name=local_{place}", "training.steps=0"]
    arguments = ["--local_rank=0", *train] if place == "before" else [*train, "--local-rank", "0"]
    refused = launcher.start(f"local_{place}", *arguments)
    assert refused.statuses == (1,), refused.output
    assert "training.steps" in refused.output, "the options were read, and the settings refused"
