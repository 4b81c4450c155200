"""A language model whose weights never change: embeddings and vectors in, states and log-probabilities out.

It is no `nn.Module` of the model that is trained: no optimizer holds its weights, no checkpoint saves them, no
rank sends them.

Axes: B prompts, L positions, W width of its embeddings, V tokens of its vocabulary.
"""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from mmspec_ds.language.adapters import adapters_off
from mmspec_ds.language.model_folder import decoder_of, identity_of, read_model, read_tokenizer
from mmspec_ds.nn.compiling import check_compiler
from mmspec_ds.trainer.weights import checksum

Precision = Literal["float32", "bfloat16"]

PLAIN_UNTIL = 192
"""Positions up to which attention in bfloat16 on a processor goes in plain steps."""


class FrozenLanguage:
    """A pretrained causal language model.

    Args:
        folder: of the model, see `language.model_folder`.
        precision: of its weights in memory and of its arithmetic. "bfloat16" is faster where processor or GPU
            has instructions for it.
        compiled: make one kernel of many small steps of each layer, when the layers are first used.

    Attributes:
        model: of transformers.
        tokenizer: its own.
        identity: a checksum of its files.
        depth: how many layers it has.
        width: of its embeddings, W.
        longest: most positions.
        first: ids that every text begins with.
        end: its own end of a text, if it has one.

    Raises:
        DataError: the folder holds no such model, or it is to be compiled and there is no compiler.
    """

    def __init__(self, folder: Path, precision: Precision = "float32", *, compiled: bool = False) -> None:
        self.folder, self.precision = folder, precision
        self.identity = identity_of(folder)
        self.tokenizer = read_tokenizer(folder)
        self.model: Any = read_model(folder, attention="causal").requires_grad_(False)
        self.model.to(getattr(torch, precision))
        if compiled:
            _compile(self.layers)
        config = self.model.config
        self.depth = int(config.num_hidden_layers)
        self.width, self.longest = int(config.hidden_size), int(config.max_position_embeddings)
        begins = self.tokenizer.encode("", add_special_tokens=True).ids
        self.first = [one for one in begins[:1] if one == config.bos_token_id]
        known = inspect.signature(self.layers.forward).parameters
        self._cache_name = "cache" if "cache" in known else "past_key_values"  # before transformers 5.24
        end = config.eos_token_id
        self.end: int | None = end[0] if isinstance(end, list) else end

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self._table.device
        return device

    @property
    def layers(self) -> Any:
        """The layers, without table and head of the language model."""
        return decoder_of(self.model)

    @property
    def _table(self) -> Any:
        return self.model.get_input_embeddings().weight

    def to(self, device: torch.device) -> None:
        """Move the weights; their precision stays."""
        self.model.to(device)

    def _choose_attention(self, positions: int) -> None:
        """PyTorch's fused attention, but for short prompts in bfloat16 on a processor: there its gradient takes
        longer than all matrix products of a layer, and attention in plain steps is faster. For long ones plain
        steps are no faster, and hold a table of positions by positions for each head and layer."""
        plain = self.device.type == "cpu" and self.precision == "bfloat16" and positions <= PLAIN_UNTIL
        name = "eager" if plain else "sdpa"
        if self.model.config._attn_implementation != name:
            self.model.set_attn_implementation(name)

    def train(self, mode: bool) -> None:
        """Switch on the dropout of adapters, where there are any."""
        self.model.train(mode)

    def table_statistics(self) -> tuple[Tensor, float]:
        """The mean of the input embeddings [W], and the standard deviation of a component around it: where the
        model expects tokens."""
        table = self._table.detach().float()
        mean = table.mean(0)
        return mean, float((table - mean).pow(2).mean().sqrt())

    def embed(self, ids: Tensor) -> Tensor:
        """The input embeddings of tokens, [..., W] of ids [...]."""
        found: Tensor = self.model.get_input_embeddings()(ids)
        return found

    def states(
        self,
        embedded_BLW: Tensor,
        *,
        mask: Tensor | None = None,
        positions_BL: Tensor | None = None,
        cache: Any = None,
    ) -> Tensor:
        """States after the last layer, [B, L, W], in the precision of the weights.

        Args:
            embedded_BLW: input embeddings.
            mask: 1 where there is a token, of all positions that the cache holds and of these; without, no
                padding stands before a token.
            positions_BL: places of the tokens in their texts; without, counted from the cache's end.
            cache: keys and values of positions before these, of transformers; it grows.
        """
        self._choose_attention(embedded_BLW.shape[1])
        found: Tensor = self.layers(
            inputs_embeds=embedded_BLW.to(self._table.dtype),
            attention_mask=mask,
            position_ids=positions_BL,
            use_cache=cache is not None,
            **{self._cache_name: cache},
        ).last_hidden_state
        return found

    def logits(self, states: Tensor) -> Tensor:
        """Of every token of the vocabulary, float32, [..., V]."""
        logits: Tensor = self.model.get_output_embeddings()(states).float()
        scale = getattr(self.model.config, "logits_scaling", None)  # of the Granite models
        return logits if scale is None else logits / scale

    def log_probabilities(self, states: Tensor) -> Tensor:
        """Of every token of the vocabulary, float32, [..., V]."""
        return self.logits(states).log_softmax(-1)

    def flops(self, positions: int, told: int) -> float:
        """Of a forward pass and of the gradient of its input: of linear layers, for this many positions and
        tokens that are told. Attention is a small part for short prompts and not counted."""
        linear = sum(one.weight.numel() for one in self.layers.modules() if isinstance(one, torch.nn.Linear))
        return 4.0 * (linear * positions + self._table.numel() * told)

    @torch.no_grad()
    def represent(
        self,
        ids: Sequence[Sequence[int]],
        *,
        layer: int,
        batch: int = 16,
        progress: Callable[[int], None] | None = None,
    ) -> Tensor:
        """What the model makes of texts: the mean of the states of a text's tokens after a layer, float32
        [N, W], on the CPU; texts of like length together. Zeros for a text without a token.

        Args:
            ids: tokens of each text.
            layer: 0 for the input embeddings, 1 for the states after the first layer, and so on.
            batch: texts at a time.
            progress: told how many texts are read, the short ones first.
        """
        found = torch.zeros(len(ids), self.width)
        order = sorted((at for at, one in enumerate(ids) if one), key=lambda at: len(ids[at]))
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            longest = max(len(ids[at]) for at in chosen)
            padded = torch.tensor([[*ids[at], *[0] * (longest - len(ids[at]))] for at in chosen])
            counts = torch.tensor([len(ids[at]) for at in chosen])
            states = self._after(self.embed(padded.to(self.device)), layer).float().cpu()
            kept = torch.arange(longest) < counts[:, None]
            found[chosen] = (states * kept[..., None]).sum(1) / counts[:, None]
            if progress is not None:
                progress(start + len(chosen))
        return found

    def _after(self, embedded_BLW: Tensor, layer: int) -> Tensor:
        """States after a layer, without adapters, which training changes; those after it are not computed."""
        layers = self.layers
        if layer == 0:
            return embedded_BLW
        everything, layers.layers = layers.layers, layers.layers[:layer]
        norm = layers.norm
        if layer < len(everything):
            layers.norm = torch.nn.Identity()
        try:
            with adapters_off(layers):
                return self.states(embedded_BLW)
        finally:
            layers.layers, layers.norm = everything, norm

    def checksum(self) -> str:
        """SHA-256 of the weights as they stand in memory, adapters not among them."""
        names = (name for name in self.model.state_dict() if "lora_" not in name)
        state = self.model.state_dict()
        return checksum({name.replace(".base_layer", ""): state[name].detach().cpu() for name in names})


def _compile(layers: Any) -> None:
    """Compile each layer for batches of any shape.

    Raises:
        DataError: there is no C++ compiler, which kernels for a processor need.
    """
    check_compiler("language.compile")
    for layer in layers.layers:
        layer.compile(dynamic=True)
