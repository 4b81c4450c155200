"""The processes of a run: how they find each other, agree, and part."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from mmspec_ds.errors import ConfigError

T = TypeVar("T")


@contextmanager
def process_group(timeout_minutes: float) -> Iterator[None]:
    """Join the processes that the launcher started, or be alone without one; part in order at the end.

    Leaving without the barrier and the destruction of the group ended in SIGABRT after success in 4 of 24 runs
    with gloo. After an error there is no barrier: the others may never come.
    """
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    timeout = timedelta(minutes=timeout_minutes)
    try:
        dist.init_process_group(backend, init_method="env://", timeout=timeout)
    except ValueError:  # the launcher's variables are not set: one process, by itself
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1, timeout=timeout)
        os.environ["LOCAL_RANK"] = "0"  # DeepSpeed insists on it
    try:
        yield
        dist.barrier()
    finally:
        dist.destroy_process_group()


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
    """Refuse an expert-parallel size that these ranks cannot have, before anything is built."""
    world = dist.get_world_size()
    if world % ep_size:
        raise ConfigError(f"training.ep_size is {ep_size}, but there are {world} ranks: expected a divisor")


def largest(values: list[float], device: torch.device) -> list[float]:
    """The element-wise maximum over all ranks, on every rank."""
    together = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(together, op=dist.ReduceOp.MAX)
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
