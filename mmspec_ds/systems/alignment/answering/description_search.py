"""How often an object finds its own description among all of a test, and a description its object.

Axes: N objects, M descriptions, W width of the language model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mmspec_ds.evaluation.bootstrap import Bootstrap, Estimate
from mmspec_ds.systems.alignment.additions import with_additions
from mmspec_ds.systems.alignment.answering.methods import DESCRIPTION
from mmspec_ds.systems.alignment.objects import Example, Kind, Object, kind_of
from mmspec_ds.systems.alignment.trained import Trained

FloatMatrix = npt.NDArray[np.float64]

AT = (1, 10)
"""The ranks."""
ALPHAS = (1e1, 1e2, 1e3, 1e4, 1e5)


@dataclass(frozen=True)
class Found:
    """Shares of queries whose right answer is among the first k.

    Attributes:
        method: what is compared.
        descriptions: by k, of objects that find their description.
        objects: by k, of descriptions that find one of their objects.
        chance: by k, the share of objects that a random order would give, on average.
    """

    method: str
    descriptions: dict[int, Estimate]
    objects: dict[int, Estimate]
    chance: dict[int, float]

    def figures(self) -> list[float]:
        """All shares: of objects, of descriptions and by chance, each by rising k."""
        sought = [one.mean for found in (self.descriptions, self.objects) for one in found.values()]
        return [*sought, *self.chance.values()]

    def to_json(self) -> dict[str, Any]:
        """The attributes by name."""
        return {
            "method": self.method,
            **{f"description_at_{k}": one.to_json() for k, one in self.descriptions.items()},
            **{f"object_at_{k}": one.to_json() for k, one in self.objects.items()},
            **{f"chance_at_{k}": one for k, one in self.chance.items()},
        }


def search_descriptions(
    trained: Trained, train: Sequence[Example], test: Sequence[Example], seed: int = 0
) -> dict[Kind, list[Found]]:
    """By kind of object the figures of the trained model, and of a ridge regression from the encoder's vectors
    to the same representation of descriptions, its strength by leave-one-out on the training examples; empty
    for a model that was not trained with the contrastive loss.

    Args:
        trained: the model.
        train: examples for the regression.
        test: examples; their descriptions are what is sought among.
        seed: of the bootstrap.
    """
    found: dict[Kind, list[Found]] = {}
    if not len(trained.model.heads):
        return found
    for kind in trained.kinds:
        known, asked = _described(train, kind), _described(test, kind)
        if len({one.answer for one in asked}) < 2:
            continue
        number = {text: at for at, text in enumerate(dict.fromkeys(one.answer for one in asked))}
        own_N = np.array([number[one.answer] for one in asked])
        texts_MW = _texts(trained, list(number))
        vectors = trained.vectors(kind, _objects(asked))
        groups = [one.group or str(at) for at, one in enumerate(asked)]
        objects = [one.objects for one in asked]
        prompts = with_additions([one.prompt for one in asked], objects, trained.run, trained.neighbours)
        compared = [("alignment", trained.contrast(kind, vectors, prompts).astype(np.float64))]
        if len(known) > 1:
            compared.append(("ridge regression", _ridge(trained, kind, known, vectors)))
        found[kind] = [_found(name, one, texts_MW, own_N, groups, seed) for name, one in compared]
    return found


def _described(examples: Sequence[Example], kind: Kind) -> list[Example]:
    return [
        one
        for one in examples
        if one.task == DESCRIPTION and len(one.objects) == 1 and kind_of(one.objects[0]) == kind
    ]


def _objects(examples: Sequence[Example]) -> list[Object]:
    return [one.objects[0] for one in examples]


def _texts(trained: Trained, texts: Sequence[str]) -> FloatMatrix:
    """What the model compares objects with, of length 1, [M, W]."""
    writer, run = trained.writer, trained.run
    ids = [writer.text_ids(text)[: writer.longest] for text in texts]
    states = trained.model.language.represent(ids, layer=run.objective.layer)
    found: FloatMatrix = (
        trained.model.text_vectors(states.to(trained.model.language.device)).double().cpu().numpy()
    )
    return found


def _ridge(
    trained: Trained, kind: Kind, known: Sequence[Example], vectors: npt.NDArray[np.float32]
) -> FloatMatrix:
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    first = trained.vectors(kind, _objects(known)).reshape(len(known), -1)
    model = make_pipeline(StandardScaler(), RidgeCV(ALPHAS))
    model.fit(first, _texts(trained, [one.answer for one in known]))
    given: FloatMatrix = model.predict(vectors.reshape(len(vectors), -1))
    return given / np.maximum(np.linalg.norm(given, axis=1, keepdims=True), 1e-12)


def _found(
    method: str,
    objects_NW: FloatMatrix,
    texts_MW: FloatMatrix,
    own_N: npt.NDArray[np.int64],
    groups: Sequence[str],
    seed: int,
) -> Found:
    cosine_NM = objects_NW @ texts_MW.T
    right_NM = own_N[:, None] == np.arange(len(texts_MW))
    rank_N = ranks(cosine_NM, right_NM)
    rank_M = ranks(cosine_NM.T, right_NM.T)
    queries, texts = Bootstrap(groups, seed), Bootstrap([str(at) for at in range(len(texts_MW))], seed)
    return Found(
        method,
        {k: queries.estimate((rank_N <= k).astype(np.float64)) for k in AT},
        {k: texts.estimate((rank_M <= k).astype(np.float64)) for k in AT},
        {k: min(1.0, k / len(texts_MW)) for k in AT},
    )


def ranks(scores_QR: FloatMatrix, right_QR: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The rank, from 1, of the best right row of each query; wrong rows with the same score stand before it.

    Args:
        scores_QR: of each row for each query.
        right_QR: which rows are right, at least one for each query.
    """
    best_Q = np.where(right_QR, scores_QR, -np.inf).max(1)
    found: npt.NDArray[np.int64] = 1 + ((scores_QR >= best_Q[:, None]) & ~right_QR).sum(1)
    return found
