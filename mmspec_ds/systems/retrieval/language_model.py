"""A pretrained causal language model as an encoder of spectra that are written as text.

Its first layers, made to look ahead; the states of a text pooled and projected to a vector. The weights of the
pretrained model stay in its own folder unless all of them are trained: what is trained and saved are the
adapters, the embeddings of the new tokens and the projection, a few MB.

Axes: B records, L positions, P tokens of a position, V new tokens, D model width, W width of a vector.
"""

from collections.abc import Callable
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.errors import DataError
from mmspec_ds.language.adapters import adapter_parameters, add_adapters
from mmspec_ds.language.model_folder import decoder_of, identity_of, read_model, read_tokenizer
from mmspec_ds.spectra.textualize import new_tokens
from mmspec_ds.systems.retrieval.batch import TextBatch
from mmspec_ds.systems.retrieval.language_settings import LanguageModelSettings
from mmspec_ds.systems.retrieval.model import RetrievalModel
from mmspec_ds.systems.retrieval.new_tokens import first_rows
from mmspec_ds.systems.retrieval.text_head import TextHead

GROUP = 16
"""Texts that go through the layers together, padded to the longest of them. A batch has its texts in the order
of their lengths, most of them half as long as the longest."""

BASE_IDENTITY = "base_identity"
"""The buffer with the checksum of the pretrained model."""


class LanguageModel(RetrievalModel[TextBatch]):
    """The layers of a pretrained model, and a head; new weights are drawn from torch's generator.

    Attributes:
        rows: the embeddings of the new tokens [V, D]; None in a form of plain words.
        adapter: the parameters of the adapters by their place.
        head: pooling and projection, orthogonal at first, so that it keeps distances as well as a linear map
            can.

    Raises:
        DataError: the folder of the base model cannot be used.
    """

    base_identity: Tensor
    rows: nn.Parameter | None

    def __init__(self, settings: LanguageModelSettings) -> None:
        super().__init__()
        self.settings, self.width = settings, settings.width
        base = read_model(
            settings.base,
            layers=settings.layers,
            attention=settings.attention,
            attention_dropout=settings.attention_dropout,
            random_seed=settings.random_seed,
        )
        tokens = new_tokens(settings.text)
        self.rows = None
        if tokens:
            rows_VD = first_rows(
                base, read_tokenizer(settings.base), tokens, summed=settings.text.form == "summed"
            )
            self.rows = nn.Parameter(rows_VD)
        decoder = decoder_of(base)
        self.head = TextHead(settings, decoder.config.hidden_size, tokens)
        # What is frozen stands in a tuple, where torch does not find it: it is no parameter of this model, so
        # that no optimizer holds it, no checkpoint saves it and no rank sends it.
        self._output: tuple[Tensor, ...] = ()
        if self.rows is None:
            self._output = (base.get_output_embeddings().weight,)
        if self.rows is not None:
            decoder.set_input_embeddings(nn.Identity())  # never called: the layers are given embeddings
        if settings.train == "all":
            self.decoder = decoder
        else:
            decoder.requires_grad_(False)
        if settings.train == "lora":
            add_adapters(decoder, settings.lora)
        self._hidden = () if settings.train == "all" else (decoder,)
        self.adapter = nn.ParameterDict(adapter_parameters(decoder) if settings.train == "lora" else {})
        digest = torch.frombuffer(bytearray.fromhex(identity_of(settings.base)), dtype=torch.uint8)
        self.register_buffer(BASE_IDENTITY, digest)

    @property
    def layers(self) -> Any:
        """The layers of the language model, with embeddings as input."""
        return self._hidden[0] if self._hidden else self.decoder

    def forward(self, inputs: TextBatch) -> Tensor:
        """The vectors [B, W]; zeros for a record without any token."""
        vectors: Tensor = self.head(self.states(inputs), inputs)
        return vectors

    def states(self, inputs: TextBatch) -> Tensor:
        """The states [B, L, D] after the last layer; those of positions without a token have no meaning. Hidden
        positions have the mean of all embeddings as theirs."""
        found = ((self._states(part), part.mask_BL.shape[1]) for part in inputs.groups(GROUP))
        longest = inputs.mask_BL.shape[1]
        return torch.cat([F.pad(states, (0, 0, 0, longest - length)) for states, length in found])

    def _states(self, inputs: TextBatch) -> Tensor:
        embedded_BLD = self.embed(inputs.ids_BLP)
        if inputs.hidden_BL is not None:
            embedded_BLD = torch.where(inputs.hidden_BL[..., None], self._mean_embedding(), embedded_BLD)
        attended_BL = inputs.mask_BL.clone()
        attended_BL[:, :1] = True  # a record without any token attends to something, and is zero in the end
        with torch.autocast(embedded_BLD.device.type, torch.bfloat16, enabled=self.settings.bfloat16):
            states: Tensor = self.layers(
                inputs_embeds=embedded_BLD, attention_mask=attended_BL.long(), use_cache=False
            ).last_hidden_state
        return states.to(embedded_BLD.dtype)

    def embed(self, ids_BLP: Tensor) -> Tensor:
        """The input embeddings [B, L, D], those of a position added up."""
        ids = ids_BLP.clamp_min(0)
        found = self.layers.get_input_embeddings()(ids) if self.rows is None else F.embedding(ids, self.rows)
        return (found * (ids_BLP >= 0)[..., None]).sum(2)

    @property
    def output_weight(self) -> Tensor:
        """The embeddings that the states are compared with to tell tokens: of the new tokens [V, D], or in a
        form of plain words of all tokens of the pretrained model."""
        return self._output[0] if self.rows is None else self.rows

    def flops(self, inputs: TextBatch, *, again: bool = False) -> float:
        """Training FLOPs of the linear layers and of attention, padding included. The gradient of frozen
        weights is not computed."""
        config = self.layers.config
        own = sum(one.numel() for one in self.adapter.values()) + sum(
            one.numel() for one in self.head.parameters()
        )
        linear = sum(one.weight.numel() for one in self.layers.modules() if isinstance(one, nn.Linear)) - sum(
            one.numel() for one in self.adapter.values()
        )
        passes = 3 if self.settings.train == "all" else 2
        forwards = 2 if again else 1
        weights = forwards * 2.0 * (linear + own) + 2.0 * ((passes - 1) * linear + 2 * own)
        flops = 0.0
        for records, length in (part.mask_BL.shape for part in inputs.groups(GROUP)):
            attention = 4.0 * length * config.hidden_size * config.num_hidden_layers
            flops += records * length * (weights + (forwards + 2) * attention)
        return flops

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on or off, that of the frozen layers too."""
        for hidden in self._hidden:
            hidden.train(mode)
        return super().train(mode)

    def _mean_embedding(self) -> Tensor:
        weight = self.layers.get_input_embeddings().weight if self.rows is None else self.rows
        return weight.detach().mean(0)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """Move or convert the frozen weights too. The adapters' parameters belong to both."""
        for hidden in self._hidden:
            hidden._apply(fn, recurse)
            if self.adapter:
                self.adapter = nn.ParameterDict(adapter_parameters(hidden))
        self._output = tuple(fn(weight) for weight in self._output)
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        stored = state_dict.get(prefix + BASE_IDENTITY)
        if stored is not None and not torch.equal(stored.cpu(), self.base_identity.cpu()):
            raise DataError(
                "is not the language model that these weights were trained with: expected one with checksum"
                f" {bytes(stored.cpu().tolist()).hex()[:16]}..., see `language.base`",
                path=self.settings.base,
            )
        super()._load_from_state_dict(state_dict, prefix, *rest)
