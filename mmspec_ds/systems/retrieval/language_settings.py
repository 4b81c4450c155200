"""The settings of a language model that reads spectra as text."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field

from mmspec_ds.settings import Settings
from mmspec_ds.spectra.textualize import TextSettings

Pooling = Literal["mean", "weighted"]


class LoraSettings(Settings):
    """Low-rank adapters of all linear layers (Hu et al. 2021); the defaults are those of LLM4MS."""

    rank: int = Field(16, ge=1)
    alpha: float = Field(32.0, gt=0, description="the adapters' output is multiplied by alpha / rank")
    dropout: float = Field(0.05, ge=0, lt=1, description="of the adapters' input")


class LanguageModelSettings(Settings):
    """A pretrained language model as an encoder, after LLM2Vec (BehnamGhader et al. 2024, arXiv:2404.05961).

    Attributes:
        base: folder of the model, see `model_folder`.
        text: how spectra are written.
        max_tokens: positions kept of a record, the first ones.
        layers: how many layers of the model are used, the first ones; all without.
        attention: whether a token also sees those after it, or as in the pretraining only those before.
        pooling: how the states become one: their mean, or a mean weighted by 1, 2, 3, ... (Muennighoff 2022,
            arXiv:2202.08904).
        width: of the vectors.
        train: beside the new tokens and the projection, "lora" trains adapters, "all" every weight, "nothing"
            no other.
        lora: the adapters.
        attention_dropout: share of attention weights dropped in training (LLM2Vec's pairs: 0.3).
        missing: probability that a training batch leaves out a position.
        masked: probability that the masked objective hides a position (LLM2Vec: 0.2).
        random_seed: draw the weights of the model anew from this seed: a control without pretraining.
    """

    base: Path
    text: TextSettings = TextSettings()
    max_tokens: int = Field(128, ge=1)
    layers: int | None = Field(None, ge=1)
    attention: Literal["bidirectional", "causal"] = "bidirectional"
    pooling: Pooling = "mean"
    width: int = Field(256, ge=1)
    train: Literal["lora", "all", "nothing"] = "lora"
    lora: LoraSettings = LoraSettings()
    attention_dropout: float = Field(0.0, ge=0, lt=1)
    missing: float = Field(0.0, ge=0, lt=1)
    masked: float = Field(0.2, gt=0, lt=1)
    random_seed: int | None = Field(None, ge=0)

    def at(self, base: Path) -> Self:
        """The same with the base model in another folder."""
        return self.model_copy(update={"base": base})
