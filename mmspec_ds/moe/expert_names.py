"""Names of experts' parameters: by their number on a rank, and by their number among all experts.

DeepSpeed's naming, `...deepspeed_moe.experts.deepspeed_experts.<i>.<part>`, counts the experts of a rank. In
files experts stand under their global numbers, so that a file does not depend on how many ranks shared them.
"""

import re

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
