"""The encoder of a fusion model: one set of weights for every modality, each of which is encoded by itself.

Axes: P pieces, S places, D model width, B samples, M modalities, N = B * M.
"""

from typing import NamedTuple, cast

from torch import Tensor, nn

from mmspec_ds.moe.expert_parallel import ALONE, Placement
from mmspec_ds.moe.expert_settings import MoESettings
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.moe.statistics import RoutingReport
from mmspec_ds.moe.temperature import KeepsTemperature
from mmspec_ds.nn.encoder import Encoder, EncoderOutput, MakeFeedForward
from mmspec_ds.nn.feedforward import DenseFeedForward
from mmspec_ds.nn.module_flops import Cost, encoder_cost, learns, pooling_cost
from mmspec_ds.nn.pooling import AttentionPooling, MeanPooling
from mmspec_ds.nn.token_embedding import TokenEmbedding
from mmspec_ds.systems.fusion.batch import Pieces
from mmspec_ds.systems.fusion.embedding import embed_pieces, embedding_cost
from mmspec_ds.systems.fusion.run_settings import FusionEncoderSettings


class Encoded(NamedTuple):
    """The vectors of the modalities, [B, M, D], zeros where one is absent; which are present, bool [B, M]; and
    the reports of the routers."""

    vectors_BMD: Tensor
    present_BM: Tensor
    reports: tuple[RoutingReport, ...]


class ModalityEncoder(KeepsTemperature):
    """Embedded tokens, an encoder whose tokens attend to those of their own piece, and a pooling.

    Args:
        settings: sizes.
        modalities: names, M of them; experts may be of some of these.
        patch: intensities of a token.
        moe: the sparse layer; None for dense feed-forward networks.
        structure_margin: gamma of the structural loss; None leaves its sums out.
        placement: which experts live in this process.
        sparse_class: the plain layer, or DeepSpeed's.
        activation_checkpointing: keep the inputs of the layers only, in training.
    """

    def __init__(
        self,
        settings: FusionEncoderSettings,
        modalities: tuple[str, ...],
        patch: int,
        moe: MoESettings | None = None,
        *,
        structure_margin: float | None = None,
        placement: Placement = ALONE,
        sparse_class: type[SparseFeedForward] = SparseFeedForward,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.modalities = modalities

        def sparse(layer: int) -> nn.Module:
            assert moe is not None
            return sparse_class(settings.d_model, moe, modalities, structure_margin, placement)

        def dense(layer: int) -> nn.Module:
            return DenseFeedForward(settings.d_model, settings.ffn_width)

        make: MakeFeedForward = dense if moe is None else sparse
        self.is_sparse = moe is not None
        self.open_temperature(sparse=self.is_sparse)
        width = settings.d_model
        self.embedding = TokenEmbedding(width, patch, settings.sinusoid_features, settings.embedding_std)
        self.encoder = Encoder(settings, make, activation_checkpointing=activation_checkpointing)
        self.pooling: AttentionPooling | MeanPooling = (
            AttentionPooling(width, settings.heads) if settings.pooling == "attention" else MeanPooling()
        )

    def states(self, pieces: Pieces, temperature: float | None = None) -> EncoderOutput:
        """A state for each token, [P, S, D]."""
        tau = self.temperature if temperature is None else temperature
        return self.encoder(embed_pieces(self.embedding, pieces), pieces.modality_PS, tau)

    def forward(self, pieces: Pieces, temperature: float | None = None) -> Encoded:
        """The vectors of the modalities of the samples."""
        parts, present_BM = self._parts(pieces), pieces.present_BM
        pooled = [self.pooled(part, temperature) for part in parts]
        vectors_ND = pooled[0][0].new_zeros(present_BM.numel(), pooled[0][0].shape[1])
        for part, (pooled_PD, _) in zip(parts, pooled):
            vectors_ND = vectors_ND.index_copy(0, part.vector_P, pooled_PD)
        reports = tuple(one for one in pooled[0][1] if isinstance(one, RoutingReport))
        return Encoded(vectors_ND.view(*present_BM.shape, -1), present_BM, reports)

    def pooled(
        self, pieces: Pieces, temperature: float | None = None
    ) -> tuple[Tensor, tuple[object | None, ...]]:
        """A vector for each piece, [P, D], and the reports of the layers."""
        encoded = self.states(pieces, temperature)
        return self.pooling(encoded.hidden_BSD, encoded.mask_BS), encoded.reports

    def cost(self, pieces: Pieces) -> Cost:
        """FLOPs of a pass of these pieces, without those of experts; see `module_flops`."""
        of_tokens, width = learns(self.embedding), self.embedding.first_KD.shape[1]
        of_states = of_tokens or learns(self.encoder)
        cost = embedding_cost(self.embedding, pieces)
        for part in self._parts(pieces):
            count, places = part.modality_PS.shape
            cost += encoder_cost(self.encoder, count, places, of_input=of_tokens)
            cost += pooling_cost(self.pooling, count, places, width, of_input=of_states)
        return cost

    def _parts(self, pieces: Pieces) -> list[Pieces]:
        """The pieces that a pass takes together: of like lengths; all of them where routers balance the tokens
        of a batch, and ranks exchange them."""
        return [pieces] if self.is_sparse else pieces.of_like_lengths()

    def rebalance(self, reports: tuple[RoutingReport, ...]) -> None:
        """Move the routers' selection biases, where they are in use, after a step with these reports."""
        for layer, report in zip(self.encoder.layers, reports):
            cast(SparseFeedForward, layer.feedforward).rebalance(report)
