"""The settings of a language model that reads spectra as text."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from mmspec_ds.language.adapters import LoraSettings
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.textualize import TextSettings

Pooling = Literal["mean", "weighted", "intensity"]


class LanguageModelSettings(Settings):
    """A pretrained language model as an encoder, after LLM2Vec (BehnamGhader et al. 2024, arXiv:2404.05961).

    Attributes:
        base: folder of the model, see `model_folder`.
        text: how spectra are written.
        max_tokens: positions kept of a record, the first ones.
        layers: how many layers of the model are used, the first ones; all without.
        attention: whether a token also sees those after it, or as in the pretraining only those before.
        pooling: how the states become one: their mean, a mean weighted by 1, 2, 3, ... (Muennighoff 2022,
            arXiv:2202.08904), or a sum of the peaks' states weighted by the square roots of the intensities and
            a learnt factor, which needs the form "summed".
        skip: add a projection of the same sum of sinusoids of m/z, past the language model: at the start the
            vectors then compare spectra much as a cosine with a tolerance does. It needs "intensity".
        bfloat16: compute the layers in bfloat16, where the processor is faster so (AVX512-BF16, AMX; GPUs).
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
    skip: bool = False
    bfloat16: bool = False
    width: int = Field(256, ge=1)
    train: Literal["lora", "all", "nothing"] = "lora"
    lora: LoraSettings = LoraSettings()
    attention_dropout: float = Field(0.0, ge=0, lt=1)
    missing: float = Field(0.0, ge=0, lt=1)
    masked: float = Field(0.2, gt=0, lt=1)
    random_seed: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _intensities_are_told(self) -> Self:
        if self.pooling == "intensity" and self.text.form != "summed":
            raise ValueError(f"pooling is 'intensity', but text.form is {self.text.form!r}: expected 'summed'")
        if self.skip and self.pooling != "intensity":
            raise ValueError(f"skip is true, but pooling is {self.pooling!r}: expected 'intensity'")
        return self

    def at(self, base: Path) -> Self:
        """The same with the base model in another folder."""
        return self.model_copy(update={"base": base})
