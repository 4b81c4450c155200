"""Routing figures: a few scalars of a step, and whole tables of a validation.

Axes: Y layers, M modalities, E experts in physical order, F families.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmspec_ds.moe.expert_settings import ExpertSettings
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.statistics import RoutingReport

Array = npt.NDArray[np.float64]
FAMILIES = ("shared", "modality", "interaction")


def routing_scalars(reports: Sequence[RoutingReport], names: Sequence[str]) -> dict[str, float]:
    """Scalars of each modality over all layers, by tag: each expert's share of its token-expert pairs (load)
    and of its probability (importance), the mean entropy of a token's router in nats, and the fraction of its
    pairs that capacity dropped. Everything comes to the host in one copy. `names` are those of the modalities
    in the order of the reports' rows."""
    if not reports:
        return {}
    parts = ("load_ME", "importance_ME", "dropped_M", "tokens_M", "entropy_M")
    sums: list[Tensor] = [sum(getattr(r, part).detach() for r in reports) for part in parts]
    shapes = [one.shape for one in sums]
    flat = torch.cat([one.reshape(-1) for one in sums]).tolist()
    pieces = np.split(np.array(flat), np.cumsum([shape.numel() for shape in shapes])[:-1])
    load, importance, dropped, tokens, entropy = (p.reshape(s) for p, s in zip(pieces, shapes))
    scalars = {}
    for modality, name in enumerate(names[: len(load)]):
        pairs = load[modality].sum()
        if not pairs:
            continue
        shares = importance[modality] / importance[modality].sum()
        for number in range(load.shape[1]):
            scalars[f"load_{name}/expert_{number}"] = float(load[modality][number] / pairs)
            scalars[f"importance_{name}/expert_{number}"] = float(shares[number])
        scalars[f"dropped/{name}"] = float(dropped[modality] / pairs)
        scalars[f"entropy/{name}"] = float(entropy[modality] / tokens[modality])
    return scalars


@dataclass(frozen=True)
class RoutingTable:
    """Sums over the tokens of a validation: `load_YME` pairs chosen, before capacity, `importance_YME`
    probability, `dropped_YM` pairs dropped, `tokens_YM` tokens, `entropy_YM` entropy in nats."""

    load_YME: Array
    importance_YME: Array
    dropped_YM: Array
    tokens_YM: Array
    entropy_YM: Array

    @property
    def share_YME(self) -> Array:
        """The share of a modality's pairs that each expert of a layer was chosen for; NaN for a modality that
        did not occur."""
        return _over(self.load_YME, self.load_YME.sum(2, keepdims=True))

    @property
    def chosen_YE(self) -> Array:
        """How often a token chose each expert of a layer on average, tokens of all modalities together."""
        return _over(self.load_YME.sum(1), self.tokens_YM.sum(1, keepdims=True))

    def families_FM(self, experts: Sequence[ExpertSettings]) -> Array:
        """The share of each modality's pairs, over all layers, that a family of experts was chosen for."""
        family = [one.family for one in physical_order(experts)]
        member_FE = np.array([[one == name for one in family] for name in FAMILIES], dtype=np.float64)
        load_ME = self.load_YME.sum(0)
        return member_FE @ _over(load_ME, load_ME.sum(1, keepdims=True)).T

    def to_json(self) -> dict[str, Any]:
        """Nested lists under the names of the attributes."""
        return {name: values.tolist() for name, values in asdict(self).items()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "RoutingTable":
        """The table that `to_json` wrote."""
        return cls(**{name: np.array(content[name], dtype=np.float64) for name in cls.__dataclass_fields__})


class RoutingTally:
    """Adds up the reports of many batches on their device."""

    def __init__(self) -> None:
        self._sums: list[list[Tensor]] = []

    def add(self, reports: Sequence[RoutingReport]) -> None:
        """The reports of a batch's layers, summed over ranks; none for a dense model."""
        parts = ("load_ME", "importance_ME", "dropped_M", "tokens_M", "entropy_M")
        sums = [[getattr(report, part).detach() for part in parts] for report in reports]
        if not self._sums:
            self._sums = sums
            return
        self._sums = [[a + b for a, b in zip(*layers)] for layers in zip(self._sums, sums)]

    def table(self) -> RoutingTable | None:
        """The sums of all batches; None for a dense model."""
        if not self._sums:
            return None
        return RoutingTable(
            *(torch.stack(layers).double().cpu().numpy() for layers in zip(*self._sums)),
        )


def expert_names(experts: Sequence[ExpertSettings]) -> list[str]:
    """The experts in physical order: number, family and width; a modality expert by what it serves."""
    names = []
    for number, one in enumerate(physical_order(experts)):
        kind = "+".join(one.modalities) if one.family == "modality" else one.family
        names.append(f"{number} {kind}\n{one.width}")
    return names


def _over(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
