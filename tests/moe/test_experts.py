"""The order of experts, and how they are drawn."""

import math
from collections import Counter

import pytest
import torch

from mmspec_ds.moe.expert_settings import ExpertSettings, paper_experts
from mmspec_ds.moe.experts import draw_expert, physical_order


def of_widths(*widths: int) -> tuple[ExpertSettings, ...]:
    """Experts that can be told apart: expert i serves a modality named i."""
    return tuple(
        ExpertSettings(family="modality", width=width, modalities=(str(i),)) for i, width in enumerate(widths)
    )


def test_the_papers_eight_stand_as_heavy_and_light_pairs_of_one_family() -> None:
    order = physical_order(paper_experts())
    assert [e.width for e in order] == [2048, 512] * 4
    families = [(e.family, e.modalities) for e in order]
    nmr, rest = ("modality", ("h_nmr", "c_nmr")), ("modality", ("ir", "ms"))
    shared, interaction = ("shared", ()), ("interaction", ())
    assert families == [shared, shared, nmr, nmr, rest, rest, interaction, interaction]


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_every_rank_holds_the_same_sum_of_widths(ranks: int) -> None:
    widths = [e.width for e in physical_order(paper_experts())]
    share = len(widths) // ranks
    assert {sum(widths[r * share : (r + 1) * share]) for r in range(ranks)} == {2560 * 4 // ranks}


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ((64, 64, 64, 64), (64, 64, 64, 64)),
        ((64, 64, 64, 16), (64, 16, 64, 64)),
        ((64, 16, 16, 16), (64, 16, 16, 16)),
        ((16, 32, 48, 64), (64, 16, 48, 32)),
        ((16, 48, 64), (64, 16, 48)),
        ((32,), (32,)),
        ((64, 48, 32, 32, 32, 16), (64, 16, 48, 32, 32, 32)),
    ],
    ids=str,
)
def test_widest_pairs_with_narrowest_and_nobody_is_lost(
    widths: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    experts = of_widths(*widths)
    order = physical_order(experts)
    assert tuple(e.width for e in order) == expected
    assert Counter(e.modalities for e in order) == Counter(e.modalities for e in experts)


def test_equal_widths_keep_every_family() -> None:
    order = physical_order(paper_experts(512, 512))
    assert Counter(e.family for e in order) == {"shared": 2, "modality": 4, "interaction": 2}


@pytest.mark.parametrize(("d_model", "width"), [(256, 1024), (256, 128)])
def test_initial_weights_are_glorot_uniform(d_model: int, width: int) -> None:
    torch.manual_seed(0)
    expert = draw_expert(d_model, width)
    bound = math.sqrt(6 / (d_model + width))
    for matrix, shape in ((expert.w1, (d_model, width)), (expert.w2, (width, d_model))):
        assert matrix.shape == shape
        assert matrix.abs().max() <= bound
        assert matrix.abs().max() > 0.99 * bound
        assert matrix.var().item() == pytest.approx(bound**2 / 3, rel=0.02)
    assert torch.count_nonzero(expert.b1) == torch.count_nonzero(expert.b2) == 0
