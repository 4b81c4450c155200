"""A language model as an encoder: against its own layers, what it trains and keeps, the masked objective."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.errors import DataError
from mmspec_ds.spectra.records import Record, TandemMS
from mmspec_ds.systems.retrieval.batch import TextBatch
from mmspec_ds.systems.retrieval.language_model import LanguageModel
from mmspec_ds.systems.retrieval.language_settings import LanguageModelSettings
from mmspec_ds.systems.retrieval.mntp import masked_sums
from mmspec_ds.systems.retrieval.model import Noise
from mmspec_ds.systems.retrieval.text_encoding import TextEncoding
from tests.language.tiny_language_model import make_model, save_model

PEAKS = [(43.0178, 400.0), (57.0335, 1000.0), (71.049, 30.0), (85.0284, 260.0)]
RECORDS = [
    Record("a", (TandemMS(*map(np.array, zip(*PEAKS)), adduct="[M+H]+", collision_energy_ev=20.0),)),
    Record("b", (TandemMS(np.array([99.0, 57.03]), np.array([2.0, 1.0])),)),
    Record("c"),
]
EVERY = np.arange(3)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base")
    save_model(path)
    return path


def settings(base: Path, **changes: Any) -> LanguageModelSettings:
    text = {"form": "summed", "max_mz": 150, **changes.pop("text", {})}
    return LanguageModelSettings.model_validate({"base": base, "width": 8, "text": text, **changes})


def build(chosen: LanguageModelSettings, seed: int = 0) -> LanguageModel:
    torch.manual_seed(seed)
    return LanguageModel(chosen).eval()


def batch_of(chosen: LanguageModelSettings, records: list[Record] = RECORDS) -> TextBatch:
    encoding = TextEncoding(chosen)
    return encoding.inputs(encoding.encode(records), np.arange(len(records)))


@pytest.mark.parametrize("form", ["llm4ms", "mz_tokens", "summed"])
@pytest.mark.parametrize("pooling", ["mean", "weighted"])
def test_vectors_by_the_layers_alone(base: Path, form: str, pooling: str) -> None:
    chosen = settings(base, text={"form": form}, pooling=pooling)
    model, batch = build(chosen), batch_of(chosen)
    vectors = model(batch)
    assert vectors.shape == (3, 8)
    assert torch.equal(vectors[2], torch.zeros(8))  # nothing to read
    for row in range(2):
        ids = batch.ids_BLP[row][batch.mask_BL[row]]
        table = model.rows if model.rows is not None else make_model().model.embed_tokens.weight
        embedded = torch.stack([table[word[word >= 0]].sum(0) for word in ids])
        states = model.layers(inputs_embeds=embedded[None]).last_hidden_state[0]
        weights = torch.arange(1.0, len(ids) + 1) if pooling == "weighted" else torch.ones(len(ids))
        projected = model.head.projection.weight @ ((weights / weights.sum()) @ states)
        assert torch.allclose(vectors[row], projected / projected.norm(), atol=1e-5)


def test_plain_words_are_those_of_the_tokenizer(base: Path) -> None:
    batch = batch_of(settings(base, text={"form": "integers"}))
    # "57 43 85 71" and "99 57", a token a letter; number 36 is the blank
    assert batch.ids_BLP[0, :, 0].tolist() == [5, 7, 36, 4, 3, 36, 8, 5, 36, 7, 1]
    assert batch.ids_BLP[1, :, 0].tolist() == [9, 9, 36, 5, 7] + [-1] * 6
    assert batch.mask_BL.sum(1).tolist() == [11, 5, 0]


def test_tokens_that_share_a_position(base: Path) -> None:
    chosen = settings(base)
    batch = batch_of(chosen)
    assert batch.ids_BLP.shape == (3, 5, 3)  # header and four peaks; level, m/z, hundredths
    from mmspec_ds.spectra.textualize import new_tokens

    names = new_tokens(chosen.text)
    shown = [[names[i] for i in word if i >= 0] for word in batch.ids_BLP[0].tolist()]
    assert shown[:3] == [
        ["<positive>", "<[M+H]+>", "<ev_20>"],
        ["<i_0>", "<mz_57>", "<d_03>"],
        ["<i_1>", "<mz_43>", "<d_02>"],
    ]
    cut = batch_of(settings(base, max_tokens=2))
    assert torch.equal(cut.ids_BLP[:2], batch.ids_BLP[:2, :2])


def test_new_tokens_begin_as_their_digits(base: Path) -> None:
    chosen = settings(base, text={"form": "mz_tokens"})
    model = build(chosen)
    assert model.rows is not None
    table = make_model().model.embed_tokens.weight
    noise = 0.1 * float(table.std().detach())
    expected = (1 * table[5] + 2 * table[7]) / 3
    assert float((model.rows[56] - expected).std().detach()) == pytest.approx(noise, rel=0.4)  # <mz_57>
    # of [M+H]+ the tokenizer has the letters of no capital: unknown ones count like any other
    assert torch.isfinite(model.rows).all()


def test_lora_trains_and_keeps_only_what_is_new(base: Path) -> None:
    chosen = settings(base, text={"form": "decimals"})
    model, batch = build(chosen), batch_of(chosen)
    plain = build(chosen.model_copy(update={"train": "nothing"}))
    assert torch.allclose(model(batch), plain(batch), atol=1e-6)  # adapters change nothing at first
    assert len(model.adapter) == 2 * 2 * 7  # two matrices of seven linear layers of two layers
    assert model.adapter["layers-1-mlp-down_proj-lora_A"].shape == (16, 48)
    assert sorted(model.state_dict()) == sorted(
        ["rows", "head.projection.weight", "base_identity", *(f"adapter.{name}" for name in model.adapter)]
    )
    model.train()
    (model(batch)[0] @ model(batch)[1]).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert all(p.grad is None for p in model.layers.parameters() if not p.requires_grad)
    assert sum(p.requires_grad for p in model.layers.parameters()) == len(model.adapter)


def test_what_is_kept_restores_the_vectors(base: Path, tmp_path: Path) -> None:
    chosen = settings(base)
    model, batch = build(chosen), batch_of(chosen)
    with torch.no_grad():
        for one in model.parameters():
            one.add_(0.05 * torch.randn_like(one))
    again = build(chosen, seed=1)
    assert not torch.allclose(again(batch), model(batch), atol=1e-3)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(batch), model(batch))

    save_model(tmp_path / "other", seed=5)
    stranger = build(settings(tmp_path / "other"))
    with pytest.raises(
        DataError, match="is not the language model that these weights were trained with"
    ) as told:
        stranger.load_state_dict(model.state_dict())
    assert "\n" not in str(told.value)


def test_all_weights(base: Path) -> None:
    chosen = settings(base, train="all", layers=1)
    model, batch = build(chosen), batch_of(chosen)
    (model(batch)[0] @ model(batch)[1]).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert "decoder.layers.0.mlp.up_proj.weight" in model.state_dict()
    assert not any("embed_tokens" in name for name in model.state_dict())  # no plain word is read
    again = build(chosen, seed=1)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(batch), model(batch))


def test_the_frozen_weights_move_along(base: Path) -> None:
    chosen = settings(base)
    model, batch = build(chosen), batch_of(chosen)
    vectors = model(batch)
    model.double()
    assert all(p.dtype == torch.float64 for p in model.layers.parameters())
    assert {id(p) for p in model.adapter.values()} <= {id(p) for p in model.layers.parameters()}
    assert torch.allclose(model(batch).float(), vectors, atol=1e-5)
    model.train()
    assert model.layers.training
    model.eval()
    assert not model.layers.training


def test_two_readings_differ_by_dropout_alone(base: Path) -> None:
    chosen = settings(base, attention_dropout=0.3)
    model, batch = build(chosen).train(), batch_of(chosen, RECORDS[:1])
    assert not torch.allclose(model(batch), model(batch), atol=1e-4)
    model.eval()
    assert torch.equal(model(batch), model(batch))


def test_random_weights_are_another_model_of_the_same_shape(base: Path) -> None:
    one, other = build(settings(base)), build(settings(base, random_seed=1))
    assert [p.shape for p in one.layers.parameters()] == [p.shape for p in other.layers.parameters()]
    first, second = (next(m.layers.parameters()) for m in (one, other))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("form", ["summed", "integers"])
def test_the_masked_loss_by_hand(base: Path, form: str) -> None:
    chosen = settings(base, text={"form": form}, train="nothing")
    model = build(chosen)
    batch = batch_of(chosen, RECORDS[:2])
    hidden = torch.zeros_like(batch.mask_BL)
    hidden[0, 2] = hidden[0, 3] = hidden[1, 1] = True
    masked = TextBatch(batch.ids_BLP, batch.mask_BL, hidden)
    with torch.no_grad():
        total, count = masked_sums(model, masked)
    states = model.states(masked).detach()
    expected, seen = 0.0, 0
    for row, place in [(0, 2), (0, 3), (1, 1)]:
        scores = [float(states[row, place - 1] @ weight) for weight in model.output_weight.detach()]
        most = max(scores)
        norm = most + math.log(sum(math.exp(score - most) for score in scores))
        for token in batch.ids_BLP[row, place].tolist():
            if token >= 0:
                expected, seen = expected + norm - scores[token], seen + 1
    assert int(count) == seen
    assert float(total) == pytest.approx(expected, rel=1e-4)
    changed = batch.ids_BLP.clone()
    changed[hidden] = torch.where(changed[hidden] >= 0, 1, -1)
    assert torch.equal(
        model.states(TextBatch(changed, batch.mask_BL, hidden)), states
    )  # what is hidden is unseen


def test_noise_is_drawn_from_seed_number_and_row(base: Path) -> None:
    chosen = settings(base, missing=0.4, masked=0.5)
    encoding = TextEncoding(chosen, masked=True)
    many = Record("d", (TandemMS(np.arange(20.0, 50.0), np.arange(100.0, 130.0)),))
    rows = encoding.encode([many] * 40)
    plain = encoding.inputs(rows, np.arange(40))
    assert plain.hidden_BL is None
    assert plain.mask_BL.shape == (40, 31)

    def drawn(keys: np.ndarray, seed: int = 0, number: int = 7) -> TextBatch:
        return encoding.inputs(rows, keys, Noise(keys, seed, number))

    one, again = drawn(np.arange(40)), drawn(np.arange(40))
    assert torch.equal(one.ids_BLP, again.ids_BLP)
    assert one.hidden_BL is not None
    kept = one.mask_BL.sum() - 40
    assert 0.5 < float(kept) / (40 * 30) < 0.7  # 0.6 of 1,200: standard deviation 0.014
    share = float(one.hidden_BL.sum() / kept)
    assert 0.4 < share < 0.6
    assert not one.hidden_BL[:, 0].any()
    assert torch.equal(one.ids_BLP[:, 0], plain.ids_BLP[:, 0])
    alone = drawn(np.array([5]))
    length = int(alone.mask_BL.sum())
    assert torch.equal(alone.ids_BLP[0], one.ids_BLP[5, :length])
    assert not torch.equal(drawn(np.arange(40), number=8).mask_BL.sum(1), one.mask_BL.sum(1))


def test_rows_are_joined(base: Path) -> None:
    chosen = settings(base)
    encoding = TextEncoding(chosen)
    joined = encoding.joined([encoding.encode([one]) for one in RECORDS])
    assert joined.lengths.tolist() == [5, 3, 0]
    together = encoding.encode(RECORDS)
    assert np.array_equal(joined.ids_TP, together.ids_TP)


def test_flops_by_hand(base: Path) -> None:
    chosen = settings(base, train="all", layers=1)
    batch = batch_of(chosen, RECORDS[:1])  # one record of 5 positions
    linear = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48 + 32 * 8
    attention = 4 * 5 * 32
    assert build(chosen).flops(batch) == pytest.approx(5 * 3 * (2 * linear + attention))


def test_pooling_by_intensity_and_the_skip_by_hand(base: Path) -> None:
    chosen = settings(base, pooling="intensity", skip=True, text={"precursor": True})
    model = build(chosen)
    tandem = RECORDS[0].spectra[0]
    assert isinstance(tandem, TandemMS)
    record = Record("p", (replace(tandem, precursor_mz=120.04),))
    batch = batch_of(chosen, [record, Record("none")])
    with torch.no_grad():
        model.head.projection.weight.normal_()
        model.head.pooling.score.weight.normal_(std=0.1)
        vectors, states = model(batch), model.states(batch)[0]
        # strongest first: 1000, 400, 260, 30 are levels 0, 1, 1, 5; header and precursor have no weight
        weights = [math.sqrt(2.0 ** -(level + 0.5)) for level in (0, 1, 1, 5)]
        factors = (states[2:] @ model.head.pooling.score.weight[0] + model.head.pooling.score.bias).exp()
        g = torch.tensor(weights) * factors
        g = g / g.norm()
        lengths = 0.02 * (2000 / 0.02) ** (np.arange(128) / 127)
        turns = np.array([57.03, 43.02, 85.03, 71.05])[:, None] / lengths
        waves = torch.tensor(np.hstack([np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)])).float()
        expected = model.head.projection.weight @ (g @ states[2:]) + model.head.skip.weight @ (g @ waves)
    assert torch.allclose(vectors[0], expected / expected.norm(), atol=1e-4)
    assert torch.equal(vectors[1], torch.zeros(8))


def test_the_skip_alone_is_much_like_a_cosine(base: Path) -> None:
    """A new model with a skip, before any training: near spectra first."""
    chosen = settings(base, pooling="intensity", skip=True, width=128, text={"max_mz": 500})
    model, rng = build(chosen), np.random.default_rng(0)
    records = []
    for number in range(20):
        mz = rng.uniform(50, 400, 12)
        for turn in range(2):  # the same peaks to 3 ppm, other intensities
            moved = mz * (1 + 3e-6 * rng.standard_normal(12))
            records.append(Record(f"{number}.{turn}", (TandemMS(moved, rng.uniform(0.1, 1, 12)),)))
    with torch.no_grad():
        vectors = model(batch_of(chosen, records))
    cosines = vectors @ vectors.T
    cosines.fill_diagonal_(-1)
    assert (cosines.argmax(1) == torch.arange(40) ^ 1).all()


def test_bfloat16_is_near(base: Path) -> None:
    chosen = settings(base)
    batch = batch_of(chosen)
    exact, near = build(chosen)(batch), build(chosen.model_copy(update={"bfloat16": True}))(batch)
    assert near.dtype == torch.float32
    assert 0 < (exact - near).abs().max() < 0.05


def test_what_a_pooling_needs(base: Path) -> None:
    with pytest.raises(ValueError, match="expected 'summed'"):
        settings(base, pooling="intensity", text={"form": "decimals"})
    with pytest.raises(ValueError, match="expected 'intensity'"):
        settings(base, skip=True)
