"""Experts in the decoder. Axes: B samples, L target places, K beams."""

from typing import Any, cast

import pytest
import torch
from pydantic import ValidationError

from mmspec_ds.data.batch import Batch
from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings, ObjectiveSettings
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.moe.statistics import RoutingReport
from mmspec_ds.nn.beam import beam_search
from mmspec_ds.nn.packed_weights import packed
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.upcycling import upcycle

FOUR = tuple(
    ExpertSettings(family=family, width=width, modalities=("h_nmr",) if family == "modality" else ())
    for family, width in (("shared", 32), ("modality", 16), ("interaction", 48), ("shared", 16))
)


def sparse_model(workshop: Any, **settings: object) -> Elucidator:
    """Experts in both halves, with weights large enough for choices to differ."""
    torch.manual_seed(0)
    moe = MoESettings.model_validate({"experts": FOUR, "decoder": True, **settings})
    model = build_elucidator(workshop.settings, moe, workshop.schemas, workshop.vocabulary).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3.0 if weight.dim() > 1 else 1.0).add_(torch.randn_like(weight) * 0.1)
    return model


def targets(workshop: Any, samples: int, length: int) -> torch.Tensor:
    return torch.randint(3, workshop.vocabulary, (samples, length), generator=torch.Generator().manual_seed(0))


def test_steps_equal_the_whole_forward(workshop: Any) -> None:
    model = sparse_model(workshop, always_on=16, gate="sigmoid")
    encoded = model.encode(workshop.spectra(workshop.samples(3)))
    tokens_BL = targets(workshop, 3, 9)
    cache = model.decoder.start(encoded.hidden_BSD, encoded.mask_BS, beams=1, capacity=9)
    with torch.no_grad():
        whole_BLV = model.decoder(tokens_BL, encoded.hidden_BSD, encoded.mask_BS)
        for place in range(9):
            found = model.decoder.step(tokens_BL[:, place : place + 1], cache)
            torch.testing.assert_close(found[:, 0], whole_BLV[:, place], rtol=1e-4, atol=1e-5)


def test_a_token_changes_no_logits_before_it(workshop: Any) -> None:
    # Where the encoder's experts choose their tokens, the decoder's must not.
    model = sparse_model(workshop, choice="expert")
    encoded = model.encode(workshop.spectra(workshop.samples(2)))
    tokens_BL = targets(workshop, 2, 8)
    with torch.no_grad():
        before = model.decoder(tokens_BL, encoded.hidden_BSD, encoded.mask_BS)
        for place in range(1, 8):
            changed = tokens_BL.clone()
            changed[:, place] = (changed[:, place] - 2) % (workshop.vocabulary - 3) + 3
            after = model.decoder(changed, encoded.hidden_BSD, encoded.mask_BS)
            torch.testing.assert_close(after[:, :place], before[:, :place], rtol=1e-5, atol=1e-6)
            assert (after[:, place] - before[:, place]).abs().max().item() > 1e-3


def test_the_cached_search_finds_what_the_plain_one_finds(workshop: Any) -> None:
    model, spectra = sparse_model(workshop), workshop.spectra(workshop.samples(4))
    plain = beam_search(model, spectra, beam=4, n_best=4, cached=False)
    for other in (model, packed(model)):
        found = beam_search(other, spectra, beam=4, n_best=4)
        assert [[c.tokens for c in row] for row in found] == [[c.tokens for c in row] for row in plain]
        scores = [[c.score for row in rows for c in row] for rows in (found, plain)]
        assert scores[0] == pytest.approx(scores[1], abs=2e-5)


def test_target_tokens_are_routed_and_padding_is_not(workshop: Any) -> None:
    model = sparse_model(workshop)
    tokens_BL = targets(workshop, 2, 7)
    tokens_BL[1, 4:] = torch.tensor([2, 0, 0])
    batch = Batch(workshop.spectra(workshop.samples(2)), tokens_BL, torch.ones(2))
    output = model(batch)
    reports = cast(tuple[RoutingReport, ...], output.decoder_reports)
    assert [float(r.tokens_M.sum()) for r in reports] == [6 + 4] * 2
    assert [float(r.load_ME.sum()) for r in reports] == [2 * (6 + 4)] * 2
    assert [r.load_ME.shape for r in reports] == [(1, 4)] * 2
    assert all(report is not None for report in output.reports)


def test_a_decoder_of_whole_copies_writes_what_the_dense_one_writes(workshop: Any) -> None:
    dense = workshop.model(0)
    moe = MoESettings(experts=[ExpertSettings(family="shared", width=32)] * 2, k=2, decoder=True, always_on=16)
    sparse = upcycle(dense, moe, ObjectiveSettings(), seed=0)
    batch = Batch(workshop.spectra(workshop.samples(5)), targets(workshop, 5, 9), torch.ones(5))
    with torch.no_grad():
        found, expected = sparse(batch).logits_BLV, dense(batch).logits_BLV
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert isinstance(sparse.decoder.layers[0].feedforward, SparseFeedForward)


def test_the_decoder_has_the_same_widths_and_neither_modalities_nor_families() -> None:
    biased = {"selection_bias_rate": 0.1, "selection_bias_by": "modality"}
    assert MoESettings.model_validate({"decoder": True, **biased}).for_decoder().selection_bias_by == "all"
    of_decoder = MoESettings(experts=FOUR, decoder=True, choice="expert").for_decoder()
    assert [(e.family, e.width) for e in of_decoder.experts] == [("shared", w) for w in (32, 16, 48, 16)]
    assert of_decoder.choice == "token"
    assert not of_decoder.tag_routing
    assert not of_decoder.router_aware


def test_without_the_switch_a_decoder_is_as_it_was(workshop: Any) -> None:
    plain = build_elucidator(workshop.settings, MoESettings(experts=FOUR), workshop.schemas, 11)
    dense = build_elucidator(workshop.settings, None, workshop.schemas, 11)
    keys = [[k for k in model.state_dict() if k.startswith("decoder.")] for model in (plain, dense)]
    assert keys[0] == keys[1]


def test_a_decoder_with_a_capacity_is_refused() -> None:
    with pytest.raises(ValidationError, match="decoder is true, but mode is 'capacity'"):
        MoESettings(decoder=True, mode="capacity")
