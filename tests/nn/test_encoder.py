"""Axes: B samples, S places, D model width."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmspec_ds.data.batch import PADDING
from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.nn.encoder import Encoder
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.model import dense_feedforward


class Recorder(nn.Module):
    """A feed-forward network that adds nothing and reports how it was called."""

    def __init__(self, layer: int) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden_BSD: Tensor, modality_BS: Tensor, temperature: float) -> tuple[Tensor, object]:
        return torch.zeros_like(hidden_BSD), (self.layer, modality_BS, temperature)


def test_the_injected_network_of_each_layer_gets_modalities_and_temperature(workshop) -> None:
    encoder = Encoder(workshop.settings, Recorder)
    modality_BS = torch.tensor([[0, 2, PADDING]])
    encoded = encoder(torch.randn(1, 3, 16), modality_BS, temperature=0.25)
    assert [(layer, tau) for layer, _, tau in encoded.reports] == [(0, 0.25), (1, 0.25)]
    assert all(modality is modality_BS for _, modality, _ in encoded.reports)
    assert encoded.modality_BS is modality_BS
    assert encoded.mask_BS.tolist() == [[True, True, False]]


def test_a_sample_is_encoded_alike_alone_and_in_any_batch(workshop) -> None:
    model, samples = workshop.model(), workshop.samples(5)
    together = model.encode(workshop.spectra(samples, padding=3))
    for row, sample in enumerate(samples):
        single = model.encode(workshop.spectra([sample])).hidden_BSD[0]
        torch.testing.assert_close(together.hidden_BSD[row, : len(single)], single, rtol=1e-12, atol=1e-12)
        assert not together.mask_BS[row, len(single) :].any()


def test_every_token_matters_to_every_other(workshop) -> None:
    model, sample = workshop.model(), workshop.sample(1, {Modality.H_NMR: 2, Modality.IR: 2})
    before = model.encode(workshop.spectra([sample])).hidden_BSD
    sample[Modality.IR][1][1, 0] += 1.0
    moved = (model.encode(workshop.spectra([sample])).hidden_BSD - before).abs().amax(dim=2)[0]
    assert moved.min().item() > 1e-6


def test_order_matters_to_windows_and_not_to_peaks(workshop) -> None:
    model = workshop.model()
    sample = workshop.sample(2, {Modality.H_NMR: 3, Modality.IR: 3})

    def pooled(modality: Modality) -> Tensor:
        turned = {
            m: tuple(f.flip(0) for f in fields) if m == modality else fields for m, fields in sample.items()
        }
        return model.encode(workshop.spectra([turned])).hidden_BSD.sum(dim=1)

    plain = model.encode(workshop.spectra([sample])).hidden_BSD.sum(dim=1)
    torch.testing.assert_close(pooled(Modality.H_NMR), plain, rtol=1e-12, atol=1e-12)
    assert (pooled(Modality.IR) - plain).abs().max().item() > 1e-3


def test_a_sample_without_any_token_gives_finite_states(workshop) -> None:
    model = workshop.model()
    spectra = workshop.spectra([workshop.sample(0, {}), workshop.sample(1, {Modality.MS: 4})])
    assert spectra.mask_BS.sum(dim=1).tolist() == [0, 4]
    encoded = model.encode(spectra)
    assert encoded.hidden_BSD.isfinite().all()
    logits = model.decoder(torch.tensor([[1, 4], [1, 4]]), encoded.hidden_BSD, encoded.mask_BS)
    wider = workshop.spectra([workshop.sample(0, {}), workshop.sample(1, {Modality.MS: 4})], padding=5)
    encoded = model.encode(wider)
    again = model.decoder(torch.tensor([[1, 4], [1, 4]]), encoded.hidden_BSD, encoded.mask_BS)
    assert logits.isfinite().all()
    torch.testing.assert_close(again, logits, rtol=1e-12, atol=1e-12)


class Kept(TorchDispatchMode):
    """Within, notes the memory of every result of every operation, to tell how much of it is still in use."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                self.seen[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        return out

    def bytes(self, besides: nn.Module) -> int:
        """Memory that is in use now, without the module's weights, of which there are views."""
        weights = {parameter.untyped_storage()._cdata for parameter in besides.parameters()}
        found = (v for key, v in self.seen.items() if key not in weights)
        return sum(size for storage, size in found if not storage.expired())


def make_encoder(*, sparse: bool, checkpointing: bool) -> Encoder:
    """Four layers of width 32 with dropout."""
    settings = ModelSettings(d_model=32, heads=4, encoder_layers=4, ffn_width=128, dropout=0.2)
    experts = tuple(ExpertSettings(family="shared", width=width) for width in (128, 32, 128, 32))
    torch.manual_seed(0)
    make = (
        (lambda layer: SparseFeedForward(32, MoESettings(experts=experts), ("a", "b"), 1.0))
        if sparse
        else dense_feedforward(settings)
    )
    return Encoder(settings, make, activation_checkpointing=checkpointing)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_checkpointed_layers_keep_their_inputs_only_and_give_the_same_bits(sparse: bool) -> None:
    modality_BS = torch.randint(-1, 2, (8, 50), generator=torch.Generator().manual_seed(1))
    found, kept = [], []
    for checkpointing in (False, True):
        encoder = make_encoder(sparse=sparse, checkpointing=checkpointing)
        hidden = torch.randn(8, 50, 32, generator=torch.Generator().manual_seed(2), requires_grad=True)
        torch.manual_seed(3)
        with Kept() as memory:
            encoded = encoder(hidden, modality_BS, 1.3)
        kept.append(memory.bytes(besides=encoder))
        loss = encoded.hidden_BSD.square().sum()
        for report in encoded.reports:
            if sparse:
                loss = loss + report.entropy_M.sum() + report.agreement + report.separation
        loss.backward()
        after = torch.rand(1)  # the generator stands where it would have stood
        found.append([encoded.hidden_BSD.detach(), hidden.grad, after, *(p.grad for p in encoder.parameters())])
    for plain, again in zip(*found, strict=True):
        assert torch.equal(plain, again)
    # A state into each of four layers, one out of the last, one out of the last norm, the first dropout's mask;
    # a fifth of one for the rest: 362 KB of 3.9 MB (dense), 366 KB of 3.5 MB (sparse).
    state = hidden.numel() * hidden.element_size()
    assert kept[1] < 7.2 * state
    assert kept[0] > (9 if sparse else 10) * kept[1]  # 9.6 and 10.8 times


def test_nothing_is_computed_again_where_nothing_is_kept() -> None:
    calls = []
    encoder = make_encoder(sparse=False, checkpointing=True)
    encoder.layers[0].register_forward_hook(lambda *_: calls.append(1))
    hidden, modality_BS = torch.randn(1, 3, 32), torch.zeros(1, 3, dtype=torch.int64)
    encoder.eval()(hidden, modality_BS).hidden_BSD.sum().backward()
    with torch.no_grad():
        encoder.train()(hidden, modality_BS)
    assert len(calls) == 2
    encoder(hidden, modality_BS).hidden_BSD.sum().backward()
    assert len(calls) == 4


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_the_factory_hands_the_wish_on(workshop, sparse: bool) -> None:
    moe = MoESettings(experts=(ExpertSettings(family="shared", width=16),), k=1) if sparse else None
    for wish in (False, True):
        model = build_elucidator(
            workshop.settings, moe, workshop.schemas, workshop.vocabulary, activation_checkpointing=wish
        )
        assert model.encoder.activation_checkpointing is wish
