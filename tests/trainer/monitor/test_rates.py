"""Rates against a clock that is set."""

import pytest
import torch

from mmspec_ds.trainer.monitor import rates
from mmspec_ds.trainer.monitor.rates import Rates, peak_memory


def test_rates_are_counts_over_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(rates.time, "monotonic", lambda: now)
    meter = Rates(torch.device("cpu"), ranks=2)
    meter.count(torch.tensor(300.0), 8)
    meter.count(torch.tensor(100.0), 8)
    now = 104.0
    found = meter.scalars(flops_per_token=5e6)
    assert found["throughput/tokens_per_second"] == 100
    assert found["throughput/samples_per_second"] == 8
    assert found["resources/gigaflops_per_second"] == pytest.approx(0.5)
    assert found["resources/megaflops_per_token"] == 5
    meter.restart()
    now = 105.0
    assert meter.scalars(1.0)["throughput/tokens_per_second"] == 0


def test_peak_memory_is_that_of_this_process() -> None:
    before = peak_memory(torch.device("cpu"))
    block = torch.ones(64 << 20, dtype=torch.uint8)
    block += 1
    grown = peak_memory(torch.device("cpu"))
    assert 50e6 < before <= grown < 1e12
