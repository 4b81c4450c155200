"""Peak memory in a process of its own, against what must be there."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mmspec_ds.data.collate import collate
from mmspec_ds.errors import UserError
from mmspec_ds.profiling import peak
from mmspec_ds.profiling.peak import PeakMemory, PeakRequest, measure_peak
from mmspec_ds.profiling.resident import is_measured
from mmspec_ds.profiling.run_data import run_data
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

WIDE = ("moe=null", "model.d_model=160", "model.ffn_width=640", "training.batch_size=24", "training.threads=1")


def request_of(run: ElucidationRun, folder: Path) -> PeakRequest:
    return PeakRequest(run, scratch=folder, rank=0, world=1, generated=False, tokens=100)


@pytest.mark.skipif(not is_measured(), reason="this system does not tell what a process holds")
def test_memory_of_a_dense_run(
    make_run: Any, saved_bytes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    run = make_run(*WIDE, engine={"zero_optimization": {"stage": 0}})
    found = measure_peak(request_of(run, tmp_path))
    data = run_data(run, 1, tokens=100).data
    model = build_elucidator(run.model, None, data.encoding.schemas, len(data.vocabularies.target))
    parameters = sum(p.numel() for p in model.parameters())
    buffers = sum(b.nbytes for b in model.buffers())
    kept = saved_bytes(model.train(), collate(data.train, range(24)))
    assert found.weights == 4 * parameters + buffers
    assert found.gradients == 4 * parameters
    assert found.optimizer == pytest.approx(8 * parameters, rel=1e-3)  # and a step count for each parameter
    assert found.activations == pytest.approx(kept, rel=0.1)
    held = found.weights + found.optimizer
    assert held + max(found.activations, found.gradients) < found.peak
    assert found.peak < 1.2 * (held + found.activations + found.gradients)


class Answer:
    """The end of a pipe."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def send(self, said: object) -> None:
        self.said.append(said)

    def close(self) -> None:
        """Nothing to close."""


def test_a_fault_is_told_in_one_line(make_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: PeakRequest) -> PeakMemory:
        assert torch.distributed.get_world_size() == 1
        raise UserError("no\n  room")

    monkeypatch.setattr(peak, "_measure", refuse)
    answer = Answer()
    peak._answer(request_of(make_run(), tmp_path), answer)
    assert answer.said == ["no room"]
    assert not torch.distributed.is_initialized()
