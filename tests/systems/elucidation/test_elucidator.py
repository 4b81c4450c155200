"""Axes: B samples, L target places, V vocabulary."""

import math

import pytest
import torch

from mmspec_ds.data.batch import Batch
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import DiscreteField, TokenSchema
from mmspec_ds.systems.elucidation.model import Elucidator, dense_feedforward, sequence_loss


def batch_of(workshop, number: int, vocabulary: int, length: int = 9) -> Batch:
    """Samples with random targets."""
    source = torch.Generator().manual_seed(number)
    target_BL = torch.randint(4, vocabulary, (number, length), generator=source)
    target_BL[:, 0], target_BL[:, -1] = 1, 2
    return Batch(workshop.spectra(workshop.samples(number)), target_BL, torch.ones(number))


@pytest.mark.parametrize(("width", "excess"), [(128, 0.08), (512, 0.2)])
def test_the_first_loss_is_that_of_guessing(workshop, width: int, excess: float) -> None:
    torch.manual_seed(0)
    settings = ModelSettings(d_model=width, encoder_layers=2, decoder_layers=2, ffn_width=4 * width)
    model, batch = Elucidator(settings, workshop.schemas, 60), batch_of(workshop, 32, 60)
    loss, tokens = sequence_loss(model(batch).logits_BLV, batch.target_BL, batch.weight_B)
    # Logits with variance 0.02^2 D cost half of it on average: 0.03 nats for 128, 0.10 for 512.
    assert 0.0 < loss.item() / tokens.item() - math.log(60) < excess


def test_every_parameter_gets_a_gradient(workshop) -> None:
    torch.manual_seed(0)
    model, batch = Elucidator(workshop.settings, workshop.schemas, 11), batch_of(workshop, 6, 11)
    loss, _ = sequence_loss(model(batch).logits_BLV, batch.target_BL, batch.weight_B)
    loss.backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().max().item() > 0]
    assert still == []


def test_the_papers_size_by_the_formula() -> None:
    d, f, layers, vocabulary, rows, places = 512, 2048, 6, 100, 50, 160
    schemas = {Modality.C_NMR: TokenSchema((DiscreteField("shift", rows - 1),))}
    with torch.device("meta"):
        model = Elucidator(ModelSettings(), schemas, vocabulary)
    norm, attention, feedforward = 2 * d, 4 * d * d + 4 * d, 2 * d * f + f + d
    encoder = layers * (attention + feedforward + 2 * norm) + norm
    decoder = layers * (2 * attention + feedforward + 3 * norm) + norm
    assert encoder == 18_915_328
    assert decoder == 25_225_216
    expected = encoder + decoder + (vocabulary + rows + places) * d
    assert sum(p.numel() for p in model.parameters()) == expected


def test_evaluation_is_deterministic_and_training_is_not(workshop) -> None:
    model = workshop.model(dropout=0.5)
    batch = batch_of(workshop, 3, 11)
    assert torch.equal(model(batch).logits_BLV, model(batch).logits_BLV)
    model.train()
    assert not torch.equal(model(batch).logits_BLV, model(batch).logits_BLV)


def test_logits_of_a_sample_do_not_depend_on_the_batch(workshop) -> None:
    model, batch = workshop.model(), batch_of(workshop, 4, 11)
    together = model(batch).logits_BLV
    for row, sample in enumerate(workshop.samples(4)):
        single = Batch(workshop.spectra([sample]), batch.target_BL[row : row + 1], torch.ones(1))
        torch.testing.assert_close(model(single).logits_BLV[0], together[row], rtol=1e-11, atol=1e-11)


def test_the_temperature_of_the_model_is_used_where_none_is_given(workshop) -> None:
    networks = dense_feedforward(workshop.settings)
    model = Elucidator(workshop.settings, workshop.schemas, 11, networks).double()
    batch = batch_of(workshop, 2, 11)
    seen: list[float] = []
    model.encoder.layers[0].feedforward.register_forward_hook(lambda _, inputs, __: seen.append(inputs[2]))
    model.keep_temperature(0.3)
    model(batch)
    model(batch, 0.7)
    model.encode(batch.spectra)
    assert seen == [0.3, 0.7, 0.3]


