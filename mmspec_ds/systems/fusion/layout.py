"""TensorBoard's charts of a fusion run, beside those of every run."""

from collections.abc import Sequence

from mmspec_ds.systems.fusion.schema import Kind
from mmspec_ds.trainer.monitor.layout import Layout, lines


def fusion_layout(modalities: Sequence[str], kind: Kind, *, sparse: bool) -> Layout:
    """The charts of a run that reads these modalities.

    Args:
        modalities: names.
        kind: what is told; "none" for pretraining.
        sparse: whether there are routers.
    """
    layout: Layout = {}
    if kind != "none":
        layout["fusion"] = {
            "AUC of held-back samples": lines("auc/"),
            "loss of each modality alone, of the head, of routers, unweighted": lines("auxiliary/"),
            "weight of each modality in the mean, held-back samples": lines("weight/"),
            "contribution of each modality to the true class, nats": lines("contribution/"),
            "correlation of the head with exact contributions": lines("head/"),
        }
    if sparse:
        layout["schedules"] = {
            "lambda, weight of balance and entropy": lines("schedule/lambda$"),
            "tau, temperature of the router": lines("schedule/tau$"),
        }
        layout["routing"] = {
            "entropy of a token's router, nats": lines("entropy/"),
            **{f"load of {name} tokens by expert": lines(f"load_{name}/") for name in modalities},
        }
    return layout
