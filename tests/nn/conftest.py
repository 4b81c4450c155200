"""Spectra of random tokens, and a batch made of them in the plainest way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from mmspec_ds.data.batch import PADDING, ModalityTokens, SpectraBatch
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import ContinuousField, DiscreteField, TokenSchema
from mmspec_ds.systems.elucidation.model import Elucidator

SCHEMAS = {
    Modality.H_NMR: TokenSchema(
        (DiscreteField("shift", 20, ordinal=True), DiscreteField("multiplicity", 5)),
        (ContinuousField("hydrogens"),),
    ),
    Modality.C_NMR: TokenSchema((DiscreteField("shift", 30, ordinal=True),)),
    Modality.IR: TokenSchema((), (ContinuousField("first"), ContinuousField("second")), ordered=True),
    Modality.MS: TokenSchema(
        (DiscreteField("polarity", 2),), (ContinuousField("mz", (0.1, 1000.0)), ContinuousField("intensity"))
    ),
}
TINY = ModelSettings(
    d_model=16,
    heads=2,
    encoder_layers=2,
    decoder_layers=2,
    ffn_width=32,
    max_target_tokens=12,
    sinusoid_features=8,
)

EAGERNESS_TO_END = 0.2

Sample = Mapping[Modality, tuple[Tensor, Tensor]]
"""Discrete and continuous fields, [tokens, fields] each, by modality."""


@dataclass(frozen=True)
class Workshop:
    """What the tests of this room make things with; `vocabulary` is the number of target tokens."""

    schemas: Mapping[Modality, TokenSchema]
    settings: ModelSettings
    vocabulary: int = 11

    def sample(self, seed: int, counts: Mapping[Modality, int]) -> Sample:
        """So many random tokens of each modality."""
        source = torch.Generator().manual_seed(seed)
        drawn = {}
        for modality, count in counts.items():
            schema = self.schemas[modality]
            columns = [torch.randint(f.size, (count,), generator=source) for f in schema.discrete]
            discrete = torch.stack(columns, 1) if columns else torch.empty(count, 0, dtype=torch.int64)
            drawn[modality] = (discrete, torch.rand(count, len(schema.continuous), generator=source) * 3)
        return drawn

    def samples(self, number: int, seed: int = 0) -> list[Sample]:
        """Samples with up to six tokens of each modality, one at least."""
        source = torch.Generator().manual_seed(seed)
        counts = torch.randint(0, 7, (number, len(self.schemas)), generator=source)
        counts[:, 0] += 1
        rows = [dict(zip(self.schemas, row)) for row in counts.tolist()]
        return [self.sample(1000 * seed + i, row) for i, row in enumerate(rows)]

    def spectra(self, samples: Sequence[Sample], padding: int = 0) -> SpectraBatch:
        """A batch of the samples, with so many more places of padding than needed."""
        places = max(sum(len(d) for d, _ in sample.values()) for sample in samples) + padding
        modality_BS = torch.full((len(samples), places), PADDING)
        found: dict[Modality, list[tuple[Tensor, Tensor, Tensor, Tensor]]] = {m: [] for m in self.schemas}
        for row, sample in enumerate(samples):
            start = 0
            for modality, (discrete, continuous) in sample.items():
                order = torch.arange(len(discrete))
                modality_BS[row, start : start + len(discrete)] = modality
                found[modality].append((row * places + start + order, order, discrete, continuous))
                start += len(discrete)
        tokens = {
            m: ModalityTokens(*(torch.cat(c) for c in zip(*parts))) for m, parts in found.items() if parts
        }
        return SpectraBatch(modality_BS, tokens)

    def model(self, seed: int = 0, **changes: float) -> Elucidator:
        """A small random model in float64 and evaluation mode, far enough from its first weights that what it
        writes depends on the spectra and on its own tokens, and ends now early and now late."""
        torch.manual_seed(seed)
        settings = replace_settings(self.settings, **changes)
        model = Elucidator(settings, self.schemas, self.vocabulary).double().eval()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.dim() == 1:
                    weight.add_(torch.randn_like(weight) * 0.1)
                elif name.startswith(("decoder.tokens", "decoder.places")):
                    weight.mul_(25.0)
                else:
                    weight.mul_(3.0)
            tokens = model.decoder.tokens.weight
            model.decoder.norm.bias.add_(EAGERNESS_TO_END * tokens[Vocabulary.EOS])
        return model


def replace_settings(settings: ModelSettings, **changes: float) -> ModelSettings:
    """The settings with some changed, validated again."""
    return ModelSettings(**{**settings.model_dump(), **changes})


@pytest.fixture
def workshop() -> Workshop:
    """Four modalities of every kind of field, and a model of a few thousand parameters."""
    return Workshop(SCHEMAS, TINY)


@pytest.fixture
def alone(workshop: Workshop) -> Callable[[Modality], Workshop]:
    """The workshop for one modality only."""
    return lambda modality: replace(workshop, schemas={modality: workshop.schemas[modality]})
