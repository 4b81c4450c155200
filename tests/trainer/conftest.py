"""A simulated starter set, a tiny model, and a way to start trainings on one or two ranks."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

EXPERTS = [
    {"family": "shared", "width": 64},
    {"family": "shared", "width": 16},
    {"family": "modality", "width": 64, "modalities": ["h_nmr", "c_nmr"]},
    {"family": "modality", "width": 16, "modalities": ["ms"]},
]


@pytest.fixture(scope="session")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 small molecules: train, val and test.parquet."""
    from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset

    folder = tmp_path_factory.mktemp("starter")
    simulate_dataset(folder, SimulationSettings(molecules=150, max_heavy_atoms=6, validation=0.15, test=0.1))
    return folder


@pytest.fixture(scope="session")
def run_file(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of twenty SGD steps in fp32 without dropout, of one encoder and one decoder layer."""
    folder = tmp_path_factory.mktemp("runs")
    for stage in (0, 1, 2):
        (folder / f"zero{stage}.json").write_text(json.dumps({"zero_optimization": {"stage": stage}}))
    run = {
        "name": "run",
        "engine": "zero0.json",
        "output": str(folder),
        "data": {
            "train": [str(starter / "train.parquet")],
            "validation": [str(starter / "val.parquet")],
            "modalities": ["h_nmr", "c_nmr", "ms"],
            "max_target_tokens": 30,
            "compression": {"ms": {"max_peaks": 3}},
        },
        "model": {
            "d_model": 32,
            "heads": 2,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "ffn_width": 64,
            "dropout": 0.0,
            "max_target_tokens": 40,
            "sinusoid_features": 16,
        },
        "moe": {"k": 2, "experts": EXPERTS},
        "objective": {"balance": 0.1, "balance_until": 1.0, "cost": 0.1, "structure": 0.1, "z": 0.01},
        "training": {
            "batch_size": 16,
            "steps": 20,
            "optimizer": "sgd",
            "learning_rate": 0.3,
            "log_every": 1,
            "validate_every": 1000,
            "threads": 1,
            "pictures": 0,
            "conflict_samples": 0,
        },
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(run))
    return path


@dataclass(frozen=True)
class Finished:
    """A launch that has ended: the exit status of each rank, what they printed, and the run's folder."""

    statuses: tuple[int, ...]
    output: str
    folder: Path

    def metrics(self, kind: str = "train") -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` of a kind."""
        lines = (self.folder / "metrics.jsonl").read_text().splitlines()
        return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]

    def series(self, tag: str) -> list[float]:
        """One scalar over the steps."""
        return [entry[tag] for entry in self.metrics()]


class Launcher:
    """Trains in forks of a process that has imported everything."""

    def __init__(self, run_file: Path) -> None:
        self.run_file, self.environment = run_file, child_environment()
        self.zygote = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self.environment,
        )

    def train(
        self,
        name: str,
        *arguments: str,
        ranks: int = 1,
        when: Callable[[Path], bool] | None = None,
        file: Path | None = None,
        faults: Sequence[tuple[int, str, Sequence[int]]] = (),
        patience: float = 60,
    ) -> Finished:
        """Train under a name; with `when`, send SIGTERM to the first rank as soon as that is true of the run's
        folder; with `faults`, (rank, function of faults.py, its arguments), arm these first; kill ranks that
        outlive a failed one by `patience` seconds."""
        arguments = ("train", str(file or self.run_file), f"name={name}", *arguments)
        return self._launch(name, arguments, ranks, when, faults=faults, patience=patience)

    def start(self, log: str, *arguments: str, ranks: int = 1) -> Finished:
        """Any command; what it prints goes to a log of this name."""
        return self._launch(log, arguments, ranks)

    def train_many(
        self, runs: Mapping[str, Sequence[str]], ranks: int, file: Path | None = None
    ) -> dict[str, Finished]:
        """Train under several names, each with its overrides, one after the other in the same processes."""
        lists = [json.dumps([f"name={name}", *overrides]) for name, overrides in runs.items()]
        log = f"many_{ranks}_{len(runs)}"
        together = self._launch(log, (str(file or self.run_file), *lists), ranks, many=True)
        folder = self.run_file.parent
        return {name: Finished(together.statuses, together.output, folder / name) for name in runs}

    def _launch(
        self,
        name: str,
        arguments: Sequence[str],
        ranks: int,
        when: Callable[[Path], bool] | None = None,
        *,
        faults: Sequence[tuple[int, str, Sequence[int]]] = (),
        patience: float = 60,
        many: bool = False,
    ) -> Finished:
        folder = self.run_file.parent
        request = {
            "arguments": arguments,
            "many": many,
            "ranks": ranks,
            "folder": str(folder),
            "log": str(folder / f"{name}.log"),
            "port": free_port(),
            "faults": faults,
            "patience": patience,
        }
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        self.zygote.stdin.write(json.dumps(request) + "\n")
        self.zygote.stdin.flush()
        pids = json.loads(self.zygote.stdout.readline())
        if when is not None:
            deadline = time.monotonic() + 60
            while not when(folder / name) and time.monotonic() < deadline:
                time.sleep(0.01)
            os.kill(pids[0], signal.SIGTERM)
        statuses = tuple(json.loads(self.zygote.stdout.readline()))
        output = "".join((folder / f"{name}.log.{rank}").read_text() for rank in range(ranks))
        return Finished(statuses, output, folder / name)

    def by_deepspeed(
        self,
        name: str,
        *arguments: str,
        ranks: int,
        program: Sequence[str] = ("--module", "mmspec_ds"),
        file: Path | None = None,
    ) -> Finished:
        """Train under a name through the `deepspeed` launcher, as the README says."""
        folder = self.run_file.parent
        launcher = str(Path(sys.executable).with_name("deepspeed"))
        options = ["--num_gpus", str(ranks), "--no_local_rank", "--master_port", str(free_port())]
        command = [launcher, *options, *program, "train", str(file or self.run_file), f"name={name}"]
        done = subprocess.run(
            [*command, *arguments],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Finished((done.returncode,), done.stdout + done.stderr, folder / name)

    def close(self) -> None:
        """End the zygote."""
        assert self.zygote.stdin is not None
        self.zygote.stdin.close()
        self.zygote.wait(timeout=60)


@pytest.fixture(scope="session")
def launcher(run_file: Path) -> Iterator[Launcher]:
    """Starts trainings of `run_file` on one or two ranks."""
    launcher = Launcher(run_file)
    yield launcher
    launcher.close()


def child_environment() -> dict[str, str]:
    """This process's, with the packages that it sees, and the programs beside its interpreter (deepspeed)."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "OMP_NUM_THREADS": "1",
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
