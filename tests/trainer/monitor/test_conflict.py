"""Gradients of modalities, against weights that exist once for each modality."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmspec_ds.data.batch import Batch
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.conflict import compared_parameters, modality_conflict, shared_part
from mmspec_ds.systems.elucidation.model import Elucidator, sequence_loss

PRESENT = (Modality.H_NMR, Modality.C_NMR, Modality.MS)
Models = Callable[[str], Elucidator]


class OneForEach(nn.Module):
    """Copies of a network, each of which alone sees the gradient of one modality's tokens."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.copies = nn.ModuleList(copy.deepcopy(network) for _ in PRESENT)

    def forward(self, hidden_BSD: Tensor, modality_BS: Tensor, temperature: float) -> tuple[Tensor, object]:
        out_BSD = torch.zeros_like(hidden_BSD)
        for modality, network in zip(PRESENT, self.copies):
            own_BSD, report = network(hidden_BSD, modality_BS, temperature)
            out_BSD = out_BSD + own_BSD * (modality_BS == modality)[..., None]
        return out_BSD, report


def gradients_of(network: nn.Module) -> list[Tensor]:
    """The gradients of the weights that are compared."""
    parameters = compared_parameters(network)
    return shared_part(network, [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters])


def by_copies(model: Elucidator, batch: Batch) -> Tensor:
    """The cosines [3, 3] from the ordinary gradients of such copies."""
    model = copy.deepcopy(model)
    layers: Any = model.encoder.layers
    for layer in layers:
        layer.feedforward = OneForEach(layer.feedforward)
    loss, _ = sequence_loss(model(batch, 1.5).logits_BLV, batch.target_BL, batch.weight_B)
    loss.backward()
    rows = []
    for at in range(len(PRESENT)):
        networks = [layer.feedforward.copies[at] for layer in layers]
        rows.append(torch.cat([part.flatten() for network in networks for part in gradients_of(network)]))
    return torch.stack([torch.stack([torch.cosine_similarity(a, b, dim=0) for b in rows]) for a in rows])


@pytest.mark.parametrize("kind", ["dense", "sparse", "none shared"])
def test_cosines_are_those_of_weights_that_exist_once_for_each_modality(
    models: Models, batch: Batch, kind: str
) -> None:
    model = models(kind)
    model.keep_temperature(1.5)
    found = modality_conflict(model, batch)
    expected = by_copies(model, batch)
    torch.testing.assert_close(found[PRESENT, :][:, PRESENT].float(), expected, rtol=1e-4, atol=1e-5)
    assert expected.sub(torch.eye(3)).abs().max() < 0.999, "the modalities do not pull alike"
    assert found[Modality.IR].isnan().all(), "no token of IR"
    assert found[:, Modality.IR].isnan().all()
    assert all(p.grad is None for p in model.parameters())


def test_the_weights_that_are_compared(models: Models) -> None:
    network = models("sparse").encoder.layers[0].feedforward
    assert isinstance(network, SparseFeedForward)
    # In physical order: shared 128, shared 64, modality 128, interaction 64.
    shared = [0, 1]
    parameters = compared_parameters(network)
    found = shared_part(network, parameters)
    expected = [part for number in shared for part in network.deepspeed_moe.experts.weights()[number]]
    assert len(found) == 2 * 4
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    unshared = models("none shared").encoder.layers[0].feedforward
    parts = shared_part(unshared, compared_parameters(unshared))
    assert len(parts) == 2 * 4, "all experts where none is shared"


def test_ranks_that_share_the_experts_find_what_one_rank_finds(launcher: Any) -> None:
    two = ("training.batch_size=8", "training.ep_size=2", "engine=zero1.json")
    steps = ("training.steps=3", "training.conflict_samples=8")
    one = launcher.train("conflict_1", *steps).metrics("conflict")
    other = launcher.train("conflict_2", *steps, *two, ranks=2).metrics("conflict")
    assert len(one) == len(other) == 1
    assert len(one[0]) == 2 + 3, "kind, step and three pairs"
    for tag in one[0].keys() - {"kind"}:
        assert other[0][tag] == pytest.approx(one[0][tag], abs=2e-4), tag
