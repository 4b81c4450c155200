"""Adapters of a fusion model for a new instrument or study: several on one base, of which one at most is in
use.

The base's weights stay as they are, bit for bit. At the start an adapter changes nothing.
"""

import re
import warnings
from collections.abc import Iterator
from typing import Any

from torch import nn

from mmspec_ds.errors import ConfigError, UserError
from mmspec_ds.nn.bottleneck import Bottleneck, Bottlenecks
from mmspec_ds.nn.encoder import Encoder, EncoderLayer
from mmspec_ds.systems.fusion.domain_adapters_settings import AdaptSettings
from mmspec_ds.systems.fusion.model import FusionModel

PLACES = ("after_attention", "after_feedforward")
LINEAR = r"layers\.\d+\.(attention\.(query_key_value|output)|feedforward\.(widen|narrow))"
"""The linear layers of an encoder that "lora" changes."""
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def add_adapter(model: FusionModel, name: str, settings: AdaptSettings) -> None:
    """Give a model an adapter, drawn from torch's generator, and use it. The other weights are frozen.

    Raises:
        ConfigError: it has too large a share of the parameters.
        UserError: "lora" without `peft`.
        ValueError: the name is taken, or is no name.
    """
    if name in adapter_names(model) or not _NAME.fullmatch(name):
        raise ValueError(f"adapter {name!r}: expected a new name of letters, digits, - and _")
    of_base = sum(one.numel() for one in base_parameters(model).values())
    model.requires_grad_(False)
    if settings.kind == "bottleneck":
        _add_bottlenecks(model, name, settings)
    else:
        _add_lora(model, name, settings)
    use_adapter(model, name)
    share = sum(one.numel() for one in adapter_parameters(model, name).values()) / of_base
    if share > settings.most_share:
        raise ConfigError(
            f"adapt.width is {settings.width}: the adapters have {100 * share:.1f} % of the {of_base:,}"
            f" parameters of the base, expected at most {100 * settings.most_share:g} % (adapt.most_share)"
        )


def use_adapter(model: FusionModel, name: str | None) -> None:
    """Switch to an adapter by its name, or to the bare base. Its parameters, and no other ones, then want
    gradients.

    Raises:
        ValueError: there is no such adapter.
    """
    if name is not None and name not in adapter_names(model):
        known = ", ".join(adapter_names(model)) or "none"
        raise ValueError(f"no adapter {name!r}: expected one of {known}")
    for module in _encoder(model).modules():
        if isinstance(module, Bottlenecks):
            module.active = name
    for layer in _lora_layers(model):
        if name is not None and name in layer.lora_A:
            layer.enable_adapters(True)
            layer.set_adapter([name])
        else:
            layer.enable_adapters(False)
    model.requires_grad_(False)
    if name is not None:
        for parameter in adapter_parameters(model, name).values():
            parameter.requires_grad_(True)


def adapter_names(model: FusionModel) -> tuple[str, ...]:
    """The names of a model's adapters, sorted."""
    names: set[str] = set()
    for module in _encoder(model).modules():
        if isinstance(module, Bottlenecks):
            names |= set(module)
    for layer in _lora_layers(model):
        names |= set(layer.lora_A)
    return tuple(sorted(names))


def adapter_parameters(model: FusionModel, name: str) -> dict[str, nn.Parameter]:
    """The parameters of an adapter by their place, without its name: "layers-0-after_attention-down-weight",
    for a dot cannot be part of a parameter's name."""
    return {
        place.replace(f".{name}.", ".").replace(".", "-"): parameter
        for place, parameter in _encoder(model).named_parameters()
        if _is_of_adapter(place, name)
    }


def base_parameters(model: FusionModel) -> dict[str, nn.Parameter]:
    """The parameters of the base alone, by the names that they have without adapters."""
    return {
        place.replace(".base_layer.", "."): parameter
        for place, parameter in model.named_parameters()
        if not any(f".{part}." in place for part in (*PLACES, "lora_A", "lora_B"))
    }


def _encoder(model: FusionModel) -> Encoder:
    return model.encoder.encoder


def _is_of_adapter(place: str, name: str) -> bool:
    """Whether a parameter belongs to an adapter: "layers.0.after_attention.NAME.up.bias" does, and
    "layers.0.attention.output.lora_A.NAME.weight"."""
    return any(f".{part}.{name}." in place for part in (*PLACES, "lora_A", "lora_B"))


def _add_bottlenecks(model: FusionModel, name: str, settings: AdaptSettings) -> None:
    for layer in _encoder(model).layers:
        assert isinstance(layer, EncoderLayer)
        for place in PLACES:
            if getattr(layer, place) is None:
                setattr(layer, place, Bottlenecks())
            width = layer.attention_norm.normalized_shape[0]
            made = Bottleneck(width, settings.width, settings.dropout)
            getattr(layer, place)[name] = made.to(layer.attention_norm.weight)


def _add_lora(model: FusionModel, name: str, settings: AdaptSettings) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise UserError("adapters of kind lora need peft: expected `pip install 'mmspec-ds[llm]'`") from None

    config = LoraConfig(
        r=settings.width, lora_alpha=settings.alpha, lora_dropout=settings.dropout, target_modules=LINEAR
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # several are meant
        inject_adapter_in_model(config, _encoder(model), name)


def _lora_layers(model: FusionModel) -> Iterator[Any]:
    return (one for one in _encoder(model).modules() if hasattr(one, "lora_A"))
