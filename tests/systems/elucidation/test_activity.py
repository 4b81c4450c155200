"""Active parameters and FLOPs of a token against values worked out by hand and against a real model's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mmspec_ds.moe.routing_tables import RoutingTable
from mmspec_ds.nn.flops import BatchSize, Dimensions, flops_of_rows, pass_flops
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.activity import (
    attention_flops,
    count_routers,
    dense_activity,
    sparse_activity,
)
from mmspec_ds.systems.elucidation.dimensions import dimensions_of
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

SIZES = Dimensions(
    d_model=4,
    encoder_ffn_width=16,
    ffn_width=8,
    encoder_layers=2,
    decoder_layers=1,
    vocabulary=10,
    features={Modality.IR: 3},
    waves=5,
    widths=(16, 32),
    k=1,
)
CHOSEN_YE = np.array([[0.25, 0.75], [1.0, 0.0]])


def test_by_hand() -> None:
    # An expert of width 16 has 2 * 4 * 16 + 16 + 4 = 148 parameters, one of 32 has 292: 880 in two layers. Of
    # 1000 parameters 120 are outside, 20 of these in routers.
    found = sparse_activity(SIZES, 1000, 20, CHOSEN_YE, length=6)
    assert found.active == 120 + 0.25 * 148 + 0.75 * 292 + 148
    assert found.nominal == 120 + 2 * (148 + 292) / 2
    # Two networks share 1000 - 100 parameters: 450 = 9 F + 4.
    assert found.equal_width == pytest.approx(446 / 9)
    experts = 4 * 4 * (0.25 * 16 + 0.75 * 32 + 16)
    routers = 2 * 2 * 4 * 2
    attention = 2 * (4 * 2 * 4 * 4 + 2 * 2 * 6 * 4)
    assert found.feedforward_flops == experts + routers
    assert found.encoder_flops == experts + routers + attention
    equal = 2 * 4 * 4 * 446 / 9
    assert found.feedforward_share == pytest.approx((experts + routers) / equal)
    assert found.encoder_share == pytest.approx((experts + routers + attention) / (equal + attention))
    assert found.scalars()["active/encoder_share"] == found.encoder_share


def test_a_network_that_is_always_on_works_on_every_token() -> None:
    # A network of width 8 in each layer has 2 * 4 * 8 + 8 + 4 = 76 parameters: 152 more in all.
    found = sparse_activity(replace(SIZES, always_on=8), 1152, 20, CHOSEN_YE, length=6)
    without = sparse_activity(SIZES, 1000, 20, CHOSEN_YE, length=6)
    assert found.active == without.active + 152
    assert found.feedforward_flops == without.feedforward_flops + 2 * 4 * 4 * 8
    # Of 1152 parameters 100 are outside the feed-forward part.
    assert found.equal_width == pytest.approx(((1152 - 100) / 2 - 4) / 9)


def test_experts_of_a_decoder_count_for_the_parameters() -> None:
    with_decoder = np.concatenate([CHOSEN_YE, [[0.0, 1.0]]])
    found = sparse_activity(SIZES, 1440, 20, with_decoder, length=6)
    alone = sparse_activity(SIZES, 1000, 20, CHOSEN_YE, length=6)
    assert found.active == alone.active + 292
    assert found.encoder_flops == alone.encoder_flops


def test_dense_is_its_own_yardstick() -> None:
    found = dense_activity(replace(SIZES, widths=(), k=0), 500, length=6)
    assert found.active == found.nominal == found.parameters == 500
    assert found.feedforward_flops == 2 * 4 * 4 * 16
    assert (found.feedforward_share, found.encoder_share) == (1.0, 1.0)


def test_in_late_fusion_the_encoders_of_other_modalities_rest() -> None:
    from mmspec_ds.data.encoding import InputEncoding

    content = {
        "name": "run",
        "engine": "engine.json",
        "data": {"max_target_tokens": 20, "modalities": ["h_nmr", "c_nmr", "ir"]},
        "model": {"d_model": 16, "heads": 2, "encoder_layers": 2, "decoder_layers": 1, "ffn_width": 32},
        "training": {"steps": 1},
    }
    content["model"]["fusion"] = "late"  # type: ignore[index]
    run = ElucidationRun.model_validate(content)
    schemas = InputEncoding.from_settings(run.data).schemas
    model = build_elucidator(run.model, None, schemas, 20)
    total = sum(p.numel() for p in model.parameters())
    apart = sum(p.numel() for name, p in model.named_parameters() if ".by_modality." in name)
    found = dense_activity(dimensions_of(run, schemas, 20), total, 30, encoders=3)
    assert found.active == total - apart * 2 / 3
    assert found.encoder_flops == 2 * (8 * 16 * 16 + 4 * 10 * 16 + 4 * 16 * 32)


def test_the_encoder_of_a_batch_without_padding() -> None:
    """What one token takes is its share of a pass over samples of one length."""
    rows_YE = (CHOSEN_YE * 12).tolist()
    batch = BatchSize(samples=2, places=6, tokens={Modality.IR: 12}, targets=7)
    forward = pass_flops(SIZES, batch, rows_YE).forward
    found = sparse_activity(SIZES, 1000, 20, CHOSEN_YE, length=6)
    assert forward["attention"] == pytest.approx(12 * attention_flops(SIZES, 6))
    routers = 2 * 2 * 4 * 2
    assert forward["feed-forward"] == pytest.approx(12 * (found.feedforward_flops - routers))


def test_rows_of_experts_add_up() -> None:
    rows_YE = [[3.0, 5.0], [1.0, 7.0]]
    batch = BatchSize(samples=2, places=6, tokens={Modality.IR: 12}, targets=7)
    sum_E = torch.tensor(rows_YE, dtype=torch.float64).sum(0)
    whole = pass_flops(SIZES, batch, []).total + float(sum_E @ flops_of_rows(SIZES))
    assert whole == pass_flops(SIZES, batch, rows_YE).total
    assert len(flops_of_rows(replace(SIZES, widths=()))) == 0


def test_how_often_a_token_chooses_an_expert() -> None:
    load_YME = np.array([[[1.0, 3.0], [2.0, 2.0]]])
    nothing = np.zeros((1, 2))
    table = RoutingTable(load_YME, load_YME, nothing, np.array([[2.0, 2.0]]), nothing)
    assert table.chosen_YE.tolist() == [[0.75, 1.25]]


def test_a_dense_model_of_the_equal_width_has_as_many_parameters() -> None:
    """The width is rounded to a whole number: at most half a unit of each network is missing."""
    from mmspec_ds.data.encoding import InputEncoding

    content = {
        "name": "run",
        "engine": "engine.json",
        "data": {"max_target_tokens": 20},
        "model": {"d_model": 16, "heads": 2, "encoder_layers": 2, "decoder_layers": 1, "ffn_width": 32},
        "moe": {"k": 2, "experts": [{"family": "shared", "width": w} for w in (48, 16, 32)]},
        "training": {"steps": 1},
    }
    run = ElucidationRun.model_validate(content)
    schemas = InputEncoding.from_settings(run.data).schemas
    sparse = build_elucidator(run.model, run.moe, schemas, 20)
    total = sum(p.numel() for p in sparse.parameters())
    sizes = dimensions_of(run, schemas, 20)
    even_YE = np.full((2, 3), 2 / 3)
    found = sparse_activity(sizes, total, count_routers(sparse), even_YE, length=30)
    assert found.active == pytest.approx(found.nominal)
    model = run.model.model_copy(update={"encoder_ffn_width": round(found.equal_width)})
    dense = build_elucidator(model, None, schemas, 20)
    unit = 2 * 16 + 1
    assert abs(sum(p.numel() for p in dense.parameters()) - total) <= 2 * 0.5 * unit + 1
