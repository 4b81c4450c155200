"""Arithmetic against torch's own counter, rates against a clock that is set."""

from collections.abc import Callable

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmspec_ds.data.batch import Batch
from mmspec_ds.models.elucidator import Elucidator
from mmspec_ds.moe.settings import MoESettings
from mmspec_ds.training.monitor import rates
from mmspec_ds.training.monitor.rates import Arithmetic, Rates, peak_memory


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_a_step_has_the_arithmetic_that_torch_counts(
    models: Callable[[str], Elucidator], sparse_settings: MoESettings, batch: Batch, kind: str
) -> None:
    model = models(kind)
    moe = sparse_settings if kind == "sparse" else None
    with FlopCounterMode(display=False) as counter:
        output = model(batch, 1.0)
    counted = counter.get_flop_counts()["Global"]
    products = sum(flops for op, flops in counted.items() if str(op) in ("aten.mm", "aten.addmm"))
    arithmetic = Arithmetic.of(model, moe)
    # Nine target tokens are predicted, those after the first of each molecule; there is no padding.
    step = arithmetic.of_step(9, 9, output.reports if moe else ())
    assert step == pytest.approx(3 * products, rel=0.01)


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
