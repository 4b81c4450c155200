"""The rows of the study of retrieval: scores without a model, our encoder, a language model, forms of text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from mmspec_ds.spectra.textualize import Form
from mmspec_ds.studies.plan import Budget, Cell
from mmspec_ds.studies.retrieval.budgets import RECIPE, SIZES

ENCODER, LANGUAGE = "retrieval", "retrieval_language"
"""Run files."""

_MEAN_POOLED = {"language.pooling": "mean", "language.skip": False}
"""The published pooling, without what our head adds."""

SCORES = (
    "cosine",
    "square root cosine",
    "m^3 I^0.6 cosine",
    "m^1.3 I^0.53 cosine",
    "modified cosine",
    "spectral entropy",
    "Spec2Vec",
    "fusion",
)
"""Rows without a model, as `mmspec evaluate` names them."""


@dataclass(frozen=True)
class Model:
    """A row with a model: its run file and the settings in which it differs from it."""

    name: str
    base: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    measures: tuple[str, ...] = ("search",)
    trains: bool = True

    def cell(self, seed: int = 0) -> Cell:
        """The cell that trains and measures this row with a seed."""
        return Cell(self.base, self.overrides, RECIPE, seed, self.measures, trains=self.trains)


CLASSICAL = Cell(ENCODER, {}, RECIPE, 0, ("classical",), trains=False)


def models(budget: Budget) -> list[Model]:
    """The rows with a model; those of a language model where the user has named one."""
    sizes = SIZES[budget.name]
    found = [
        Model("our encoder", ENCODER, sizes.encoder),
        Model(
            "our encoder, told the precursor",
            ENCODER,
            {**sizes.encoder, "data.compression.ms.precursor": True},
        ),
    ]
    if budget.language is None:
        return found
    of_language, sizes_of_it = ("search", "text"), sizes.language
    return [
        *found,
        Model(
            "language model, untrained, mean pooling",
            LANGUAGE,
            {**sizes_of_it, **_MEAN_POOLED},
            of_language,
            trains=False,
        ),
        Model("language model, as training begins", LANGUAGE, sizes_of_it, of_language, trains=False),
        Model(
            "language model of random weights, trained",
            LANGUAGE,
            {**sizes_of_it, "language.random_seed": 0},
            of_language,
        ),
        Model("language model, trained", LANGUAGE, sizes_of_it, of_language),
    ]


def forms(budget: Budget) -> list[Model]:
    """The language model that learns to read each form of text, with the published pooling; from most to fewest
    tokens."""
    if budget.language is None:
        return []
    sizes = {**SIZES[budget.name].forms, **_MEAN_POOLED, "language.max_tokens": 512}
    return [Model(form, LANGUAGE, {**sizes, "language.text.form": form}, ("text",)) for form in get_args(Form)]
