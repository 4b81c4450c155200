"""How TensorBoard's page "Custom scalars" groups the curves of a run: what belongs together is one chart."""

from collections.abc import Sequence

from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY

Layout = dict[str, dict[str, list[object]]]
"""Category, then chart, then ["Multiline", tags]; tags are regular expressions, matched from the beginning."""


def make_layout(modalities: Sequence[Modality], *, sparse: bool, conflict: bool) -> Layout:
    """The layout for a run that reads these modalities.

    Args:
        modalities: of the run.
        sparse: whether there are routers.
        conflict: whether gradients of modalities are compared.
    """
    layout: Layout = {
        "losses": {
            "task loss, training and validation": _lines("loss/train$", "loss/validation$"),
            "whole objective": _lines("loss/total$"),
            "norm of the gradient": _lines("gradient/norm$"),
        },
        "schedules": {"learning rate": _lines("schedule/learning_rate$")},
    }
    if sparse:
        layout["losses"]["auxiliary losses, unweighted"] = _lines("auxiliary/")
        layout["schedules"]["lambda, weight of balance and entropy"] = _lines("schedule/lambda$")
        layout["schedules"]["tau, temperature of the router"] = _lines("schedule/tau$")
        layout["routing"] = _routing(modalities)
    if conflict and len(modalities) > 1:
        layout["gradient conflict"] = {"cosine between modalities, shared weights": _lines("conflict/")}
    layout["resources"] = {
        "tokens per second": _lines("throughput/tokens_per_second$"),
        "samples per second": _lines("throughput/samples_per_second$"),
        "GFLOP per second": _lines("resources/gigaflops_per_second$"),
        "MFLOP per token": _lines("resources/megaflops_per_token$"),
        "peak memory, GiB": _lines("resources/memory_gib$"),
    }
    return layout


def _routing(modalities: Sequence[Modality]) -> dict[str, list[object]]:
    charts = {
        "entropy of a token's router, nats": _lines("entropy/"),
        "fraction dropped by capacity": _lines("dropped/"),
    }
    for what in ("load", "importance"):
        for modality in modalities:
            name = modality.name.lower()
            charts[f"{what} of {REGISTRY[modality].label} tokens by expert"] = _lines(f"{what}_{name}/")
    return charts


def _lines(*tags: str) -> list[object]:
    return ["Multiline", list(tags)]
