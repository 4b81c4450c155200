"""How often held-back objects find their descriptions.

Axes: N objects of a kind, X vectors of an object, D width of a vector, M descriptions, W width of the language
model.
"""

import numpy as np
import torch

from mmspec_ds.systems.alignment.batch import question_words
from mmspec_ds.systems.alignment.contrast import retrieved
from mmspec_ds.systems.alignment.data import AlignmentSets
from mmspec_ds.systems.alignment.model import AlignmentModel


@torch.no_grad()
def recalls(model: AlignmentModel, sets: AlignmentSets, device: torch.device) -> dict[str, float]:
    """The share of held-back examples whose answer is the nearest of all held-back answers, "recall_at_1/KIND";
    where a kind has several tasks, also "recall_at_1/KIND/TASK".

    Args:
        model: in evaluation mode.
        sets: its `validation`, each example with one object.
        device: of the model.
    """
    held_back = sets.validation
    texts_MW = model.text_vectors(held_back.states_MW.to(device))
    found: dict[str, float] = {}
    for kind in model.encoders:
        numbers = [at for at, one in enumerate(held_back.places) if one[0].kind == kind]
        if not numbers:
            continue
        vectors_NXD = torch.from_numpy(sets.vectors[kind][[held_back.places[at][0].row for at in numbers]])
        words = question_words([(held_back.rows[at], 0) for at in numbers])
        objects_NW = model.contrast_vectors(
            kind, vectors_NXD.to(device), words.mapped(lambda one: one.to(device))
        )
        own_N = torch.from_numpy(held_back.description_N[numbers]).to(device)
        right_N = retrieved(objects_NW, texts_MW, own_N, 1).float().cpu().numpy()
        found[f"recall_at_1/{kind}"] = float(right_N.mean())
        task_N = np.array([held_back.tasks[at] for at in numbers])
        tasks = np.unique(task_N).tolist()
        for task in tasks if len(tasks) > 1 else []:
            found[f"recall_at_1/{kind}/{task.replace(' ', '_')}"] = float(right_N[task_N == task].mean())
    return found
