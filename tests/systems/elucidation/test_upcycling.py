"""A sparse model made of a dense one: what is copied, and how far its first outputs are from the dense ones."""

import math
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from mmspec_ds.data.batch import Batch
from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings, ObjectiveSettings
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.nn.encoder import EncoderLayer
from mmspec_ds.nn.feedforward import DenseFeedForward
from mmspec_ds.systems.elucidation.upcycling import (
    LOGIT_STD,
    deviation_bound,
    fill_layer,
    largest_scale,
    strongest_units,
    taken_units,
    upcycle,
)

D, WIDTH, MODALITIES = 24, 64, ("a", "b", "c")
MIXED = (64, 16, 64, 32, 64, 16, 64, 32)
SHAPE = (6, 20)

VARIANTS: dict[str, dict[str, Any]] = {
    "as drawn": {},
    "renormalised": {"renormalise": True},
    "k 1": {"k": 1},
    "k 8": {"k": 8},
    "narrow only": {"widths": (16, 16, 32, 16)},
    "wide only": {"widths": (64, 64, 64)},
    "wider": {"widths": (96, 16, 128, 32)},
    "dynamic": {"dynamic_share": 0.98},
    "capacity": {"mode": "capacity", "capacity_factor": 0.6},
    "selection bias": {"selection_bias_rate": 0.1, "bias": 0.01},
    "sigmoid": {"gate": "sigmoid"},
    "sigmoid, renormalised": {"gate": "sigmoid", "renormalise": True, "router": 40.0},
    "experts choose": {"choice": "expert"},
    "always on": {"always_on": 32},
    "large logits": {"router": 40.0},
    "large logits, renormalised": {"router": 40.0, "renormalise": True},
}


def moe_settings(widths: tuple[int, ...] = MIXED, k: int = 2, **settings: Any) -> MoESettings:
    experts = tuple(ExpertSettings(family="shared", width=width) for width in widths)
    return MoESettings(experts=experts, k=k, **settings)


def dense_network(seed: int, spread: float) -> DenseFeedForward:
    """A network in float64 with biases, whose units' norms are log-normal with this standard deviation."""
    torch.manual_seed(seed)
    ffn = DenseFeedForward(D, WIDTH).double()
    with torch.no_grad():
        factor_F = (spread * torch.randn(WIDTH)).exp()
        ffn.widen.weight.mul_(factor_F[:, None])
        ffn.narrow.weight.mul_(factor_F)
        ffn.widen.bias.normal_(std=0.3)
        ffn.narrow.bias.normal_(std=0.3)
    return ffn


def sparse_layer(
    ffn: DenseFeedForward, router: float = 1.0, bias: float = 0.0, **settings: Any
) -> SparseFeedForward:
    """The layer made of the network, with the router's weights multiplied by a number."""
    torch.manual_seed(7)
    layer = SparseFeedForward(ffn.widen.in_features, moe_settings(**settings), MODALITIES).double()
    fill_layer(ffn, layer)
    with torch.no_grad():
        gate = layer.deepspeed_moe.gate
        gate.wg.weight.mul_(router)
        gate.selection_bias.copy_(bias * torch.randn(gate.selection_bias.shape))
    return layer.eval()


def inputs(trained: bool) -> tuple[Tensor, Tensor]:
    """Hidden states and modalities, the last places of a sample padding. Random ones are normal; trained ones
    have a common direction, few large directions and the gain and bias of a normalisation."""
    source = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    hidden = draw(*SHAPE, D)
    if trained:
        hidden = draw(*SHAPE, 4) @ draw(4, D) * 2 + hidden * 0.3 + 2 * draw(D)
        hidden = nn.functional.layer_norm(hidden, (D,)) * (0.4 * draw(D)).exp() + 0.5 * draw(D)
    modality = torch.randint(0, 3, SHAPE, generator=source)
    modality[:, -3:] = -1
    return hidden, modality


def deviation(ffn: DenseFeedForward, layer: SparseFeedForward, hidden: Tensor, modality: Tensor) -> Tensor:
    """||sparse - dense|| of every token, 0 at padding."""
    with torch.no_grad():
        return (layer(hidden, modality, 1.0)[0] - ffn(hidden)[0]).norm(dim=-1) * (modality >= 0)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize(("trained", "spread"), [(False, 0.0), (True, 0.5)], ids=["random", "trained"])
def test_no_token_is_farther_off_than_the_bound(variant: str, trained: bool, spread: float) -> None:
    ffn = dense_network(0, spread)
    layer = sparse_layer(ffn, **VARIANTS[variant])
    hidden, modality = inputs(trained)
    found = deviation(ffn, layer, hidden, modality)
    bound = deviation_bound(ffn, layer, hidden, modality, 1.0)
    # The router works in float32: its weights' sum, and so the bound, is known to some 1e-7 of the output.
    assert (found <= bound + 1e-6 * ffn(hidden)[0].norm(dim=-1)).all()
    assert (bound[modality < 0] == 0).all()


