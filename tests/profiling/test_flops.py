"""The analytic counter of floating-point operations against torch's, which watches the operations of a real
pass, and against values worked out by hand.

torch's counter knows no formula for the fused attention of a CPU and would see nothing there, so that the
passes run with attention as plain products (SDPBackend.MATH); experts run on the reference path, one product
after the other.
"""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.moe.deepspeed_layer import DeepSpeedSparseFeedForward
from mmspec_ds.moe.expert_settings import MoESettings
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.moe.statistics import RoutingReport, to_vector
from mmspec_ds.nn.flops import (
    BatchSize,
    Dimensions,
    PassFlops,
    computed_rows,
    even_rows,
    expert_flops,
    pass_flops,
)
from mmspec_ds.profiling.activations import generated_batch
from mmspec_ds.profiling.tokens import Load
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.dimensions import dimensions_in_training
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.model import sequence_loss
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

VOCABULARY = 37
LOAD = Load(3, 40, 100, 12)


def watched(run: ElucidationRun, sparse_class: type[SparseFeedForward]) -> tuple[Any, ...]:
    """What torch counts in a forward and a backward pass, the batch's size, and each layer's rows."""
    schemas = InputEncoding.from_settings(run.data).schemas
    torch.manual_seed(0)
    model = build_elucidator(
        run.model, run.moe, schemas, VOCABULARY, structure_margin=1.0, sparse_class=sparse_class,
        activation_checkpointing=run.training.activation_checkpointing,
    ).train()  # fmt: skip
    shares = {m: 1.0 + m for m in schemas}
    batch = generated_batch(LOAD, schemas, VOCABULARY, shares)
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as forward:
            output = model(batch, 1.0)
            total, count = sequence_loss(output.logits_BLV, batch.target_BL, batch.weight_B)
            reports, decoder_reports = list(output.reports), output.decoder_reports
            loss = total / count
            if run.objective.interactions:
                again = model.encode(batch.spectra, 1.0)
                reports, loss = [*reports, *again.reports], loss + again.hidden_BSD.square().sum()
            every = [r for r in (*reports, *decoder_reports) if isinstance(r, RoutingReport)]
            loss = loss + sum((to_vector(r).sum() for r in every), start=torch.zeros(()))
        with FlopCounterMode(display=False) as backward:
            loss.backward()
    rows = [
        [r.load_ME.sum(0).tolist() for r in one if isinstance(r, RoutingReport)]
        for one in (reports, decoder_reports)
    ]
    size = BatchSize.of(batch, late=run.model.fusion == "late")
    return forward.get_total_flops(), backward.get_total_flops(), size, rows


def counted(run: ElucidationRun, size: BatchSize, rows: list[list[list[float]]]) -> PassFlops:
    schemas = InputEncoding.from_settings(run.data).schemas
    return pass_flops(dimensions_in_training(run, schemas, VOCABULARY), size, *rows)


@pytest.mark.parametrize(
    ("overrides", "sparse_class"),
    [
        (("moe=null",), SparseFeedForward),
        ((), SparseFeedForward),
        ((), DeepSpeedSparseFeedForward),
        (("moe.k=3",), SparseFeedForward),
        (("moe.tag_routing=false", "moe.router_aware=false"), SparseFeedForward),
        (("moe.dynamic_share=0.9",), SparseFeedForward),
        (("moe.gate=sigmoid", "moe.always_on=48"), DeepSpeedSparseFeedForward),
        (("moe.choice=expert",), SparseFeedForward),
        (("moe.decoder=true",), SparseFeedForward),
        (("moe.decoder=true", "moe.always_on=32"), SparseFeedForward),
        (("objective.interactions=0.1",), SparseFeedForward),
        (("training.activation_checkpointing=true",), DeepSpeedSparseFeedForward),
        (("moe=null", "training.activation_checkpointing=true"), SparseFeedForward),
        (("moe=null", "model.fusion=late", "model.encoder_ffn_width=48"), SparseFeedForward),
        (("model.embedding=axis", "model.patch=6", "data.formula=true"), SparseFeedForward),
        (("moe=null", "model.embedding=axis", "data.modalities=[c_nmr,hsqc,ei]"), SparseFeedForward),
    ],
    ids=[
        "dense",
        "sparse",
        "DeepSpeed's",
        "k 3",
        "no prior",
        "dynamic",
        "always on",
        "experts choose",
        "decoder",
        "decoder, always on",
        "interactions",
        "checkpointed",
        "dense checkpointed",
        "late",
        "axis",
        "axis, two coordinates",
    ],
)
def test_as_torch_counts(
    make_run: Any, overrides: tuple[str, ...], sparse_class: type[SparseFeedForward]
) -> None:
    run = make_run(*overrides)
    forward, backward, size, rows = watched(run, sparse_class)
    ours = counted(run, size, rows)
    # The gradient of the weight with which a row is summed is a scalar product, which torch does not count.
    of_weights = 2 * run.model.d_model * sum(sum(map(sum, one)) for one in rows)
    assert ours.total_forward == pytest.approx(forward, rel=1e-12)
    assert ours.total_backward == pytest.approx(backward + of_weights, rel=1e-12)


