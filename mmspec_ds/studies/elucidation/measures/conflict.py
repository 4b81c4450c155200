"""Whether the modalities of a trained model pull its shared weights in one direction.

Axes: M modalities.
"""

from typing import Any

import numpy as np

from mmspec_ds.data.collate import collate
from mmspec_ds.studies.elucidation.measures.asking import device_of, read_molecules
from mmspec_ds.studies.plan import MeasureContext
from mmspec_ds.systems.elucidation.conflict import modality_conflict
from mmspec_ds.systems.elucidation.trained import TrainedModel

SAMPLES = 64


def conflict(context: MeasureContext) -> dict[str, Any]:
    """The measure `conflict`: `n` molecules, and under `cosine` that between the gradients of each pair of
    modalities by their names joined with "+" (`modality_conflict`); None where one has no gradient."""
    trained: TrainedModel = context.trained
    limit = min(SAMPLES, context.budget.evaluate)
    dataset = read_molecules(trained, context.data.test, limit)
    batch = collate(dataset, np.arange(len(dataset))).to(device_of(trained.model))
    cosine_MM = modality_conflict(trained.model, batch).cpu().numpy()
    chosen = trained.run.data.chosen_modalities()
    pairs = [(one, other) for at, one in enumerate(chosen) for other in chosen[at + 1 :]]
    values = {f"{a.name.lower()}+{b.name.lower()}": float(cosine_MM[a, b]) for a, b in pairs}
    return {"n": len(dataset), "cosine": {key: None if np.isnan(one) else one for key, one in values.items()}}
