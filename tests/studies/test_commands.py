"""Where and how the processes of cells run."""

import subprocess

import pytest

from mmspec_ds.studies import commands
from mmspec_ds.studies.commands import Commands, Place, places


def test_a_process_on_a_cpu_has_one_thread_and_sees_no_gpu() -> None:
    names = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "DS_ACCELERATOR")
    line = Commands().line(("-c", f"import os; print(*(os.environ[name] for name in {names}))"), Place())
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == "1  cpu\n"


def test_a_process_on_a_gpu_sees_that_one() -> None:
    code = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"
    line = Commands().line(("-c", code), Place(3))
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == "3\n"


def test_a_process_finds_the_packages_that_this_one_uses() -> None:
    code = "import mmspec_ds.studies.commands as one; print(one.__file__)"
    line = Commands().line(("-c", code), Place())
    found = subprocess.run(line, capture_output=True, text=True, check=True, cwd="/").stdout
    assert found == f"{commands.__file__}\n"


def test_places_are_gpus_or_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1, 2})
    assert places(None) == [Place()] * 3
    assert places(5) == [Place()] * 5
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert places(None) == [Place(0), Place(1)]
    assert places(3) == [Place(0), Place(1), Place(0)]
    assert (Place().device, Place(1).device) == ("cpu", "cuda")
