"""FLOPs of our encoder against a counter that watches every product."""

from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.systems.retrieval.conftest import EXPERTS, make_task


@pytest.mark.parametrize("moe", [None, {"k": 2, "experts": EXPERTS}], ids=["dense", "sparse"])
def test_a_step_costs_what_its_products_cost(moe: Any) -> None:
    """Without the pooling, whose sums over the tokens are not counted, and the cosines' rows, which are."""
    task = make_task(moe=moe, model={"pooling": "mean"}, training={"batch_size": 12})
    batch = task.batch(0)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        loss = task.module(batch, 0.3)
        loss.total.backward()
    (part,) = batch.parts
    records, places = part.modality_BS.shape
    pooling = 3 * 2 * records * places * task.run.model.d_model
    assert float(task.flops(batch, loss)) + pooling == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_pieces_that_are_embedded_twice_cost_more() -> None:
    whole, pieces = (make_task(training={"batch_size": 12, "gradient_cache": size}) for size in (None, 12))
    flops = [float(task.flops(task.batch(0), task.module(task.batch(0), 0.0))) for task in (whole, pieces)]
    assert 1.2 < flops[1] / flops[0] < 1.34
    with torch.no_grad():
        assert pieces.model.flops(pieces.batch(0).parts[0]) == whole.model.flops(whole.batch(0).parts[0])
