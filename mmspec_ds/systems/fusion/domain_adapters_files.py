"""Adapters in files: their weights alone, and a JSON file that names the base that they belong to."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmspec_ds.errors import DataError
from mmspec_ds.files import write_json
from mmspec_ds.settings import validated
from mmspec_ds.systems.fusion.domain_adapters import adapter_parameters, add_adapter, head_of
from mmspec_ds.systems.fusion.domain_adapters_settings import AdaptSettings
from mmspec_ds.systems.fusion.model import FusionModel
from mmspec_ds.trainer.weights import WEIGHTS, read_weights

ADAPTER = "adapter.json"
ADAPTER_NAME = "domain"
"""The name of the adapter that a run trains."""


@dataclass(frozen=True)
class AdapterFacts:
    """What is known of an adapter beside its weights.

    Attributes:
        base: the checksum of the base's weights.
        base_name: of the base's run.
        parameters, base_parameters: their numbers.
        settings: of `AdaptSettings`, without the path.
    """

    base: str
    base_name: str
    parameters: int
    base_parameters: int
    settings: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """Write `adapter.json` into the folder of the adapter: its base, kind and sizes."""
        write_json(folder / ADAPTER, asdict(self))


class AdapterWeights(nn.Module):
    """The parameters of one adapter of a model, those of a new head with its prior, and nothing else: what a
    training saves.

    Args:
        model: with the adapter.
        name: of the adapter.
        new_head: whether the head is its own.
    """

    def __init__(self, model: FusionModel, name: str, *, new_head: bool = False) -> None:
        super().__init__()
        self.adapter = nn.ParameterDict(adapter_parameters(model, name))
        if new_head:
            self.head = nn.ModuleDict(head_of(model))
            self.register_buffer("prior_C", model.prior_C)


def read_facts(folder: Path) -> AdapterFacts:
    """What is known of a stored adapter.

    Raises:
        DataError: there is none, or it cannot be understood.
    """
    path = folder / ADAPTER
    try:
        return AdapterFacts(**json.loads(path.read_text(encoding="utf-8")))
    except OSError:
        told = f"holds no {ADAPTER}: expected the folder of a run with adapters"
        raise DataError(told, path=folder) from None
    except (ValueError, TypeError) as error:
        raise DataError(f"cannot be read as facts about an adapter: {error}", path=path) from None


def load_adapter(model: FusionModel, folder: Path, base: str, name: str = ADAPTER_NAME) -> str:
    """Give a base a stored adapter by the name `name`, and use it.

    Args:
        model: the base, perhaps with other adapters; or with a new head, where the adapter has one.
        folder: of a run with adapters, or an export.
        base: the checksum of the base's weights.
        name: must be new.

    Returns:
        The checksum of the adapter's weights.

    Raises:
        DataError: the adapter is of another base, or cannot be read.
    """
    facts = read_facts(folder)
    if facts.base != base:
        raise DataError(
            f"adapters of another base: expected {facts.base_name} with checksum {facts.base[:16]}..., found"
            f" {base[:16]}...",
            path=folder,
        )
    tensors, about = read_weights(folder / WEIGHTS)
    settings = {**facts.settings, "base": "base", "most_share": 1.0}
    with torch.random.fork_rng(devices=[]):
        add_adapter(model, name, validated(AdaptSettings, settings, str(folder / ADAPTER)))
    own = AdapterWeights(model, name, new_head=facts.settings.get("head") == "new").state_dict()
    wrong = [one for one in own.keys() | tensors.keys() if _shape(own, one) != _shape(tensors, one)]
    if wrong:
        raise DataError(f"does not fit its {ADAPTER}: {min(wrong)}", path=folder / WEIGHTS)
    with torch.no_grad():
        for place, tensor in own.items():
            tensor.copy_(tensors[place])
    return str(about["sha256"])


def _shape(tensors: Mapping[str, Tensor], name: str) -> torch.Size | None:
    return tensors[name].shape if name in tensors else None
