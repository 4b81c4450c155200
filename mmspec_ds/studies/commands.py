"""The command lines of the processes that train and measure a cell, and their surroundings."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from mmspec_ds.studies.cells import RUN_FILE


@dataclass(frozen=True)
class Place:
    """Where a process runs: on a GPU by its number, or on the CPU (None)."""

    gpu: int | None = None

    @property
    def device(self) -> str:
        """What torch calls it within the process."""
        return "cpu" if self.gpu is None else "cuda"


class Process(Protocol):
    """The two methods of `subprocess.Popen` that a study uses."""

    def poll(self) -> int | None:
        """The exit status; None while it runs."""

    def send_signal(self, signal: int, /) -> None:
        """Send the process a signal, by its number, such as `signal.SIGTERM`."""


@dataclass(frozen=True)
class Commands:
    """The commands of the three steps of a cell. Tests give other ones.

    Attributes:
        train: trains `run.yaml` of the folder that it is started in, or goes on with it; exit status 0 when the
            budget is spent, 143 when it was asked to stop.
        upcycle: makes a sparse model out of the dense one in a folder, for `run.yaml`, in the folder `start`.
        measure: makes measures; its arguments are the cell's folder, a job file and the names.
    """

    train: Sequence[str] = ("-m", "mmspec_ds", "train", RUN_FILE, "--resume")
    upcycle: Sequence[str] = ("-m", "mmspec_ds", "upcycle")
    measure: Sequence[str] = ("-m", "mmspec_ds.studies.measure")

    def start(self, arguments: Sequence[str], place: Place, folder: Path, log: IO[bytes]) -> Process:
        """Start a process in a folder. It is in a session of its own: an interrupt at the terminal reaches the
        study alone, which then asks its processes to stop."""
        return subprocess.Popen(
            self.line(arguments, place),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def line(self, arguments: Sequence[str], place: Place) -> list[str]:
        """The whole command line: this Python with this import path and, on a CPU, one thread.

        Processes that share cores wait for each other's threads otherwise. A larger threshold for giving memory
        back keeps that of one step for the next.
        """
        path = os.pathsep.join(str(Path(one).resolve()) for one in sys.path if one)
        surroundings = [f"PYTHONPATH={path}"]
        if place.gpu is None:
            surroundings += ["OMP_NUM_THREADS=1", "DS_ACCELERATOR=cpu", "CUDA_VISIBLE_DEVICES="]
            surroundings += ["MALLOC_TRIM_THRESHOLD_=2147483648", "MALLOC_MMAP_THRESHOLD_=33554432"]
            surroundings += ["MALLOC_TOP_PAD_=67108864"]
        else:
            surroundings += [f"CUDA_VISIBLE_DEVICES={place.gpu}"]
        return ["env", *surroundings, sys.executable, *arguments]


def places(jobs: int | None) -> list[Place]:
    """Where `jobs` processes run side by side: one a GPU, or without a GPU one a core, if not told how many."""
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus:
        return [Place(number % gpus) for number in range(jobs or gpus)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [Place() for _ in range(jobs or cores)]
