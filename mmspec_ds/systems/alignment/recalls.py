"""How often held-back objects find their descriptions.

Axes: N examples, M descriptions, W width of the language model.
"""

import numpy as np
import torch

from mmspec_ds.systems.alignment.batch import asked_objects
from mmspec_ds.systems.alignment.contrast import NEVER, choice_cosines, retrieved
from mmspec_ds.systems.alignment.data import AlignmentSets, kinds_of
from mmspec_ds.systems.alignment.model import AlignmentModel


@torch.no_grad()
def recalls(model: AlignmentModel, sets: AlignmentSets, device: torch.device) -> dict[str, float]:
    """The share of held-back examples whose answer is the nearest of all held-back answers,
    "recall_at_1/KIND", or "recall_at_1/KIND+KIND" where they are about two kinds; where a kind has several
    tasks, also "recall_at_1/KIND/TASK". With `objective.choices`, "choice/KIND/TASK" is the share of those with
    possible answers whose own is the nearest of these, by `choice_cosines`.

    Args:
        model: in evaluation mode.
        sets: its `validation`.
        device: of the model.
    """
    held_back = sets.validation
    texts_MW = model.text_vectors(held_back.states_MW.to(device))
    found: dict[str, float] = {}
    kinds = [kinds_of(places) for places in held_back.places]
    for kind in dict.fromkeys(sorted(kinds)):
        numbers = [at for at, one in enumerate(kinds) if one == kind]
        rows, places = [held_back.rows[at] for at in numbers], [held_back.places[at] for at in numbers]
        objects = asked_objects(rows, places, sets.vectors).mapped(lambda one: one.to(device))
        objects_NW = model.contrast_vectors(objects)
        own_N = torch.from_numpy(held_back.description_N[numbers]).to(device)
        right_N = retrieved(objects_NW, texts_MW, own_N, 1).float().cpu().numpy()
        found[f"recall_at_1/{kind}"] = float(right_N.mean())
        task_N = np.array([held_back.tasks[at] for at in numbers])
        tasks = np.unique(task_N).tolist()
        for task in tasks if len(tasks) > 1 else []:
            found[f"recall_at_1/{kind}/{_named(task)}"] = float(right_N[task_N == task].mean())
        choices_NK = torch.from_numpy(held_back.choices_NK[numbers]).to(device)
        if choices_NK.shape[1]:
            nearest = choice_cosines(objects_NW, texts_MW, choices_NK).max(1)
            chosen_N = choices_NK.gather(1, nearest.indices[:, None])[:, 0]
            stated_N = (nearest.values > NEVER).cpu().numpy()
            right_N = (chosen_N == own_N).float().cpu().numpy()
            for task in np.unique(task_N[stated_N]).tolist():
                found[f"choice/{kind}/{_named(task)}"] = float(right_N[stated_N & (task_N == task)].mean())
    return found


def _named(task: str) -> str:
    return task.replace(" ", "_")