SIZES = Dimensions(
    d_model=4,
    encoder_ffn_width=16,
    ffn_width=8,
    encoder_layers=2,
    decoder_layers=1,
    vocabulary=10,
    features={Modality.IR: 3},
    waves=5,
)
SIZE = BatchSize(samples=2, places=3, tokens={Modality.IR: 5}, targets=7)


def test_dense_by_hand() -> None:
    flops = pass_flops(SIZES, SIZE)
    assert flops.forward == {
        "embedding": 2 * 5 * 3 * 4 + 2 * 5 * 4,
        "attention": 2 * (6 * (2 * 4 * 12 + 2 * 4 * 4) + 2 * 2 * 2 * 3 * 3 * 4),
        "feed-forward": 2 * 6 * 2 * 2 * 4 * 16,
        "routing": 0,
        # 14 target places: fused projection, two outputs, query, scores and mixing twice, feed-forward; and the
        # keys and values of 6 places.
        "decoder": 14 * (2 * 4 * 12 + 3 * 2 * 4 * 4 + 2 * 2 * 4 * (7 + 3) + 2 * 2 * 4 * 8) + 6 * 2 * 4 * 8,
        "head": 14 * 2 * 10 * 4,
    }
    doubled = {part: 2 * value for part, value in flops.forward.items()}
    assert flops.backward == {**doubled, "embedding": flops.forward["embedding"]}
    assert flops.total == flops.total_forward + flops.total_backward


def test_experts_by_hand() -> None:
    sparse = replace(SIZES, widths=(16, 32), k=2)
    flops = expert_flops(sparse, [[3, 0], [1, 2]])
    products = 2 * 2 * 4 * (4 * 16 + 2 * 32)
    assert flops.forward["feed-forward"] == products
    assert flops.backward["feed-forward"] == 2 * products
    assert flops.backward["routing"] == 2 * 4 * 6
    assert flops.total == 3 * products + 2 * 4 * 6
    again = expert_flops(replace(sparse, checkpointing=True), [[3, 0], [1, 2]])
    assert again.backward["feed-forward"] == 3 * products


def test_without_loads_the_experts_have_even_shares() -> None:
    sparse = replace(SIZES, widths=(16, 32), k=1)
    assert even_rows(sparse, SIZE) == [[2.5, 2.5], [2.5, 2.5]]
    assert pass_flops(sparse, SIZE) == pass_flops(sparse, SIZE, [[2.5, 2.5], [2.5, 2.5]])
    assert even_rows(SIZES, SIZE) == [[], []]


def test_what_capacity_drops_is_not_computed() -> None:
    nothing = torch.zeros(())
    report = RoutingReport(
        importance_ME=torch.zeros(2, 2),
        load_ME=torch.tensor([[3.0, 0.0], [4.0, 3.0]]),
        dropped_M=torch.zeros(2),
        tokens_M=torch.tensor([2.0, 3.0]),
        entropy_M=torch.zeros(2),
        **dict.fromkeys(("z", "agreement", "agreement_count", "separation", "separation_count"), nothing),
    )
    experts = [{"family": "shared", "width": 16}] * 2
    free = MoESettings.model_validate({"experts": experts, "k": 2})
    bounded = free.model_copy(update={"mode": "capacity", "capacity_factor": 1.25})
    assert computed_rows(report, free).tolist() == [7, 3]
    assert computed_rows(report, bounded).tolist() == [7, 3]  # ceil(1.25 * 2 * 5 / 2) = 7
    tight = bounded.model_copy(update={"capacity_factor": 1.0})
    assert computed_rows(report, tight).tolist() == [5, 3]


def test_a_decoder_and_a_second_pass_without_loads_by_hand() -> None:
    sparse = replace(SIZES, widths=(16, 32), k=1)
    plain, both = pass_flops(sparse, SIZE), pass_flops(replace(sparse, decoder_experts=True), SIZE)
    # 14 target places, one decoder layer: its dense network of 8 goes; 7 places for each expert, a router and
    # sums of one modality (twice two experts, entropy and drops) come.
    assert both.forward["decoder"] - plain.forward["decoder"] == (
        -14 * 4 * 4 * 8 + 7 * 4 * 4 * (16 + 32) + 2 * 14 * 4 * 2 + 2 * 14 * 6
    )
    twice = pass_flops(replace(sparse, encoder_passes=2), SIZE)
    for part in ("embedding", "attention", "feed-forward", "routing"):
        assert twice.forward[part] == 2 * plain.forward[part]
    assert twice.forward["decoder"] == plain.forward["decoder"]
