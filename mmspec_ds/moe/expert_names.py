"""Names of experts' parameters: by their number on a rank, and by their number among all experts.

DeepSpeed's naming, `...deepspeed_moe.experts.deepspeed_experts.<i>.<part>`, counts the experts of a rank. In
files experts stand under their global numbers, so that a file does not depend on how many ranks shared them.
"""

import re
from dataclasses import dataclass

from mmspec_ds.moe.expert_parallel import Placement

_EXPERT = re.compile(r"(.*\.deepspeed_moe\.experts\.deepspeed_experts\.)(\d+)(\..*)")


def is_expert(name: str) -> bool:
    """Whether a parameter belongs to an expert."""
    return _EXPERT.fullmatch(name) is not None


def global_name(name: str, placement: Placement, experts: int) -> str:
    """The name in files of a parameter of this rank's model, which holds experts / placement.size experts."""
    match = _EXPERT.fullmatch(name)
    if match is None:
        return name
    before, number, rest = match.groups()
    return f"{before}{placement.local(experts)[int(number)]}{rest}"


@dataclass(frozen=True)
class ExpertSharding:
    """Names of a rank's parameters where the `experts` of each layer are shared by several ranks."""

    placement: Placement
    experts: int

    @property
    def size(self) -> int:
        """Ranks that share the experts."""
        return self.placement.size

    def is_sharded(self, name: str) -> bool:
        """Whether a parameter belongs to an expert."""
        return is_expert(name)

    def global_name(self, name: str) -> str:
        """The name of a parameter in files."""
        return global_name(name, self.placement, self.experts)