def test_the_temperature_is_saved_with_a_model_that_has_routers_alone(workshop) -> None:
    networks = dense_feedforward(workshop.settings)
    routed = Elucidator(workshop.settings, workshop.schemas, 11, networks)
    routed.keep_temperature(1.75)
    dense = Elucidator(workshop.settings, workshop.schemas, 11)
    assert routed.state_dict().keys() - dense.state_dict().keys() == {"router_temperature"}
    other = Elucidator(workshop.settings, workshop.schemas, 11, networks)
    other.load_state_dict(routed.state_dict())
    assert other.temperature == 1.75
    assert dense.temperature == 1.0


def test_the_loss_by_hand() -> None:
    # Two tokens of V = 4 after BOS; logits ln(1, 1, 1, 5): the last token has the probability 5/8, others 1/8.
    logits = torch.log(torch.tensor([1.0, 1.0, 1.0, 5.0])).expand(3, 3, 4)
    target_BL = torch.tensor([[1, 3, 2, 0], [1, 3, 3, 2], [1, 2, 0, 0]])
    loss, tokens = sequence_loss(logits, target_BL, torch.tensor([1.0, 1.0, 0.0]))
    assert tokens.item() == 5
    assert loss.item() == pytest.approx(3 * math.log(8 / 5) + 2 * math.log(8), rel=1e-6)


def test_smoothing_spreads_the_target_over_the_vocabulary() -> None:
    torch.manual_seed(0)
    logits, target_BL = torch.randn(2, 3, 5, dtype=torch.float64), torch.tensor([[1, 3, 4, 2], [1, 4, 2, 0]])
    log_p = logits.log_softmax(-1)
    expected = 0.0
    for row, place in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]:
        own = log_p[row, place, target_BL[row, place + 1]]
        expected -= 0.9 * own.item() + 0.1 * log_p[row, place].mean().item()
    loss, tokens = sequence_loss(logits, target_BL, torch.ones(2), label_smoothing=0.1)
    assert tokens.item() == 5
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_half_precision_logits_are_summed_in_float32() -> None:
    logits = torch.zeros(1, 1000, 7, dtype=torch.bfloat16)
    loss, _ = sequence_loss(logits, torch.full((1, 1001), 3), torch.ones(1))
    assert loss.item() == pytest.approx(1000 * math.log(7), rel=1e-5)


def test_a_few_samples_can_be_learnt_by_heart(workshop) -> None:
    torch.manual_seed(0)
    settings = ModelSettings(
        d_model=32, heads=4, encoder_layers=1, decoder_layers=1, ffn_width=64, dropout=0.0, max_target_tokens=12
    )
    model, batch = Elucidator(settings, workshop.schemas, 11), batch_of(workshop, 8, 11)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(150):
        loss, tokens = sequence_loss(model(batch).logits_BLV, batch.target_BL, batch.weight_B)
        optimizer.zero_grad()
        (loss / tokens).backward()
        optimizer.step()
    assert (model(batch).logits_BLV.argmax(-1) == batch.target_BL[:, 1:]).all()


@pytest.mark.parametrize("autocast", [False, True], ids=["weights in bfloat16", "autocast"])
def test_bfloat16_stays_close_to_float64(workshop, autocast: bool) -> None:
    torch.manual_seed(0)
    model, batch = Elucidator(workshop.settings, workshop.schemas, 11).eval(), batch_of(workshop, 4, 11)
    expected = model.double()(batch).logits_BLV
    model = model.float() if autocast else model.bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = model(batch).logits_BLV
    assert found.dtype == torch.bfloat16
    # Logits are sums over a normalised state of width 16 with table rows of 0.02: 0.1 or so. bfloat16 keeps
    # 2^-9 of each number, and some twenty roundings follow one another.
    scale = expected.abs().max().item()
    assert (found.double() - expected).abs().max().item() < 20 * 2**-9 * scale
    assert (found.double() - expected).abs().max().item() > 0
