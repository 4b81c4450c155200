"""Logistic regressions on plain features or on the vectors of encoders: what a linear model makes of them.

Axes: N questions or cells, F features, G genes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mmspec_ds.molecules.functional_groups import GROUPS
from mmspec_ds.systems.alignment.answering.methods import GROUP_LIST, Answers
from mmspec_ds.systems.alignment.answering.number_regression import NumberRegression, is_number
from mmspec_ds.systems.alignment.claims import groups_listed
from mmspec_ds.systems.alignment.encoder import ObjectEncoder
from mmspec_ds.systems.alignment.objects import Cell, Example, Kind, Object, kind_of
from mmspec_ds.systems.alignment.questions.draw import yes_no
from mmspec_ds.systems.alignment.questions.structure_tasks import listed_groups

FloatMatrix = npt.NDArray[np.float32]

CELL_TYPE_TASKS = ("cell type", "cell type by markers")
"""The first names a cell by its type alone, see `with_own_names`."""
FEWEST = 8
"""A probe is fitted if there are at least so many questions of its kind to learn from."""
FEWEST_HAVING = 5
"""A functional group that fewer of the objects have is in no list."""

STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Of a probe: the inverse of the weight of its penalty."""
FOLDS = 3

Scale = Literal["logarithms", "standardised"]
SCALES: tuple[Scale, ...] = ("logarithms", "standardised")
_SMALL = 1e-6


class GeneRegression:
    """Cell types by a logistic regression on the genes that the cells of training and test share.

    For each study of the test it is fitted anew, on the types that its questions name. A type that is not
    trained on is never answered.

    Args:
        train: examples; those that ask for a cell's type are used.
        scale: "logarithms" takes the values as they are; "standardised" gives each gene mean 0 and standard
            deviation 1 within the training cells and within each study of the test, which evens out studies but
            needs the study as a whole.

    Attributes:
        name: in tables.
        labels: the types that are trained on.
    """

    def __init__(self, train: Sequence[Example], scale: Scale) -> None:
        self.name = f"regression on shared genes, {scale}"
        self._scale = scale
        labelled = {
            (id(one.objects[0]), one.answer): (one.objects[0], one.answer)
            for one in with_own_names(train)
            if _asks_type(one)
        }
        self._cells = [cell for cell, _ in labelled.values()]
        self._labels = np.array([label for _, label in labelled.values()])
        self.labels = tuple(sorted({label for _, label in labelled.values()}))

    def answers(self, examples: Sequence[Example]) -> Answers:
        """Types of cells; none to other questions, nor for a study that shares no gene with the training."""
        found: Answers = [None] * len(examples)
        studies: dict[str, list[int]] = {}
        for at, one in enumerate(examples):
            if _asks_type(one):
                studies.setdefault(one.group, []).append(at)
        for places in studies.values():
            named = {choice for at in places for choice in examples[at].choices}
            chosen = np.isin(self._labels, sorted(named))
            if len(set(self._labels[chosen])) < 2:
                continue
            cells = {id(examples[at].objects[0]): examples[at].objects[0] for at in places}
            train = [cell for cell, kept in zip(self._cells, chosen) if kept]
            genes = _shared_genes([*train, *cells.values()])
            if not genes:
                continue
            predicted = self._predict(train, self._labels[chosen], list(cells.values()), genes)
            by_cell = dict(zip(cells, predicted))
            for at in places:
                found[at] = by_cell[id(examples[at].objects[0])]
        return found

    def _predict(
        self,
        train: Sequence[Object],
        labels: npt.NDArray[np.str_],
        test: Sequence[Object],
        genes: Sequence[str],
    ) -> list[str]:
        from sklearn.linear_model import LogisticRegression

        first, second = _expression(train, genes), _expression(test, genes)
        if self._scale == "standardised":
            first, second = (
                (part - part.mean(0)) / (part.std(0) + np.float32(_SMALL)) for part in (first, second)
            )
        strength = 0.01 if self._scale == "standardised" else 0.1
        model = LogisticRegression(C=strength, max_iter=3000).fit(first, labels)
        return [str(one) for one in model.predict(second)]


def with_own_names(train: Sequence[Example]) -> list[Example]:
    """Examples without those that name the type of a cell otherwise than a question without marker genes does:
    with a letter, or with the name of another type (`mmspec questions --exchanged-names`)."""
    plain, by_markers = CELL_TYPE_TASKS
    own = {id(one.objects[0]): one.answer for one in train if one.task == plain and _asks_type(one)}
    return [
        one
        for one in train
        if one.task != by_markers
        or not _asks_type(one)
        or own.get(id(one.objects[0]), one.answer) == one.answer
    ]


def _shared_genes(cells: Sequence[Object]) -> list[str]:
    """The genes that all cells have, by name."""
    lists = {one.genes for one in cells if isinstance(one, Cell)}
    return sorted(set.intersection(*map(set, lists)))


def _asks_type(one: Example) -> bool:
    return one.task in CELL_TYPE_TASKS and len(one.objects) == 1 and isinstance(one.objects[0], Cell)


def _expression(cells: Sequence[Object], genes: Sequence[str]) -> FloatMatrix:
    """The values of some genes, [N, G]; the cells of a file share their list of genes."""
    places: dict[int, npt.NDArray[np.int64]] = {}
    rows = []
    for cell in cells:
        assert isinstance(cell, Cell)
        if id(cell.genes) not in places:
            index = {gene: at for at, gene in enumerate(cell.genes)}
            places[id(cell.genes)] = np.array([index[gene] for gene in genes], dtype=np.int64)
        rows.append(cell.values[places[id(cell.genes)]])
    return np.stack(rows).astype(np.float32)


