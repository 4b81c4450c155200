"""TensorBoard's charts of an elucidation run, beside those of every run."""

from collections.abc import Sequence

from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.factory import TARGET
from mmspec_ds.systems.sparse_runs import router_charts
from mmspec_ds.trainer.monitor.layout import Layout, lines


def elucidation_layout(
    modalities: Sequence[Modality],
    *,
    sparse: bool,
    conflict: bool,
    decoder: bool = False,
    further_losses: bool = False,
) -> Layout:
    """The charts of a run that reads these modalities.

    Args:
        modalities: of the run.
        sparse: whether there are routers.
        conflict: whether gradients of modalities are compared.
        decoder: whether there are routers in the decoder too.
        further_losses: whether a dense model has losses beside that of the task.
    """
    layout: Layout = {}
    if sparse or further_losses:
        layout["losses"] = {"auxiliary losses, unweighted": lines("auxiliary/")}
    if sparse:
        layout |= router_charts(modalities)
    layout["active part"] = {
        "active parameters, by the experts chosen": lines("active/parameters$", "active/nominal_parameters$"),
        "MFLOP of an encoder token, forward": lines("active/.*_megaflops$"),
        "FLOPs over those of a dense model of equal parameters": lines("active/.*_share$"),
    }
    if sparse and decoder:
        for what in ("load", "importance"):
            layout["routing"][f"{what} of target tokens by expert"] = lines(f"{what}_{TARGET}/")
    if conflict and len(modalities) > 1:
        layout["gradient conflict"] = {"cosine between modalities, shared weights": lines("conflict/")}
    return layout
