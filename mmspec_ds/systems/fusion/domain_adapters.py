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
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.schema import Schema

PLACES = ("after_attention", "after_feedforward")
LINEAR = r"layers\.\d+\.(attention\.(query_key_value|output)|feedforward\.(widen|narrow))"
"""The linear layers of an encoder that "lora" changes."""
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def with_new_head(base: FusionModel, run: FusionRun, schema: Schema) -> FusionModel:
    """A model that tells other classes or groups: the encoder is that of a base, which both have in common, the
    fuser is drawn from torch's generator."""
    return FusionModel(base.encoder, run.model, run.fusion, schema, run.tokens.patch)


def head_of(model: FusionModel) -> dict[str, nn.Module]:
    """The parts of a model that tell, by their names: all of it but the encoder."""
    parts = {"fuser": model.fuser, "attention": model.attention}
    return {name: part for name, part in parts.items() if part is not None}


def add_adapter(model: FusionModel, name: str, settings: AdaptSettings, of_base: int | None = None) -> None:
    """Give a model an adapter, drawn from torch's generator, and use it. The other weights are frozen, but for
    a new head.

    Args:
        model: the base, or one by `with_new_head`.
        name: of the adapter.
        settings: its kind and size.
        of_base: the base's number of parameters, where the head is new.

    Raises:
        ConfigError: it has too large a share of the parameters.
        UserError: "lora" without `peft`.
        ValueError: the name is taken, or is no name.
    """
    if name in adapter_names(model) or not _NAME.fullmatch(name):
        raise ValueError(f"adapter {name!r}: expected a new name of letters, digits, - and _")
    of_base = of_base or sum(one.numel() for one in base_parameters(model).values())
    model.requires_grad_(False)
    if settings.kind == "bottleneck":
        _add_bottlenecks(model, name, settings)
    elif settings.kind == "lora":
        _add_lora(model, name, settings)
    use_adapter(model, name if settings.kind != "none" else None)
    if settings.head == "new":
        for part in head_of(model).values():
            part.requires_grad_(True)
    share = sum(one.numel() for one in model.parameters() if one.requires_grad) / of_base
    if share > settings.most_share:
        what = "adapters and the new head" if settings.head == "new" else "adapters"
        raise ConfigError(
            f"adapt.width is {settings.width}: the {what} have {100 * share:.1f} % of the {of_base:,}"
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
