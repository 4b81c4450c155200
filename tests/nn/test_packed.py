"""Packed layers against the layers that they are made of. Axes: T tokens, D model width."""

from typing import Any

import pytest
import torch
from torch import nn

from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings
from mmspec_ds.moe.experts import ExpertBank
from mmspec_ds.nn.beam import beam_search
from mmspec_ds.nn.feedforward import DenseFeedForward
from mmspec_ds.nn.packed_weights import PackedExperts, PackedLinear, packed
from mmspec_ds.systems.elucidation.factory import build_elucidator

WIDTHS = (48, 16, 32)

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this torch was built without oneDNN"
)


def experts(**settings: Any) -> MoESettings:
    return MoESettings(
        **settings, experts=tuple(ExpertSettings(family="shared", width=width) for width in WIDTHS), k=2
    )


def assert_within_rounding(found: torch.Tensor, exact: torch.Tensor) -> None:
    """Against float64: a sum of some tens of float32 products of size 1."""
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("rows", [(1,), (5,), (3, 7), (2, 0)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_linear_layer(rows: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(24, 40, bias=bias)
    hidden = torch.randn(*rows, 24)
    exact = linear.double()(hidden.double()).detach()
    linear.float()
    assert_within_rounding(PackedLinear(linear.weight, linear.bias)(hidden).detach(), exact)
    activated = PackedLinear(linear.weight, linear.bias, gelu=True)(hidden).detach()
    assert_within_rounding(activated, nn.functional.gelu(exact))


def test_packed_experts_mix_as_the_bank_does() -> None:
    torch.manual_seed(0)
    bank = ExpertBank(24, experts(), Placement()).requires_grad_(False)
    for weights in bank.weights():
        weights.b1.normal_(), weights.b2.normal_()
    hidden_TD = torch.randn(9, 24)
    index_TK = torch.tensor([[0, 2], [2, 0], [0, 2], [-1, -1], [2, -1], [0, 2], [2, 0], [0, -1], [0, 2]])
    weight_TK = torch.rand(9, 2) * (index_TK >= 0)
    exact, _ = bank.double().mix(hidden_TD.double(), index_TK, weight_TK.double())
    found, _ = PackedExperts(bank.float()).mix(hidden_TD, index_TK, weight_TK)
    assert_within_rounding(found, exact)
    assert torch.equal(found[3], torch.zeros(24))


@pytest.mark.parametrize(
    "moe",
    [None, experts(), experts(gate="sigmoid", always_on=32), experts(choice="expert")],
    ids=["dense", "sparse", "always on", "experts choose"],
)
def test_a_packed_model_finds_what_the_model_finds(workshop, moe: MoESettings | None) -> None:
    torch.manual_seed(0)
    sparse = moe is not None
    model = build_elucidator(workshop.settings, moe, workshop.schemas, workshop.vocabulary).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3.0 if weight.dim() > 1 else 1.0).add_(torch.randn_like(weight) * 0.1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    spectra = workshop.spectra(workshop.samples(5))
    replica = packed(model)
    kinds = {type(module).__name__ for module in replica.modules()}
    assert {"PackedLinear", "PackedFeedForward"} <= kinds
    assert "Linear" not in kinds
    assert ("PackedExperts" in kinds) == sparse
    expected, found = (beam_search(one, spectra, beam=4, n_best=4) for one in (model, replica))
    assert [[c.tokens for c in row] for row in found] == [[c.tokens for c in row] for row in expected]
    scores = [[c.score for row in rows for c in row] for rows in (found, expected)]
    assert scores[0] == pytest.approx(scores[1], abs=2e-5)
    assert len({row[0].tokens for row in found}) > 1
    assert not any(isinstance(module, PackedLinear) for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_what_cannot_be_packed_is_left_as_it_is(workshop) -> None:
    model = workshop.model()
    assert packed(model) is model  # float64
    assert packed(DenseFeedForward(8, 16).bfloat16()).widen.weight.dtype == torch.bfloat16
