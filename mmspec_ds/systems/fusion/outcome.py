"""What a model tells of many samples, and figures of it.

Axes: N samples, M modalities, C classes or groups, B samples of a batch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mmspec_ds.evaluation.roc import area
from mmspec_ds.systems.fusion.batch import BoolMatrix, FusionBatch
from mmspec_ds.systems.fusion.contribution import exact_contributions, predicted
from mmspec_ds.systems.fusion.model import FusionModel

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Outcome:
    """What is told of N samples.

    Attributes:
        probability_NC: of each class, or of each group.
        weight_NM: of the modalities in the fusion.
        of_answer_NM, of_truth_NM: exact Shapley values of the log-likelihood of the predicted class and of the
            true one, nats; the latter mean nothing where the truth is not known.
        head_of_answer_NM, head_of_truth_NM: what the head predicts of both; zeros without a head.
        present_NM: which modalities a sample has.
    """

    probability_NC: Array
    weight_NM: Array
    of_answer_NM: Array
    of_truth_NM: Array
    head_of_answer_NM: Array
    head_of_truth_NM: Array
    present_NM: BoolMatrix


PARTS = ("probability_NC", *(f"{name}_NM" for name in ("weight", "of_answer", "of_truth")))
PARTS += ("head_of_answer_NM", "head_of_truth_NM", "present_NM")


@torch.inference_mode()
def tell(model: FusionModel, batches: Iterable[FusionBatch], device: torch.device) -> Outcome:
    """What a model tells of the samples of some batches, in their order. The model is in evaluation mode
    afterwards."""
    model.eval()
    found = [_of_batch(model, batch.to(device)) for batch in batches]
    joined = [np.concatenate(part) for part in zip(*found)]
    parts: dict[str, Any] = dict(zip(PARTS, joined))
    return Outcome(**parts | {"present_NM": parts["present_NM"] > 0})


def _of_batch(model: FusionModel, batch: FusionBatch) -> list[Array]:
    kind = model.schema.kind
    encoded = model.encode(batch.pieces)
    fused = model.fuse(encoded.vectors_BMD, encoded.present_BM)
    logits_KBC = model.coalition_logits(encoded.vectors_BMD, encoded.present_BM)
    of_answer_BM, of_truth_BM = (
        exact_contributions(logits_KBC, target_BC, kind)
        for target_BC in (predicted(fused.logits_BC, kind), batch.target_BC)
    )
    none_BM = torch.zeros_like(of_answer_BM)
    head = (none_BM, none_BM) if fused.predicted is None else fused.predicted[::-1]
    logits = fused.logits_BC.float()
    probability_BC = logits.sigmoid() if kind == "groups" else logits.softmax(-1)
    parts = (probability_BC, fused.weight_BM, of_answer_BM, of_truth_BM, *head, encoded.present_BM)
    return [part.float().cpu().numpy() for part in parts]


def macro_auc(probability_NC: Array, target_NC: Array) -> float:
    """The area under the ROC curve: of two classes that of the second, else the mean over classes (one against
    the rest) or groups, those left out that all samples have or none has; NaN where none is left."""
    areas_C = areas(probability_NC, target_NC)
    if target_NC.shape[1] == 2 and (target_NC.sum(1) == 1).all():
        areas_C = areas_C[1:]
    known = areas_C[np.isfinite(areas_C)]
    return float(known.mean()) if len(known) else float("nan")


def areas(probability_NC: Array, target_NC: Array) -> npt.NDArray[np.float64]:
    """The area under the ROC curve of each column, float64 [C], ties counted half (Mann and Whitney); NaN for
    one that all samples have or none has."""
    has_NC = target_NC > 0
    return np.array(
        [
            area(score_N.astype(np.float64), has_N) if 0 < has_N.sum() < len(has_N) else np.nan
            for score_N, has_N in zip(probability_NC.T, has_NC.T)
        ]
    )


def head_correlations(outcome: Outcome) -> dict[str, float]:
    """Pearson's correlation of the head's contributions with the exact ones over all present modalities of all
    samples with more than one: `of_answer`, those to the predicted class, and `of_truth`, to the true one."""
    several_NM = outcome.present_NM & (outcome.present_NM.sum(1, keepdims=True) > 1)
    pairs = {
        "of_answer": (outcome.head_of_answer_NM, outcome.of_answer_NM),
        "of_truth": (outcome.head_of_truth_NM, outcome.of_truth_NM),
    }
    return {
        name: correlation(told_NM[several_NM], exact_NM[several_NM])
        for name, (told_NM, exact_NM) in pairs.items()
    }


def correlation(one: Array, other: Array) -> float:
    """Pearson's correlation; 0 where either does not vary."""
    if len(one) < 2 or not one.std() or not other.std():
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