@pytest.mark.parametrize(("trained", "spread"), [(False, 0.0), (True, 0.5)], ids=["random", "trained"])
def test_the_bound_is_within_three_times_of_what_is_found(trained: bool, spread: float) -> None:
    ffn = dense_network(0, spread)
    layer = sparse_layer(ffn)
    hidden, modality = inputs(trained)
    used = modality >= 0
    found = deviation(ffn, layer, hidden, modality)[used]
    bound = deviation_bound(ffn, layer, hidden, modality, 1.0)[used]
    assert 1.0 < float(bound.mean() / found.mean()) < 3.0
    assert float((bound / found).max()) < 8.0


def test_the_bound_is_the_deviation_where_only_the_scale_differs() -> None:
    ffn = dense_network(0, 0.5)
    layer = sparse_layer(ffn, widths=(WIDTH,) * 4, router=20.0)
    hidden, modality = inputs(trained=True)
    found = deviation(ffn, layer, hidden, modality)
    bound = deviation_bound(ffn, layer, hidden, modality, 1.0)
    assert float(found.max()) > 0.1
    torch.testing.assert_close(found, bound, rtol=0, atol=1e-5)


@pytest.mark.parametrize("settings", [{"k": 4}, {"k": 2, "renormalise": True}, {"k": 1, "renormalise": True}])
@pytest.mark.parametrize("router", [1.0, 40.0])
def test_copies_of_the_whole_network_are_the_network(settings: dict[str, Any], router: float) -> None:
    ffn = dense_network(0, 0.5)
    layer = sparse_layer(ffn, widths=(WIDTH, WIDTH + 32, WIDTH, WIDTH), router=router, **settings)
    hidden, modality = inputs(trained=True)
    found = deviation(ffn, layer, hidden, modality)
    assert (found <= 1e-6 * ffn(hidden)[0].norm(dim=-1)).all()


def test_a_layer_worked_out_by_hand() -> None:
    # One feature; one unit of norm 0.5, sixteen of norm 6, fifteen of 0. The narrow expert holds the sixteen.
    ffn = DenseFeedForward(1, 32).double()
    with torch.no_grad():
        for parameter in ffn.parameters():
            parameter.zero_()
        ffn.widen.weight[:17, 0] = torch.tensor([0.5, *[2.0] * 16])
        ffn.narrow.weight[0, :17] = torch.tensor([1.0, *[3.0] * 16])
        ffn.narrow.bias.fill_(0.25)
    layer = SparseFeedForward(1, moe_settings((32, 16), k=1), MODALITIES).double()
    fill_layer(ffn, layer)
    gate = layer.deepspeed_moe.gate
    assert gate.tag is not None
    with torch.no_grad():
        gate.tag.zero_()
        gate.wg.weight[:, 0] = torch.tensor([0.0, math.log(3.0)])  # to the narrow one with probability 3/4
    hidden, modality = torch.ones(1, 1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.int64)

    def gelu(x: float) -> float:
        return x * 0.5 * (1 + math.erf(x / math.sqrt(2)))

    strong, weak = 16 * 3 * gelu(2.0) + 0.25, gelu(0.5)
    scale = 2 / 1 * 3 / 4
    assert layer(hidden, modality, 1.0)[0].item() == pytest.approx(scale * strong, rel=1e-6)
    bound = float(deviation_bound(ffn, layer, hidden, modality, 1.0))
    assert bound == pytest.approx((scale - 1) * (strong + weak) + scale * weak, rel=1e-6)


def test_the_units_of_largest_norm_are_taken_in_their_order() -> None:
    ffn = DenseFeedForward(2, 4)
    with torch.no_grad():
        ffn.widen.weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 1.0], [2.0, 0.0], [1.0, 0.0]]))
        ffn.narrow.weight.copy_(torch.tensor([[0.0, 2.0, 1.0, 0.0], [0.5, 0.0, 0.0, 9.0]]))
    # 5 * 0.5, 1 * 2, 2 * 1, 1 * 9
    assert strongest_units(ffn, 2).tolist() == [0, 3]
    assert strongest_units(ffn, 3).tolist() == [0, 1, 3]
    assert strongest_units(ffn, 9).tolist() == [0, 1, 2, 3]


def test_units_beyond_the_dense_ones_are_silent_but_can_learn() -> None:
    ffn = dense_network(0, 0.0)
    layer = sparse_layer(ffn, widths=(WIDTH + 16,), k=1)
    hidden, modality = inputs(trained=False)
    (layer(hidden, modality, 1.0)[0]).square().sum().backward()
    w2 = layer.deepspeed_moe.experts.w2
    assert w2[WIDTH:].abs().max() == 0
    assert w2.grad is not None
    assert (w2.grad[WIDTH:].norm(dim=1) > 1e-3).all()


