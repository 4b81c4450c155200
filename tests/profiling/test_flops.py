"""The analytic counter of floating-point operations against torch's, which watches the operations of a real
pass, and against values worked out by hand.

torch's counter knows no formula for the fused attention of a CPU and would see nothing there, so that the
passes run with attention as plain products (SDPBackend.MATH); experts run on the reference path, one product
after the other.
"""

from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmspec_ds.config import RunConfig
from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.models.elucidator import sequence_loss
from mmspec_ds.models.factory import build_elucidator
from mmspec_ds.moe.deepspeed_layer import DeepSpeedSparseFeedForward
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.moe.statistics import RoutingReport, to_vector
from mmspec_ds.profiling.activations import Load, made_up_batch
from mmspec_ds.profiling.flops import BatchSize, Dimensions, PassFlops, pass_flops

VOCABULARY = 37
LOADS = (Load(3, 40, 100, 12), Load(2, 9, 18, 30))


def watched(run: RunConfig, load: Load, sparse_class: type[SparseFeedForward]) -> tuple[Any, ...]:
    """What torch counts in a forward and a backward pass, the batch's size, and each layer's rows."""
    schemas = InputEncoding.from_settings(run.data).schemas
    torch.manual_seed(0)
    model = build_elucidator(
        run.model, run.moe, schemas, VOCABULARY, structure_margin=1.0, sparse_class=sparse_class,
        activation_checkpointing=run.training.activation_checkpointing,
    ).train()  # fmt: skip
    shares = {m: 1.0 + m for m in schemas}
    batch = made_up_batch(load, schemas, VOCABULARY, shares)
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as forward:
            output = model(batch, 1.0)
            total, count = sequence_loss(output.logits_BLV, batch.target_BL, batch.weight_B)
            sums = [to_vector(r).sum() for r in output.reports if isinstance(r, RoutingReport)]
            loss = total / count + sum(sums, start=torch.zeros(()))
        with FlopCounterMode(display=False) as backward:
            loss.backward()
    rows = [r.load_ME.sum(0).tolist() for r in output.reports if isinstance(r, RoutingReport)]
    return forward.get_total_flops(), backward.get_total_flops(), BatchSize.of(batch), rows


def counted(run: RunConfig, size: BatchSize, rows: list[list[float]]) -> PassFlops:
    schemas = InputEncoding.from_settings(run.data).schemas
    return pass_flops(Dimensions.of(run, schemas, VOCABULARY), size, rows)


@pytest.mark.parametrize("load", LOADS, ids=["long spectra", "long targets"])
@pytest.mark.parametrize(
    ("overrides", "sparse_class"),
    [
        (("moe=null",), SparseFeedForward),
        ((), SparseFeedForward),
        ((), DeepSpeedSparseFeedForward),
        (("moe.k=3",), SparseFeedForward),
        (("moe.tag_routing=false", "moe.router_aware=false"), SparseFeedForward),
        (("moe.dynamic_share=0.9",), SparseFeedForward),
        (("training.activation_checkpointing=true",), DeepSpeedSparseFeedForward),
        (("moe=null", "training.activation_checkpointing=true"), SparseFeedForward),
    ],
    ids=["dense", "sparse", "DeepSpeed's", "k 3", "no prior", "dynamic", "checkpointed", "dense checkpointed"],
)
def test_as_torch_counts(
    make_run: Any, overrides: tuple[str, ...], sparse_class: type[SparseFeedForward], load: Load
) -> None:
    run = make_run(*overrides)
    forward, backward, size, rows = watched(run, load, sparse_class)
    ours = counted(run, size, rows)
    print(ours.total_forward / forward, ours.total_backward / backward)
    assert ours.total_forward == pytest.approx(forward, rel=0.01)
    assert ours.total_backward == pytest.approx(backward, rel=0.01)
