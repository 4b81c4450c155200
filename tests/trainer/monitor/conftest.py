"""A small model with a batch, and a run that is looked at while it learns."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mmspec_ds.data.batch import Batch, ModalityTokens, SpectraBatch
from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import DiscreteField, TokenSchema
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.model import Elucidator

SCHEMA = TokenSchema((DiscreteField("shift", 20),))
MODALITIES = (Modality.H_NMR, Modality.C_NMR, Modality.MS)
SETTINGS = ModelSettings(
    d_model=64, heads=2, encoder_layers=2, decoder_layers=1, ffn_width=128, max_target_tokens=12, dropout=0.0
)
EXPERTS = (
    ExpertSettings(family="shared", width=128),
    ExpertSettings(family="shared", width=64),
    ExpertSettings(family="modality", width=128, modalities=("ms",)),
    ExpertSettings(family="interaction", width=64),
)
WATCHED = (
    "training.steps=12",
    "training.validate_every=6",
    "training.pictures=2",
    "training.conflict_samples=4",
    "training.trace_steps=2",
)


def build(moe: MoESettings | None) -> Elucidator:
    """A model as it is drawn from a seed."""
    torch.manual_seed(3)
    return build_elucidator(SETTINGS, moe, dict.fromkeys(MODALITIES, SCHEMA), 11).eval()


@pytest.fixture(scope="session")
def models() -> Callable[[str], Elucidator]:
    """A dense model, or a sparse one, with shared experts or without."""
    kinds = {
        "dense": None,
        "sparse": MoESettings(k=2, experts=EXPERTS),
        "none shared": MoESettings(k=2, experts=EXPERTS[2:]),
    }
    return lambda kind: build(kinds[kind])


@pytest.fixture
def batch() -> Batch:
    """Three molecules without padding: four tokens of 1H, three of 13C and two of MS, nine of a target."""
    torch.manual_seed(5)
    modality_BS = torch.tensor([[0, 0, 1], [0, 1, 3], [0, 1, 3]])
    tokens = {}
    for modality in MODALITIES:
        place_T = (modality_BS.flatten() == modality).nonzero().squeeze(1)
        discrete = torch.randint(0, 20, (len(place_T), 1))
        tokens[modality] = ModalityTokens(
            place_T, torch.zeros_like(place_T), discrete, torch.zeros(len(place_T), 0)
        )
    target_BL = torch.tensor([[1, 5, 6, 2], [1, 7, 5, 2], [1, 6, 8, 2]])
    return Batch(SpectraBatch(modality_BS, tokens), target_BL, torch.ones(3))


@pytest.fixture(scope="session")
def watched(launcher: Any) -> Any:
    """Twelve steps, validated, looked at and drawn after six and twelve; two of them traced."""
    finished = launcher.train("watched", *WATCHED)
    assert finished.statuses == (0,), finished.output
    return finished
