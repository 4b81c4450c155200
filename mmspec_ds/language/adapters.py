"""Low-rank adapters in the layers of a language model, by `peft`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import Field
from torch import nn

from mmspec_ds.errors import UserError
from mmspec_ds.settings import Settings

_ADAPTER = "default"


class LoraSettings(Settings):
    """Low-rank adapters of all linear layers (Hu et al. 2021); the defaults are those of LLM4MS."""

    rank: int = Field(16, ge=1)
    alpha: float = Field(32.0, gt=0, description="the adapters' output is multiplied by alpha / rank")
    dropout: float = Field(0.05, ge=0, lt=1, description="of the adapters' input")


def add_adapters(decoder: Any, settings: LoraSettings) -> None:
    """Give every linear layer of a model of transformers an adapter (seven a layer in Llama), drawn from
    torch's generator, which changes nothing yet. The weights of the model are frozen.

    Raises:
        UserError: `peft` is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise UserError("adapters need peft: expected `pip install 'mmspec-ds[llm]'`") from None

    decoder.requires_grad_(False)
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, target_modules="all-linear"
    )
    inject_adapter_in_model(config, decoder, _ADAPTER)


def adapter_parameters(decoder: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of the adapters: "layers-0-mlp-up_proj-lora_A" and so on, for a dot or a slash
    cannot be part of a parameter's name."""
    return {
        name.removesuffix(f".{_ADAPTER}.weight").replace(".", "-"): parameter
        for name, parameter in decoder.named_parameters()
        if parameter.requires_grad
    }


@contextmanager
def adapters_off(decoder: nn.Module) -> Iterator[None]:
    """Inside, a model answers as it did before it had adapters; for use without gradients."""
    layers: list[Any] = [one for one in decoder.modules() if hasattr(one, "lora_A")]
    trained = [one for one in decoder.parameters() if one.requires_grad]
    for one in layers:
        one.enable_adapters(False)
    try:
        yield
    finally:
        for one in layers:
            one.enable_adapters(True)
        for parameter in trained:
            parameter.requires_grad_(True)
