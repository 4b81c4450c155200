"""The processes of a run: how they find each other, agree, and part."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from mmspec_ds.errors import ConfigError, UserError

T = TypeVar("T")


LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What every launcher (deepspeed, torchrun, launch/slurm.sbatch) sets for each process."""


@dataclass(frozen=True)
class Rendezvous:
    """Where the ranks of a run meet: on the machine `address` of rank 0, at `port`.

    `served` says that the launcher, such as torchrun, has opened the port; otherwise rank 0 opens it.
    """

    rank: int
    world: int
    address: str
    port: int
    served: bool = False


def find_rendezvous(environment: Mapping[str, str]) -> Rendezvous | None:
    """The rendezvous that a launcher has set; None without a launcher, that is, without RANK and WORLD_SIZE.

    Raises:
        ConfigError: the variables are set in part, or are not what they should be.
    """
    missing = [name for name in LAUNCHER if not environment.get(name)]
    if "RANK" in missing and "WORLD_SIZE" in missing:
        return None
    if missing:
        found = [name for name in LAUNCHER if name not in missing]
        raise ConfigError(
            f"{', '.join(found)} set in the environment, but not {', '.join(missing)}: expected all, as a"
            " launcher sets them, or neither RANK nor WORLD_SIZE for a single process"
        )
    world = _whole_number(environment, "WORLD_SIZE", 1, 2**31)
    return Rendezvous(
        rank=_whole_number(environment, "RANK", 0, world - 1),
        world=world,
        address=environment["MASTER_ADDR"],
        port=_whole_number(environment, "MASTER_PORT", 1, 65535),
        served=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
    )


def _whole_number(environment: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = environment[name]
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ConfigError(f"{name} is {text!r} in the environment: expected a whole number, {least} to {most}")
    return int(text)


def check_rendezvous(meeting: Rendezvous) -> None:
    """Look at once for what would otherwise end in a long wait: an unknown address, or a port that is taken.

    Raises:
        ConfigError: names the address or the port.
    """
    try:
        socket.getaddrinfo(meeting.address, meeting.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(
            f"MASTER_ADDR is {meeting.address!r}, which leads nowhere ({error.strerror}): expected the name or"
            " address of rank 0's machine"
        ) from None
    if meeting.rank > 0 or meeting.served:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", meeting.port))
        except OSError as error:
            raise ConfigError(
                f"port {meeting.port} cannot be opened for the ranks to meet ({error.strerror}): expected a"
                " free one; choose another by --master_port of deepspeed or --port of launch/*.sh"
            ) from None


def wait_for_rank_0(meeting: Rendezvous, timeout_minutes: float) -> None:
    """Wait until the port of the rendezvous is open; torch would print a stack of its own if it never is.

    Raises:
        UserError: it is not within the timeout.
    """
    deadline = time.monotonic() + 60 * timeout_minutes
    while True:
        try:
            socket.create_connection((meeting.address, meeting.port), timeout=60 * timeout_minutes).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise not_met(meeting, timeout_minutes, error) from None
        time.sleep(0.1)


def not_met(meeting: Rendezvous, timeout_minutes: float, error: Exception) -> UserError:
    """The error of a rank that did not find the others."""
    why = " ".join(str(error).split())[:200]
    return UserError(
        f"rank {meeting.rank} of {meeting.world} did not meet the others at {meeting.address}:{meeting.port}"
        f" ({why}): expected all ranks to start within training.timeout_minutes, {timeout_minutes:g}, and to"
        " reach that address"
    )


@contextmanager
def process_group(timeout_minutes: float) -> Iterator[None]:
    """Join the processes that the launcher started, or be alone without one; part in order at the end.

    Leaving without the barrier and the destruction of the group ended in SIGABRT after success in 4 of 24 runs
    with gloo. After an error there is no barrier: the others may never come.

    Raises:
        ConfigError: the launcher's variables are incomplete or wrong.
        UserError: the ranks do not meet in time.
    """
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    timeout = timedelta(minutes=timeout_minutes)
    meeting = find_rendezvous(os.environ)
    if meeting is None:
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1, timeout=timeout)
        os.environ["LOCAL_RANK"] = "0"  # DeepSpeed insists on it
    else:
        check_rendezvous(meeting)
        if meeting.rank > 0:
            wait_for_rank_0(meeting, timeout_minutes)
        try:
            dist.init_process_group(backend, init_method="env://", timeout=timeout)
        except (RuntimeError, ValueError) as error:
            raise not_met(meeting, timeout_minutes, error) from None
    try:
        yield
        dist.barrier()
    finally:
        dist.destroy_process_group()


def let_rank_0_speak(seconds: float = 5.0) -> None:
    """Wait, in another rank than 0, before an error that every rank finds is told.

    Rank 0 tells it meanwhile, and the launcher then ends the other ranks, so that it is told once. If rank 0
    found no error, it is told after the wait.
    """
    if os.environ.get("RANK", "0") != "0":
        time.sleep(seconds)


def limit_waiting(timeout_minutes: float) -> None:
    """Give every process group the run's timeout.

    A group that is made later, as DeepSpeed makes its own, waits 30 minutes whatever the first one was given,
    and torch has no public name for this.
    """
    for group in list(dist.distributed_c10d._world.pg_map):
        dist.distributed_c10d._set_pg_timeout(timedelta(minutes=timeout_minutes), group)


def share_cores(threads: int | None) -> int:
    """Set the threads of this process to its share of the machine's cores, or to `threads`.

    Without it each process of a launcher takes every core, and two processes on two cores run at half speed.
    """
    hosts: list[str | None] = [None] * dist.get_world_size()
    dist.all_gather_object(hosts, socket.gethostname())
    neighbours = hosts.count(socket.gethostname())
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    chosen = threads or max(1, len(allowed) // neighbours)
    torch.set_num_threads(chosen)
    return chosen


def device_of_rank() -> torch.device:
    """The GPU of this process, or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", dist.get_rank() % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def check_topology(ep_size: int) -> None:
    """Refuse an expert-parallel size that these ranks cannot have, before anything is built.

    Raises:
        ConfigError: it does not divide the number of ranks.
    """
    world = dist.get_world_size()
    if world % ep_size:
        raise ConfigError(f"training.ep_size is {ep_size}, but there are {world} ranks: expected a divisor")


def largest(values: list[float], device: torch.device) -> list[float]:
    """The element-wise maximum over all ranks, on every rank."""
    together = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(together, op=dist.ReduceOp.MAX)
    return together.tolist()


def summed(values: list[float], device: torch.device) -> list[float]:
    """The element-wise sum over all ranks, on every rank."""
    together = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(together)
    return together.tolist()


def gather_objects(value: Any) -> list[Any]:
    """The values that the ranks passed, in the order of the ranks, on every rank."""
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def broadcast_from_rank0(make: Callable[[], T]) -> T:
    """The result of calling `make` on rank 0, on every rank."""
    box: list[Any] = [make() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(box)
    made: T = box[0]
    return made


def is_lost_contact(error: RuntimeError) -> bool:
    """Whether an error of a collective says that a rank has gone or does not answer in time."""
    if isinstance(error, dist.DistError):
        return True
    text = str(error)
    return any(sign in text for sign in ("gloo", "NCCL", "Connection closed by peer", "Timed out waiting"))


class StopRequest:
    """Whether somebody has asked this process to stop."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def stop_requested() -> Iterator[StopRequest]:
    """Within, SIGTERM and SIGINT are noted instead of obeyed, so that a run can end with a checkpoint."""
    request = StopRequest()

    def note(number: int, frame: Any) -> None:
        request.asked = True

    before = {s: signal.signal(s, note) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
