"""By what rule experts are chosen and weighted."""

from dataclasses import dataclass
from typing import Literal

GateFunction = Literal["softmax", "sigmoid"]

NOT_ROUTED = -1
"""The modality of a padding place, and the expert index of a token-expert pair that is not used."""


@dataclass(frozen=True)
class RoutingRule:
    """How `route` and `route_by_experts` choose and weight experts.

    Attributes:
        k: experts for each token, at least 1.
        temperature: tau > 0, by which logits are divided.
        gate: "softmax" over the experts, or "sigmoid": an expert's affinity is sigmoid(logit / temperature),
            whatever the others' are (DeepSeek-V3, 2024, section 2.1.2), and stands for the probability in the
            choice and as weight.
        renormalise: divide a token's weights by their sum.
        dynamic_share: an expert after the first is left out when its probability is below this share of the
            first one's; 0 keeps all.

    Raises:
        ValueError: a value is out of its range.
    """

    k: int
    temperature: float = 1.0
    gate: GateFunction = "softmax"
    renormalise: bool = False
    dynamic_share: float = 0.0

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k is {self.k}: expected 1 to the number of experts")
        if self.gate not in ("softmax", "sigmoid"):
            raise ValueError(f"gate is {self.gate!r}: expected 'softmax' or 'sigmoid'")
        if self.temperature <= 0:
            raise ValueError(f"temperature is {self.temperature}: expected a positive number")
        if not 0 <= self.dynamic_share <= 1:
            raise ValueError(f"dynamic_share is {self.dynamic_share}: expected 0 to 1")

    @property
    def sigmoid(self) -> bool:
        """Whether the gate is a sigmoid."""
        return self.gate == "sigmoid"

    def refuse_fewer_experts(self, experts: int) -> None:
        """Raise ValueError if a token cannot have k of these many experts."""
        if self.k > experts:
            raise ValueError(f"k is {self.k}: expected 1 to the number of experts, {experts}")
