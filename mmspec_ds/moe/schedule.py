"""The curriculum: weights of the objective and the router's temperature over the training."""

import math
from dataclasses import dataclass

from mmspec_ds.moe.expert_settings import RouterObjective


@dataclass(frozen=True)
class Curriculum:
    """lambda(t), the weight of balance and entropy, and tau(t), the router's temperature, at one moment."""

    balance: float
    temperature: float


def balance_weight(progress: float, start: float, until: float) -> float:
    """lambda(t) = lambda_0 / 2 * (1 + cos(pi * min(1, t / T_lambda))), equation 22."""
    return start * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress / until)))


def router_temperature(progress: float, start: float, minimum: float, decay: float) -> float:
    """tau(t) = max(tau_min, tau_0 * exp(-t / T_tau)), equation 23."""
    return max(minimum, start * math.exp(-progress / decay))


def curriculum_at(progress: float, settings: RouterObjective) -> Curriculum:
    """The curriculum when `progress`, 0 to 1, of the training budget is spent."""
    return Curriculum(
        balance_weight(progress, settings.balance, settings.balance_until),
        router_temperature(
            progress, settings.temperature, settings.temperature_min, settings.temperature_decay
        ),
    )