class Probe:
    """A logistic regression on the vectors of encoders, one for each kind of question and for each thing that
    it asks about: what could be read linearly from the vectors with the same training questions. Masses and
    formulas are answered by a ridge regression, see `number_regression`; a list of functional groups by one
    logistic regression for each group.

    It is fitted on the training questions whose answer is among the choices of what is asked, so that a cell is
    not given a type that its study does not have. An answer that is not trained on is never given. Two objects
    are compared by the difference of their vectors, its size and their product; where they are of two kinds
    there is no probe.

    Args:
        encoders: by kind.
        train: examples.
        name: in tables.
    """

    def __init__(self, encoders: Mapping[Kind, ObjectEncoder], train: Sequence[Example], name: str) -> None:
        self.name, self._encoders = name, encoders
        self._vectors: dict[int, FloatMatrix] = {}
        self._keep = list[Object]()  # an id stays that of its object
        self._models: dict[tuple[tuple[str, ...], frozenset[str]], Any] = {}
        self._train: dict[tuple[str, ...], list[Example]] = {}
        self._encode(train)
        for one in with_own_names(train):
            if self._can_read(one):
                self._train.setdefault(_probe_of(one), []).append(one)

    def answers(self, examples: Sequence[Example]) -> Answers:
        """Answers to the kinds of questions that there was enough to learn from."""
        self._encode(examples)
        found: Answers = [None] * len(examples)
        groups: dict[tuple[tuple[str, ...], frozenset[str]], list[int]] = {}
        for at, one in enumerate(examples):
            if self._can_read(one):
                known = {other.answer for other in self._train.get(_probe_of(one), ())}
                named = frozenset(known.intersection(one.choices) if one.choices else known)
                groups.setdefault((_probe_of(one), named), []).append(at)
        for (key, named), places in groups.items():
            model = self._model(key, named)
            if model is not None:
                features = np.stack([self._features(examples[at]) for at in places])
                for at, answer in zip(places, model.predict(features)):
                    found[at] = str(answer)
        return found

    def _model(self, key: tuple[str, ...], named: frozenset[str]) -> Any:
        """The regression of a kind of question for some of the answers, fitted once; None where there is too
        little to learn from."""
        if (key, named) not in self._models:
            some = [one for one in self._train.get(key, ()) if one.answer in named]
            if len(some) < FEWEST or len(named) < 2:
                self._models[key, named] = None
                return None
            features, labels = np.stack([self._features(one) for one in some]), [one.answer for one in some]
            if key[0] == GROUP_LIST:
                self._models[key, named] = GroupRegressions(features, labels)
            elif some[0].choices:
                self._models[key, named] = _fitted(features, labels)
            else:
                self._models[key, named] = NumberRegression(key[0], features, labels)
        return self._models[key, named]

    def _can_read(self, one: Example) -> bool:
        kinds = {kind_of(thing) for thing in one.objects}
        if not one.choices and one.task != GROUP_LIST and not is_number(one.task, one.answer):
            return False
        return len(kinds) == 1 and len(one.objects) <= 2 and kinds <= set(self._encoders)

    def _encode(self, examples: Sequence[Example]) -> None:
        new: dict[Kind, dict[int, Object]] = {}
        for one in examples:
            if self._can_read(one):
                for thing in one.objects:
                    if id(thing) not in self._vectors:
                        new.setdefault(kind_of(thing), {})[id(thing)] = thing
        for kind, objects in new.items():
            vectors = self._encoders[kind].encode(list(objects.values()))
            self._keep += objects.values()
            self._vectors |= {key: one.reshape(-1) for key, one in zip(objects, vectors)}

    def _features(self, one: Example) -> FloatMatrix:
        vectors = [self._vectors[id(thing)] for thing in one.objects]
        if len(vectors) == 1:
            return vectors[0]
        gap = vectors[0] - vectors[1]
        return np.concatenate([gap, np.abs(gap), vectors[0] * vectors[1]])


class GroupRegressions:
    """A logistic regression for each functional group, for questions that ask for a list of all.

    Args:
        features_NF: of the objects.
        answers: N lists.
    """

    def __init__(self, features_NF: FloatMatrix, answers: Sequence[str]) -> None:
        truths = [groups_listed(one) for one in answers]
        self._models: dict[str, Any] = {}
        for group in GROUPS:
            having = [group.name in one for one in truths]
            if FEWEST_HAVING <= sum(having) < len(having):
                self._models[group.name] = _fitted(features_NF, [yes_no(one) for one in having])
        self._everywhere = frozenset.intersection(*truths)

    def predict(self, features_NF: FloatMatrix) -> list[str]:
        """The list for each row, as `mmspec questions` writes it."""
        found: list[set[str]] = [set(self._everywhere) for _ in features_NF]
        for name, model in self._models.items():
            for at, answer in enumerate(model.predict(features_NF)):
                if answer == "yes":
                    found[at].add(name)
        return [listed_groups(one) for one in found]


def _probe_of(one: Example) -> tuple[str, ...]:
    return (one.task, *map(kind_of, one.objects), one.about)


def _fitted(features: FloatMatrix, labels: list[str]) -> Any:
    """A regression whose strength is chosen by cross-validation where each answer is there three times."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTHS[0], max_iter=1000))
    if min(labels.count(one) for one in set(labels)) < FOLDS:
        return model.fit(features, labels)
    return GridSearchCV(model, {"logisticregression__C": STRENGTHS}, cv=FOLDS).fit(features, labels)
