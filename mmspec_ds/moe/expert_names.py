"""Names of experts' weights: by their number on a rank, and by their number among all experts.

DeepSpeed's naming in state dicts, `...deepspeed_moe.experts.deepspeed_experts.<i>.<part>`, counts the experts
of a rank. In files experts stand under their global numbers, so that a file does not depend on how many ranks
shared them. A parameter holds a part, such as w1, of all experts of a rank, see `ExpertBank`.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mmspec_ds.moe.expert_parallel import Placement

_EXPERT = re.compile(r"(.*\.deepspeed_moe\.experts\.deepspeed_experts\.)(\d+)(\..*)")
_STACKED = re.compile(r"(.*\.deepspeed_moe\.experts\.)(w1|b1|w2|b2)")


def is_expert(name: str) -> bool:
    """Whether a parameter, or an entry of a state dict, belongs to experts."""
    return any(kind.fullmatch(name) is not None for kind in (_EXPERT, _STACKED))


def global_name(name: str, placement: Placement, experts: int) -> str:
    """The name in files of an entry of the state dict of this rank's model, which holds experts /
    placement.size experts."""
    match = _EXPERT.fullmatch(name)
    if match is None:
        return name
    before, number, rest = match.groups()
    return f"{before}{placement.local(experts)[int(number)]}{rest}"


@dataclass(frozen=True)
class ExpertSharding:
    """Names of a rank's weights where the experts of each layer are shared by several ranks; `widths` are those
    of all experts in physical order."""

    placement: Placement
    widths: tuple[int, ...]

    @property
    def size(self) -> int:
        """Ranks that share the experts."""
        return self.placement.size

    def is_sharded(self, name: str) -> bool:
        """Whether a parameter belongs to experts."""
        return is_expert(name)

    def global_name(self, name: str) -> str:
        """The name in files of an entry of the state dict."""
        return global_name(name, self.placement, len(self.widths))

    def parts(self, name: str, shape: Sequence[int]) -> list[tuple[str, tuple[int, ...]]]:
        """The tensors in files, by name and shape, that follow one another in a flattened parameter."""
        match = _STACKED.fullmatch(name)
        if match is None:
            return [(name, tuple(shape))]
        before, part = match.groups()
        local = self.placement.local(len(self.widths))
        elements, hidden = math.prod(shape), sum(self.widths[i] for i in local)
        d_model = elements // (len(local) if part == "b2" else hidden)
        found = []
        for i in local:
            width = self.widths[i]
            sizes = {"w1": (d_model, width), "b1": (width,), "w2": (width, d_model), "b2": (d_model,)}
            found.append((f"{before}deepspeed_experts.{i}.{part}", sizes[part]))
        return found
