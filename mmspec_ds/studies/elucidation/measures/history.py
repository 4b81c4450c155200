"""How a model's routing and its encoder states change while it learns, from the weights that a run kept
(`training.snapshots`).

Axes: N molecules, D model width, Y layers, E experts, P pooled states.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.errors import DataError
from mmspec_ds.spectra.records import Modality
from mmspec_ds.studies.elucidation.measures.asking import batches, device_of, read_molecules
from mmspec_ds.studies.elucidation.measures.routing import effective_number, observe_routing
from mmspec_ds.studies.plan import MeasureContext
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.trained import TrainedModel, load_weights
from mmspec_ds.trainer.snapshots import snapshots_of

Array = npt.NDArray[np.float64]

MOLECULES = 120
"""Whose states are drawn."""


def history(context: MeasureContext) -> dict[str, Any]:
    """The measure `history`: `steps`, and for each snapshot what `states_of` says, and of a sparse model
    `top_1` [Y][E], the fraction of tokens whose first choice an expert is, and `effective` [Y], the effective
    number of experts.

    Raises:
        DataError: the run kept no snapshots.
    """
    found = snapshots_of(context.run)
    if not found:
        raise DataError("holds no snapshots: expected a run with training.snapshots", path=context.run)
    trained: TrainedModel = context.trained
    dataset = read_molecules(trained, context.data.test, min(MOLECULES, context.budget.evaluate))
    kept = {name: value.clone() for name, value in trained.model.state_dict().items()}
    try:
        entries = [_at(trained, path, dataset) for path in found.values()]
    finally:
        trained.model.load_state_dict(kept)
    return {"n": len(dataset), "steps": list(found), "snapshots": entries}


def _at(trained: TrainedModel, path: Path, dataset: SpectraDataset) -> dict[str, Any]:
    load_weights(trained.model, path)
    entry = states_of(trained.model, dataset)
    if trained.run.moe is not None:
        _, first_YME = observe_routing(trained.model, dataset)
        top_YE = first_YME.sum(1) / first_YME.sum((1, 2))[:, None]
        entry |= {"top_1": top_YE.tolist(), "effective": effective_number(top_YE).tolist()}
    return entry


def states_of(model: Elucidator, dataset: SpectraDataset) -> dict[str, Any]:
    """A molecule's encoder states averaged over the tokens of each modality, one point for each.

    Returns:
        `modality` [P], names; `pca` and `tsne` [P][2], coordinates for a picture (t-SNE is absent for fewer
        than 10 points); `explained`, the share of the variance that the two components have; `silhouette` of
        the modalities in the whole space, -1 to 1, 1 where they are well apart; and `separability`, see there.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.metrics import silhouette_score

    pooled_PD, modality_P, molecule_P = pooled_states(model, dataset)
    pca = PCA(n_components=2, random_state=0)
    found = {
        "modality": [Modality(m).name.lower() for m in modality_P],
        "pca": _rounded(pca.fit_transform(pooled_PD)),
        "explained": float(pca.explained_variance_ratio_.sum()),
        "separability": separability(pooled_PD, modality_P, molecule_P),
    }
    if len(set(modality_P.tolist())) > 1:
        found["silhouette"] = float(silhouette_score(pooled_PD, modality_P))
    if len(pooled_PD) >= 10:
        perplexity = min(30.0, (len(pooled_PD) - 1) / 3)
        tsne = TSNE(n_components=2, perplexity=perplexity, init="pca", random_state=0)
        found["tsne"] = _rounded(tsne.fit_transform(pooled_PD))
    return found


@torch.no_grad()
def pooled_states(
    model: Elucidator, dataset: SpectraDataset
) -> tuple[Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The mean encoder state of each molecule's tokens of each modality that it has, [P, D], with its modality
    and the number of its molecule, [P] each, in the order of molecules."""
    states: list[Tensor] = []
    about: list[tuple[int, int]] = []
    for part in batches(dataset):
        encoded = model.encode(part.batch.to(device_of(model)).spectra)
        for modality in dataset.tokens:
            of_it_BS1 = (encoded.modality_BS == modality)[..., None]
            count_B1 = of_it_BS1.sum(1)
            mean_BD = (encoded.hidden_BSD * of_it_BS1).sum(1) / count_B1.clamp_min(1)
            has_B = count_B1[:, 0] > 0
            states.append(mean_BD[has_B].double().cpu())
            numbers = part.places_B[has_B.cpu().numpy()].tolist()
            about += [(int(number), int(modality)) for number in numbers]
    order = sorted(range(len(about)), key=lambda at: about[at])
    molecule_P, modality_P = np.array([about[at] for at in order], dtype=np.int64).T
    return torch.cat(states)[order].numpy(), modality_P, molecule_P


def separability(
    pooled_PD: Array, modality_P: npt.NDArray[np.int64], molecule_P: npt.NDArray[np.int64]
) -> float:
    """The share of points whose nearest point among those of other molecules has the same modality: 1 where
    modalities lie apart, their shares where states do not tell them apart."""
    squares_P = (pooled_PD**2).sum(1)
    distance_PP = squares_P[:, None] + squares_P - 2 * pooled_PD @ pooled_PD.T
    distance_PP[molecule_P[:, None] == molecule_P] = np.inf
    return float((modality_P[distance_PP.argmin(1)] == modality_P).mean())


def _rounded(points: npt.NDArray[Any]) -> list[list[float]]:
    return [[round(float(x), 3), round(float(y), 3)] for x, y in points]
