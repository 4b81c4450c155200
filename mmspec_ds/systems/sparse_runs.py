"""What the runs of several systems share where their models have experts: checks of the settings, the names of
what a router reports, and its charts."""

from collections.abc import Sequence
from typing import Any

from mmspec_ds.errors import ConfigError
from mmspec_ds.moe.expert_settings import MoESettings
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY, modality_by_name
from mmspec_ds.trainer.monitor.layout import Chart, Layout, lines
from mmspec_ds.trainer.run_settings import RunSettings, scalars_of

MODALITIES = tuple(modality.name.lower() for modality in Modality)
"""Tags of the kinds of spectra in the order of the rows of a `RoutingReport`."""


def check_experts(moe: MoESettings | None, ep_size: int) -> None:
    """Refuse experts of kinds of spectra that there are not, or that so many ranks cannot share.

    Args:
        moe: the sparse layer; None for a dense model.
        ep_size: ranks that share the experts.

    Raises:
        ValueError: names the key, its value and what was expected.
    """
    for number, expert in enumerate(moe.experts if moe else ()):
        for name in expert.modalities:
            try:
                modality_by_name(name)
            except ConfigError as error:
                raise ValueError(f"moe.experts[{number}].modalities: {error}") from None
    check_expert_parallel(moe, ep_size)


def check_expert_parallel(moe: MoESettings | None, ep_size: int) -> None:
    """Refuse experts that so many ranks cannot share.

    Raises:
        ValueError: names the key, its value and what was expected.
    """
    if moe is None and ep_size > 1:
        raise ValueError(f"training.ep_size is {ep_size}, but the model is dense: expected 1")
    if moe is not None and len(moe.experts) % ep_size:
        raise ValueError(
            f"training.ep_size is {ep_size}, but there are {len(moe.experts)} experts: expected a divisor"
        )


def shown_settings(
    run: RunSettings, modalities: Sequence[str], moe: MoESettings | None
) -> dict[str, str | int | float | bool]:
    """The settings of a run that TensorBoard shows, by dotted key: of the data only the modalities, of the
    experts family and width."""
    shown: dict[str, Any] = run.model_dump(mode="json", exclude={"system", "name", "engine", "output", "data"})
    shown["data"] = {"modalities": ",".join(modalities)}
    if moe is not None:
        shown["moe"]["experts"] = ", ".join(f"{one.family} {one.width}" for one in moe.experts)
    return scalars_of(shown)


def router_charts(modalities: Sequence[Modality]) -> Layout:
    """The charts of the routers of an encoder that reads these modalities, and of their schedules."""
    routing: dict[str, Chart] = {
        "entropy of a token's router, nats": lines("entropy/"),
        "fraction dropped by capacity": lines("dropped/"),
    }
    for what in ("load", "importance"):
        for modality in modalities:
            tag, label = modality.name.lower(), REGISTRY[modality].label
            routing[f"{what} of {label} tokens by expert"] = lines(f"{what}_{tag}/")
    schedules = {
        "lambda, weight of balance and entropy": lines("schedule/lambda$"),
        "tau, temperature of the router": lines("schedule/tau$"),
    }
    return {"schedules": schedules, "routing": routing}
