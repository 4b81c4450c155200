"""What the ways to balance modalities add to a step."""

from mmspec_ds.data.batch import Batch
from mmspec_ds.nn.flops import BatchSize, Dimensions, PassFlops, pass_flops
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.elucidation.modality_gradients.alone import only
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun


def flops_alone(run: ElucidationRun, sizes: Dimensions, batch: Batch) -> PassFlops:
    """FLOPs of the passes of each instrument alone that a training step makes beside that of all, of a batch on
    one rank: forward passes for OGM-GE, forward and backward ones for PCGrad and blending. Experts have even
    shares of the tokens. Estimates of blending weights are left out, as validations are."""
    kind, found = run.training.modality_gradients, PassFlops.nothing()
    if kind == "none":
        return found
    for modality in (one for one in batch.spectra.tokens if REGISTRY[one].is_instrument):
        alone = pass_flops(sizes, BatchSize.of(only(batch, modality), late=sizes.late))
        found += PassFlops(alone.forward, PassFlops.nothing().backward) if kind == "ogm_ge" else alone
    return found
