"""Our own encoder of spectra: MM-Spectrum's, with sparse or dense feed-forward networks, and a vector at its
end. It reads a record of any spectra that its settings name, one or several.

Axes: B records, S places, D model width, W width of a vector.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from torch import Tensor, nn

from mmspec_ds.data.augmentation import AugmentSettings, augmented
from mmspec_ds.data.batch import SpectraBatch
from mmspec_ds.data.collate import lay_out
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.moe.expert_parallel import ALONE, Placement
from mmspec_ds.moe.expert_settings import MoESettings
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.moe.statistics import RoutingReport
from mmspec_ds.moe.temperature import KeepsTemperature
from mmspec_ds.nn.embeddings import SpectraEmbedding
from mmspec_ds.nn.encoder import Encoder, MakeFeedForward
from mmspec_ds.nn.feedforward import DenseFeedForward
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.spectra.records import Modality, Record, table_rows
from mmspec_ds.spectra.registry import CompressionSettings
from mmspec_ds.spectra.rows import RecordRows
from mmspec_ds.spectra.tokens import TokenSchema
from mmspec_ds.systems.retrieval.energies import without_energies
from mmspec_ds.systems.retrieval.flops import encoder_dimensions, encoder_flops, expert_flops
from mmspec_ds.systems.retrieval.model import Noise, RetrievalModel
from mmspec_ds.systems.retrieval.run_settings import SpectrumEncoderSettings
from mmspec_ds.systems.retrieval.vector_head import IntensityForms, VectorHead, intensities

ENCODED_AT_ONCE = 1024


@dataclass(frozen=True)
class SpectrumEncoding:
    """Records as compressed spectra, see `model.Encoding`.

    Attributes:
        modalities: the kinds of spectra that are read.
        compression: how they become tokens.
        augment: the noise of a training.
        energies: whether collision energies are told.
    """

    modalities: tuple[Modality, ...]
    compression: CompressionSettings
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    energies: bool = True

    @property
    def schemas(self) -> Mapping[Modality, TokenSchema]:
        """The fields of each modality's tokens."""
        return self._tokens.schemas

    @property
    def _tokens(self) -> InputEncoding:
        return InputEncoding(self.modalities, self.compression)

    def encode(self, records: Sequence[Record]) -> SpectraDataset:
        """The tokens of some records; a record without a spectrum of these kinds has none."""
        encoder, parts = self._tokens, []
        for start in range(0, len(records), ENCODED_AT_ONCE):
            some = records[start : start + ENCODED_AT_ONCE]
            if not self.energies:
                some = without_energies(some)
            rows = RecordRows([one.id for one in some], some)
            tokens = encoder.encode_rows(rows, range(len(some))).tokens
            ids, smiles = tuple(one.id for one in some), tuple(one.smiles for one in some)
            parts.append(SpectraDataset(ids, smiles, tokens, self.schemas))
        return self.joined(parts)

    def joined(self, parts: Sequence[SpectraDataset]) -> SpectraDataset:
        """The rows of several."""
        return SpectraDataset.joined(parts, self.schemas)

    def inputs(self, rows: SpectraDataset, chosen: IntArray, noise: Noise | None = None) -> SpectraBatch:
        """The batch of the rows `chosen`."""
        if noise is None or self.augment == AugmentSettings():
            return lay_out(rows, chosen)
        seeds = (noise.seed, noise.number)
        noisy = augmented(rows.subset(chosen), noise.keys_B, seeds, self.augment, self.compression)
        return lay_out(noisy, np.arange(len(chosen)))


class SpectrumEncoder(KeepsTemperature, RetrievalModel[SpectraBatch]):
    """Embedded tokens, an encoder, a pooling, a projection.

    Args:
        settings: sizes.
        schemas: the fields of each modality's tokens; the model reads these modalities.
        moe: the sparse layer; None for dense feed-forward networks.
        structure_margin: gamma of the structural loss; None leaves its sums out.
        placement: which experts live in this process.
        sparse_class: the plain layer, or DeepSpeed's.
        activation_checkpointing: keep the inputs of the layers only, in training.
    """

    def __init__(
        self,
        settings: SpectrumEncoderSettings,
        schemas: Mapping[Modality, TokenSchema],
        moe: MoESettings | None = None,
        *,
        structure_margin: float | None = None,
        placement: Placement = ALONE,
        sparse_class: type[SparseFeedForward] = SparseFeedForward,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.settings, self.moe, self.width = settings, moe, settings.width
        names = tuple(modality.name.lower() for modality in list(Modality)[: table_rows(schemas)])

        def sparse(layer: int) -> nn.Module:
            assert moe is not None
            return sparse_class(settings.d_model, moe, names, structure_margin, placement)

        def dense(layer: int) -> nn.Module:
            return DenseFeedForward(settings.d_model, settings.ffn_width)

        make: MakeFeedForward = dense if moe is None else sparse
        self.open_temperature(sparse=moe is not None)
        self.embedding = SpectraEmbedding(
            schemas, settings.d_model, settings.sinusoid_features, settings.embedding_std
        )
        self.encoder = Encoder(settings, make, activation_checkpointing=activation_checkpointing)
        self.forms = IntensityForms(settings) if settings.intensity_forms else None
        self.head = VectorHead(settings, self.embedding)

    def forward(self, inputs: SpectraBatch) -> Tensor:
        """The vectors [B, W] of length 1, fp32; see `RetrievalModel`."""
        return self.with_reports(inputs)[0]

    def with_reports(
        self, inputs: SpectraBatch, temperature: float | None = None
    ) -> tuple[Tensor, tuple[RoutingReport, ...]]:
        """See `RetrievalModel`."""
        tau = self.temperature if temperature is None else temperature
        hidden_BSD, sinusoids = self.embedding.with_sinusoids(inputs)
        intensity_BS = intensities(inputs, self.embedding.schemas)
        if self.forms is not None:
            hidden_BSD = hidden_BSD + self.forms(intensity_BS)
        encoded = self.encoder(hidden_BSD, inputs.modality_BS, tau)
        vectors_BW = self.head(encoded, intensity_BS, sinusoids)
        return vectors_BW, tuple(one for one in encoded.reports if isinstance(one, RoutingReport))

    def flops(self, inputs: SpectraBatch, *, again: bool = False) -> float:
        """See `RetrievalModel`."""
        sizes = encoder_dimensions(self.settings, self.embedding, self.moe, again=again or self._checkpoints)
        return encoder_flops(sizes, self.settings, inputs)

    def flops_of_experts(self, reports: Sequence[RoutingReport], *, again: bool = False) -> Tensor:
        """See `RetrievalModel`."""
        assert self.moe is not None
        sizes = encoder_dimensions(self.settings, self.embedding, self.moe, again=again or self._checkpoints)
        return expert_flops(sizes, self.moe, reports)

    @property
    def _checkpoints(self) -> bool:
        return self.encoder.activation_checkpointing

    def rebalance(self, reports: Sequence[RoutingReport]) -> None:
        """Move the routers' selection biases, where they are in use, after a step with these reports."""
        for layer, report in zip(self.encoder.layers, reports):
            cast(SparseFeedForward, layer.feedforward).rebalance(report)
