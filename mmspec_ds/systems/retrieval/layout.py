"""TensorBoard's charts of a retrieval run, beside those of every run."""

from collections.abc import Sequence

from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.sparse_runs import router_charts
from mmspec_ds.trainer.monitor.layout import Layout, lines


def retrieval_layout(modalities: Sequence[Modality], *, sparse: bool) -> Layout:
    """The charts of a run that reads these modalities.

    Args:
        modalities: of the run.
        sparse: whether there are routers.
    """
    layout: Layout = {"retrieval": {"R@1 among held-back records": lines("recall_at_1/")}}
    if sparse:
        layout["losses"] = {"auxiliary losses, unweighted": lines("auxiliary/")}
        layout |= router_charts(modalities)
    return layout
