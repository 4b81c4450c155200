"""The whole model: spectra and tables in, logits of classes or of functional groups out.

Axes: B samples, M modalities, D model width, C classes or groups, P pieces, S places, W intensities of a token.
"""

import torch
from torch import Tensor, nn

from mmspec_ds.nn.encoder import Encoder
from mmspec_ds.nn.feedforward import DenseFeedForward
from mmspec_ds.nn.initialization import init_linear
from mmspec_ds.nn.module_flops import Cost, encoder_cost
from mmspec_ds.systems.fusion.batch import Pieces
from mmspec_ds.systems.fusion.contribution import logits_of_coalitions
from mmspec_ds.systems.fusion.encoder import Encoded, ModalityEncoder
from mmspec_ds.systems.fusion.fusers import FUSERS, ContributionFuser, ContributionVectors, Fused, Fuser
from mmspec_ds.systems.fusion.run_settings import FusionEncoderSettings, FusionSettings
from mmspec_ds.systems.fusion.schema import Schema


class FusionModel(nn.Module):
    """Encodes each modality by itself and fuses their vectors.

    Args:
        encoder: of the modalities.
        settings: sizes of the encoder.
        fusion: how vectors are fused.
        schema: what is read and told; of the kind "none" for a model that is pretrained alone, which then
            predicts hidden intensities.
        patch: W.

    Attributes:
        prior_C: the logits of the classes or groups where nothing is known, from the samples that are learnt
            from.
        transfer: what a student needs beside itself while it learns from a teacher, see `distillation`.
    """

    prior_C: Tensor

    def __init__(
        self,
        encoder: ModalityEncoder,
        settings: FusionEncoderSettings,
        fusion: FusionSettings,
        schema: Schema,
        patch: int,
    ) -> None:
        super().__init__()
        self.encoder, self.schema = encoder, schema
        classes, width = len(schema.names), settings.d_model
        self.register_buffer("prior_C", torch.zeros(classes))
        self.attention: Encoder | None = None
        self.fuser: Fuser | None = None
        self.reconstruct: nn.Linear | None = None
        self.transfer: nn.Module | None = None
        if schema.kind == "none":
            self.reconstruct = init_linear(nn.Linear(width, patch))
            return
        if fusion.attention:
            sizes = settings.model_copy(update={"encoder_layers": fusion.attention, "dropout": 0.0})
            self.attention = Encoder(sizes, lambda layer: DenseFeedForward(width, settings.ffn_width))
        self.fuser = FUSERS[fusion.kind](width, len(schema.modalities), classes, fusion.width, schema.kind)

    @property
    def has_head(self) -> bool:
        """Whether contributions are predicted."""
        return isinstance(self.fuser, ContributionFuser | ContributionVectors)

    def compile_inference(self) -> None:
        """Make few kernels of the many small steps of `encode` and `fuse`, when each is first called: for any
        number of pieces, tokens and samples, with the same results but for rounding. A size of 1 has kernels of
        its own. A sparse encoder stays as it is."""
        parts: list[tuple[nn.Module, str]] = [(self, "fuse")]
        parts += [] if self.encoder.is_sparse else [(self.encoder, "pooled")]
        for module, name in parts:
            setattr(module, name, torch.compile(getattr(module, name), dynamic=True))

    def encode(self, pieces: Pieces, temperature: float | None = None) -> Encoded:
        """The vectors of the samples' modalities; `temperature` is the router's tau, the model's own if none is
        given."""
        return self.encoder(pieces, temperature)

    def fuse(self, vectors_BMD: Tensor, present_BM: Tensor) -> Fused:
        """The logits [B, C] of samples of which the modalities `present_BM` are known, the prior included, and
        the weights of these modalities, [B, M]. Where none is known, the logits are the prior."""
        assert self.fuser is not None, "the model is pretrained alone: it has nothing to tell"
        fused = self.fuser(self._attended(vectors_BMD, present_BM), present_BM, self.prior_C)
        any_B1 = present_BM.any(1, keepdim=True)
        return fused._replace(logits_BC=self.prior_C + fused.logits_BC * any_B1)

    def alone(self, vectors_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """The logits where each modality is known by itself, [B, M, C]; the prior for one that is not in
        `present_BM`."""
        modalities = present_BM.shape[1]
        only_MM = torch.eye(modalities, dtype=torch.bool, device=present_BM.device)
        found = [self.fuse(vectors_BMD, present_BM & only_MM[at]).logits_BC for at in range(modalities)]
        return torch.stack(found, dim=1)

    def coalition_logits(self, vectors_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """The logits of every coalition of the modalities, [2^M, B, C], without a gradient; see
        `contribution`."""
        return logits_of_coalitions(lambda *one: self.fuse(*one).logits_BC, vectors_BMD, present_BM)

    def fuse_cost(self, samples: float) -> Cost:
        """FLOPs of a fusion of so many samples whose vectors have a gradient, see `Fuser.cost`."""
        assert self.fuser is not None
        cost = self.fuser.cost(samples)
        if self.attention is None:
            return cost
        modalities = len(self.schema.modalities)
        return cost + encoder_cost(self.attention, samples, modalities, of_input=True)

    def _attended(self, vectors_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """The vectors after attention to those that are present, if there is any."""
        if self.attention is None:
            return vectors_BMD
        found: Tensor = self.attention(vectors_BMD, present_BM.long() - 1).hidden_BSD
        return found