def test_the_sum_of_weights_is_within_the_spread_of_the_logits() -> None:
    torch.manual_seed(0)
    for spread in (0.01, 0.1, 1.0):
        logits = torch.rand(2000, 8, dtype=torch.float64) * spread
        g = 8 / 2 * logits.softmax(1).topk(2).values.sum(1)
        assert (g >= 1).all()
        assert (g <= largest_scale(spread, 8, 2)).all()
    extreme = torch.tensor([0.5, 0.5, 0, 0, 0, 0, 0, 0]).softmax(0)
    assert float(4 * extreme[:2].sum()) == pytest.approx(largest_scale(0.5, 8, 2))


@pytest.fixture
def dense(workshop: Any) -> Any:
    """A dense model of two encoder layers of 32 units, in float64."""
    return workshop.model(0)


@pytest.fixture
def batch(workshop: Any) -> Batch:
    """Eight samples with targets."""
    spectra = workshop.spectra(workshop.samples(8), padding=2)
    target = torch.randint(4, workshop.vocabulary, (8, 9), generator=torch.Generator().manual_seed(0))
    return Batch(spectra=spectra, target_BL=target, weight_B=torch.ones(8))


OBJECTIVE = ObjectiveSettings(temperature=1.5)


def test_what_is_no_feed_forward_network_is_copied(dense: Any) -> None:
    sparse = upcycle(dense, moe_settings((32, 16)), OBJECTIVE, seed=0)
    old, new = dense.state_dict(), sparse.state_dict()
    rest = [key for key in new if ".deepspeed_moe." not in key and key != "router_temperature"]
    assert len(rest) == len(old) - 4 * 2
    assert all(torch.equal(new[key], old[key]) for key in rest)
    assert sparse.temperature == 1.5


def test_the_seed_draws_the_router_and_nothing_else(dense: Any) -> None:
    moe = moe_settings((32, 16))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (upcycle(dense, moe, OBJECTIVE, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)  # the caller's own draws are not disturbed
    assert all(torch.equal(first[key], again[key]) for key in first)
    differing = {key.split("deepspeed_moe.")[-1] for key in first if not torch.equal(first[key], other[key])}
    assert differing == {"gate.wg.weight", "gate.tag"}


def test_a_fresh_router_has_small_logits() -> None:
    ffn = DenseFeedForward(256, 32)
    layer = SparseFeedForward(256, moe_settings((32,) * 8), MODALITIES)
    torch.manual_seed(0)
    fill_layer(ffn, layer)
    logits = torch.randn(4000, 256) @ layer.deepspeed_moe.gate.wg.weight.detach().T
    assert float(logits.std()) == pytest.approx(LOGIT_STD, rel=0.1)


def test_a_model_of_whole_copies_writes_what_the_dense_one_writes(dense: Any, batch: Batch) -> None:
    sparse = upcycle(dense, moe_settings((32, 32), k=2), OBJECTIVE, seed=0)
    with torch.no_grad():
        expected, found = dense(batch).logits_BLV, sparse(batch).logits_BLV
    # The router's probabilities are float32.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))


def test_the_residual_stream_after_the_first_layer_is_within_the_bound(dense: Any, batch: Batch) -> None:
    sparse = upcycle(dense, moe_settings((32, 16), k=1), OBJECTIVE, seed=0)
    seen: dict[str, Tensor] = {}
    for name, model in (("dense", dense), ("sparse", sparse)):
        first = cast(EncoderLayer, model.encoder.layers[0])
        first.register_forward_hook(lambda _, i, out, name=name: seen.update({name: out[0]}))
    first.feedforward.register_forward_pre_hook(lambda _, i: seen.update(hidden=i[0]))
    with torch.no_grad():
        dense(batch), sparse(batch)
    ffn = cast(EncoderLayer, dense.encoder.layers[0]).feedforward
    layer, spectra = cast(SparseFeedForward, first.feedforward), batch.spectra
    bound = deviation_bound(
        cast(DenseFeedForward, ffn), layer, seen["hidden"], spectra.modality_BS, OBJECTIVE.temperature
    )[spectra.mask_BS]
    off = (seen["sparse"] - seen["dense"]).norm(dim=-1)[spectra.mask_BS]
    assert float(off.max()) > 0.01
    assert (off <= bound * (1 + 1e-6)).all()


def test_a_model_with_experts_is_refused(dense: Any) -> None:
    sparse = upcycle(dense, moe_settings((32, 16)), OBJECTIVE, seed=0)
    with pytest.raises(ValueError, match="experts already"):
        upcycle(sparse, moe_settings((32, 16)), OBJECTIVE, seed=0)


def test_what_is_taken_is_told_for_every_layer_and_width(dense: Any) -> None:
    taken = taken_units(dense, moe_settings((16, 32, 48, 16)))
    assert [(t.layer, t.width, t.units) for t in taken] == [
        (layer, width, min(width, 32)) for layer in (0, 1) for width in (48, 32, 16)
    ]
    assert all(t.share == pytest.approx(1.0) for t in taken if t.width >= 32)
    assert all(0.5 < t.share < 0.9 for t in taken if t.width == 16)
